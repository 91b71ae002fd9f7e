"""What is asked of a module again and again, made ready as bytes once per session.

Pure; used by the session of `io.modbus`. What a profile does not have is None here, and is never asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

from drivers.io_modbus_profile import Profile, Write, area_of
from drivers.modbus_codec import Read, Request, WriteCoils, WriteRegisters, request_tail


@dataclass(frozen=True, slots=True)
class Points:
    """The module and its named channels. A set bit in a mask turns that channel over."""

    profile: Profile
    unit: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    inputs_mask: int
    outputs_mask: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, ready as bytes but for its transaction id."""

    request: Request
    tail: bytes


def made_ready(points: Points, request: Request) -> Asked:
    return Asked(request, request_tail(points.unit, request))


def inputs_request(points: Points) -> Asked | None:
    """Reads every named input at once."""
    area = points.profile.inputs
    if area is None or not points.inputs:
        return None
    return made_ready(points, Read(area_of(area.area), area.base, _reach(area.area, points.inputs)))


def readback_request(points: Points) -> Asked | None:
    """Reads every named output at once."""
    area = points.profile.outputs
    if area is None or not points.outputs:
        return None
    base = area.base if area.readback_base is None else area.readback_base
    return made_ready(points, Read(area_of(area.readback_area), base, _reach(area.readback_area, points.outputs)))


def flag_request(points: Points) -> Asked | None:
    """Reads whether the watchdog has tripped."""
    watchdog = points.profile.watchdog
    if watchdog is None or watchdog.flag is None:
        return None
    return made_ready(points, Read(area_of(watchdog.flag.area), watchdog.flag.base, 1))


def heartbeats(points: Points) -> cycle[Asked] | None:
    """The writes that feed the watchdog, by turns."""
    watchdog = points.profile.watchdog
    if watchdog is None or watchdog.heartbeat is None:
        return None
    return cycle([made_ready(points, request) for request in _each(watchdog.heartbeat)])


def _reach(area: str, points: tuple[tuple[str, int], ...]) -> int:
    """How many bits or registers to read so that every named channel is among them."""
    bits = max(at for _, at in points) + 1
    return (bits + 15) // 16 if area.endswith("registers") else bits


def _each(write: Write) -> list[Request]:
    if write.area == "coils":
        return [WriteCoils(write.base, (bool(value),)) for value in write.values]
    return [WriteRegisters(write.base, (value,)) for value in write.values]
