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
    from contract_case import kinds, performing_kinds

    if "performing_kind" in metafunc.fixturenames:
        metafunc.parametrize("performing_kind", performing_kinds(), indirect=True)
    elif "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", kinds(), indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> object:
    """One installed kind of device: driver, fake and case."""
    from contract_case import load

    return load(request.param)


@pytest.fixture
def performing_kind(request: pytest.FixtureRequest) -> object:
    """One installed kind that carries out commands."""
    from contract_case import load

    return load(request.param)
