"""RFID antennas: which tag answers when, and how strongly.

A tag in an antenna's stretch is read about once per `reread_s`; the signal falls with distance. Besides, some reads
come from where they should not: from vehicles elsewhere in the lane, and from the neighbour lane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.readings import TagAnswer
from sim.world.chance import Streams, between, chance
from sim.world.plan import PERSON_EPC, Tag
from sim.world.scenario import Reads
from sim.world.scene import AntennaSite
from sim.world.vehicle import Vehicle

ROUND_S = 0.2
"""How often an antenna asks who is there."""
NEIGHBOUR_TAG_S = 20.0
"""How long the same card in the neighbour lane is in reach."""
NEIGHBOUR_LOSS_DB = 12.0


class AntennaSensor:
    """One antenna."""

    def __init__(self, site: AntennaSite, reads: Reads, streams: Streams) -> None:
        self.site = site
        self._start_m, self._end_m = site.start_m, site.end_m
        self._reads = reads
        name = f"antenna/{site.device}/{site.number}"
        self._times = streams.of(f"{name}/times")
        self._levels = streams.of(f"{name}/levels")
        self._strays = streams.of(f"{name}/strays")
        self._neighbour = streams.of(f"{name}/neighbour")
        self.round_due_s = 0.0
        """When its next inventory round begins."""
        self._due_s: dict[bytes, float] = {}
        self._neighbour_due_s = self._neighbour_pause_s()
        self._neighbour_tag: tuple[float, bytes] = (-math.inf, b"")
        self._odds = reads.wrong_zone_share / (1.0 - reads.wrong_zone_share) if reads.wrong_zone_share < 1 else 0.0

    def step(self, vehicles: Sequence[Vehicle], now_s: float) -> list[TagAnswer]:
        """One inventory round: who answers of those whose turn it is."""
        answers: list[TagAnswer] = []
        self.round_due_s = now_s + ROUND_S - 1e-9
        start_m, end_m, due_s = self._start_m, self._end_m, self._due_s
        for vehicle in vehicles:
            front_m = vehicle.front_m
            if front_m < start_m:
                break
            if vehicle.rear_m > end_m:
                continue
            for tag in vehicle.plan.tags:
                if now_s >= due_s.get(tag.epc, 0.0) and start_m <= front_m - tag.behind_front_m <= end_m:
                    self._read(tag, front_m - tag.behind_front_m, vehicles, now_s, answers)
        if now_s >= self._neighbour_due_s:
            answers.append(self._from_neighbour(now_s))
        return answers

    def forget(self, vehicle: Vehicle) -> None:
        """The vehicle has left the lane."""
        for tag in vehicle.plan.tags:
            self._due_s.pop(tag.epc, None)

    def _read(self, tag: Tag, at_m: float, vehicles: Sequence[Vehicle], now_s: float, answers: list[TagAnswer]) -> None:
        reread_s, epc, due_s = self._reads.reread_s, tag.epc, self._due_s
        if epc not in due_s:
            due_s[epc] = now_s + reread_s * self._times.random()
            return
        turn_s = max(due_s[epc], now_s - ROUND_S)
        due_s[epc] = turn_s + reread_s * between(self._times, (0.8, 1.2))
        missed = chance(self._times, self._reads.miss_share)
        rssi_dbm = self._rssi_dbm(at_m)
        if not missed and rssi_dbm >= self.site.sensitivity_dbm:
            answers.append(TagAnswer(self.site.number, epc, rssi_dbm))
            if self._odds > 0.0 and chance(self._strays, self._odds):
                self._stray(vehicles, answers)

    def _rssi_dbm(self, at_m: float) -> float:
        site = self.site
        distance_m = math.hypot(at_m - site.at_m, site.aside_m)
        return (
            site.rssi_at_1m_dbm
            - site.rssi_slope_db * math.log10(distance_m)
            + self._levels.gauss(0.0, self._reads.rssi_noise_db)
        )

    def _stray(self, vehicles: Sequence[Vehicle], answers: list[TagAnswer]) -> None:
        """A read of a tag outside the stretch, as strong as one inside: a reflection."""
        site = self.site
        outside = [
            tag
            for vehicle in vehicles
            for tag in vehicle.plan.tags
            if not site.start_m <= vehicle.front_m - tag.behind_front_m <= site.end_m
        ]
        if outside:
            tag = self._strays.choice(outside)
            at_m = between(self._strays, (site.start_m, site.end_m))
            answers.append(TagAnswer(site.number, tag.epc, self._rssi_dbm(at_m)))

    def _neighbour_pause_s(self) -> float:
        per_h = self._reads.neighbour_reads_per_h
        return self._neighbour.expovariate(per_h / 3600.0) if per_h > 0.0 else math.inf

    def _from_neighbour(self, now_s: float) -> TagAnswer:
        self._neighbour_due_s = now_s + self._neighbour_pause_s()
        since_s, epc = self._neighbour_tag
        if now_s - since_s > NEIGHBOUR_TAG_S:
            epc = bytes.fromhex(PERSON_EPC) + self._neighbour.getrandbits(56).to_bytes(7, "big")
            self._neighbour_tag = (now_s, epc)
        return TagAnswer(self.site.number, epc, self._rssi_dbm(self.site.at_m) - NEIGHBOUR_LOSS_DB)
