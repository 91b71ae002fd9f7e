"""How well a lane did: what a subscriber received at the broker, held against the world's truth.

Pure. Used by `lanecontrol sim --report`; docs/reference/score.md defines every figure. Events are matched with vehicles
by time in the booth zone and by nothing else: passage names mean nothing to the world.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from sim.received import Received, named
from sim.score_file import Alarms, Departures, Events, Latency, Passages, Percentiles, Plates, Readings, Score
from sim.score_queues import score_queues
from sim.score_scans import score_scans
from sim.world.truth import Fate, OccupancyTruth, Truth, VehicleTruth

COVERS = 0.5
"""A passage covers a vehicle when they share at least this part of the shorter one's time in the booth zone."""
SHORTEST_S = 0.2
"""Shorter times in the booth zone count as this long."""
LONG_AGO_S = 600.0
"""Vehicles leave the booth nearly in the order in which they came to it: nobody who left this long before matters."""
ALARM_EARLY_S, ALARM_LATE_S = 1.5, 5.0
"""An alarm belongs to an occupancy that it falls into, or falls so little before or after."""
KINDS = ("gamma", "neutron")


# --- scoring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run beside its events: passed through, or needed to place them in time."""

    seed: int = 0
    lane_s: float = 0.0
    wall_s: float = 0.0
    utc_at_zero_s: float = 0.0
    """UTC at world second 0."""
    recorded: int = 0
    """Events in the ledgers; 0 where nobody could ask."""
    acknowledged: int = 0
    decision_ms: Sequence[float] = ()
    """Samples of the time from an input to the decision on it, wall time."""
    delivery_ms: Sequence[float] = ()
    """Samples of the time from a decision to the subscriber, wall time."""


def score(truths: Mapping[str, Truth], received: Sequence[Received], run: Run) -> Score:
    """The score of a run; `truths` by the lane's part of the topic (`sim/poe/<port>/lane/<lane>`)."""
    total = _common(received, run)
    total.lanes = len(truths)
    first = _first_receipts(received)
    for lane, truth in truths.items():
        _Lane(truth, [one for one in first if one.lane == lane], run.utc_at_zero_s).add_to(total)
    return total


def score_recording(alarms: Sequence[tuple[bool, bool]], received: Sequence[Received], run: Run) -> Score:
    """The score of a recording: `alarms` tells of each of its occupancies, in order, gamma and neutron.

    The n-th occupancy that was published is the n-th of the recording, whatever pace it was served at.
    """
    total = _common(received, run)
    first = _first_receipts(received)
    order = {one.event["data"]["occupancy"]: at for at, one in enumerate(named(first, "occupancy_recorded"))}
    wanted = {(at, kind) for at, flags in enumerate(alarms) for kind, flag in zip(KINDS, flags, strict=True) if flag}
    raised = [one.event["data"] for one in named(first, "alarm_raised") if one.event["data"]["kind"] in KINDS]
    found = {(order.get(data["occupancy"], -1), data["kind"]) for data in raised} & wanted
    total.radiation.occupancies = len(order)
    total.alarms = Alarms(len(wanted), len(raised), len(wanted - found), len(raised) - len(found), 0)
    return total


def rates(result: Score) -> dict[str, float]:
    """The figures that targets are stated in: errors per 1,000 vehicles or readings, and percent of readings."""
    passages, readings = result.passages, result.readings
    vehicles = max(1, result.vehicles)
    seen = max(1, readings.bound + readings.misassigned + readings.ambiguous + readings.orphan)
    return {
        "passage_errors_per_1000_vehicles": 1000 * (passages.merged + passages.split + passages.missed) / vehicles,
        "misassigned_per_1000_readings": 1000 * readings.misassigned / seen,
        "ambiguous_or_orphan_percent": 100 * (readings.ambiguous + readings.orphan) / seen,
        "extra_alarms_per_1000_vehicles": 1000 * result.alarms.extra_vehicles / vehicles,
    }


# --- delivery --------------------------------------------------------------------------------------------------------


