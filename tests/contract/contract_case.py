"""What the contract suite has to be told of a kind to put it to the test, and where it finds that.

Every installed driver that has a fake of the same kind must have a case: `case_<kind>.py` here (dots become `_`), or,
from another distribution, an entry point of the kind's name in `lanecontrol.contract_cases` whose object is a mapping
with the fields of `Case`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from lanecontrol import driver as drivers
from lanecontrol.commands import Command
from lanecontrol.driver import Driver
from sim import fake as fakes
from sim.fake import Fake
from sim.readings import Deed, Reading

CASES = "lanecontrol.contract_cases"
EXAMPLE = "example.badge"
LISTENING_EXAMPLE = "example.turnstile"
EXAMPLES = {
    EXAMPLE: ("contract_example", "BadgeReader", "FakeBadgeReader"),
    LISTENING_EXAMPLE: ("contract_listening_example", "Turnstile", "FakeTurnstile"),
}
"""The drivers and fakes of this suite's own, by their kind: module and names."""


def _same(event: Any) -> Any:
    return event


@dataclass(frozen=True)
class Case:
    """One kind. Byte strings are as the device would send them."""

    reading: Callable[[int], Reading]
    """The n-th reading, one every `period_s`: each makes at least one event of the driver."""
    malformed: bytes
    """Sent between two frames: the driver must doubt it and the session must go on."""
    bomb: bytes = b""
    """A beginning that announces an endless frame, where the protocol has such a thing."""
    hoard_bytes: int = 2_000_000
    """The most memory that a flood may cost: more than the largest message that the protocol allows."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The driver's own settings."""
    fake_settings: Mapping[str, Any] = field(default_factory=dict)
    """The fake's own settings."""
    period_s: float = 1.0
    command: Command | None = None
    """A command that the driver can carry out; needed when it performs any."""
    deed: Deed | None = None
    """What the fake tells the world when it got the command; None where it only asks (for a picture, say)."""
    comparable: Callable[[Any], Any] = _same
    """An event without what differs between two runs."""


@dataclass(frozen=True)
class Kind:
    """A kind under test."""

    name: str
    driver: type[Driver]
    fake: type[Fake]
    case: Case


def kinds() -> list[str]:
    """The examples of this suite, and every installed kind that has a driver and a fake."""
    with_fake = {point.name for point in entry_points(group=fakes.ENTRY_POINTS)}
    return [*EXAMPLES, *sorted(with_fake & drivers.installed().keys())]


def performing_kinds() -> list[str]:
    """Those among them that carry out commands. One that cannot even be imported stays in, so that its tests fail."""
    return [name for name in kinds() if _has(name, lambda driver: bool(driver.performs))]


def reached_kinds() -> list[str]:
    """Those that the driver connects to."""
    return [name for name in kinds() if _has(name, lambda driver: not driver.traits.listens)]


def listening_kinds() -> list[str]:
    """Those that connect to the driver. One that cannot be imported fails among the others."""
    return [name for name in kinds() if _has(name, lambda driver: driver.traits.listens, otherwise=False)]


def _has(name: str, wanted: Callable[[type[Driver]], bool], *, otherwise: bool = True) -> bool:
    try:
        return wanted(_driver(name))
    except ImportError:
        return otherwise


def _driver(name: str) -> type[Driver]:
    if name not in EXAMPLES:
        return drivers.load(name)
    module, driver, _ = EXAMPLES[name]
    found: type[Driver] = getattr(importlib.import_module(module), driver)
    return found


def load(name: str) -> Kind:
    """The kind with its case. Fails the test when somebody installed a kind without one."""
    if name in EXAMPLES:
        module, _, fake = EXAMPLES[name]
        example = importlib.import_module(module)
        return Kind(name, _driver(name), getattr(example, fake), example.CASE)
    return Kind(name, drivers.load(name), fakes.load(name), _case(name))


def _case(name: str) -> Case:
    for point in entry_points(group=CASES, name=name):
        return Case(**point.load())
    module = f"case_{name.replace('.', '_')}"
    try:
        found: Case = importlib.import_module(module).CASE
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise AssertionError(
            f"{name} has a driver and a fake but no case: write {module}.py beside this file"
        ) from None
    return found
