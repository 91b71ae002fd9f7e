"""Wire faults on purpose: what cables, converters and tired devices do.

Sits between a fake and its client (`Mischievous`), or between the world and a fake (`bend`), so that the daemon under
test meets the fault exactly where it would meet it at a port. All randomness comes from the generator handed in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.readings import Contact, Reading


class What(StrEnum):
    REFUSE = "refuse"
    """New connections are closed at once."""
    DROP = "drop"
    """The connection is cut when the time comes, and every new one until it is over."""
    FREEZE = "freeze"
    """The socket stays open and nothing moves in either direction."""
    DRIP = "drip"
    """What the device sends comes one byte at a time."""
    GARBLE = "garble"
    """Some bytes that the device sends are changed."""
    DUPLICATE = "duplicate"
    """Everything that the device sends comes twice."""
    DELAY = "delay"
    """Everything that the device sends comes late."""
    STICK = "stick"
    """The device's sensors keep their last value."""
    LIE = "lie"
    """The device's contacts show the opposite."""


class Mischief(BaseModel):
    """One fault of one device for some time."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    device: str
    """Id of the device in the lane file."""
    what: What
    """Which fault."""
    at_s: float = Field(ge=0)
    """When it begins, in lane seconds from the start."""
    for_s: float = Field(default=30.0, gt=0)
    """How long it lasts."""
    share: float = Field(default=0.01, gt=0, le=1)
    """Garble: which share of the bytes is changed."""
    pause_s: float = Field(default=0.02, ge=0)
    """Drip: seconds between bytes. Delay: how late everything comes."""

    def active(self, now_s: float) -> bool:
        return self.at_s <= now_s < self.at_s + self.for_s


class Mischiefs:
    """The faults of one device, by lane time."""

    def __init__(self, planned: tuple[Mischief, ...], lane_s: Callable[[], float], rng: random.Random) -> None:
        self.planned = planned
        self._lane_s = lane_s
        self.rng = rng

    def now(self, *kinds: What) -> Mischief | None:
        """The fault of one of these kinds that is under way."""
        at = self._lane_s()
        return next((m for m in self.planned if m.what in kinds and m.active(at)), None)

    def lasts_s(self, fault: Mischief) -> float:
        """How long `fault` still lasts."""
        return max(0.0, fault.at_s + fault.for_s - self._lane_s())

    def until_next_s(self, kind: What) -> float | None:
        """Seconds until the next fault of this kind begins; None when none is planned."""
        at = self._lane_s()
        return min((m.at_s - at for m in self.planned if m.what is kind and m.at_s > at), default=None)


def bend(reading: Reading, faults: Mischiefs) -> Reading | None:
    """What the device makes of a reading while its sensors are at fault; None when it notices nothing."""
    if faults.now(What.STICK):
        return None
    if faults.now(What.LIE) and isinstance(reading, Contact):
        return Contact(reading.point, not reading.on)
    return reading


class Mischievous(Link):
    """A link whose device misbehaves by plan. Given to the fake instead of the plain link."""

    def __init__(self, link: Link, faults: Mischiefs) -> None:
        self._link = link
        self._faults = faults
        self.peer = link.peer

    async def read(self) -> bytes:
        data = await self._link.read()
        if frozen := self._faults.now(What.FREEZE):
            await asyncio.sleep(self._faults.lasts_s(frozen))
        return data

    async def write(self, data: bytes) -> None:
        if self._faults.now(What.FREEZE):
            return  # a frozen device says nothing, and what it would have said is gone
        if late := self._faults.now(What.DELAY):
            await asyncio.sleep(late.pause_s)
        if self._faults.now(What.GARBLE):
            data = self._garbled(data)
        if self._faults.now(What.DUPLICATE):
            data += data
        if drip := self._faults.now(What.DRIP):
            for n in range(len(data)):
                await self._link.write(data[n : n + 1])
                await asyncio.sleep(drip.pause_s)
        else:
            await self._link.write(data)

    def _garbled(self, data: bytes) -> bytes:
        fault = self._faults.now(What.GARBLE)
        share = fault.share if fault else 0.0
        rng = self._faults.rng
        return bytes(rng.randrange(256) if rng.random() < share else byte for byte in data)

    async def close(self) -> None:
        await self._link.close()


async def serve_with(link: Link, faults: Mischiefs, serve: Callable[[Link], object]) -> None:
    """Serve one client under these faults: refuse it, cut it when its time comes, or let it live."""
    if faults.now(What.REFUSE, What.DROP):
        await link.close()
        return
    serving = asyncio.ensure_future(serve(Mischievous(link, faults)))  # type: ignore[call-overload]
    try:
        async with asyncio.timeout(faults.until_next_s(What.DROP)):
            await serving
    except TimeoutError:
        raise LinkLost("serve", "cut on purpose") from None
    finally:
        serving.cancel()
        await link.close()
