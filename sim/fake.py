"""What a fake device is: the device's side of the wire, written from the maker's manual, never from our driver.

A fake owns no random numbers and no physics; the world tells it what its sensors give (`sense`), and it tells the world
what its clients command (`act`). It serves any number of connections over any link, answers as the manual says even to
requests that our driver never sends, and never raises on what a client sends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from lanecontrol.links import Link
from sim.readings import Deed, Reading

ENTRY_POINTS = "lanecontrol.fakes"


class FakeConfig(BaseModel):
    """Settings of one fake in `sim.yaml`; each fake adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Which fake, e.g. `rpm.rapiscan`."""


class Fake(ABC):
    """One fake device."""

    Config: ClassVar[type[FakeConfig]]
    dials: ClassVar[bool] = False
    """The device connects to its receiver by itself: it is run with `dial`, and `serve` is never called."""
    utc_at_zero_s: float = 1_767_254_400.0
    """UTC when the event loop's time is zero, for devices that tell the time. Set by whoever runs the fake."""
    pace: float = 1.0
    """The loop's seconds per real second, where that is more than one: the peer does not answer any faster, and limits
    on its answers grow with it. Set by whoever runs the fake."""

    def __init__(self, config: Any, act: Callable[[Deed], None]) -> None:
        self.config = config
        self.act = act

    @abstractmethod
    def sense(self, reading: Reading) -> None:
        """The world gives a reading. Readings that this device has no sensor for are ignored. Never blocks."""

    async def serve(self, link: Link) -> None:
        """Serve one client until it goes (LinkLost is the normal end and is left to the caller)."""
        raise NotImplementedError(f"{type(self).__name__} serves nobody: it connects by itself")

    async def dial(self, connect: Callable[[], AbstractAsyncContextManager[Link]]) -> None:
        """Connect whenever the device would, as often and for as long as it would; never returns.

        `connect` raises LinkLost when nobody listens: the device's own rule for trying again applies.
        """
        raise NotImplementedError(f"{type(self).__name__} connects to nobody: it is served")


def load(kind: str) -> type[Fake]:
    """The fake class of `kind`. Raises KeyError when no distribution brings it."""
    for point in entry_points(group=ENTRY_POINTS, name=kind):
        loaded: type[Fake] = point.load()
        return loaded
    raise KeyError(kind)
