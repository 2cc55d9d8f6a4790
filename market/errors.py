"""Everything that Candlewax raises on purpose.

    MarketError                        root
    ├── ConfigError                    start-up: exit code 2, text says what, where, what to do
    │   ├── SpecError                  a filter spec is wrong          (path, line, column)
    │   └── UnknownInstrumentError     no such instrument at the venue (venue, symbol, near)
    ├── FeedError                      this connection can no longer be trusted
    │   ├── VenueProtocolError         the venue broke its contract    (frame, capped)
    │   │   └── SubscriptionError      refused, or not answered in time (channel, reason)
    │   ├── VenueRefusalError          the venue will not have us      (status, retry_after_s)
    │   └── StaleFeedError             too long silent                 (silence_ns)
    ├── HistoryError                   a venue's past cannot be had    (retry_after_s, is_final)
    ├── BookError                      a delta before a snapshot
    ├── RecordingError                 a recording cannot be read      (path, line)
    └── SinkError                      a destination refused           (retriable)

A break of one instrument's sequence is no error but data: `FeedGap`. Our own misuse is
`ValueError` or `TypeError`, never a `MarketError`: nothing catches a bug by accident.
"""

FRAME_LIMIT = 500
"""Bytes of an offending frame that an error keeps."""


class MarketError(Exception):
    """Root of the tree."""


class ConfigError(MarketError):
    """Something that a person wrote is wrong; the program has not started."""


class SpecError(ConfigError):
    """A filter spec is wrong.

    Args:
        message: what is wrong and what to do, lower case, no full stop.
        path: file that holds the spec.
        line: 1-based; 0 when the whole file is meant.
        column: 1-based; 0 when the whole line is meant.
        source: the line itself, shown with a caret under its column.
    """

    def __init__(
        self, message: str, *, path: str, line: int = 0, column: int = 0, source: str = ""
    ) -> None:
        self.message = message
        self.path = path
        self.line = line
        self.column = column
        self.source = source
        place = ":".join([path, *(str(n) for n in (line, column) if n)])
        shown = ""
        if source:
            shown = f"\n    {source}"
            if column:
                # A tab stays a tab, so that the caret stands under its column.
                before = "".join("\t" if c == "\t" else " " for c in source[: column - 1])
                shown += f"\n    {before.ljust(column - 1)}^"
        super().__init__(f"{place}: {message}{shown}")


class UnknownInstrumentError(ConfigError):
    """No instrument of that name, or more than one.

    Args:
        symbol: as the user spelled it.
        venue: where it was looked for; empty for all venues.
        near: names that look alike, best first.
        ambiguous: the name fits several instruments (`near` holds them).
    """

    def __init__(
        self, symbol: str, *, venue: str = "", near: tuple[str, ...] = (), ambiguous: bool = False
    ) -> None:
        self.symbol = symbol
        self.venue = venue
        self.near = near
        self.ambiguous = ambiguous
        where = f" at {venue}" if venue else ""
        names = ", ".join(near)
        if ambiguous:
            text = f"symbol {symbol!r} is ambiguous{where}: say one of {names}"
        elif near:
            text = f"unknown symbol {symbol!r}{where}; did you mean {names}?"
        else:
            text = f"unknown symbol {symbol!r}{where}; see the list that the venue publishes"
        super().__init__(text)


class FeedError(MarketError):
    """This connection can no longer be trusted: close it, wait, open another."""


class VenueProtocolError(FeedError):
    """The venue sent what its contract does not allow.

    Args:
        message: what was expected and what was found.
        frame: the offending bytes; only the first `FRAME_LIMIT` are kept.
    """

    def __init__(self, message: str, *, frame: bytes = b"") -> None:
        self.frame = frame[:FRAME_LIMIT]
        super().__init__(message)


class SubscriptionError(VenueProtocolError):
    """A subscription was refused or not answered in time."""

    def __init__(self, channel: str, reason: str, *, frame: bytes = b"") -> None:
        self.channel = channel
        self.reason = reason
        super().__init__(f"subscription to {channel}: {reason}", frame=frame)


class VenueRefusalError(FeedError):
    """The venue turned us away by policy (a ban, a rate limit, a region).

    Args:
        message: what the venue said and what it means.
        status: HTTP status, or 0.
        retry_after_s: seconds before another try makes sense.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 60.0) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)


class StaleFeedError(FeedError):
    """A connection that should speak is silent."""

    def __init__(self, what: str, silence_ns: int) -> None:
        self.silence_ns = silence_ns
        super().__init__(f"{what}: silent for {silence_ns / 1e9:.1f} s")


class HistoryError(MarketError):
    """A venue's bars of the past cannot be had; what was fetched before is good.

    Args:
        message: which, why, and what to do.
        retry_after_s: seconds before another try makes sense; 0 where the venue does not say.
        is_final: no other try can give another answer.
    """

    def __init__(self, message: str, *, retry_after_s: float = 0.0, is_final: bool = False) -> None:
        self.retry_after_s = retry_after_s
        self.is_final = is_final
        super().__init__(message)


class BookError(MarketError):
    """A delta reached a book that has no snapshot."""


class RecordingError(MarketError):
    """A recording cannot be read.

    Args:
        message: what is wrong.
        path: the file.
        line: 1-based line, 0 when the file as a whole is meant.
    """

    def __init__(self, message: str, *, path: str, line: int = 0) -> None:
        self.path = path
        self.line = line
        place = f"{path}:{line}" if line else path
        super().__init__(f"{place}: {message}")


class SinkError(MarketError):
    """A destination refused what it was given."""

    def __init__(self, message: str, *, retriable: bool) -> None:
        self.retriable = retriable
        super().__init__(message)
