"""What is settled about a vehicle before it arrives: body, driver, people, tags, plates, radiation, conduct.

Drawn once per vehicle, in the order of arrival, from one generator per purpose; so a vehicle is the same whatever the
lane does. Used by `traffic` and by the sensors, which read it and never change it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from sim.world.chance import Streams, between, chance, pick
from sim.world.scenario import Mix, Scenario

EPC_PREFIX = "f0000000"
"""Simulated tags carry this and nothing else does, so that a lane that is not simulated can tell."""
PERSON_EPC, VEHICLE_EPC, TOLL_EPC = f"{EPC_PREFIX}01", f"{EPC_PREFIX}02", f"{EPC_PREFIX}03"

LENGTH_M = {
    "motorcycle": (2.0, 2.4),
    "car": (4.0, 5.0),
    "suv": (4.5, 5.3),
    "van": (5.1, 6.2),
    "bus": (10.0, 13.5),
    "truck": (7.0, 11.0),
    "truck_trailer": (16.0, 22.0),
    "truck_semi": (12.0, 16.0),
}
HEAVY = frozenset({"bus", "truck", "truck_trailer", "truck_semi"})
TRAILERS = frozenset({"truck_trailer", "truck_semi"})
"""Their plate at the rear is the trailer's own."""
HEAVY_ACCELERATION = 0.6
BACK_OUT_LENGTH_M = 7.0
"""Longer vehicles cannot back out between booth and portal."""

JURISDICTIONS = (
    ("US-CA", "9AAA999", 6),
    ("US-TX", "AAA9999", 4),
    ("US-AZ", "AAA9AA9", 3),
    ("US-NM", "999AAA", 1),
    ("MX-BCN", "AAA999A", 5),
    ("MX-CHH", "AAA9999", 3),
    ("MX-SON", "AAA999A", 2),
    ("MX-TAM", "AAA999A", 2),
    # Some who come from further away.
    ("US-NV", "999A99", 1),
    ("US-CO", "AAAA99", 1),
    ("US-WA", "AAA9999", 1),
    ("US-FL", "AAAA99", 1),
    ("MX-NLE", "AAA999A", 1),
    ("MX-COA", "AAA999A", 1),
    ("MX", "99AA9A", 1),
)
"""Where plates come from, how they look (A letter, 9 digit), and their weight."""
LETTERS, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


class Conduct(StrEnum):
    """How a driver behaves."""

    ORDINARY = "ordinary"
    TAILGATES = "tailgates"
    TAILGATES_THROUGH = "tailgates_through"
    BACKS_OUT = "backs_out"
    CHANGES_LANE = "changes_lane"
    REVERSES = "reverses"
    RUNS = "runs"
    ABREAST = "abreast"


MANOEUVRES = frozenset({Conduct.BACKS_OUT, Conduct.REVERSES})
TAILGATERS = frozenset({Conduct.TAILGATES, Conduct.TAILGATES_THROUGH})


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag in a vehicle: number, how far behind the front bumper, and what it is."""

    epc: bytes
    behind_front_m: float
    kind: str


@dataclass(frozen=True, slots=True)
class Source:
    """A radioactive load: counts per second per panel and channel in the middle of the portal."""

    gamma_cps: tuple[float, float, float, float]
    neutron_cps: tuple[float, float, float, float]
    behind_front_m: float
    marginal: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One vehicle, as it will be."""

    number: int
    arrives_s: float
    kind: str
    length_m: float
    wish_mps: float
    portal_mps: float
    acceleration_mps2: float
    time_gap_s: float
    standstill_gap_m: float
    start_delay_s: float
    stops_short_m: float
    where: float
    """0 to 1: where in the range that its conduct allows it does what it does."""
    conduct: Conduct
    disciplined: bool
    plate: str
    rear_plate: str
    jurisdiction: str
    persons: int
    tags: tuple[Tag, ...]
    source: Source | None
    suppression: float
    missed_by: frozenset[str]
    """Loops (by contact) and `portal`, where they do not notice this vehicle."""


