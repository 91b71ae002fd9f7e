"""The error tree. An error names the device and the deed, and is caught where something is decided.

`LinkLost` is retried with back-off; `ProtocolViolation` and `CredentialsRefused` are retried slowly and marked as a
fault; a `CommandError` becomes an outcome and is never retried; `ConfigError` carries every problem at once and ends
the process with exit code 78; a `StorageError` says how far the store can still be trusted. Anything else that leaves
a driver is a bug of that driver.
"""

from __future__ import annotations

from dataclasses import dataclass


class LaneControlError(Exception):
    """Base of every error this project raises on purpose."""


class DeviceError(LaneControlError):
    """Something failed at a device.

    `device` is the id from the lane file, `deed` what was being done ("connect", "read inputs"), `why` the cause in
    plain words. The supervisor fills `device` in where the raiser (a link) cannot know it.
    """

    def __init__(self, deed: str, why: str, *, device: str = "") -> None:
        super().__init__(deed, why)
        self.device = device
        self.deed = deed
        self.why = why

    def __str__(self) -> str:
        where = f"{self.device}: " if self.device else ""
        return f"{where}{self.deed}: {self.why}"


class LinkLost(DeviceError):
    """The connection could not be made, ended, or went silent. Retry with back-off."""


class ProtocolViolation(DeviceError):
    """The peer answers, but not as the protocol says (wrong device, absurd length, busy). Retry slowly; a fault."""


class CredentialsRefused(DeviceError):
    """The peer refused who we are. Retry slowly; a fault."""


class CommandError(DeviceError):
    """A command could not be carried out. Becomes an outcome; never retried."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file: where, what, and what would be right. Lines and columns from 1."""

    file: str
    line: int
    column: int
    what: str
    remedy: str

    def __str__(self) -> str:
        tail = f", {self.remedy}" if self.remedy else ""
        return f"{self.file}:{self.line}:{self.column}: {self.what}{tail}"


class ConfigError(LaneControlError):
    """Every problem of a configuration at once. The process exits with 78 and is not restarted."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class StorageError(LaneControlError):
    """The store failed while doing `deed`."""

    def __init__(self, deed: str, why: str) -> None:
        super().__init__(deed, why)
        self.deed = deed
        self.why = why

    def __str__(self) -> str:
        return f"store: {self.deed}: {self.why}"


class StorageUnavailable(StorageError):
    """Full, read-only or an I/O error: show red, refuse what grants, retry."""


class StorageCorrupt(StorageError):
    """What is on disk cannot be read: quarantine it, salvage, start."""


class StorageFatal(StorageError):
    """No store can be opened at all: exit, so that systemd restarts into the safe state."""
