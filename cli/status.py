"""What the flow processes of a run have counted, added up.

Each process writes `status/flow-<number>.json` into the state folder about once a second and at
its end.
"""

from pathlib import Path

import msgspec

from flows.status import FlowStatus


def read(folder: Path) -> FlowStatus:
    """Return the sum over all processes that have told something; zeros when none has."""
    parts: list[FlowStatus] = []
    for file in sorted(folder.glob("flow-*.json")):
        try:
            parts.append(msgspec.json.decode(file.read_bytes(), type=FlowStatus))
        except (OSError, msgspec.DecodeError):
            continue  # it is being replaced, or comes from another version
    return FlowStatus(
        seconds=max((part.seconds for part in parts), default=0.0),
        trades=sum(part.trades for part in parts),
        book_updates=sum(part.book_updates for part in parts),
        bars=sum(part.bars for part in parts),
        features=sum(part.features for part in parts),
        rows=_sum([part.rows for part in parts]),
        rows_written=_sum([part.rows_written for part in parts]),
        rows_replaced=_sum([part.rows_replaced for part in parts]),
        rows_known=_sum([part.rows_known for part in parts]),
        rows_lost=_sum([part.rows_lost for part in parts]),
        spools={name: spool for part in parts for name, spool in sorted(part.spools.items())},
        alerts=sum(part.alerts for part in parts),
        gaps=sum(part.gaps for part in parts),
        dead_letters=sum(part.dead_letters for part in parts),
        past=(sum(part.past[0] for part in parts), sum(part.past[1] for part in parts)),
        share_read=max((part.share_read for part in parts), default=0.0),
        books={name: book for part in parts for name, book in sorted(part.books.items())},
        last_alerts=[text for part in parts for text in part.last_alerts],
        problems=[text for part in parts for text in part.problems],
        generation=max((part.generation for part in parts), default=0),
        spec_problem=next((part.spec_problem for part in parts if part.spec_problem), ""),
    )


def _sum(tables: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def spooled(status: FlowStatus) -> int:
    """Return how many rows wait on the disk for the database."""
    return sum(sum(spool.rows.values()) for spool in status.spools.values())


def summary(status: FlowStatus, seconds: float) -> dict[str, object]:
    """Return what `demo --json` prints last.

    Args:
        status: after the end of all processes.
        seconds: how long data flowed.
    """
    return {
        "seconds": round(seconds, 1),
        "trades": status.trades,
        "book_updates": status.book_updates,
        "bars": status.bars,
        "features": status.features,
        "rows": sum(status.rows.values()),
        "alerts": status.alerts,
        "gaps": status.gaps,
        "dead_letters": status.dead_letters,
        "rows_by_table": status.rows,
        "rows_written": sum(status.rows_written.values()),
        "rows_replaced": sum(status.rows_replaced.values()),
        "rows_known": sum(status.rows_known.values()),
        "rows_lost": sum(status.rows_lost.values()),
        "rows_spooled": spooled(status),
    }
