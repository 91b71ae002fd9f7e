"""Work for the other cores while a test runs: processes that do nothing but burn time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy(processes: int = 0) -> Iterator[None]:
    """`processes` (as many as there are cores, if 0) at full load while the context lasts."""
    burn = [sys.executable, "-c", "while True: sum(range(10_000))"]
    children = [subprocess.Popen(burn) for _ in range(processes or os.cpu_count() or 1)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()
