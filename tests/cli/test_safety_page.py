"""The safety page names a test for every hazard: each of them has to exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "safety.md"
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def hazards() -> list[list[str]]:
    """The rows of the hazard log, cell by cell."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if re.match(r"\| \d+ \|", line)]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    written = {name for path in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(path.read_text("utf-8"))}
    assert named - written == set()


def test_every_hazard_has_a_cause_what_withdraws_a_test_and_what_hardware_must_do() -> None:
    rows = hazards()
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 20
    for row in rows:
        assert len(row) == 6, row
        assert all(row), row
        assert "`test_" in row[4], row
