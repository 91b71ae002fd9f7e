"""Bytes for fuzzing: good ones, good ones spoilt, and noise, from one seeded generator. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

Mend = Callable[[bytes], bytes]
EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0",
    b"\xff\xff",
    b"\x7f\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\n",
    b"-",
)
"""Values that lengths, counts and signs are most often wrong about."""
NOISE_BYTES = 300
CONNECTION_BYTES = 8192
"""About what is fed to a codec before the next one takes over."""


def spoilt(piece: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A piece with one to four things done to it."""
    data = bytearray(piece)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.randrange(256)
            case 2:
                edge = rng.choice(EDGES)
                data[at : at + len(edge)] = edge
            case 3:
                del data[at : at + rng.randrange(1, 9)]
            case 4:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 5:
                data[at:at] = data[at : at + rng.randrange(1, 40)] * rng.choice((1, 1, 2, 30))
            case 6:
                other = rng.choice(seeds)
                data[at:] = other[rng.randrange(len(other) + 1) :]
            case _:
                del data[at:]
        if not data:
            break
    return bytes(data)


def piece(seeds: Sequence[bytes], mend: Mend | None, rng: random.Random) -> bytes:
    """Something to feed: mostly spoilt, at times good, at times nothing but noise.

    What can be mended mostly is, and comes with little noise: else a link would be dropped before it was of any use.
    """
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(seeds)
    if kind < (0.9 if mend is None else 0.998):
        data = spoilt(rng.choice(seeds), seeds, rng)
        return data if mend is None or kind > 0.985 else mend(data)
    return rng.randbytes(rng.randrange(1, NOISE_BYTES))


def connection(seeds: Sequence[bytes], mend: Mend | None, rng: random.Random) -> Iterator[bytes]:
    """What comes on one connection, cut as a network might: whole pieces, several at once, single bytes."""
    left = rng.randrange(1, CONNECTION_BYTES)
    data = b""
    while left > 0:
        size = rng.choice((1, 7, 64, 64, 512, 4096))
        while len(data) < size:
            data += piece(seeds, mend, rng)
        yield data[:size]
        data, left = data[size:], left - size
    yield data
