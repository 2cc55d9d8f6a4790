"""`--emit`, `--out` and `--digest`: lines of what a flow tells, and a digest of them."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Self

import msgspec

from market.errors import ConfigError

KEPT_LINES = "lines.jsonl"


class Emitted:
    """The lines of one run, from the options to the last word.

    Used around the run: lines go to the file that was asked for, else to one of our own that is
    removed at the end. Flow processes are told by `environ`.

    Args:
        emit: kinds of lines; empty for all of them when `out` or `digest` is given.
        out: file for the lines.
        digest: tell a digest at the end.
        keep_in: folder of a run that can be resumed; lines without a file are kept there, and
            when it has begun already, the lines in `out` are gone on with.

    Raises:
        ConfigError: an unknown kind, or `out` cannot be written to, or holds something else.
    """

    def __init__(
        self,
        emit: tuple[str, ...],
        out: Path | None,
        *,
        digest: bool,
        keep_in: Path | None = None,
    ) -> None:
        from flows.emission import read_kinds

        self._emit = tuple(sorted(read_kinds(",".join(emit))))
        self._out = out.absolute() if out is not None else None
        self._digest = digest
        self._keep_in = keep_in
        self._own: Path | None = None
        self.environ: dict[str, str] = {}
        if self._out is not None and not self._out.parent.is_dir():
            raise ConfigError(f"--out {out}: there is no folder {self._out.parent}")
        if self._out is not None and self._out.is_dir():
            raise ConfigError(f"--out {out}: is a folder, expected a file")
        # The flow begins its lines at the beginning of the file, whatever stands there.
        if self._out is not None and self._is_full(self._out) and not self._resumes():
            raise ConfigError(f"--out {out}: holds something; remove it or choose another file")

    def __enter__(self) -> Self:
        from flows.output import VARIABLE, Output

        if not (self._emit or self._out or self._digest):
            return self
        if self._out is not None:
            file = self._out
        elif self._keep_in is not None:
            file = self._keep_in.absolute() / KEPT_LINES
        else:
            self._own = Path(tempfile.mkdtemp(prefix="candlewax-"))
            file = self._own / KEPT_LINES
        told = Output(emit=self._emit, out=str(file), digest=self._digest)
        self.environ = {VARIABLE: msgspec.json.encode(told).decode()}
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _is_full(self, out: Path) -> bool:
        return out.is_file() and out.stat().st_size > 0

    def _resumes(self) -> bool:
        return self._keep_in is not None and any(self._keep_in.glob("part-*.sqlite3"))

    def tell(self) -> str:
        """Print the lines that go to no file, then the digest; return the digest."""
        if not self.environ:
            return ""
        if self._out is None and self._emit and self._file.exists():
            with self._file.open(encoding="utf-8") as lines:
                shutil.copyfileobj(lines, sys.stdout)
        if not self._digest:
            return ""
        from flows.output import digest_of

        told = digest_of(self._file)
        print(told, flush=True)
        return told
