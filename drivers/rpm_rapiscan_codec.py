"""The line protocol of Rapiscan/TSA radiation portals: bytes in, typed events out.

The portal pushes ASCII lines, comma separated, the first field a tag, CRLF at the end, no checksum and no time stamp.
Called by the driver's session and by `decode`; must never raise on any input, keep more than one line, or interpret
counts: an occupancy is made of them in the lane.

Layouts: TSA/Rapiscan portal controller, as recorded from real portals. The tags of newer firmware other than `NB1` are
kept as text, because their meaning is not documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    Level,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalExtra,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
)
from lanecontrol.framing import Doubt, LineFramer

LINE_LIMIT = 256
"""Bytes before the LF. The longest line known has 44."""

NAMED_EXTRAS = frozenset({"NC", "NX", "NZ", "AB1", "AR", "AS", "AA", "AM", "AX", "RW", "AC"})
"""Tags of newer firmware that are known by name and kept as they are."""

PortalEvent = (
    GammaBackground
    | NeutronBackground
    | GammaCounts
    | NeutronCounts
    | PortalSpeed
    | OccupancyEnded
    | PortalTamper
    | PortalSetup
    | PortalExtra
)


# --- one line --------------------------------------------------------------------------------------------------------

_Reader = Callable[[str], PortalEvent | None]

_FOUR_SIXES = re.compile(r"..,([0-9]{6}),([0-9]{6}),([0-9]{6}),([0-9]{6})").fullmatch
_FOUR_FRACTIONS = re.compile(r"NB1((?:, *[0-9]{1,9}\.[0-9]{1,12}){4})").fullmatch
_SPEED = re.compile(r"SP,([0-9]\.[0-9]{4}),([0-9]{2}\.[0-9]{3}),([0-9]{3}\.[0-9]{2}),[0-9]{6}").fullmatch
_WELL_FORMED = re.compile(r"[A-Z][A-Z0-9]{1,3}(?:,[A-Za-z0-9 .:/+-]*)+").fullmatch

_MPS_PER_MPH = 0.44704
_SATURATED_MPH = 99.999
_SATURATED_KMH = 160.93

_SETUP_FIELDS = {"SG1": 6, "SG2": 6, "SG3": 5, "SN1": 6, "SN2": 5}
"""Fields of each setup line. Their widths come from a single recording, so they are told apart by comma only."""


def _gamma_background(level: Level) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        match = _FOUR_SIXES(line)
        return GammaBackground(tuple(map(int, match.groups())), level) if match else None

    return read


def _neutron_background(level: Level) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        match = _FOUR_SIXES(line)
        return NeutronBackground(tuple(map(float, match.groups())), level) if match else None

    return read


def _exact_neutron_background(line: str) -> PortalEvent | None:
    match = _FOUR_FRACTIONS(line)
    return NeutronBackground(tuple(map(float, line[4:].split(","))), exact=True) if match else _other(line)


def _gamma_counts(alarm: bool) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        match = _FOUR_SIXES(line)
        return GammaCounts(tuple(map(int, match.groups())), alarm) if match else None

    return read


def _neutron_counts(alarm: bool) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        match = _FOUR_SIXES(line)
        return NeutronCounts(tuple(map(int, match.groups())), alarm) if match else None

    return read


def _speed(line: str) -> PortalEvent | None:
    """mph has three decimals where seconds per foot have few digits left at speed, so the speed is taken from mph."""
    match = _SPEED(line)
    if match is None:
        return None
    seconds_per_foot, mph, kmh = map(float, match.groups())
    if seconds_per_foot == 0 or mph == 0 or mph >= _SATURATED_MPH or kmh >= _SATURATED_KMH:
        return PortalSpeed(None)
    return PortalSpeed(mph * _MPS_PER_MPH)


def _end(line: str) -> PortalEvent | None:
    match = _FOUR_SIXES(line)
    return OccupancyEnded(int(match[1]), int(match[2]) / 1000) if match else None


def _tamper(active: bool) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        """The payload says nothing: makers' tools ignore it, and so do we, as long as the line is well formed."""
        return PortalTamper(active) if len(line) == 2 or _WELL_FORMED(line) else None

    return read


def _setup(line: str) -> PortalEvent | None:
    tag, *fields = line.split(",")
    wanted = _SETUP_FIELDS.get(tag)
    if wanted is None:
        return _other(line)
    return PortalSetup(tag, tuple(fields)) if len(fields) >= wanted and _WELL_FORMED(line) else None


def _other(line: str) -> PortalEvent | None:
    """A tag that the lane does not act on. `NB1` with other than four fractions is no such tag but a broken line."""
    if not _WELL_FORMED(line):
        return None
    tag, *fields = line.split(",")
    return PortalExtra(tag, tuple(fields)) if tag != "NB1" else None


_READERS: dict[str, _Reader] = {
    "GB,": _gamma_background(Level.NORMAL),
    "GH,": _gamma_background(Level.HIGH),
    "GL,": _gamma_background(Level.LOW),
    "NB,": _neutron_background(Level.NORMAL),
    "NH,": _neutron_background(Level.HIGH),
    "NB1": _exact_neutron_background,
    "GS,": _gamma_counts(False),
    "GA,": _gamma_counts(True),
    "NS,": _neutron_counts(False),
    "NA,": _neutron_counts(True),
    "SP,": _speed,
    "GX,": _end,
    "TT,": _tamper(True),
    "TT": _tamper(True),
    "TC,": _tamper(False),
    "TC": _tamper(False),
    **dict.fromkeys(_SETUP_FIELDS, _setup),
}


def read_line(line: str) -> PortalEvent | None:
    """The event of one line (Latin-1 text without CR and LF), or None where it is malformed."""
    return _READERS.get(line[:3], _other)(line)


# --- a stream of lines -----------------------------------------------------------------------------------------------


class LineCodec:
    """Cuts a byte stream into lines and reads each. Holds at most one unfinished line."""

    def __init__(self) -> None:
        self._framer = LineFramer(LINE_LIMIT)

    def feed(self, data: bytes) -> list[PortalEvent | Doubt]:
        """The events and doubts that `data` completes, in order."""
        out: list[PortalEvent | Doubt] = []
        readers = _READERS
        for frame in self._framer.feed(data):
            if isinstance(frame, Doubt):
                out.append(frame)
                continue
            line = frame.decode("latin-1")
            event = readers.get(line[:3], _other)(line)
            out.append(event or Doubt(frame, "malformed line" if frame else "blank line"))
        return out


# --- stored captures -------------------------------------------------------------------------------------------------

_STAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6} ?[+-][0-9]{2}(?::?[0-9]{2})?"
    r"|[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{3}"
).fullmatch


def without_stamp(line: str) -> str:
    """The line as it was on the wire: the recorder's time stamp column, if there is one, is taken off."""
    head, _, tail = line.rpartition(",")
    return head if _STAMP(tail) else line
