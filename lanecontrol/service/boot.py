"""Which machine this is, which boot of it, and whether its clock is disciplined.

Used by the composition root. Monotonic times of two boots cannot be compared, hence the boot id beside them.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_TIMESYNC = Path("/run/systemd/timesync/synchronized")
ASK_EVERY_S = 10.0
"""A clock loses its discipline over hours; asking costs a system call."""


def boot_id(environ: Mapping[str, str] = os.environ, path: Path = _BOOT_ID) -> str:
    """The kernel's boot id; `$LANECONTROL_BOOT_ID` (the unit sets it: its sandbox hides the file) comes first.

    Where neither is to be had, a new one each time: every start then counts as a boot, which is the careful side.
    """
    given = environ.get("LANECONTROL_BOOT_ID", "")
    if not given:
        try:
            given = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            given = ""
    return given.replace("-", "") or uuid.uuid4().hex


def box_id(path: Path = _MACHINE_ID) -> str:
    """Names this installation of the system, and tells nothing else of it (machine-id(5) wants that). Empty where it
    has no name."""
    try:
        given = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return hashlib.sha256(f"lanecontrol {given}".encode()).hexdigest()[:16] if given else ""


def clock_synchronised(timesync: Path = _TIMESYNC) -> bool:
    """Whether somebody keeps the system clock right; False where nobody can tell."""
    return timesync.exists() or _kernel_says_synchronised()


class _Timex(ctypes.Structure):
    """struct timex, adjtimex(2); only `modes` (0: read) matters here, the rest is room."""

    _fields_ = [("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 252)]


def _kernel_says_synchronised() -> bool:
    """adjtimex(2) answers TIME_ERROR (5) while the clock is not disciplined, -1 where a sandbox forbids to ask."""
    if sys.platform != "linux":
        return False
    return 0 <= int(ctypes.CDLL(None).adjtimex(ctypes.byref(_Timex()))) < 5


class ClockDiscipline:
    """Answers like `clock_synchronised`, asking anew at most every `ASK_EVERY_S` of the loop's time."""

    def __init__(self, ask: Callable[[], bool] = clock_synchronised) -> None:
        self._ask = ask
        self._asked_at = float("-inf")
        self._answer = False

    def __call__(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at, self._answer = now, self._ask()
        return self._answer
