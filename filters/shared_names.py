"""Named conditions of all files as one set, for specs that stand in no file.

A `define:` is of its file, and two files may say different things by one name. A spec of the
database sees the names of all files; one that two of them define differently is refused there.
"""

from collections.abc import Mapping

from filters.fields import STREAMS, Stream
from filters.grammar import Named
from filters.trees import Tree

UNKNOWN = ", and no file defines a condition of this name"


class SharedNames:
    """Gathers the names that files define.

    Args:
        unknown: what is said behind a word that is neither a field nor such a name.
    """

    def __init__(self, unknown: str = UNKNOWN) -> None:
        self._unknown = unknown
        self._trees: dict[Stream, dict[str, Tree]] = {stream: {} for stream in STREAMS}
        self._wrong: dict[Stream, dict[str, str]] = {stream: {} for stream in STREAMS}
        self._places: dict[str, str] = {}

    def add(self, path: str, named: Mapping[Stream, Named], lines: Mapping[str, int]) -> None:
        """Take the names of a file.

        Args:
            path: of the file, as messages call it.
            named: what it defines, by stream.
            lines: where each name stands in it.
        """
        for name, line in lines.items():
            place = f"{path}:{line}"
            if name in self._places and not self._is_same(name, named):
                said = f"{self._places[name]} and {place} define it in two ways"
                for stream in STREAMS:
                    self._trees[stream].pop(name, None)
                    self._wrong[stream][name] = said
                continue
            self._places.setdefault(name, place)
            for stream, one in named.items():
                if name in one.trees:
                    self._trees[stream][name] = one.trees[name]
                elif name in one.wrong:
                    self._wrong[stream][name] = one.wrong[name]

    def named(self) -> dict[Stream, Named]:
        """Return the names of all files, by stream."""
        return {
            stream: Named(self._trees[stream], self._wrong[stream], self._unknown)
            for stream in STREAMS
        }

    def _is_same(self, name: str, named: Mapping[Stream, Named]) -> bool:
        nothing = Named()
        return all(
            self._trees[stream].get(name) == named.get(stream, nothing).trees.get(name)
            for stream in STREAMS
        )
