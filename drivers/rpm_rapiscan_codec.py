"""The line protocol of Rapiscan/TSA radiation portals: bytes in, typed events out.

The portal pushes ASCII lines, comma separated, the first field a tag, CRLF at the end, no checksum and no time stamp.
Called by the driver's session and by `decode`; must never raise on any input, keep more than one line, or interpret
counts: an occupancy is made of them in the lane.

Layouts: TSA/Rapiscan portal controller, as recorded from real portals. The tags of newer firmware are kept as text,
with figures by name where the recordings show what they are; the others' meaning is not documented.
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
from lanecontrol.radiation_setup import named

LINE_LIMIT = 256
"""Bytes before the LF. The longest line known has 44."""

NAMED_EXTRAS = frozenset({"NC", "NX", "NZ", "AB1", "AR", "AS", "AA", "AM", "AX", "RW", "AC"})
"""Tags of newer firmware that are known by name."""

FIGURES = {
    "NC": ("background_excess_cps", "log_likelihood_ratio"),
    "NX": ("upper_limit", "lower_limit"),
    "NZ": ("score", "score_repeated"),
    "AB1": ("window_1_cps", "window_2_cps", "window_3_cps", "window_4_cps"),
    "AR": ("window_1_share", "window_2_share", "window_3_share", "window_4_share"),
    "AS": ("window_1_counts", "window_2_counts", "window_3_counts", "window_4_counts"),
}
"""What stands in those of them whose recorded figures add up: `NC` to `NZ` the sequential neutron test, `AB1` the gamma
background in four energy windows and `AR` their shares, `AS` counts in the windows in 200 ms."""

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
_USUAL = {f"{count:06d}": count for count in range(1024)}
"""Nearly every field of six digits: to look one up takes a fifth of the time that reading it does."""
_FOUR_FRACTIONS = re.compile(r"NB1((?:, *[0-9]{1,9}\.[0-9]{1,12}){4})").fullmatch
_SPEED = re.compile(r"SP,([0-9]\.[0-9]{4}),([0-9]{2}\.[0-9]{3}),([0-9]{3}\.[0-9]{2}),[0-9]{6}").fullmatch
_DECIMAL = re.compile(r" *-?[0-9]{1,9}(?:\.[0-9]{1,12})?").fullmatch
_WELL_FORMED = re.compile(r"[A-Z][A-Z0-9]{1,3}(?:,[A-Za-z0-9 .:/+-]*)+").fullmatch

_MPS_PER_MPH = 0.44704
_SATURATED_MPH = 99.999
_SATURATED_KMH = 160.93

_SETUP_FIELDS = {"SG1": 6, "SG2": 6, "SG3": 5, "SN1": 6, "SN2": 5}
"""Fields of each setup line. Their widths come from a single recording, so they are told apart by comma only."""


def _four(line: str) -> tuple[int, int, int, int] | None:
    """The numbers of a line with a tag of two letters and four fields of six digits."""
    fields = line.split(",")
    if len(fields) == 5:
        _, a, b, c, d = fields
        usual = _USUAL
        try:
            return usual[a], usual[b], usual[c], usual[d]
        except KeyError:
            pass
    match = _FOUR_SIXES(line)
    return (int(match[1]), int(match[2]), int(match[3]), int(match[4])) if match else None


def _gamma_background(level: Level) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        cps = _four(line)
        return GammaBackground(cps, level) if cps else None

    return read


def _neutron_background(level: Level) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        cps = _four(line)
        return NeutronBackground(tuple(map(float, cps)), level) if cps else None

    return read


def _exact_neutron_background(line: str) -> PortalEvent | None:
    match = _FOUR_FRACTIONS(line)
    return NeutronBackground(tuple(map(float, line[4:].split(","))), exact=True) if match else _other(line)


def _gamma_counts(alarm: bool) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        counts = _four(line)
        return GammaCounts(counts, alarm) if counts else None

    return read


def _neutron_counts(alarm: bool) -> _Reader:
    def read(line: str) -> PortalEvent | None:
        counts = _four(line)
        return NeutronCounts(counts, alarm) if counts else None

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
    fields = _four(line)
    return OccupancyEnded(fields[0], fields[1] / 1000) if fields else None


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
    if len(fields) < wanted or not _WELL_FORMED(line):
        return None
    return PortalSetup(tag, tuple(fields), tuple(named(tag, fields).items()))


def _other(line: str) -> PortalEvent | None:
    """A tag that the lane does not act on. `NB1` with other than four fractions is no such tag but a broken line."""
    if not _WELL_FORMED(line):
        return None
    tag, *fields = line.split(",")
    return PortalExtra(tag, tuple(fields), _figures(tag, fields)) if tag != "NB1" else None


def _figures(tag: str, fields: list[str]) -> tuple[tuple[str, float], ...]:
    """The figures by name; none at all of a line that does not have the shape that is known."""
    names = FIGURES.get(tag, ())
    if len(names) != len(fields) or not all(map(_DECIMAL, fields)):
        return ()
    return tuple(zip(names, map(float, fields), strict=True))


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

    @property
    def pending(self) -> int:
        """Bytes of the unfinished line."""
        return self._framer.pending

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
