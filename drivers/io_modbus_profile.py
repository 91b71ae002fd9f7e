"""What an I/O module is, as data: which addresses hold its inputs, outputs and watchdog.

Loaded by the configuration of `io.modbus` from the YAML files in `profiles/`, or from a file of the site's own; a
profile may also stand in the lane file. Must never contain code for one make: a new module is a new file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.modbus_codec import Area

ADDRESSES = 0x10000

Address = Annotated[int, Field(ge=0, lt=ADDRESSES)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
Channel = Annotated[int, Field(ge=0, le=255)]
BitArea = Literal["coils", "discrete_inputs", "holding_registers", "input_registers"]
WritableArea = Literal["coils", "holding_registers"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _within(base: int, count: int) -> None:
    if base + count > ADDRESSES:
        raise ValueError(f"{count} addresses from {base} on go beyond {ADDRESSES - 1}")


class Inputs(_Data):
    """Where the inputs are read."""

    area: BitArea = "discrete_inputs"
    """Which table; in registers, 16 inputs to each, the lowest bit first."""
    base: Address = 0
    """Address of the first one."""
    count: int = Field(ge=1, le=256)
    """How many there are."""

    @model_validator(mode="after")
    def _fits(self) -> Inputs:
        _within(self.base, self.count)
        return self


class Outputs(_Data):
    """Where the outputs are written (coils), and where they are read back if elsewhere."""

    base: Address = 0
    """Coil of the first one."""
    count: int = Field(ge=1, le=256)
    """How many there are."""
    readback_area: BitArea = "coils"
    """Which table tells what they are."""
    readback_base: Address | None = None
    """Where in it the first one is; without it, where it is written."""

    @model_validator(mode="after")
    def _fits(self) -> Outputs:
        _within(self.base, self.count)
        _within(self.readback_base or 0, self.count)
        return self


class Flag(_Data):
    """Where the module says that its watchdog dropped the outputs: the value there is then `tripped`."""

    area: BitArea
    """Which table."""
    base: Address
    """Where in it."""
    tripped: Word = 1
    """What is read there when the watchdog has tripped."""


class Write(_Data):
    """A write; where it is repeated, the values take turns."""

    area: WritableArea
    """Which table."""
    base: Address
    """Where in it."""
    values: Annotated[tuple[Word, ...], Field(min_length=1, max_length=16)] = (1,)
    """What is written, one after the other."""

    @model_validator(mode="after")
    def _coils_hold_bits(self) -> Write:
        if self.area == "coils" and max(self.values) > 1:
            raise ValueError("a coil is written 0 or 1")
        return self


class Watchdog(_Data):
    """The module's own watchdog, which holds the safe state of the outputs."""

    fed_by: Literal["requests", "heartbeat"]
    """`requests`: any request feeds it, so to starve it nothing may be asked; `heartbeat`: the write below feeds it."""
    flag: Flag | None = None
    """Where it says that it has tripped. Without one, only what is read back tells."""
    clear: Write | None = None
    """What makes it let go of the outputs again."""
    heartbeat: Write | None = None
    """What feeds it."""

    @model_validator(mode="after")
    def _is_whole(self) -> Watchdog:
        if (self.fed_by == "heartbeat") != (self.heartbeat is not None):
            raise ValueError("`fed_by: heartbeat` goes with the write `heartbeat`, and only with that")
        return self


class Profile(_Data):
    """One make of module. Addresses are those of the protocol, counted from zero."""

    title: str = Field(min_length=1, max_length=80)
    """Maker and model."""
    unit: int = Field(default=1, ge=0, le=255)
    """Modbus unit id as delivered."""
    inputs: Inputs | None = None
    """The inputs, if it has any."""
    outputs: Outputs | None = None
    """The outputs, if it has any."""
    invert_inputs: tuple[Channel, ...] = ()
    """Input channels whose contact is on when the bit is 0."""
    invert_outputs: tuple[Channel, ...] = ()
    """Output channels that are on when the bit is 0."""
    watchdog: Watchdog | None = None
    """Without one, its outputs keep their last state when nobody talks to it: not for anything that must fail safe."""
    unverified: dict[str, str] = {}
    """What nobody has tried on the module itself: the fact by its keys (`outputs.base`), and what there is to say."""

    @property
    def fails_safe(self) -> bool:
        """A watchdog of the module's own drops the outputs when nobody feeds it."""
        return self.watchdog is not None and self.outputs is not None

    @model_validator(mode="after")
    def _is_one_module(self) -> Profile:
        if problems := list(_problems(self)):
            raise ValueError("; ".join(problems))
        return self


def _problems(profile: Profile) -> Iterator[str]:
    if profile.inputs is None and profile.outputs is None:
        yield "neither inputs nor outputs"
    for kind, area, turned in (
        ("input", profile.inputs, profile.invert_inputs),
        ("output", profile.outputs, profile.invert_outputs),
    ):
        count = area.count if area else 0
        yield from (f"invert_{kind}s: there is no {kind} {at}" for at in turned if at >= count)
    yield from (
        f"unverified: the profile says nothing of {fact!r}" for fact in profile.unverified if _absent(profile, fact)
    )


def _absent(profile: Profile, fact: str) -> bool:
    at: Any = profile
    for key in fact.split("."):
        if not isinstance(at, BaseModel) or key not in type(at).model_fields:
            return True
        at = getattr(at, key)
    return at is None


def area_of(name: BitArea) -> Area:
    return Area[name.upper()]


def shipped() -> tuple[str, ...]:
    """Names of the profiles that come with this driver."""
    folder = files("drivers") / "profiles"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def load(name: str) -> Profile:
    """The shipped profile `name`, read once: it is asked for at every command.

    Raises KeyError where there is none, ConfigError on a wrong file."""
    from lanecontrol.config.beside import parse

    if name not in shipped():
        raise KeyError(name)
    text = (files("drivers") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse(Profile, text, f"{name}.yaml")


def own(path: Path) -> tuple[Profile, str]:
    """The profile in a file of the site's, and a digest of the file. Raises ConfigError with every problem in it."""
    from lanecontrol.config.beside import read_file

    return read_file(Profile, path)
