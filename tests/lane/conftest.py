"""Tests of the lane core find their helpers beside themselves."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lane_bench import LaneBench


@pytest.fixture
def lane() -> LaneBench:
    """An open SENTRI lane with portal, one reader, three loops, signal, gate and button; everything is online."""
    return LaneBench().started()


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """A walk leaves no cycles behind, and looking for some through all of the tests' memory takes a tenth of it."""
    gc.disable()
    yield
    gc.enable()
