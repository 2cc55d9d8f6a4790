"""A script of price moves that leaves books and RSI time to settle."""

from pathlib import Path

DIPS = str(Path(__file__).with_suffix(".yaml"))
"""Dips of BTC-USDT at 20 s and of ETH-USDT at 25 s: a file for `load_script`."""
