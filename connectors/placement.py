"""Which worker owns a key.

Bytewax routes a key by SipHash-1-3 of its UTF-8 bytes and one byte 0xff, both keys zero, modulo
the number of workers. A worker that opens the connections of exactly the symbols it owns spares
every event the way through another process. A wrong guess would cost speed, never correctness.
"""

_MASK = 0xFFFFFFFFFFFFFFFF
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _MASK
    v1 = ((v1 << 13) | (v1 >> 51)) & _MASK
    v1 ^= v0
    v0 = ((v0 << 32) | (v0 >> 32)) & _MASK
    v2 = (v2 + v3) & _MASK
    v3 = ((v3 << 16) | (v3 >> 48)) & _MASK
    v3 ^= v2
    v0 = (v0 + v3) & _MASK
    v3 = ((v3 << 21) | (v3 >> 43)) & _MASK
    v3 ^= v0
    v2 = (v2 + v1) & _MASK
    v1 = ((v1 << 17) | (v1 >> 47)) & _MASK
    v1 ^= v2
    v2 = ((v2 << 32) | (v2 >> 32)) & _MASK
    return v0, v1, v2, v3


def siphash13(data: bytes) -> int:
    """Return SipHash-1-3 of `data` with zero keys, 64 bits.

    References:
        J.-P. Aumasson, D. J. Bernstein, SipHash: a fast short-input PRF, 2012.
    """
    v0, v1, v2, v3 = _START
    whole = len(data) - len(data) % 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little")
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    word = int.from_bytes(data[whole:], "little") | ((len(data) & 0xFF) << 56)
    v3 ^= word
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= word
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def owner_of(key: str, worker_count: int) -> int:
    """Return the index of the worker that Bytewax routes `key` to."""
    return siphash13(key.encode() + b"\xff") % worker_count
