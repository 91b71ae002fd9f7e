"""The registers of an Aspect radiation portal: the map as data, and blocks of registers to typed values.

Pure. Called by the `rpm.aspect` session; must never raise on what a portal holds in its registers.

Source: the Aspect driver of OpenSensorHub (registers, bit names, word order). It is the only public one, and no capture
of a real portal is known: what it leaves open (units, signatures) is in the driver's settings.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from math import isfinite

from drivers.modbus_codec import Area, Read

# --- bits ------------------------------------------------------------------------------------------------------------


class Status(IntFlag):
    """Status of the gamma or the neutron channel. Bits 0x0100 to 0x8000 stand for the detectors N0 to N7."""

    ALARM1 = 0x0001
    ALARM2 = 0x0002
    LOW_COUNT = 0x0010
    HIGH_COUNT = 0x0020
    OVERLOAD = 0x0040
    READY = 0x0080


class Inputs(IntFlag):
    """Input signals."""

    OCCUP0 = 0x0001
    OCCUP1 = 0x0002
    OCCUP2 = 0x0004
    OCCUP3 = 0x0008
    DIR01 = 0x0040
    DIR10 = 0x0080
    POWER_FAIL = 0x0100
    LOW_BATTERY = 0x0200
    OPEN = 0x0400
    ERROR = 0x0800


_ALARM = Status.ALARM1 | Status.ALARM2
_OCCUPIED = Inputs.OCCUP0 | Inputs.OCCUP1 | Inputs.OCCUP2 | Inputs.OCCUP3
_DIRECTION = Inputs.DIR01 | Inputs.DIR10

# --- the device description ------------------------------------------------------------------------------------------

DESCRIPTION = Read(Area.HOLDING_REGISTERS, 0, 8)


@dataclass(frozen=True, slots=True)
class Description:
    """What the portal says of its registers: who it is, and where its monitor block lies."""

    signature: int
    registers: int
    monitor_id: int
    monitor_base: int
    monitor_length: int


def read_description(value: int) -> Description:
    """The description block; `value` has the registers from address 0 on, 16 bits each, lowest first."""
    return Description(*struct.unpack_from("<5H", value.to_bytes(16, "little")))


def monitor_request(description: Description) -> Read | None:
    """How to read the monitor block; None where it is too short, or does not lie in the portal's address space."""
    base, length = description.monitor_base, description.monitor_length
    if length < MONITOR_REGISTERS or base + length > 0x10000:
        return None
    return Read(Area.HOLDING_REGISTERS, base, min(length, _MOST_REGISTERS))


_MOST_REGISTERS = 125
"""What one request can read; our registers are the first of the block."""

# --- the monitor block -----------------------------------------------------------------------------------------------

MONITOR = (
    ("elapsed", 0, "I"),
    ("inputs", 2, "H"),
    ("gamma_status", 3, "H"),
    ("gamma_count", 4, "I"),
    ("gamma_background", 6, "f"),
    ("gamma_variance", 8, "f"),
    ("neutron_status", 10, "H"),
    ("neutron_count", 11, "I"),
    ("neutron_background", 13, "f"),
    ("neutron_variance", 15, "f"),
    ("object_counter", 17, "H"),
    ("object_mark", 18, "H"),
    ("object_speed_mm_s", 19, "H"),
    ("outputs", 20, "H"),
)
"""Name, offset in registers, and form: unsigned with 16 (H) or 32 bits (I), or a float (f)."""

MONITOR_REGISTERS = 21

_BLOCK = struct.Struct("<" + "".join(form for _, _, form in MONITOR))


@dataclass(frozen=True, slots=True)
class Channel:
    """The gamma or the neutron channel: counts and background of the same time, which the portal does not tell."""

    status: int
    count: int
    background: float | None
    """None where the register holds no number that can be a background."""

    @property
    def alarm(self) -> bool:
        return bool(self.status & _ALARM)

    @property
    def ready(self) -> bool:
        return bool(self.status & Status.READY)


@dataclass(frozen=True, slots=True)
class Monitor:
    """One reading of the monitor block."""

    elapsed: int
    inputs: int
    gamma: Channel
    neutron: Channel
    object_counter: int
    object_mark: int
    object_speed_mm_s: int
    raw: bytes
    """All of it, to find out whether the portal sends the same values again."""

    @property
    def occupied(self) -> bool:
        return bool(self.inputs & _OCCUPIED)

    @property
    def direction(self) -> Inputs:
        return Inputs(self.inputs & _DIRECTION)


_SWAPPED = tuple(at for _, offset, form in MONITOR for at in ((offset,) if form == "H" else (offset + 1, offset)))
"""The order of registers in which each value that has two has its low word first, where the portal has it last."""


def read_monitor(value: int, *, high_first: bool = False) -> Monitor:
    """The monitor block; `value` has its registers, 16 bits each, lowest first. `high_first`: the other word order."""
    # Each register is two bytes, low byte first, and so is each pair with its low word first.
    raw = (value & (1 << 16 * MONITOR_REGISTERS) - 1).to_bytes(2 * MONITOR_REGISTERS, "little")
    if high_first:
        raw = b"".join(raw[2 * at : 2 * at + 2] for at in _SWAPPED)
    found = dict(zip((name for name, _, _ in MONITOR), _BLOCK.unpack(raw), strict=True))
    return Monitor(
        elapsed=found["elapsed"],
        inputs=found["inputs"],
        gamma=Channel(found["gamma_status"], found["gamma_count"], _usable(found["gamma_background"])),
        neutron=Channel(found["neutron_status"], found["neutron_count"], _usable(found["neutron_background"])),
        object_counter=found["object_counter"],
        object_mark=found["object_mark"],
        object_speed_mm_s=found["object_speed_mm_s"],
        raw=raw,
    )


_MOST_COUNTS = 1e9


def _usable(background: float) -> float | None:
    return background if isfinite(background) and 0.0 <= background <= _MOST_COUNTS else None


_WRAP_REACH = 1 << 24
"""How far the elapsed time may have come since it last stood below its wrap: minutes in milliseconds."""


def has_restarted(before: int, now: int) -> bool:
    """Whether the elapsed time went back, which it does only when the portal starts anew; a wrap at 2^32 is none."""
    return now < before and (now - before) & 0xFFFF_FFFF > _WRAP_REACH
