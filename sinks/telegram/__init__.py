"""Telegram: the target that alerts go to, and its first set-up."""
