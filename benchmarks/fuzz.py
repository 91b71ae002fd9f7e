"""`./lane bench fuzz`: random and mutated bytes through every codec; no exception, nothing kept, all found again.

Two engines: seeded mutation of good bytes, and atheris (libFuzzer), which goes after code that was not reached yet and
is there if `./lane peers` could install it. `tests/drivers/test_fuzz.py` runs the first with fewer bytes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _fuzz_codecs import CODECS
from _fuzz_fed import Back, Codec, Fed
from _fuzz_mutations import connection, piece

PEER = Path(__file__).parents[1] / ".venv-peers" / "fuzz"
MEMORY_SAMPLE_BYTES = 100_000
"""Fed with memory traced, which is slow: once until caches are full, then the same bytes again."""
GROWTH_LIMIT_BYTES = 32 * 1024
"""What the second time may leave behind."""
BODIES = 8
"""How many bodies make what is a connection for others."""
GUIDED_PATIENCE_S = 3600


class Broken(AssertionError):
    """A codec does not keep what it promises; the text says with which bytes."""


@dataclass(slots=True)
class Tally:
    """What came of a codec's run."""

    fed_bytes: int = 0
    good: int = 0
    connections: int = 0
    dropped: int = 0
    found_again: int = 0
    peak_bytes: int = 0
    growth_bytes: int = 0
    took_s: float = 0.0


# --- one codec -------------------------------------------------------------------------------------------------------


def run(codec: Codec, total_bytes: int, seed: int = 1) -> Tally:
    """Feed a codec until it had so many bytes. Raises Broken."""
    tally = Tally()
    began = time.process_time()  # not disturbed by what else the machine does
    _feed_all(codec, total_bytes, seed, tally)
    tally.took_s = time.process_time() - began
    if codec.absurd:
        _drop_what_is_absurd(codec)
    tally.peak_bytes, tally.growth_bytes = memory(codec, seed)
    if tally.growth_bytes > GROWTH_LIMIT_BYTES:
        raise Broken(f"{codec.name}: {tally.growth_bytes} bytes are left behind")
    return tally


def _feed_all(codec: Codec, total_bytes: int, seed: int, tally: Tally) -> None:
    rng = random.Random(f"{codec.name}/{seed}")
    clean = _good_of_seeds(codec)
    while tally.fed_bytes < total_bytes:
        _connect(codec, rng, tally)
        if _good_of_seeds(codec) != clean:
            raise Broken(f"{codec.name}: the next connection is not clean, after {tally.connections} of seed {seed}")


def _good_of_seeds(codec: Codec) -> int:
    """How many good things come of the seeds on a new connection."""
    fed = codec.new()
    return sum(fed.feed(seed) for seed in codec.seeds)


def _connect(codec: Codec, rng: random.Random, tally: Tally) -> None:
    """One connection of bad bytes, and how the codec finds its way afterwards."""
    tally.connections += 1
    fed = codec.new()
    if codec.back is Back.BODY:
        for _ in range(BODIES):
            _feed(codec, fed, piece(codec.seeds, codec.mend, rng), tally)
        return
    for data in connection(codec.seeds, codec.mend, rng):
        _feed(codec, fed, data, tally)
        if fed.held() > codec.held_limit:
            raise Broken(f"{codec.name}: keeps {fed.held()} bytes, its limit is {codec.held_limit}")
        if fed.dead:
            tally.dropped += 1
            _stay_dead(codec, fed)
            return
    if codec.back is not Back.DROP:
        _find_again(codec, fed)
        tally.found_again += 1


def _feed(codec: Codec, fed: Fed, data: bytes, tally: Tally) -> None:
    tally.fed_bytes += len(data)
    try:
        tally.good += fed.feed(data)
    except Exception as error:
        raise Broken(f"{codec.name}: {type(error).__name__}: {error} on {data[:400].hex()}") from error


def _stay_dead(codec: Codec, fed: Fed) -> None:
    if fed.feed(codec.seeds[0]) or fed.held():
        raise Broken(f"{codec.name}: goes on after a violation")


def _find_again(codec: Codec, fed: Fed) -> None:
    """After any bytes: every line from the next end of line on; the second good frame at the latest."""
    if codec.back is Back.LINE:
        fed.feed(b"\n")
        if sum(fed.feed(seed) for seed in codec.seeds) != _good_of_seeds(codec):
            raise Broken(f"{codec.name}: lines are lost after the next end of line")
        return
    wanted = codec.new()
    wanted.feed(codec.seeds[0])
    fed.feed(codec.seeds[0])
    fed.flush()
    fed.feed(codec.seeds[0])
    if fed.last != wanted.last:
        raise Broken(f"{codec.name}: two good frames are not enough to find the way again")


