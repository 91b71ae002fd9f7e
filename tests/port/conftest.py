"""Port tests run on a virtual clock, those against a real broker on the real one; helpers lie beside them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sim.virtual_clock import VirtualLoop

sys.path.insert(0, str(Path(__file__).parent))


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    module = item.getparent(pytest.Module)
    if item.get_closest_marker("broker") is not None or (module and hasattr(module.obj, "REAL_LOOP")):
        return {"real": asyncio.SelectorEventLoop}
    return {"virtual": VirtualLoop}
