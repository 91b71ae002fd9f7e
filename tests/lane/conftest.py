"""Tests of the lane core find their helpers beside themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lane_bench import LaneBench


@pytest.fixture
def lane() -> LaneBench:
    """An open SENTRI lane with portal, one reader, three loops, signal, gate and button; everything is online."""
    return LaneBench().started()
