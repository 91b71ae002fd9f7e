"""Driver tests run on a virtual clock, and find their helpers beside themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sim.virtual_clock import VirtualLoop

sys.path.insert(0, str(Path(__file__).parent))


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}
