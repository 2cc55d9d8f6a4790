"""Whatever happens to the bytes, the records that are whole are found."""

import bisect
import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from sinks.spool_records import HEADER_BYTES, MARK, Damage, Record, frame, scan

BODIES = st.lists(st.binary(max_size=60) | st.just(MARK) | st.just(frame(b"inner")), max_size=8)


def bodies_of(data: bytes) -> list[bytes]:
    return [found.body for found in scan(data) if isinstance(found, Record)]


@given(BODIES)
def test_what_was_framed_is_read(bodies: list[bytes]) -> None:
    data = b"".join(map(frame, bodies))
    assert bodies_of(data) == bodies
    assert not any(isinstance(found, Damage) for found in scan(data))


@given(BODIES, st.integers(0, 1000))
def test_any_crash_point_gives_a_prefix(bodies: list[bytes], cut: int) -> None:
    plain = [body for body in bodies if not body.startswith(MARK)]
    data = b"".join(map(frame, plain))
    kept = bodies_of(data[:cut])
    assert kept == plain[: len(kept)]
    whole = 0
    for body in plain:
        whole += HEADER_BYTES + len(body)
        if whole > cut:
            break
        assert body in kept
    damage = [found for found in scan(data[:cut]) if isinstance(found, Damage)]
    assert all(found.is_tail for found in damage)


@given(
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8),
    st.integers(min_value=0),
    st.integers(1, 255),
)
@example([b"a", b"b", b"c"], 17, 1)
def test_a_damaged_byte_costs_one_record(bodies: list[bytes], place: int, flip: int) -> None:
    data = bytearray(b"".join(map(frame, bodies)))
    place %= len(data)
    data[place] ^= flip
    ends = list(itertools.accumulate(HEADER_BYTES + len(body) for body in bodies))
    hit = bisect.bisect_right(ends, place)
    end = ends[hit]
    assert bodies_of(bytes(data)) == bodies[:hit] + bodies[hit + 1 :]
    (damage,) = [found for found in scan(bytes(data)) if isinstance(found, Damage)]
    assert damage.is_tail == (hit == len(bodies) - 1)
    assert (damage.end, damage.start) == (end, end - HEADER_BYTES - len(bodies[hit]))


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    found = list(scan(data))
    assert [each.start for each in found[1:]] == [each.end for each in found[:-1]]
    if found:
        assert (found[0].start, found[-1].end) == (0, len(data))
