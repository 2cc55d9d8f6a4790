"""How far a preview has come, on a terminal's standard error."""

import contextlib
import sys
from collections.abc import Callable, Iterator


class PreviewProgress:
    """Bars on a terminal's standard error; elsewhere nothing."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self.bars.add_task("", total=None)

    def symbol(self, spec: str) -> Callable[[str, int, int], None]:
        """Return what is told of a symbol's bars."""

        def report(symbol: str, done: int, whole: int) -> None:
            text = f"{spec} {symbol}"
            self.bars.update(self._task, description=text, completed=done, total=whole)

        return report

    def fetching(self, what: str) -> Callable[[int, int], None]:
        """Return what is told of bars that are fetched."""

        def report(done: int, wanted: int) -> None:
            text = f"fetching {what}"
            self.bars.update(self._task, description=text, completed=done, total=wanted)

        return report

    def records(self, count: int) -> None:
        """Take the records of a recording that are done."""
        self.bars.update(self._task, description=f"{count:,} records", total=None)


@contextlib.contextmanager
def shown() -> Iterator[PreviewProgress]:
    """Show progress while the block runs."""
    progress = PreviewProgress()
    with progress.bars:
        yield progress
