"""Times of the database as whole nanoseconds."""

LATEST_NS = 9_214_646_400_000_000_000
"""2262-01-01, ns UTC: what is later is read as this. A bigint of nanoseconds ends in that April."""
EARLIEST_NS = -9_214_560_000_000_000_000
"""1678-01-01, ns UTC: what is earlier is read as this."""


def ns_of(column: str) -> str:
    """Return SQL of a `timestamptz` as ns UTC, whole microseconds; null stays null.

    No time makes it fail: one that somebody wrote by hand, `infinity` too, is read as `LATEST_NS`
    or `EARLIEST_NS` when it is beyond them. Else one row would end every session that reads it.

    Args:
        column: its name, or an expression, as SQL.

    Example:
        >>> ns_of("ends_at").partition(" ELSE ")[2]
        '(extract(epoch FROM ends_at) * 1000000)::bigint * 1000 END'
    """
    return (
        f"CASE WHEN {column} > timestamptz '2262-01-01 00:00:00+00' THEN {LATEST_NS}"
        f" WHEN {column} < timestamptz '1678-01-01 00:00:00+00' THEN {EARLIEST_NS}"
        f" ELSE (extract(epoch FROM {column}) * 1000000)::bigint * 1000 END"
    )
