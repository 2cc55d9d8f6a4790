"""The words of a market and the pure state behind them: no clock, no I/O."""
