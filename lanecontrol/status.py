"""A lane at one moment, and the line that says it. For `systemctl status`, the terminal and tests; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.events import DeviceState
from lanecontrol.lane.state import LaneState
from lanecontrol.port.session import PortStatus
from lanecontrol.supervisor import DeviceStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lane now. `undelivered` counts events that the port has not got."""

    state: LaneState
    devices: tuple[DeviceStatus, ...]
    recorded: int
    delivered: int
    undelivered: int
    port: PortStatus


def line(now: Snapshot) -> str:
    """All that somebody who looks has to know first, in one line."""
    port = "port connected" if now.port.connected else f"port away: {now.port.reason}"
    return f"{_life(now.state)}; {_devices(now.devices)}; {port}; {now.undelivered} events undelivered"


def _life(state: LaneState) -> str:
    regime = state.regime
    life = state.desk.life.value
    if regime.serves is not None:
        life += f" as {regime.serves.value}"
    if regime.divert is not None:
        life += f", traffic diverted: {regime.divert.reason}"
    if state.inquiry.degraded:
        life += f", degraded mode: {state.inquiry.degraded}"
    if by_hand := [row for row in state.equipment.overrides if row.ended_s is None]:
        life += f", OVERRIDDEN: {', '.join(f'{row.part.value} {row.name}'.strip() for row in by_hand)}"
    return life


def _devices(devices: tuple[DeviceStatus, ...]) -> str:
    away = [f"{one.device} {one.state.value}" for one in devices if one.state is not DeviceState.ONLINE]
    return ", ".join(away) if away else "all devices online"
