"""Driver `io.modbus`: contacts and relays on a Modbus/TCP module that is described by a profile.

Called by the supervisor. Reports edges, never polls; carries out writes at once and never repeats one. Must never clear
the module's watchdog flag of its own accord, and never feed the watchdog while the lane is not healthy.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from drivers.io_modbus_profile import Profile, Write, load, own, shipped
from drivers.io_modbus_requests import Points
from drivers.io_modbus_session import Session, Timing
from drivers.modbus_codec import Request, WriteCoils, WriteRegisters
from lanecontrol.commands import ClearWatchdog, Command, Outcome, Result, WriteOutputs
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import CommandError
from lanecontrol.events import InputChanged, InputsFresh, InputsStale, ModuleWatchdogTripped, OutputsRead

_POINT = re.compile(r"[a-z][a-z0-9_]{0,31}")

Channels = dict[str, Annotated[int, Field(ge=0, le=255)]]


class ModbusConfig(DeviceConfig):
    """A Modbus/TCP module with contacts and relays."""

    kind: Literal["io.modbus"] = "io.modbus"
    profile: str = "generic"
    """Which make: `generic`, `iologik_e1214`, `adam6050`, `adam6051`, `adam6060`, `wago750`; or a file of your own,
    relative to the lane file: `./mymodule.yaml`."""
    module: Profile | None = None
    """A profile written here, for a make that is not among the shipped ones; takes the place of `profile`."""
    unit: int | None = Field(default=None, ge=0, le=255)
    """Modbus unit id; without it, the profile's."""
    inputs: Channels = Field(default_factory=dict)
    """Names of contacts, each with its input channel from 0."""
    outputs: Channels = Field(default_factory=dict)
    """Names of relays, each with its output channel from 0."""
    invert: tuple[str, ...] = ()
    """Names that are on when the bit is 0, such as normally closed contacts."""
    poll_ms: int = Field(default=50, ge=20, le=1000)
    """Time from one reading of the inputs to the next."""
    request_timeout_ms: int = Field(default=70, ge=10, le=5000)
    """How long to wait for an answer. Well below `stale_limit_ms`, or one lost answer makes the inputs stale."""
    stale_limit_ms: int = Field(default=250, ge=50, le=10_000)
    """Inputs older than this are reported stale."""
    silence_timeout_s: float = Field(default=1.0, gt=0, le=60)
    """Without any answer for so long the link counts as lost."""
    readback_ms: int = Field(default=500, ge=20, le=60_000)
    """Time from one reading of outputs and watchdog flag to the next."""
    heartbeat_ms: int = Field(default=500, ge=20, le=10_000)
    """Time from one write to the module's watchdog to the next, where the profile has such a write."""
    watchdog_ms: int = Field(default=2000, ge=100, le=60_000)
    """The time after which the module's watchdog trips, as set in the module."""

    _own: tuple[Profile, str] | None = PrivateAttr(default=None)
    """The profile in a file of the site's, as it was when the lane file was read, and the file's digest."""

    @property
    def described(self) -> Profile:
        """The profile in force."""
        return self.module or (self._own[0] if self._own else load(self.profile))

    @property
    def fails_safe(self) -> bool:
        """The module has a watchdog of its own, which drops its outputs when nobody feeds it."""
        return self.described.fails_safe

    @property
    def unverified(self) -> dict[str, str]:
        """What of the profile nobody has tried on the module itself."""
        return self.described.unverified

    @property
    def files_digest(self) -> str:
        return self._own[1] if self._own else ""

    @field_validator("profile")
    @classmethod
    def _profile_is_there(cls, value: str, info: ValidationInfo) -> str:
        if value.endswith((".yaml", ".yml")):
            folder = info.context.get("folder", Path()) if isinstance(info.context, dict) else Path()
            return str(folder / value)
        if value not in shipped():
            raise ValueError(f"no such profile; there are {', '.join(shipped())}, or name a file: ./mymodule.yaml")
        return value

    @model_validator(mode="after")
    def _points_fit_the_module(self) -> ModbusConfig:
        if self._own is None and self.profile.endswith((".yaml", ".yml")) and self.module is None:
            self._own = own(Path(self.profile))
        problems = [*_misnamed(self), *_misplaced(self), *_mistimed(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _misnamed(config: ModbusConfig) -> list[str]:
    names = [*config.inputs, *config.outputs]
    problems = [
        f"{name!r}: a point is lower-case letters, digits and _" for name in names if not _POINT.fullmatch(name)
    ]
    problems += [f"{name!r} is both an input and an output" for name in config.inputs.keys() & config.outputs.keys()]
    problems += [f"invert names {name!r}, which is no point" for name in config.invert if name not in names]
    return problems if names else ["name at least one input or output"]


def _misplaced(config: ModbusConfig) -> list[str]:
    profile, problems = config.described, []
    for kind, points, area in (("input", config.inputs, profile.inputs), ("output", config.outputs, profile.outputs)):
        count = area.count if area else 0
        problems += [f"{kind} {name!r}: the module has {count} {kind}s" for name, at in points.items() if at >= count]
        if len(set(points.values())) < len(points):
            problems.append(f"two {kind}s share a channel")
    return problems


def _mistimed(config: ModbusConfig) -> list[str]:
    problems = []
    if config.stale_limit_ms <= config.poll_ms + config.request_timeout_ms:
        problems.append("stale_limit_ms must exceed poll_ms + request_timeout_ms: one lost answer is no fault")
    if config.silence_timeout_s * 1000 < config.stale_limit_ms:
        problems.append("silence_timeout_s must not be shorter than stale_limit_ms")
    return problems


class ModbusModule(Driver):
    """One module. Online once its watchdog flag and outputs are read."""

    Config = ModbusConfig
    config: ModbusConfig
    reports = frozenset({InputChanged, InputsStale, InputsFresh, OutputsRead, ModuleWatchdogTripped})
    performs = frozenset({WriteOutputs, ClearWatchdog})
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=False, silence_s=2.0)

    _serving: Session | None = None
    _left_stale = False
    """The last session ended with its inputs stale: the next one says when they are fresh."""

    async def session(self, out: Reporter) -> None:
        config = self.config
        async with self.links.open(config.url, timeout_s=config.connect_timeout_s) as link:
            serving = Session(link, out, _points(config), _timing(config), stale=self._left_stale)
            self._serving = serving
            try:
                await serving.run()
            finally:
                self._serving = None
                self._left_stale = serving.stale

    async def perform(self, command: Command) -> Outcome:
        """Write outputs, or clear the watchdog flag. Writes of separate channels go out with those that are off first.

        Raises CommandError where the module refuses or a point is unknown; UNKNOWN where it does not answer in time.
        """
        serving = self._serving
        if serving is None or not serving.online:
            return Outcome(Result.REFUSED, "the module is not connected")
        match command:
            case WriteOutputs(points):
                return await serving.carry_out("write outputs", _coils(self.config, points))
            case ClearWatchdog():
                return await self._clear_watchdog(serving)
            case _:
                return await super().perform(command)

    async def _clear_watchdog(self, serving: Session) -> Outcome:
        watchdog = self.config.described.watchdog
        if watchdog is None or watchdog.clear is None:
            return Outcome(Result.REFUSED, "the module has no watchdog flag to clear")
        if not serving.healthy:
            serving.clearing_ended(sent=False)
            return Outcome(Result.REFUSED, "the lane is not healthy: the module's watchdog stays tripped")
        try:
            return await serving.carry_out("clear watchdog", (as_request(watchdog.clear),))
        finally:
            serving.clearing_ended(sent=True)


def as_request(write: Write) -> Request:
    """The first value of a profile's write."""
    if write.area == "coils":
        return WriteCoils(write.base, (bool(write.values[0]),))
    return WriteRegisters(write.base, (write.values[0],))


def _points(config: ModbusConfig) -> Points:
    profile = config.described
    return Points(
        profile=profile,
        unit=profile.unit if config.unit is None else config.unit,
        inputs=tuple(config.inputs.items()),
        outputs=tuple(config.outputs.items()),
        inputs_mask=_mask(config.inputs, config.invert, profile.invert_inputs),
        outputs_mask=_mask(config.outputs, config.invert, profile.invert_outputs),
    )


def _mask(points: dict[str, int], names: tuple[str, ...], channels: tuple[int, ...]) -> int:
    """Bits to be turned over: the profile's channels, and the named ones; both together cancel out."""
    return sum(1 << at for name, at in points.items() if (name in names) != (at in channels))


def _timing(config: ModbusConfig) -> Timing:
    return Timing(
        poll_s=config.poll_ms / 1000,
        request_s=config.request_timeout_ms / 1000,
        stale_s=config.stale_limit_ms / 1000,
        silence_s=config.silence_timeout_s,
        readback_s=config.readback_ms / 1000,
        heartbeat_s=config.heartbeat_ms / 1000,
        watchdog_s=config.watchdog_ms / 1000,
    )


def _coils(config: ModbusConfig, points: tuple[tuple[str, bool], ...]) -> tuple[WriteCoils, ...]:
    """Neighbouring channels are written together, the others one after the other: what goes off before what goes on,
    so that two lamps of a head never burn together in between. Raises CommandError.
    """
    profile = config.described
    mask = _mask(config.outputs, config.invert, profile.invert_outputs)
    wanted: dict[int, bool] = {}
    for name, on in points:
        if name not in config.outputs:
            raise CommandError("write outputs", f"no output is named {name!r}", device=config.id)
        at = config.outputs[name]
        wanted[at] = on != bool(mask >> at & 1)
    base = profile.outputs.base if profile.outputs else 0
    parts = [sorted(wanted)]
    if len(_runs(parts[0])) > 1:
        parts = [[at for at in parts[0] if (wanted[at] != bool(mask >> at & 1)) is on] for on in (False, True)]
    runs = [run for part in parts for run in _runs(part)]
    return tuple(WriteCoils(base + at, tuple(wanted[i] for i in range(at, end))) for at, end in runs)


def _runs(channels: list[int]) -> list[tuple[int, int]]:
    """Neighbours together: start and end (not included) of each run in sorted `channels`."""
    starts = [at for at in channels if at - 1 not in channels]
    ends = [at + 1 for at in channels if at + 1 not in channels]
    return list(zip(starts, ends, strict=True))