def _common(received: Sequence[Received], run: Run) -> Score:
    total = Score(seed=run.seed, lane_s=round(run.lane_s, 3), wall_s=round(run.wall_s, 3))
    total.events = _events(received, run)
    total.latency_ms = Latency(_percentiles(run.decision_ms), _percentiles(run.delivery_ms))
    return total


def _events(received: Sequence[Received], run: Run) -> Events:
    events = Events(run.recorded, run.acknowledged)
    seen: dict[tuple[str, tuple[int, int]], Mapping[str, Any]] = {}
    newest: dict[tuple[str, str], tuple[int, int]] = {}
    for one in received:
        key, place = (one.lane, one.number), (one.lane, one.topic_class)
        if key in seen:
            events.duplicated += 1
            events.differing += seen[key] != one.event
            continue
        seen[key] = one.event
        if not one.backlog and not one.redelivery:
            events.out_of_order += one.number < newest.get(place, (-1, -1))
            newest[place] = max(one.number, newest.get(place, (-1, -1)))
    events.lost = max(_gaps(seen), run.recorded - len(seen) if run.recorded else 0)
    return events


def _gaps(seen: Iterable[tuple[str, tuple[int, int]]]) -> int:
    """Numbers missing between the first and the last of each lane and epoch."""
    numbers: dict[tuple[str, int], list[int]] = {}
    for lane, (epoch, seq) in seen:
        numbers.setdefault((lane, epoch), []).append(seq)
    return sum(max(seqs) - min(seqs) + 1 - len(seqs) for seqs in numbers.values())


def _first_receipts(received: Sequence[Received]) -> list[Received]:
    """Each event once, in the order in which it was recorded."""
    first: dict[tuple[str, tuple[int, int]], Received] = {}
    for one in received:
        first.setdefault((one.lane, one.number), one)
    return [first[key] for key in sorted(first)]


def _percentiles(samples: Sequence[float]) -> Percentiles:
    """Nearest rank; 0 without samples."""
    if not samples:
        return Percentiles()
    ordered = sorted(samples)
    p50, p99 = (ordered[max(0, math.ceil(part * len(ordered)) - 1)] for part in (0.5, 0.99))
    return Percentiles(round(p50, 3), round(p99, 3))


# --- one lane --------------------------------------------------------------------------------------------------------


class _Passage:
    """A closed passage, and the vehicles that it covers."""

    def __init__(self, data: Mapping[str, Any], utc_at_zero_s: float) -> None:
        self.data = data
        self.end: str = data["end"]
        self.opened_s = data["opened_utc_s"] - utc_at_zero_s
        self.closed_s = data["closed_utc_s"] - utc_at_zero_s
        entered, left = data["booth_entered_utc_s"], data["booth_left_utc_s"]
        self.booth: tuple[float, float] | None = None
        if entered is not None:
            self.booth = (entered - utc_at_zero_s, (left - utc_at_zero_s) if left is not None else self.closed_s)
        self.vehicles: list[VehicleTruth] = []

    def overlaps(self, start_s: float, end_s: float | None) -> bool:
        """Some of the passage lies in this time."""
        return start_s <= self.closed_s and (end_s is None or end_s >= self.opened_s)

    def carries(self, kind: str) -> bool:
        return any(occupancy[f"{kind}_alarm"] for occupancy in self.data["occupancies"])


