"""Stored lines of a Rapiscan portal: which events they are, and how far the portal's decisions are those of its counts.

Called by `decode`. Pure; must never raise on what stands in a capture, and never let the controller's own decision into
ours. A capture is lines as they came, or with a recorder's time stamp as one more column, in either of the forms known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drivers.rpm_rapiscan_codec import NAMED_EXTRAS, PortalEvent, read_line
from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalExtra,
    PortalSetup,
)
from lanecontrol.radiation_setup import Value, named, number
from lanecontrol.radiation_statistics import (
    ALPHA,
    INTERVALS,
    N_SIGMA,
    GammaTest,
    NeutronTest,
    groups_of,
    limits,
)

# --- lines -----------------------------------------------------------------------------------------------------------

_STAMP = re.compile(
    r" *(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6} ?[+-][0-9]{2}(?::?[0-9]{2})?"
    r"|[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{1,6}) *"
).fullmatch


def without_stamp(line: str) -> str:
    """The line as it was on the wire: the recorder's time stamp column, if there is one, is taken off."""
    head, _, tail = line.rpartition(",")
    return head if _STAMP(tail) else line


def stored_lines(raw: bytes) -> Iterator[str]:
    """The lines of a capture as they were on the wire."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    if not lines[-1]:
        lines.pop()
    return (without_stamp(line.removesuffix("\r")) for line in lines)


def stored_events(raw: bytes) -> Iterator[PortalEvent | None]:
    """One item per stored line; None where it is malformed."""
    return map(read_line, stored_lines(raw))


# --- settings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ways:
    """How the controller that made a capture decides, until its own setup lines say so."""

    n_sigma: float = N_SIGMA
    intervals: int = INTERVALS
    algorithms: str = ""


def ways(settings: dict[str, str], raw: bytes = b"") -> Ways:
    """What `settings` say; the rest is taken from the first setup lines in the capture. Raises ValueError."""
    unknown = settings.keys() - {"n_sigma", "intervals", "algorithms"}
    if unknown:
        raise ValueError(f"no setting {min(unknown)!r} of the decoding; there are n_sigma, intervals, algorithms")
    given: dict[str, Value] = {**_first_setup(raw), **_given(settings)}
    algorithms = given.get("algorithms", "")
    return Ways(
        number(given, "n_sigma", 0.1, 1000, N_SIGMA),
        int(number(given, "intervals", 1, 50, INTERVALS)),
        algorithms if isinstance(algorithms, str) else "",
    )


def _given(settings: dict[str, str]) -> dict[str, Value]:
    """Raises ValueError."""
    given: dict[str, Value] = {}
    for name, least, most in (("n_sigma", 0.1, 1000.0), ("intervals", 1, 50)):
        if name in settings:
            value = named("SG1", ("", "", settings[name], "", settings[name])).get(name)
            if not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"{name} is a number from {least:g} to {most:g}, not {settings[name]!r}")
            given[name] = value
    if "algorithms" in settings:
        if not re.fullmatch("[01]{4}", settings["algorithms"]):
            raise ValueError("algorithms are four digits 0 or 1: sum, horizontal, vertical, single")
        given["algorithms"] = settings["algorithms"]
    return given


def _first_setup(raw: bytes) -> dict[str, Value]:
    """The first gamma setup in the capture: it is told once a day, and was most likely the same before."""
    found: dict[str, Value] = {}
    for tag in (b"SG1,", b"SG2,"):
        at = 0 if raw.startswith(tag) else raw.find(b"\n" + tag) + 1
        line = next(stored_lines(raw[at : at + 256].partition(b"\n")[0]), "") if at or raw.startswith(tag) else ""
        event = read_line(line)
        if isinstance(event, PortalSetup):
            found.update(event.values)
    return found


# --- decisions -------------------------------------------------------------------------------------------------------

SCORE_TOLERANCE = 2e-5
"""The controller reckons in single precision."""


class Parity:
    """Compares the controller's decisions with those of its counts, line by line.

    Gamma lines are compared where there is a full window and a background; neutron scores where the portal tells its
    score and the exact background that it goes by.
    """

    def __init__(self, ways: Ways) -> None:
        self._gamma, self._neutron = GammaTest(ways.n_sigma, ways.intervals), NeutronTest()
        self._gamma.group_by(groups_of(ways.algorithms))
        self._score: float | None = None
        self._decisions = [0, 0]
        self._statistics = [0, 0]

    def add(self, event: PortalEvent | None) -> None:
        match event:
            case GammaCounts(counts, alarm):
                s = self._gamma.counts(counts)
                if s is not None:
                    self._decisions[(s > self._gamma.n_sigma) is not alarm] += 1
            case NeutronCounts(counts):
                self._compare_score(self._neutron.second(counts))
            case PortalExtra("NZ", values=((_, score), _)):
                self._score = score
            case GammaBackground(cps):
                self._gamma.background(cps)
            case NeutronBackground(cps, exact=True):
                self._neutron.background(cps)
                self._score = None
            case OccupancyEnded():
                self._gamma.end()
                self._neutron.end()
            case PortalSetup(values=values):
                self._set_up(dict(values))
            case PortalExtra("NX", values=((_, upper), (_, lower))) if lower < 0.0 < upper:
                self._neutron.upper, self._neutron.lower = upper, lower
            case _:
                pass

    def result(self) -> dict[str, dict[str, int]]:
        return {
            "gamma_decisions": dict(zip(("agree", "disagree"), self._decisions, strict=True)),
            "neutron_statistics": dict(zip(("agree", "disagree"), self._statistics, strict=True)),
        }

    def _compare_score(self, scores: tuple[float, ...]) -> None:
        """The score is told right before the counts that it takes in."""
        told, self._score = self._score, None
        if told is not None and scores:
            self._statistics[all(abs(score - told) > SCORE_TOLERANCE for score in scores)] += 1

    def _set_up(self, values: dict[str, Value]) -> None:
        gamma, neutron = self._gamma, self._neutron
        gamma.n_sigma = number(values, "n_sigma", 0.1, 1000, gamma.n_sigma)
        gamma.intervals = int(number(values, "intervals", 1, 50, gamma.intervals))
        neutron.steps = int(number(values, "neutron_intervals", 1, 99, neutron.steps))
        match values:
            case {"algorithms": str(mask)}:
                gamma.group_by(groups_of(mask))
            case {"neutron_alpha_1e6": _}:
                neutron.upper, neutron.lower = limits(number(values, "neutron_alpha_1e6", 1, 1e5, ALPHA * 1e6) / 1e6)


# --- counts ----------------------------------------------------------------------------------------------------------


class Tally:
    """Counts over a recording. An occupancy ends at its GX, or, where that line was lost, at the next background.

    Counts that trail behind a GX without another one following are no occupancy of their own unless gamma counts are
    among them: last lines come in any order.
    """

    def __init__(self) -> None:
        self._lines = self._unknown = 0
        self._occupancies = self._gamma_alarms = self._neutron_alarms = 0
        self._gamma_seen = self._gamma_alarm = self._neutron_alarm = False

    def add(self, event: PortalEvent | None) -> None:
        self._lines += 1
        match event:
            case None:
                self._unknown += 1
            case PortalExtra(tag=tag):
                self._unknown += tag not in NAMED_EXTRAS
            case GammaCounts(alarm=alarm):
                self._gamma_seen = True
                self._gamma_alarm |= alarm
            case NeutronCounts(alarm=alarm):
                self._neutron_alarm |= alarm
            case OccupancyEnded():
                self._close()
            case GammaBackground():
                self._close_forgotten()
            case _:
                pass

    def result(self) -> dict[str, Any]:
        self._close_forgotten()
        return {
            "lines": self._lines,
            "unknown_lines": self._unknown,
            "occupancies": self._occupancies,
            "gamma_alarms": self._gamma_alarms,
            "neutron_alarms": self._neutron_alarms,
        }

    def _close_forgotten(self) -> None:
        if self._gamma_seen or self._neutron_alarm:
            self._close()

    def _close(self) -> None:
        self._occupancies += 1
        self._gamma_alarms += self._gamma_alarm
        self._neutron_alarms += self._neutron_alarm
        self._gamma_seen = self._gamma_alarm = self._neutron_alarm = False


def summary(raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
    """Counts and comparisons over a capture. Raises ValueError for settings that make no sense."""
    tally, parity = Tally(), Parity(ways(settings, raw))
    for event in stored_events(raw):
        tally.add(event)
        parity.add(event)
    return tally.result() | parity.result()
