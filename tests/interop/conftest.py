"""Tests against other people's programs find their helpers beside themselves and beside the drivers' tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "drivers")]
