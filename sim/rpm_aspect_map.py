"""The register map of the Aspect portal: what a client reads, and how each value lies in its registers. Pure.

Only the fake portal uses it. Written from the map that the one open client of this portal reads (registers, bit names
and word order); no capture of a real portal is public. 32-bit values have their low word first, floats too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

DESCRIPTION_REGISTERS = 8
MONITOR_REGISTERS = 21
LONG_VALUES = (0, 4, 6, 8, 11, 13, 15)
"""Where the values of two registers begin: elapsed time; count, background and variance of either channel."""


class Channel(IntFlag):
    """Status of the gamma or neutron channel; from DETECTOR_0 on, one bit for each detector that counts."""

    ALARM_1 = 0x0001
    ALARM_2 = 0x0002
    LOW_COUNT = 0x0010
    HIGH_COUNT = 0x0020
    OVERLOAD = 0x0040
    READY = 0x0080
    DETECTOR_0 = 0x0100


class Input(IntFlag):
    """Input signals of the portal."""

    OCCUPIED_0 = 0x0001
    OCCUPIED_1 = 0x0002
    OCCUPIED_2 = 0x0004
    OCCUPIED_3 = 0x0008
    BUTTON = 0x0010
    SENSOR = 0x0020
    DIRECTION_01 = 0x0040
    DIRECTION_10 = 0x0080
    POWER_FAIL = 0x0100
    LOW_BATTERY = 0x0200
    OPEN = 0x0400
    ERROR = 0x0800
    RESET = 0x8000


class Output(IntFlag):
    """Output signals of the portal."""

    ALARM = 0x0001
    VIDEO = 0x0002
    YELLOW = 0x0004
    FAST_FLASH = 0x0008
    SLOW_FLASH = 0x0010
    BUSY = 0x0020
    ADAPTATION = 0x0040
    ENTRY_GREEN = 0x0100
    EXIT_GREEN = 0x0200
    EXIT_ARROW = 0x0400


@dataclass(frozen=True, slots=True)
class Description:
    """The device description at address 0: where the monitor block lies."""

    signature: int
    registers: int
    block_id: int
    base: int
    length: int

    def words(self) -> list[int]:
        """Eight registers, the last three not used."""
        return [self.signature, self.registers, self.block_id, self.base, self.length, 0, 0, 0]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """One channel: counts of the last second, and the background that they are compared with."""

    status: Channel
    count: int
    background: float
    variance: float

    def words(self) -> list[int]:
        """Seven registers."""
        return [int(self.status), *long_words(self.count), *float_words(self.background), *float_words(self.variance)]


@dataclass(frozen=True, slots=True)
class Monitor:
    """The monitor block at one moment. Values wrap or are cut to what their registers hold."""

    elapsed: int
    inputs: Input
    gamma: Reckoning
    neutron: Reckoning
    counter: int
    mark: int
    speed_mm_s: int
    outputs: Output

    def words(self, *, high_first: bool = False) -> list[int]:
        """Twenty-one registers; `high_first`: every value that takes two of them the other way round."""
        words = [
            *long_words(self.elapsed),
            int(self.inputs),
            *self.gamma.words(),
            *self.neutron.words(),
            self.counter & 0xFFFF,
            min(self.mark, 0xFFFF),
            min(max(self.speed_mm_s, 0), 0xFFFF),
            int(self.outputs),
        ]
        for at in LONG_VALUES if high_first else ():
            words[at], words[at + 1] = words[at + 1], words[at]
        return words


def long_words(value: int) -> tuple[int, int]:
    """An unsigned 32-bit value, wrapped: low word, high word."""
    return value & 0xFFFF, value >> 16 & 0xFFFF


def float_words(value: float) -> tuple[int, int]:
    """A 32-bit float: low word, high word."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return low, high


def detectors(count: int) -> Channel:
    """The bits of the first `count` detectors."""
    return Channel(((1 << count) - 1) * Channel.DETECTOR_0)
