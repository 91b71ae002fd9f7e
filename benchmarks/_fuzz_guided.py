# mypy: disable-error-code="import-not-found,import-untyped"
"""One codec under atheris, until it had so many bytes: `_fuzz_guided.py CODEC BYTES SEED CORPUS`, run by `fuzz.py`."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["drivers", "lanecontrol", "sim"]):
    from _fuzz_codecs import CODECS
    from _fuzz_fed import Back

MOST_BYTES = 2048
WARM_RUNS = 2000


def main() -> None:
    name, total_bytes, seed, corpus = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    codec = next(codec for codec in CODECS if codec.name == name)
    fed_bytes = runs = 0
    warm_kb = 0
    began = time.process_time()

    def once(data: bytes) -> None:
        nonlocal fed_bytes, runs, warm_kb
        runs += 1
        fed = codec.new()
        cut = len(data) // 2
        for part in (data,) if codec.back is Back.BODY else (data[:cut], data[cut:]):
            fed.feed(part)
            assert fed.held() <= codec.held_limit, "keeps too much"
        fed_bytes += len(data)
        if runs == WARM_RUNS:
            warm_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if fed_bytes >= total_bytes:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm_kb if warm_kb else 0
            told = {
                "bytes": fed_bytes,
                "runs": runs,
                "corpus": len(list(corpus.iterdir())),
                "took_s": time.process_time() - began,
                "growth_kb": grown,
            }
            print("\n" + json.dumps(told), flush=True)
            os._exit(0)  # libFuzzer has no other way to be told that it is enough

    limits = [f"-max_len={MOST_BYTES}", "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={corpus.parent}/"]
    atheris.Setup([sys.argv[0], str(corpus), f"-seed={seed}", "-verbosity=0", *limits], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
