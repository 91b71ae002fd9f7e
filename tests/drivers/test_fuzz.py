"""A million random and mutated bytes through every codec there is. The long run is `./lane bench fuzz`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from _fuzz_codecs import CODECS
from _fuzz_fed import Back, Codec, Fed
from fuzz import Broken, run

ONE_MILLION = 1_000_000
every_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@pytest.mark.slow
@every_codec
def test_a_million_bad_bytes_raise_nothing_leave_nothing_behind_and_the_way_is_found_again(codec: Codec) -> None:
    tally = run(codec, ONE_MILLION)
    assert tally.fed_bytes >= ONE_MILLION
    assert tally.good > 0, "nothing but the first bytes of frames was ever looked at"
    if codec.back in (Back.LINE, Back.FRAME):
        assert tally.found_again > 0
    if codec.mend is not None and codec.back is Back.DROP:
        assert tally.dropped > 0


@every_codec
def test_the_seeds_of_every_codec_are_good(codec: Codec) -> None:
    fed = codec.new()
    for seed in codec.seeds:
        assert fed.feed(seed) >= 1, seed
    assert not fed.dead


# --- the fuzzer finds what it looks for ------------------------------------------------------------------------------


def _codec(back: Back, fed: Fed, absurd: bytes = b"") -> Codec:
    return Codec("broken", back, lambda: fed, (b"good\n",), 64, absurd)


def test_an_exception_is_found() -> None:
    def cut(data: bytes) -> list[bytes]:
        return [data] if data.isascii() else [data.decode().encode()]

    with pytest.raises(Broken, match="UnicodeDecodeError"):
        run(_codec(Back.BODY, Fed(cut)), 100_000)


def test_bytes_that_are_kept_are_found() -> None:
    kept = bytearray()

    def cut(data: bytes) -> list[bytes]:
        kept.extend(data)
        return []

    with pytest.raises(Broken, match="keeps"):
        run(_codec(Back.LINE, Fed(cut, held=lambda: len(kept))), 100_000)
    with pytest.raises(Broken, match="left behind"):
        run(_codec(Back.BODY, Fed(cut)), 1000)


def test_a_way_that_is_not_found_again_is_found() -> None:
    def new() -> Fed:
        seen = bytearray()

        def cut(data: bytes) -> list[bytes]:
            seen.extend(data)
            return [] if b"\xff" in seen else [data]

        return Fed(cut)

    for back in (Back.LINE, Back.FRAME):
        with pytest.raises(Broken, match=r"lost|find the way"):
            run(Codec("broken", back, new, (b"good\n",), 64), 100_000)


def test_an_absurd_length_that_drops_nothing_is_found() -> None:
    with pytest.raises(Broken, match="absurd"):
        run(_codec(Back.DROP, Fed(lambda data: []), absurd=b"\xff" * 8), 1000)
