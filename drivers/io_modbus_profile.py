"""What an I/O module is, as data: which addresses hold its inputs, outputs and watchdog.

Loaded by the configuration of `io.modbus` from the YAML files in `profiles/`; a site may also write a profile into its
lane file. Must never contain code for one make: a new module is a new file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from drivers.modbus_codec import Area

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
BitArea = Literal["coils", "discrete_inputs", "holding_registers", "input_registers"]
WritableArea = Literal["coils", "holding_registers"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Inputs(_Data):
    """Where the inputs are read."""

    area: BitArea = "discrete_inputs"
    base: Address = 0
    count: int = Field(ge=1, le=256)


class Outputs(_Data):
    """Where the outputs are written (coils), and where they are read back if elsewhere."""

    base: Address = 0
    count: int = Field(ge=1, le=256)
    readback_area: BitArea = "coils"
    readback_base: Address | None = None


class Flag(_Data):
    """Where the module says that its watchdog dropped the outputs: the value there is then `tripped`."""

    area: BitArea
    base: Address
    tripped: int = Field(default=1, ge=0, le=0xFFFF)


class Write(_Data):
    """A write; where it is repeated, the values take turns."""

    area: WritableArea
    base: Address
    values: Annotated[tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...], Field(min_length=1)] = (1,)


class Watchdog(_Data):
    """The module's own watchdog, which holds the safe state of the outputs."""

    fed_by: Literal["requests", "heartbeat"]
    """`requests`: any request feeds it, so to starve it nothing may be asked; `heartbeat`: the write below feeds it."""
    flag: Flag | None = None
    clear: Write | None = None
    heartbeat: Write | None = None


class Profile(_Data):
    """One make of module. Addresses are those of the protocol, counted from zero."""

    title: str
    unit: int = Field(default=1, ge=0, le=255)
    inputs: Inputs | None = None
    outputs: Outputs | None = None
    invert_inputs: tuple[int, ...] = ()
    """Input channels whose contact is on when the bit is 0."""
    invert_outputs: tuple[int, ...] = ()
    """Output channels that are on when the bit is 0."""
    watchdog: Watchdog | None = None


def area_of(name: BitArea) -> Area:
    return Area[name.upper()]


def shipped() -> tuple[str, ...]:
    """Names of the profiles that come with this driver."""
    folder = files("drivers") / "profiles"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def load(name: str) -> Profile:
    """The shipped profile `name`, read once: it is asked for at every command.

    Raises KeyError where there is none, pydantic.ValidationError on a wrong file."""
    from ruamel.yaml import YAML

    if name not in shipped():
        raise KeyError(name)
    text = (files("drivers") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    return Profile.model_validate(YAML(typ="safe").load(text))
