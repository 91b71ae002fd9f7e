"""The contract suite runs every test on a virtual clock, and finds its helpers beside itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sim.virtual_clock import VirtualLoop

sys.path.insert(0, str(Path(__file__).parent))


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        from contract_case import kinds

        metafunc.parametrize("kind", kinds(), indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> object:
    """One installed kind of device: driver, fake and case."""
    from contract_case import load

    return load(request.param)