class Population:
    """Draws one vehicle after the other."""

    def __init__(self, scenario: Scenario, streams: Streams, loops: tuple[str, ...]) -> None:
        self._scenario = scenario
        self._loops = loops
        self._arrivals = streams.of("arrivals")
        self._bodies = streams.of("bodies")
        self._drivers = streams.of("drivers")
        self._conduct = streams.of("conduct")
        self._people = streams.of("people")
        self._plates = streams.of("plates")
        self._sources = streams.of("sources")
        self._missed = {name: streams.of(f"missed/{name}") for name in (*loops, "portal")}
        self._number = 0
        self._last: Plan | None = None

    def next(self) -> Plan:
        """The next vehicle to arrive, never before the one drawn last."""
        self._number += 1
        traffic = self._scenario.traffic
        kind, length_m = self._body(traffic.mix)
        drivers = self._drivers
        wish_mps = between(drivers, traffic.wish_speed_mps)
        conduct, gap_s = self._how(kind, length_m)
        tailgating = conduct in TAILGATERS
        acceleration_mps2 = between(drivers, traffic.acceleration_mps2) * (HEAVY_ACCELERATION if kind in HEAVY else 1)
        time_gap_s = between(drivers, traffic.time_gap_s)
        start_delay_s = between(drivers, traffic.start_delay_s)
        plate, rear_plate, jurisdiction = self._plate(kind)
        persons, tags = self._inside(length_m)
        plan = Plan(
            number=self._number,
            arrives_s=self._arrival(conduct, gap_s),
            kind=kind,
            length_m=length_m,
            wish_mps=wish_mps,
            portal_mps=min(wish_mps, between(drivers, traffic.portal_speed_mps)),
            acceleration_mps2=acceleration_mps2,
            time_gap_s=gap_s if tailgating else time_gap_s,
            standstill_gap_m=between(drivers, traffic.standstill_gap_m) * (0.5 if tailgating else 1.0),
            start_delay_s=start_delay_s * (0.3 if tailgating else 1.0),
            stops_short_m=0.5 * drivers.random(),
            where=drivers.random(),
            conduct=conduct,
            disciplined=not chance(drivers, traffic.undisciplined_share) and not tailgating,
            plate=plate,
            rear_plate=rear_plate,
            jurisdiction=jurisdiction,
            persons=persons,
            tags=tags,
            source=self._source(length_m),
            suppression=between(self._sources, self._scenario.radiation.suppression),
            missed_by=self._unnoticed(),
        )
        self._last = plan
        return plan

    def _body(self, mix: Mix) -> tuple[str, float]:
        names = tuple(LENGTH_M)
        kind = names[pick(self._bodies, [getattr(mix, name) for name in names])]
        return kind, between(self._bodies, LENGTH_M[kind])

    def _how(self, kind: str, length_m: float) -> tuple[Conduct, float]:
        """Conduct and, for tailgaters, the time gap. Draws the same numbers whatever the outcome."""
        share = self._scenario.behaviour
        rng = self._conduct
        which, through, gap_s = rng.random(), rng.random(), between(rng, share.tailgating_gap_s)
        conduct = _falls_on(
            which,
            (Conduct.TAILGATES, share.tailgating_share),
            (Conduct.BACKS_OUT, share.back_out_share),
            (Conduct.CHANGES_LANE, share.lane_change_share),
            (Conduct.REVERSES, share.reversing_share),
            (Conduct.RUNS, share.runner_share),
            (Conduct.ABREAST, share.abreast_share),
        )
        if conduct is Conduct.TAILGATES and through < share.tailgating_through_share:
            conduct = Conduct.TAILGATES_THROUGH
        return (conduct, gap_s) if self._possible(conduct, kind, length_m) else (Conduct.ORDINARY, gap_s)

    def _possible(self, conduct: Conduct, kind: str, length_m: float) -> bool:
        follows = self._last is not None and self._last.conduct in (Conduct.ORDINARY, *TAILGATERS)
        match conduct:
            case Conduct.TAILGATES | Conduct.TAILGATES_THROUGH:
                return follows
            case Conduct.ABREAST:
                return follows and self._last is not None and self._last.kind == kind
            case Conduct.BACKS_OUT | Conduct.REVERSES:
                return length_m <= BACK_OUT_LENGTH_M
            case Conduct.CHANGES_LANE:
                return kind not in HEAVY
            case _:
                return True

    def _arrival(self, conduct: Conduct, gap_s: float) -> float:
        traffic, rng = self._scenario.traffic, self._arrivals
        mean_s = 3600.0 / traffic.vehicles_per_h
        least_s = min(traffic.least_headway_s, mean_s)
        headway_s = least_s - (mean_s - least_s) * math.log1p(-rng.random())
        last = self._last
        if last is None:
            return least_s
        if conduct is Conduct.ABREAST:
            return last.arrives_s
        if conduct in TAILGATERS:
            return last.arrives_s + last.length_m / last.wish_mps + gap_s
        return last.arrives_s + headway_s

    def _plate(self, kind: str) -> tuple[str, str, str]:
        jurisdiction, pattern, _ = JURISDICTIONS[pick(self._plates, [weight for _, _, weight in JURISDICTIONS])]
        front = _plate_text(self._plates, pattern)
        trailer = _plate_text(self._plates, "99AA9A")
        return front, trailer if kind in TRAILERS else front, jurisdiction

    def _inside(self, length_m: float) -> tuple[int, tuple[Tag, ...]]:
        people, rng = self._scenario.people, self._people
        persons = 1 + pick(rng, people.occupants)
        cardless = chance(rng, people.cardless_vehicle_share)
        tags = []
        seat_m = min(1.8, 0.5 * length_m)
        for seat in range(persons):
            has_card, epc = chance(rng, people.card_share), _epc(rng, PERSON_EPC)
            if has_card and not cardless:
                behind_m = seat_m + (min(0.9 * (seat // 2), 0.4 * length_m)) + 0.3 * rng.random()
                tags.append(Tag(epc, behind_m, "person"))
        for share, prefix, kind in (
            (people.vehicle_transponder_share, VEHICLE_EPC, "vehicle"),
            (people.toll_tag_share, TOLL_EPC, "toll"),
        ):
            has_tag, epc = chance(rng, share), _epc(rng, prefix)
            if has_tag:
                tags.append(Tag(epc, min(1.2, 0.5 * length_m), kind))
        return persons, tuple(tags)

    def _source(self, length_m: float) -> Source | None:
        radiation, rng = self._scenario.radiation, self._sources
        which, gamma, marginal, neutron = rng.random(), rng.random(), rng.random(), rng.random()
        spread = tuple(0.6 + 0.8 * rng.random() for _ in range(4))
        behind_m = length_m * (0.35 + 0.4 * rng.random())
        if which < radiation.gamma_share:
            return _gamma_source(_along(radiation.gamma_source_cps, gamma), spread, behind_m, False)
        which -= radiation.gamma_share
        if which < radiation.marginal_share:
            return _gamma_source(_along(radiation.marginal_source_cps, marginal), spread, behind_m, True)
        which -= radiation.marginal_share
        if which < radiation.neutron_share:
            half_cps = _along(radiation.neutron_source_cps, neutron) / 2
            return Source((0.0, 0.0, 0.0, 0.0), (half_cps, 0.0, half_cps, 0.0), behind_m)
        return None

    def _unnoticed(self) -> frozenset[str]:
        trouble = self._scenario.loops
        missed = {
            name
            for name in self._loops
            if chance(self._missed[name], trouble[name].missed_share if name in trouble else 0.0)
        }
        if chance(self._missed["portal"], self._scenario.radiation.missed_occupancy_share):
            missed.add("portal")
        return frozenset(missed)


def _falls_on(which: float, *shares: tuple[Conduct, float]) -> Conduct:
    """The conduct whose share the number (0 to 1) falls on; ordinary beyond them all."""
    for conduct, share in shares:
        which -= share
        if which < 0.0:
            return conduct
    return Conduct.ORDINARY


def _along(span: tuple[float, float], part: float) -> float:
    return span[0] + (span[1] - span[0]) * part


def _gamma_source(cps: float, spread: tuple[float, ...], behind_m: float, marginal: bool) -> Source:
    a, b, c, d = (cps * part / sum(spread) for part in spread)
    return Source((a, b, c, d), (0.0, 0.0, 0.0, 0.0), behind_m, marginal)


def _epc(rng: random.Random, prefix: str) -> bytes:
    return bytes.fromhex(prefix) + rng.getrandbits(56).to_bytes(7, "big")


def _plate_text(rng: random.Random, pattern: str) -> str:
    return "".join(rng.choice(LETTERS if sign == "A" else DIGITS) for sign in pattern)