class _Lane:
    """The score of one lane."""

    def __init__(self, truth: Truth, events: Sequence[Received], utc_at_zero_s: float) -> None:
        self._truth = truth
        self._zero_s = utc_at_zero_s
        self._events = events
        closed = {one.event["data"]["passage"]: one.event["data"] for one in named(events, "passage_closed")}
        self._passages = [_Passage(data, utc_at_zero_s) for data in closed.values()]
        self._vehicles = {vehicle.number: vehicle for vehicle in truth.vehicles}
        self._of_vehicle: dict[int, list[_Passage]] = {vehicle.number: [] for vehicle in truth.vehicles}
        self._at_booth = [(at, v) for v in truth.vehicles if (at := self._booth(v)) is not None]
        self._at_booth.sort(key=lambda entry: entry[0])
        self._entries = [at[0] for at, _ in self._at_booth]
        for passage in self._passages:
            self._settle(passage, self._covered(passage))
        for passage in self._passages:
            if passage.booth is None and passage.end == "interrupted":
                self._settle(passage, self._lost_from_sight(passage))

    def add_to(self, total: Score) -> None:
        total.vehicles += len(self._truth.vehicles)
        total.radiation.occupancies += len(named(self._events, "occupancy_recorded"))
        _add(total.passages, self._score_passages())
        _add(total.readings, self._score_readings())
        _add(total.plates, self._score_plates())
        _add(total.alarms, self._score_alarms())
        _add(total.departures, self._score_departures())
        _add(total.scans, score_scans(self._truth, self._events, self._zero_s))
        _add(total.queues, score_queues(self._truth, self._events, self._zero_s))

    def _settle(self, passage: _Passage, vehicles: list[VehicleTruth]) -> None:
        passage.vehicles = vehicles
        for vehicle in vehicles:
            self._of_vehicle[vehicle.number].append(passage)

    def _covered(self, passage: _Passage) -> list[VehicleTruth]:
        if passage.booth is None:
            return [
                v for v in self._truth.vehicles if v.fate is Fate.WITHDRAWN and passage.overlaps(v.entered_s, v.left_s)
            ]
        found = []
        for at, vehicle in reversed(self._at_booth[: bisect_right(self._entries, passage.booth[1])]):
            if at[1] < passage.booth[0] - LONG_AGO_S:
                break
            if _share(passage.booth, at) >= COVERS:
                found.append(vehicle)
        return found[::-1]

    def _lost_from_sight(self, passage: _Passage) -> list[VehicleTruth]:
        """An interrupted passage that never came to the booth stands for one vehicle that has no other."""
        candidates = (v for v in self._truth.vehicles if passage.overlaps(v.entered_s, v.left_s))
        return [v for v in candidates if not self._of_vehicle[v.number]][:1]

    def _booth(self, vehicle: VehicleTruth) -> tuple[float, float] | None:
        if vehicle.booth_entered_s is None:
            return None
        left_s = vehicle.booth_left_s
        return vehicle.booth_entered_s, self._truth.now_s if left_s is None else left_s

    # --- passages ---

    def _score_passages(self) -> Passages:
        found = Passages()
        for passage in self._passages:
            setattr(found, passage.end, getattr(found, passage.end) + 1)
            if passage.booth is not None:
                found.merged += max(0, len(passage.vehicles) - 1)
                found.phantom += not passage.vehicles
        for vehicle in self._truth.vehicles:
            mine = [passage for passage in self._of_vehicle[vehicle.number] if passage.booth is not None]
            whole = [passage for passage in mine if passage.end != "interrupted"]
            found.split += max(0, len(whole) - 1)
            found.missed += vehicle.fate is Fate.THROUGH and not self._of_vehicle[vehicle.number]
        found.order_errors = self._order_errors()
        return found

    def _order_errors(self) -> int:
        """Neighbours in the order of closing that left the booth the other way round."""
        left = [
            min(vehicle.number for vehicle in passage.vehicles)
            for passage in self._passages
            if passage.vehicles and passage.booth is not None and passage.end in ("complete", "unreleased")
        ]
        return sum(later < earlier for earlier, later in pairwise(left))

    # --- readings ---

    def _score_readings(self) -> Readings:
        found = Readings()
        known = {tag for vehicle in self._truth.vehicles for tag in vehicle.tags}
        for passage in self._passages:
            own = {tag for vehicle in passage.vehicles for tag in vehicle.tags}
            for tag in passage.data["tags"]:
                found.ambiguous += tag["ambiguous"]
                found.bound += not tag["ambiguous"] and tag["epc"] in own
                found.misassigned += not tag["ambiguous"] and tag["epc"] not in own
        for one in named(self._events, "reading_orphaned"):
            if one.event["data"]["what"] != "plate":
                found.orphan += one.event["data"]["number"] in known
                found.foreign += one.event["data"]["number"] not in known
        return found

    # --- plates ---

    def _score_plates(self) -> Plates:
        found = Plates()
        known = {plate for vehicle in self._truth.vehicles for plate in vehicle.plates}
        for passage in self._passages:
            own = {plate for vehicle in passage.vehicles for plate in vehicle.plates}
            for plate in passage.data["plates"]:
                sure, text = not plate["ambiguous"], plate["text"]
                found.ambiguous += not sure
                found.bound += sure and text in own
                found.misassigned += sure and text in known - own
                found.misread += sure and text not in known
        for one in named(self._events, "reading_orphaned"):
            found.orphan += one.event["data"]["what"] == "plate" and one.event["data"]["number"] in known
        return found

    # --- alarms ---

    def _score_alarms(self) -> Alarms:
        wanted = [(o, kind) for o in self._truth.occupancies for kind in KINDS if getattr(o, f"{kind}_alarm")]
        raised = [one.event["data"] for one in named(self._events, "alarm_raised")]
        raised = [data for data in raised if data["kind"] in KINDS]
        left = list(wanted)
        for data in raised:
            match = self._cause_of(data, left)
            if match is not None:
                left.remove(match)
        unattached = sum(not self._attached(o, kind) for o, kind in wanted if (o, kind) not in left)
        extra = sum(self._carries_anothers(passage) for passage in self._passages)
        return Alarms(len(wanted), len(raised), len(left) + unattached, len(raised) - len(wanted) + len(left), extra)

    def _cause_of(
        self, data: Mapping[str, Any], candidates: Sequence[tuple[OccupancyTruth, str]]
    ) -> tuple[OccupancyTruth, str] | None:
        at_s = data["at_utc_s"] - self._zero_s
        near = [
            (max(o.started_s - at_s, at_s - o.ended_s, 0.0), o.started_s, (o, kind))
            for o, kind in candidates
            if kind == data["kind"]
            and o.portal in ("", data["device"])
            and o.started_s - ALARM_EARLY_S <= at_s <= o.ended_s + ALARM_LATE_S
        ]
        return min(near, key=lambda entry: entry[:2])[2] if near else None

    def _attached(self, occupancy: OccupancyTruth, kind: str) -> bool:
        """The alarm stands on the passages of those who caused it, as far as they have gone through the booth."""
        causes = self._causes(occupancy, kind)
        carried = {
            number: any(passage.carries(kind) for passage in self._of_vehicle.get(number, []))
            for number in causes
            if any(passage.booth is not None for passage in self._of_vehicle.get(number, []))
        }
        sources = [number for number in carried if self._has_source(number, kind)]
        return all(carried[number] for number in sources) if sources else not carried or any(carried.values())

    def _carries_anothers(self, passage: _Passage) -> bool:
        numbers = {vehicle.number for vehicle in passage.vehicles}
        return any(
            passage.carries(kind) and not any(numbers & set(self._causes(o, kind)) for o in self._truth.occupancies)
            for kind in KINDS
        )

    @staticmethod
    def _causes(occupancy: OccupancyTruth, kind: str) -> tuple[int, ...]:
        return occupancy.gamma_causes if kind == "gamma" else occupancy.neutron_causes

    def _has_source(self, number: int, kind: str) -> bool:
        return number in self._vehicles and bool(getattr(self._vehicles[number], f"{kind}_source"))

    def _score_departures(self) -> Departures:
        raised = [one.event["data"]["kind"] for one in named(self._events, "alarm_raised")]
        left = [v for v in self._truth.vehicles if v.unreleased and v.fate is Fate.THROUGH]
        return Departures(len(left), raised.count("unreleased_departure"))


def _share(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Shared time as part of the shorter of the two."""
    shared_s = min(one[1], other[1]) - max(one[0], other[0])
    return shared_s / max(SHORTEST_S, min(one[1] - one[0], other[1] - other[0]))


def _add(total: Any, more: Any) -> None:
    for item in fields(total):
        setattr(total, item.name, getattr(total, item.name) + getattr(more, item.name))
