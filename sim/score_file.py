"""The score file: the JSON that `lanecontrol sim --report` writes. docs/reference/score.md defines every key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Passages:
    complete: int = 0
    interrupted: int = 0
    withdrawn: int = 0
    merged: int = 0
    split: int = 0
    missed: int = 0
    order_errors: int = 0
    unreleased: int = 0
    phantom: int = 0


@dataclass(slots=True)
class Readings:
    bound: int = 0
    misassigned: int = 0
    orphan: int = 0
    ambiguous: int = 0
    foreign: int = 0


@dataclass(slots=True)
class Plates:
    bound: int = 0
    misread: int = 0
    misassigned: int = 0
    orphan: int = 0
    ambiguous: int = 0


@dataclass(slots=True)
class Radiation:
    occupancies: int = 0


@dataclass(slots=True)
class Alarms:
    true: int = 0
    raised: int = 0
    missed: int = 0
    false: int = 0
    extra_vehicles: int = 0


@dataclass(slots=True)
class Departures:
    true: int = 0
    raised: int = 0


@dataclass(slots=True)
class Scans:
    ordered: int = 0
    completed: int = 0
    aborted: int = 0
    cancelled: int = 0
    faulted: int = 0
    interrupted: int = 0
    false_aborts: int = 0
    false_aborts_told: int = 0
    beams: int = 0
    shutter_late: int = 0
    people_in_beam: int = 0
    beam_without_request: int = 0


@dataclass(slots=True)
class Queues:
    windows: int = 0
    estimates: int = 0
    covered: int = 0
    at_least: int = 0
    at_least_held: int = 0
    waiting_sum: float = 0.0
    error_sum: float = 0.0
    bias_sum: float = 0.0
    width_sum: float = 0.0


@dataclass(slots=True)
class Events:
    recorded: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    differing: int = 0


@dataclass(slots=True)
class Percentiles:
    p50: float = 0.0
    p99: float = 0.0


@dataclass(slots=True)
class Latency:
    decision: Percentiles = field(default_factory=Percentiles)
    delivery: Percentiles = field(default_factory=Percentiles)


@dataclass(slots=True)
class Score:
    """The score file. The keys of the contract come first; later ones may be added, none is taken away."""

    seed: int = 0
    lanes: int = 1
    vehicles: int = 0
    lane_s: float = 0.0
    wall_s: float = 0.0
    passages: Passages = field(default_factory=Passages)
    readings: Readings = field(default_factory=Readings)
    radiation: Radiation = field(default_factory=Radiation)
    alarms: Alarms = field(default_factory=Alarms)
    events: Events = field(default_factory=Events)
    latency_ms: Latency = field(default_factory=Latency)
    departures: Departures = field(default_factory=Departures)
    plates: Plates = field(default_factory=Plates)
    scans: Scans = field(default_factory=Scans)
    queues: Queues = field(default_factory=Queues)

    def to_plain(self) -> dict[str, Any]:
        """The score file's JSON, as plain values."""
        return asdict(self)
