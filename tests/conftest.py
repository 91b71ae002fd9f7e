"""Shared fixtures. Data recorded elsewhere is used where it lies beside the checkout, and never copied in."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

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


# --- nothing is skipped in CI -----------------------------------------------------------------------------------------

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _not_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _not_in_ci((yield))


def _not_in_ci(report: Report) -> Report:
    """A skip hides what it would have shown. CI has everything that a test may want of a machine: there it fails."""
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"nothing may be skipped in CI: {why}"
    return report


# --- fixtures ---------------------------------------------------------------------------------------------------------


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
    """The folder of recordings; the test skips where there is none."""
    root = Path(os.environ.get("LANECONTROL_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not root.is_dir():
        pytest.skip("the shared recordings are not beside this checkout (set LANECONTROL_SHARED)")
    return root


@pytest.fixture(scope="session")
def strace() -> str:
    """The tracer; the test skips where there is none, or where tracing is not allowed."""
    found = shutil.which("strace")
    if found is None or subprocess.run([found, "-o", os.devnull, "true"], capture_output=True).returncode != 0:
        pytest.skip("strace is not here, or may not trace")
    return found


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes one real disk of so many MiB; only root can, for others the test skips."""
    folder = tmp_path / "disk"
    mounted = False

    def make(mib: int) -> Path:
        nonlocal mounted
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
        if not mounted:
            pytest.skip("a small tmpfs cannot be mounted here")
        return folder

    yield make
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
