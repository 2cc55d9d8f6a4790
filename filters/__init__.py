"""Specs that people write, the conditions they hold, and the alerts they make."""
