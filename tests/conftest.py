"""Shared fixtures. Data recorded elsewhere is used where it lies beside the checkout, and never copied in."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# The same examples every time, and no verdict on speed: the machines that run this are shared and noisy.
settings.register_profile("lanecontrol", derandomize=True, deadline=None, database=None)
settings.load_profile("lanecontrol")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, whole pages of the documentation before all: at the end no worker waits for another."""
    items.sort(key=lambda item: (item.path.name != "test_readme.py", item.get_closest_marker("slow") is None))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Names what fails at once: of a run that is cut short nobody sees the summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\nfailed: {report.nodeid} ({report.when})\n")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands that run in this process set up logging for it; the next test finds it as it was."""
    structure, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**structure)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recordings; the test skips where there is none, and fails in CI, where there must be one."""
    root = Path(os.environ.get("LANECONTROL_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not root.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{root} must be there in CI")
        pytest.skip("the shared recordings are not beside this checkout (set LANECONTROL_SHARED)")
    return root
