"""Looking on while a simulation runs: the live picture on a terminal, one JSON line per event in a pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sim.port_desk import short_name
from sim.simulate import Run, Watch
from sim.world.scene import Scene

PICTURES_PER_S = 8
LAST_PASSAGES = 8


def on_terminal(scene: Scene, speed: float | None, planned: int | None) -> Watch:
    """A live picture, redrawn some times a second of real time."""

    async def watch(runs: list[Run], lane_s: Callable[[], float]) -> None:
        from rich.console import Console
        from rich.live import Live

        from sim.live import draw

        await asyncio.gather(*(run.lane.ready.wait() for run in runs))
        with Live(console=Console(), auto_refresh=False, transient=False) as live:
            try:
                while True:
                    live.update(draw(_view(runs[0], scene, lane_s(), speed, planned)), refresh=True)
                    await asyncio.sleep((speed or 60.0) / PICTURES_PER_S)
            finally:
                live.update(draw(_view(runs[0], scene, lane_s(), speed, planned)), refresh=True)

    return watch


def as_json_lines() -> Watch:
    """Every event as it arrives at the port, the bytes that arrived."""

    async def watch(runs: list[Run], lane_s: Callable[[], float]) -> None:
        told = [0] * len(runs)
        try:
            while True:
                _print_news(runs, told)
                await asyncio.sleep(1.0)
        finally:  # cancelled at the end, when the last events have come but not been shown
            _print_news(runs, told)

    return watch


def _print_news(runs: list[Run], told: list[int]) -> None:
    """What each lane's desk has heard since `told`, which is moved on."""
    for number, run in enumerate(runs):
        for one in run.desk.heard[told[number] :]:
            sys.stdout.buffer.write(one.arrival.raw + b"\n")
        told[number] = len(run.desk.heard)
    sys.stdout.flush()


def _view(run: Run, scene: Scene, lane_s: float, speed: float | None, planned: int | None) -> Any:
    from sim.live import DeviceRow, Span, View

    snapshot = run.lane.snapshot()
    state = snapshot.state
    shift = -scene.start_m
    setup = run.lane.setup
    return View(
        title=f"{setup.port} lane {setup.lane} {setup.lane_type.value}",
        lane_s=lane_s,
        speed=speed or 0.0,
        life=state.desk.life.value,
        signal=state.equipment.aspect.value,
        gate=state.equipment.gate.value,
        quality=state.desk.quality.value,
        length_m=scene.end_m - scene.start_m,
        zones=tuple(Span(zone.name, zone.start_m + shift, zone.end_m + shift) for zone in setup.zones),
        vehicles=tuple(Span(w.kind, w.rear_m + shift, w.front_m + shift) for w in run.stage.world.whereabouts),
        devices=tuple(DeviceRow(d.device, d.kind, d.state.value, d.reason) for d in snapshot.devices),
        passages=_passages(run),
        recorded=snapshot.recorded,
        delivered=snapshot.delivered,
        received=len(run.desk.ids),
        vehicles_done=sum(vehicle.left_s is not None for vehicle in run.truth.vehicles),
        vehicles_planned=planned or 0,
    )


def _passages(run: Run) -> tuple[Any, ...]:
    from sim.live import PassageRow

    closed: list[Mapping[str, Any]] = []
    for one in reversed(run.desk.heard):
        event = one.arrival.event
        if event is not None and short_name(event.type) == "passage_closed":
            closed.append(event.data)
            if len(closed) == LAST_PASSAGES:
                break
    return tuple(
        PassageRow(
            passage=data["passage"],
            end=data["end"],
            tags=len(data["tags"]),
            alarms=_alarms(data),
            referral=data["referral"],
            disposition=data["disposition"]["disposition"] if data["disposition"] else "",
        )
        for data in closed
    )


def _alarms(data: Mapping[str, Any]) -> str:
    kinds = [kind for kind in ("gamma", "neutron") if any(o[f"{kind}_alarm"] for o in data["occupancies"])]
    return " + ".join(kinds).upper()