def _drop_what_is_absurd(codec: Codec) -> None:
    fed = codec.new()
    if fed.feed(codec.absurd) or not fed.dead:
        raise Broken(f"{codec.name}: an absurd length does not drop the link")
    _stay_dead(codec, fed)


def memory(codec: Codec, seed: int) -> tuple[int, int]:
    """Peak while bytes are fed, and what is left of the second time, in bytes."""
    began_here = not tracemalloc.is_tracing()
    if began_here:
        tracemalloc.start()
    try:
        _feed_all(codec, MEMORY_SAMPLE_BYTES, seed, Tally())
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        _feed_all(codec, MEMORY_SAMPLE_BYTES, seed, Tally())
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
        return peak - before, after - before
    finally:
        if began_here:
            tracemalloc.stop()


# --- all of them -----------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=20_000_000, help="for each codec and engine (20000000)")
    parser.add_argument("--engine", choices=("mutate", "guided", "both"), default="both")
    parser.add_argument("--codec", action="append", default=[], help="only those whose name begins so; repeat for more")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = [codec for codec in CODECS if codec.name.startswith(tuple(options.codec) or "")]
    if not chosen:
        parser.error(f"codecs are: {', '.join(codec.name for codec in CODECS)}")
    bad = 0
    if options.engine != "guided":
        bad += mutate_all(chosen, options.bytes, options.seed)
    if options.engine != "mutate":
        bad += guide_all(chosen, options.bytes, options.seed)
    print(f"{bad} of the runs found something" if bad else "no exception, nothing kept, all found again")
    return 1 if bad else 0


def mutate_all(codecs: Sequence[Codec], total_bytes: int, seed: int) -> int:
    heads = (
        ("MB", 6),
        ("MB/s", 8),
        ("good", 10),
        ("links", 8),
        ("dropped", 9),
        ("again", 8),
        ("peak KB", 9),
        ("left KB", 9),
    )
    print(f"{'mutated':24}" + "".join(f"{head:>{width}}" for head, width in heads))
    bad = 0
    for codec in codecs:
        try:
            told = run(codec, total_bytes, seed)
        except Broken as why:
            print(f"{codec.name:24}BROKEN {why}", flush=True)
            bad += 1
            continue
        mb = told.fed_bytes / 1e6
        print(
            f"{codec.name:24}{mb:6.1f}{mb / told.took_s:8.2f}{told.good:10}{told.connections:8}{told.dropped:9}"
            f"{told.found_again:8}{told.peak_bytes / 1024:9.1f}{told.growth_bytes / 1024:9.1f}",
            flush=True,
        )
    return bad


def guide_all(codecs: Sequence[Codec], total_bytes: int, seed: int) -> int:
    packages = [str(path) for path in PEER.glob("[Ll]ib/**/site-packages")]
    if not packages:
        print("guided: atheris is not installed: ./lane peers")
        return 1
    print(f"{'guided by coverage':24}{'MB':>6}{'MB/s':>8}{'runs':>10}{'corpus':>8}{'left KB':>9}")
    bad = 0
    for codec in codecs:
        with tempfile.TemporaryDirectory() as folder:
            told = guide(codec, total_bytes, seed, Path(folder), packages)
        if isinstance(told, str):
            print(f"{codec.name:24}BROKEN {told}", flush=True)
            bad += 1
            continue
        mb = told["bytes"] / 1e6
        print(
            f"{codec.name:24}{mb:6.1f}{mb / told['took_s']:8.2f}{told['runs']:10.0f}{told['corpus']:8.0f}"
            f"{told['growth_kb']:9.0f}",
            flush=True,
        )
    return bad


def guide(codec: Codec, total_bytes: int, seed: int, folder: Path, packages: list[str]) -> dict[str, float] | str:
    """One codec in a process of its own, where all of our code is instrumented; the last lines if it went wrong."""
    for number, data in enumerate((*codec.seeds, b"".join(codec.seeds))):
        (folder / f"seed{number}").write_bytes(data)
    script = Path(__file__).with_name("_fuzz_guided.py")
    command = [sys.executable, str(script), codec.name, str(total_bytes), str(seed), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=GUIDED_PATIENCE_S
    )
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        told: dict[str, float] = json.loads(lines[-1])
        return told
    return "\n".join([*lines, *done.stderr.splitlines()][-40:])


if __name__ == "__main__":
    sys.exit(main())
