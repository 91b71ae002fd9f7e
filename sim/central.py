"""The port's central system of a simulation: knows who is enrolled, who is looked for, and what trucks carry.

It answers from the world's truth, as a register would: by numbers, not by what the lane believes. What a vehicle is to
it is drawn once per vehicle, from the seed and the vehicle's number, so that it does not matter when anybody asks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lanecontrol.identifier import Identifier
from lanecontrol.port.question_payloads import QuestionPayload
from lanecontrol.questions import AskKind, Cargo, Enrolments, Hit, Lookouts, NumberFact, Standing
from sim.world.scenario import Central
from sim.world.truth import Truth, VehicleTruth

PROGRAMME = {"SENTRI": "SENTRI", "NEXUS": "NEXUS", "FAST": "FAST"}
"""What the people of a lane of this type are enrolled in."""
ELSEWHERE = {"SENTRI": "NEXUS", "NEXUS": "FAST", "FAST": "SENTRI"}
LATEST = 64
"""Only vehicles that came lately are asked about."""


@dataclass(frozen=True, slots=True)
class File:
    """What the register says of one vehicle."""

    enrolled: bool
    programme: str
    lookout: bool
    armed: bool
    cargo: Cargo


class CentralSystem:
    """Answers the questions of one lane."""

    def __init__(self, shares: Central, truth: Callable[[], Truth], seed: int, lane_type: str) -> None:
        self._shares = shares
        self._truth = truth
        self._seed = seed
        self._lane_type = lane_type
        self._moods = random.Random(f"central/{seed}/answers")
        self.asked = 0

    @property
    def answers_all(self) -> bool:
        return self._shares.silent_share == 0.0

    def file_of(self, number: int) -> File:
        """What the register says of the vehicle of this number."""
        rng, shares = random.Random(f"central/{self._seed}/{number}"), self._shares
        enrolled, wrong, lookout, armed, manifest, seal, hazmat = (rng.random() for _ in range(7))
        other = wrong < shares.wrong_programme_share
        return File(
            enrolled >= shares.not_enrolled_share,
            (ELSEWHERE if other else PROGRAMME).get(self._lane_type, ""),
            lookout < shares.lookout_share,
            armed < shares.armed_share,
            Cargo(
                manifest=manifest >= shares.no_manifest_share,
                seal=seal >= shares.no_seal_share,
                user_fee=True,
                hazmat=hazmat < shares.hazmat_share,
            ),
        )

    def answer(self, asked: QuestionPayload) -> Enrolments | Lookouts | None:
        """The answer; None now and then, where the scenario says so."""
        self.asked += 1
        if self._moods.random() < self._shares.silent_share:
            return None
        vehicles = self._truth().vehicles[-LATEST:]
        numbers = (*asked.cards, *asked.transponders, *asked.plates)
        found = {number: _owner(vehicles, number) for number in numbers}
        if asked.kind is AskKind.LOOKOUT:
            return Lookouts(tuple(hit for number, owner in found.items() if (hit := self._hit(number, owner))))
        cargo = next((self.file_of(owner.number).cargo for owner in found.values() if owner is not None), Cargo())
        return Enrolments(tuple(self._fact(number, owner) for number, owner in found.items()), cargo)

    def _fact(self, number: str, owner: VehicleTruth | None) -> NumberFact:
        if owner is None or not (file := self.file_of(owner.number)).enrolled:
            return NumberFact(Identifier(number), Standing.NOT_ENROLLED)
        programmes = (file.programme,) if file.programme else ()
        vehicles = tuple(map(Identifier, owner.plates[:1])) if number in owner.tags else ()
        return NumberFact(Identifier(number), Standing.VALID, programmes, vehicles)

    def _hit(self, number: str, owner: VehicleTruth | None) -> Hit | None:
        """Who is looked for is on the list with plates and cards."""
        if owner is None or not (file := self.file_of(owner.number)).lookout:
            return None
        return Hit(Identifier(number), "simulated lookout", file.armed)


def _owner(vehicles: tuple[VehicleTruth, ...], number: str) -> VehicleTruth | None:
    return next((v for v in reversed(vehicles) if number in v.tags or number in v.plates), None)
