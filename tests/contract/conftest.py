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
    from contract_case import kinds, listening_kinds, performing_kinds, reached_kinds

    for name, found in (
        ("kind", kinds),
        ("performing_kind", performing_kinds),
        ("reached_kind", reached_kinds),
        ("listening_kind", listening_kinds),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, found(), indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> object:
    """One installed kind of device: driver, fake and case."""
    return _loaded(request)


@pytest.fixture
def performing_kind(request: pytest.FixtureRequest) -> object:
    """One installed kind that carries out commands."""
    return _loaded(request)


@pytest.fixture
def reached_kind(request: pytest.FixtureRequest) -> object:
    """One installed kind that the driver connects to."""
    return _loaded(request)


@pytest.fixture
def listening_kind(request: pytest.FixtureRequest) -> object:
    """One installed kind that connects to the driver."""
    return _loaded(request)


def _loaded(request: pytest.FixtureRequest) -> object:
    from contract_case import load

    return load(request.param)
