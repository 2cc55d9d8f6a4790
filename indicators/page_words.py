"""What `docs/indicators.md` says besides the catalogue: how to read it, conventions, libraries."""

INTRODUCTION = """\
# Indicators

This page is generated from the catalogue: `make docs`. `candlewax indicators list` shows the same,
and `candlewax indicators compute 'rsi(14)' --bars FILE.csv` the values over a file of bars, to hold
against a chart: CSV with the columns time, open, high, low, close, volume, oldest bar first.

An indicator is a name with its numbers: `rsi(14)`, `ema(20)`, `book.imbalance(10)`. What has a
default may be left out (`rsi` is `rsi(14)`), and a number may be named (`rsi(period=14)`). One that
gives several values takes one after a dot: `macd(12,26,9).hist`. A parameter that is a
series takes a value of the bar or another indicator. The name with every number and no space is the
canonical one; it is what features, filters and alerts say.

Indicators over bars take one closed bar at a time and keep a few numbers, however long the stream
runs. They remember their state before the last bar: when a late trade corrects that bar, the value
is computed again as if only the right bar had come. They say nothing (no value, not zero) until
they are warm, and never NaN or infinity.

"First value" and "settled after" are for the defaults; `candlewax indicators list 'rsi(21)'` tells
them for other numbers. Settled means that the value is within 0.01 % of the one that an endless
history would give: before that, a chart that begins elsewhere may show another. It is when the
beginning weighs no more than that in an average that decays, and a millionth in those of RSI, whose
quotient makes more of it. What lies around zero (MACD, AO) is within 0.01 % of how far it swings.
A market that comes to rest after a storm remembers it for a few bars more."""

CONVENTIONS = """\
## Where others differ

TA-Lib is what we follow. When a chart shows another number, it is nearly always one of these:

* **Where the history begins.** An average that decays remembers its first value. Compare after as
  many bars as "settled after" says.
* **Wilder's average and the exponential one.** Wilder's (RSI, ATR, ADX) moves by `1 / period` of
  the distance with each bar, an exponential one by `2 / (period + 1)`: at 14, by 0.071 and 0.133.
  Some charts compute RSI with the second, and differ by points, not digits.
* **The first value of an exponential average.** TA-Lib begins with the plain mean of the first
  `period` values; others with the first value alone (pandas' `ewm`). At 20 bars the difference
  began at 10 on a price of 64 000, was 0.17 at bar 60 and 0.0004 at bar 120.
* **MACD's first values.** TA-Lib begins both averages so that they have their first value at the
  same bar, the fast one on the bars right before. pandas-ta-classic, talipp and others begin the
  fast one as early as it can. On a price of 64 000 the line differed by up to 2.6 and the signal by
  5.6 within the first 200 bars, and by less than 1e-10 after.
* **Bollinger's deviation.** TA-Lib divides by `n`, as do pandas-ta-classic and most charts.
  pandas-ta 0.4 without TA-Lib divides by `n - 1`: its bands were 17 wider at 20 bars.
* **The slow and the fast stochastic.** %K of the slow one is %D of the fast one. Some libraries
  call the fast one "Stochastic".
* **CCI of pandas-ta 0.4** without TA-Lib is wrong (a pair of parentheses is missing: 32 719 where
  121 is right). TA-Lib and pandas-ta-classic agree to 1e-10.
* **A market that stands still.** RSI is 0/0: TA-Lib says 0, pandas-ta-classic nothing, we 50, for a
  market that stands still has not fallen. TA-Lib gives 0 for the stochastic, CCI, ADX, MFI and
  Williams %R then; so does `talib.<name>` here."""

LIBRARIES = """\
## Libraries

Any other name comes from a library, and any spec may use it:

* `talib.<name>(…)`: TA-Lib's function in small letters, as `talib.adx(14)` or
  `talib.macd(12,26,9).macdsignal`. `candlewax indicators list talib` lists them.
* `pta.<name>(…)`: pandas-ta-classic's, as `pta.supertrend(7,3).supertd`.
  `candlewax indicators list pta` lists them.

`candlewax indicators list talib.adx` shows the parameters with their limits, and the values.

**TA-Lib.** Parameters are TA-Lib's in its order, their words set apart and `time` left out:
`timeperiod` is `period`, `fastperiod` is `fast_period`, `slowk_matype` is `slowk_matype`. Values
keep TA-Lib's names. Functions of one series take the close; those of two (`talib.add`,
`talib.correl`) high and low, as TA-Lib's abstract interface does. Candle patterns give -200 to 200,
and 0 for none. Left out: `mavp`, which wants a period for every bar, and `maxindex`, `minindex`,
`minmaxindex`, which give places in an array. Values are TA-Lib's, bit for bit: a handle of its
streaming interface takes one bar at a time, in 3 to 7 microseconds (ours take about one), however
long the stream.

A handle cannot be stored. After a restart a new one is opened on the last bars, which are kept for
that, so values may differ from those of a process that was never stopped. How far, as a part of the
value or of its usual size, at the defaults, measured on four random walks at 200 bars:

| functions | bars kept | largest difference |
|---|---|---|
| of a window (`sma`, `bbands`, `stoch`, `cci`, patterns; 143) | look-back + 2 \
| 7e-10 (`linearreg_angle`); most below 1e-12 |
| that decay (`ema`, `rsi`, `adx`, `macd`, `atr`; 35) \
| 3 to 31 times the first value's bar | 4e-11 (`cmo`) |
| that forget when the market turns (`sar`, `supertrend`, `kama`, `ht_*`; 11) \
| 150 to 1900 | 4e-11 (`ht_sine`) |
| running totals (`obv`, `ad`, `cumsum`, `pvt`, `wad`, `nvi`, `pvi`, `vwap`) \
| look-back + 2, and the total | rounding: 1e-12 |

The promise is 1e-9. How many bars that takes is measured for each function and its numbers. No more
than 60 000 are kept, which is enough up to a period of about 2000 for averages such as Wilder's.

**pandas-ta-classic.** Parameters are its own, in its order, those that are numbers and have a
default; text and switches stay as they are, and `offset` and `drift` are not offered. Values are
its columns in small letters without the numbers at their end: `SUPERTd_7_3.0` is `supertd`; where
two would be the same they keep them (`mmar_10`, `mmar_15`). A value that the library does not give
(a long stop while the trend is short) is no value. It is computed anew with every bar over a frame
of the last 200 to 500 bars, or twice the warm-up where that is more, in 1 to 6 milliseconds: a
thousand times as long as our own. The bars of the frame are stored, so a restart changes nothing.
An average that decays forgets what was before the frame; it holds as many bars as are needed for a
part in a million, where 500 are enough. Left out: what wants more than the bars of one series
(`ma`, `cdl_pattern`, `beta`, …), and what counts from the first bar (`obv`, `ad`, `vwap`, …),
which a frame forgets; use ours or TA-Lib's. `pta.dpo` is not centred and `pta.ichimoku` has no
lagging span, for both would look ahead.

Inputs of both lie between -1e60 and 1e60."""
