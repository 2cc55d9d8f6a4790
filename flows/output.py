"""What a run was asked to tell besides what it stores: `--emit`, `--out` and `--digest`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from flows.emission import KINDS, LineSink, digest, read_kinds
from market.errors import ConfigError

VARIABLE = "CANDLEWAX_OUTPUT"
"""How the command line tells the flow processes."""


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines are written, and where.

    Attributes:
        emit: kinds of `flows.emission`; empty with `digest`: all of them.
        out: the file.
        digest: a digest of the lines is told at the end.
    """

    emit: tuple[str, ...] = ()
    out: str = ""
    digest: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Output":
        """Read what the command line asked for.

        Raises:
            ConfigError: words that we do not know, or a file that cannot be written to.
        """
        try:
            output = msgspec.json.decode(environ.get(VARIABLE) or "{}", type=cls)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{VARIABLE}: {error}; --emit, --out and --digest set it") from error
        read_kinds(",".join(output.emit))
        if output.out:
            path = Path(output.out)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.open("ab").close()
            except OSError as error:
                raise ConfigError(f"--out {path}: cannot be written: {error.strerror}") from error
        return output

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds that are written."""
        if self.emit:
            return frozenset(self.emit)
        return frozenset(KINDS) if self.digest or self.out else frozenset()

    def sink(self) -> LineSink | None:
        """Return where lines go, or None when there are none."""
        return LineSink(Path(self.out)) if self.out and self.kinds else None


def lines_of(path: Path) -> Iterator[bytes]:
    """Read emitted lines."""
    with path.open("rb") as file:
        yield from file


def digest_of(path: Path) -> str:
    """Return the digest of a file of emitted lines."""
    return digest(lines_of(path) if path.exists() else ())
