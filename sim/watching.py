"""Looking on while a simulation runs: the live picture on a terminal, one JSON line per event in a pipe."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lanecontrol.lane.state import Passage
from sim.port_desk import short_name
from sim.simulate import Run, Watch
from sim.world.scene import Scene

PICTURES_PER_S = 8
LAST_PASSAGES = 40
"""Closed passages that are kept for the picture: more than any terminal has lines."""


def on_terminal(scene: Scene, speed: float | None, planned: int | None) -> Watch:
    """A live picture, redrawn some times a second of real time."""

    async def watch(runs: list[Run], lane_s: Callable[[], float]) -> None:
        from rich.console import Console
        from rich.live import Live

        from sim.live import draw

        await asyncio.gather(*(run.lane.ready.wait() for run in runs))
        console = Console()
        picture = Picture(runs, scene, speed, planned)
        with Live(console=console, auto_refresh=False, transient=False) as live:

            def show(*, ended: bool) -> None:
                view = picture.view(lane_s(), ended=ended)
                live.update(draw(view, console.width, console.height), refresh=True)

            try:
                while True:
                    show(ended=False)
                    await asyncio.sleep((speed or 60.0) / PICTURES_PER_S)
            finally:
                show(ended=True)

    return watch


def as_json_lines() -> Watch:
    """Every event as it arrives at the port, the bytes that arrived."""

    async def watch(runs: list[Run], lane_s: Callable[[], float]) -> None:
        told = [0] * len(runs)
        try:
            while True:
                _print_new(runs, told)
                await asyncio.sleep(1.0)
        finally:  # cancelled at the end: the last ones are printed too
            _print_new(runs, told)

    return watch


def _print_new(runs: list[Run], told: list[int]) -> None:
    """Print what each desk has heard beyond what was told already. Raises BrokenPipeError when nobody reads."""
    for number, run in enumerate(runs):
        for one in run.desk.heard[told[number] :]:
            if one.arrival.topic.endswith("/event/lookout"):
                continue  # for the officer's eyes
            sys.stdout.buffer.write(one.arrival.raw + b"\n")
        told[number] = len(run.desk.heard)
    sys.stdout.flush()


class Picture:
    """What there is to see of the first lane. Remembers what the port heard, so that each look costs little."""

    def __init__(self, runs: list[Run], scene: Scene, speed: float | None, planned: int | None) -> None:
        self._run = runs[0]
        self._others = len(runs) - 1
        self._scene = scene
        self._speed = speed
        self._planned = planned
        self._began_s = time.perf_counter()
        self._heard = 0
        self._assessed: dict[str, Mapping[str, Any]] = {}
        self._closed: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._scanner = ("", "")
        """What the port heard of the scanner last: its state, and what stands in the way of a scan."""

    def view(self, lane_s: float, *, ended: bool) -> Any:
        """The lane now, as `sim.live` draws it."""
        from sim.live import AlarmRow, DeviceRow, View

        self._catch_up()
        run = self._run
        snapshot = run.lane.snapshot()
        state = snapshot.state
        return View(
            title=self._title(),
            lane_s=lane_s,
            speed=self._pace(lane_s),
            life=state.desk.life.value,
            signal=state.equipment.aspect.value,
            gate=state.equipment.gate.value,
            quality=state.desk.quality.value,
            road=self._road(),
            vehicles=self._vehicles(),
            devices=tuple(
                DeviceRow(d.device, d.state.value, f"{state.utc_s - d.since.utc_s:.0f} s, {d.reason}")
                for d in snapshot.devices
            ),
            alarms=tuple(AlarmRow(a.kind.value, a.passages, a.acknowledged) for a in state.desk.alarms),
            passages=(*self._open_rows(), *self._closed_rows()),
            recorded=snapshot.recorded,
            delivered=snapshot.delivered,
            received=len(run.desk.ids),
            vehicles_done=sum(vehicle.left_s is not None for vehicle in run.truth.vehicles),
            vehicles_planned=self._planned or 0,
            overhead=run.stage.world.lamps.overhead,
            overrides=tuple(
                f"{o.part.value.replace('_', ' ')} {o.name}".strip() + f": {o.reason}"
                for o in state.equipment.overrides
                if o.ended_s is None
            ),
            scanner=self._scanner_row(),
            ended=ended,
        )

    def _title(self) -> str:
        setup = self._run.lane.setup
        others = f" (and {self._others} more)" if self._others else ""
        return f"{setup.port} lane {setup.lane} {setup.lane_type.value}{others}"

    def _pace(self, lane_s: float) -> str:
        if self._speed is not None:
            return f"x{self._speed:g}"
        return f"max, now x{lane_s / max(time.perf_counter() - self._began_s, 0.001):.0f}"

    def _catch_up(self) -> None:
        """What the port has heard since the last look."""
        heard = self._run.desk.heard
        for one in heard[self._heard :]:
            event = one.arrival.event
            if event is None:
                continue
            match short_name(event.type):
                case "passage_assessed":
                    self._assessed[event.data["passage"]] = event.data
                case "passage_closed":
                    self._assessed.pop(event.data["passage"], None)
                    self._closed[event.data["passage"]] = event.data
                    if len(self._closed) > LAST_PASSAGES:
                        self._closed.popitem(last=False)
                case "scanner_changed":
                    self._scanner = (event.data["state"], self._scanner[1])
                case "permissives_changed":
                    self._scanner = (self._scanner[0], event.data["blocking"])
        self._heard = len(heard)

    def _scanner_row(self) -> Any:
        """What the lane says of it, and what is so."""
        from sim.live import ScannerRow

        there, setup = self._run.stage.world.at_scanner, self._run.lane.setup
        if there is None or setup.scanner is None:
            return None
        people = there.place if there.crew_of is not None else ""
        return ScannerRow(*self._scanner, there.beam, people, setup.scanner.zone)

    # --- the road ----------------------------------------------------------------------------------------------------

    def _road(self) -> Any:
        from sim.live import Road, Span

        scene, shift_m = self._scene, -self._scene.start_m
        return Road(
            length_m=scene.end_m - scene.start_m,
            zones=tuple(Span(z.name, z.start_m + shift_m, z.end_m + shift_m) for z in self._run.lane.setup.zones),
            signal_m=scene.stop_line_m + shift_m,
            gate_m=scene.gate.at_m + shift_m if scene.gate is not None else None,
            overhead_m=scene.lane_signal.at_m + shift_m if scene.lane_signal is not None else None,
        )

    def _vehicles(self) -> tuple[Any, ...]:
        from sim.live import Moving, Span

        shift_m = -self._scene.start_m
        return tuple(
            Moving(Span(w.kind, w.rear_m + shift_m, w.front_m + shift_m), w.speed_mps)
            for w in self._run.stage.world.whereabouts
        )

    # --- passages ----------------------------------------------------------------------------------------------------

    def _open_rows(self) -> Iterator[Any]:
        """Those in the lane, the last to come first; a closed one that the port has heard of is among the closed."""
        from sim.live import PassageRow

        stations = self._run.lane.runner.state.plan.stations
        for passage in reversed(self._run.lane.runner.state.tracking.passages):
            if passage.id in self._closed:
                continue
            data = self._assessed.get(passage.id, {})
            yield PassageRow(
                passage=passage.id,
                where=_where(passage, stations),
                cards=_cards(data),
                radiation=_alarms((o.gamma_alarm, o.neutron_alarm) for o in passage.occupancies),
                referral=data.get("referral", ""),
                disposition=passage.disposition.disposition.value if passage.disposition is not None else "",
                findings=_findings(data),
            )

    def _closed_rows(self) -> Iterator[Any]:
        from sim.live import PassageRow

        for data in reversed(self._closed.values()):
            yield PassageRow(
                passage=data["passage"],
                where=data["end"],
                cards=_cards(data),
                radiation=_alarms((o["gamma_alarm"], o["neutron_alarm"]) for o in data["occupancies"]),
                referral=data["referral"],
                disposition=data["disposition"]["disposition"] if data["disposition"] else "",
                findings=_findings(data),
            )


def _where(passage: Passage, stations: tuple[str, ...]) -> str:
    """How far the lane believes it has come."""
    if passage.gone_s is not None:
        return "gone"
    if passage.booth_left_s is not None:
        return "leaving"
    if passage.booth_s is not None:
        return "at booth"
    return stations[passage.head] if passage.head >= 0 else "coming"


def _cards(data: Mapping[str, Any]) -> str:
    """Persons' cards, and how many persons the officer counted; nothing before the first assessment."""
    if not data:
        return ""
    cards = sum(tag["kind"] == "person" for tag in data["tags"])
    return f"{cards}/{data['occupants']}" if data["occupants"] is not None else f"{cards}/?"


def _findings(data: Mapping[str, Any]) -> str:
    return ", ".join(finding["code"] for finding in data.get("findings", ()))


def _alarms(occupancies: Iterator[tuple[bool, bool]]) -> str:
    seen = list(occupancies)
    return " ".join(kind for at, kind in enumerate(("GAMMA", "NEUTRON")) if any(alarms[at] for alarms in seen))
