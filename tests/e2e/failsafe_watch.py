"""What the fail-safe rig is watched and disturbed by: doors that can be shut, and an independent Modbus client.

The client is pymodbus, so that nothing of ours says what the module's outputs are. Used by `failsafe_rig` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.io_modbus import FakeModule
from sim.io_modbus_wire import Function, Refusal

COMES_UP_S = 90.0
"""For what is not measured: a start takes a second, twenty on a machine that eight others use."""
WATCHDOG_S = 1.0
LOOK_EVERY_S = 0.02
FLAG = 4144
OUTPUTS = ("signal_green", "signal_red", "gate_open")
SAFE = {"signal_green": False, "signal_red": True, "gate_open": False}


# --- doors -----------------------------------------------------------------------------------------------------------


class Door:
    """Passes connections on to a handler, until it is shut: then those that there are end, and new ones at once."""

    def __init__(self, handler: Callable[[Link], Awaitable[None]]) -> None:
        self._handler = handler
        self._open: set[asyncio.Task[None]] = set()
        self.shut_now = False

    async def serve(self, link: Link) -> None:
        if self.shut_now:
            return
        task = asyncio.ensure_future(self._passed(link))
        self._open.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._open.discard(task)
            task.cancel()
            await asyncio.wait({task})

    async def _passed(self, link: Link) -> None:
        with suppress(LinkLost):
            await self._handler(link)

    def shut(self) -> None:
        self.shut_now = True
        for task in self._open:
            task.cancel()

    def open(self) -> None:
        self.shut_now = False


class StallDevice:
    """Tells the third party's driver to block the daemon's event loop."""

    def __init__(self) -> None:
        self._links: set[Link] = set()

    async def serve(self, link: Link) -> None:
        self._links.add(link)
        try:
            while True:
                await link.read()
        finally:
            self._links.discard(link)

    async def stall(self, seconds: float) -> None:
        for link in self._links:
            await link.write(b"%.1f\n" % seconds)


class PolledModule(FakeModule):
    """A module that knows how often its inputs were read: what was changed before has been seen then."""

    polls = 0

    def _carry_out(self, pdu: bytes) -> bytes | Refusal:
        self.polls += pdu[0] == Function.READ_DISCRETE_INPUTS
        return super()._carry_out(pdu)


# --- the independent client ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """What pymodbus read, and when, in the loop's time."""

    at_s: float
    outputs: dict[str, bool]
    tripped: bool
    safe_values: Mapping[str, bool] = field(default_factory=lambda: SAFE)

    @property
    def green(self) -> bool:
        return self.outputs.get("signal_green", False)

    @property
    def red(self) -> bool:
        return self.outputs.get("signal_red", False)

    @property
    def safe(self) -> bool:
        return all(self.outputs[name] is on for name, on in self.safe_values.items())

    @property
    def withdrawn(self) -> bool:
        """Nothing is granted; the gate may be held, over a vehicle."""
        return self.red and not self.green if "signal_red" in self.outputs else self.safe


@dataclass
class Observer:
    """Reads the module's coils every 20 ms with another implementation of Modbus; keeps what it saw."""

    port: int
    outputs: tuple[str, ...] = OUTPUTS
    safe_values: Mapping[str, bool] = field(default_factory=lambda: SAFE)
    looks: list[Look] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=self.port, timeout=5, retries=0, reconnect_delay=0)
        loop = asyncio.get_running_loop()
        try:
            while True:
                with suppress(ModbusException):
                    if client.connected or await client.connect():
                        coils = await client.read_coils(0, count=len(self.outputs), device_id=1)
                        flag = await client.read_coils(FLAG, count=1, device_id=1)
                        if not coils.isError() and not flag.isError():
                            named = dict(zip(self.outputs, coils.bits, strict=False))
                            self.looks.append(Look(loop.time(), named, flag.bits[0], self.safe_values))
                            self._news.set()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            client.close()

    @property
    def now(self) -> Look:
        return self.looks[-1]

    async def until(self, what: Callable[[Look], bool], limit_s: float = COMES_UP_S) -> Look:
        """The first look from now on of which it is true."""
        seen = len(self.looks)
        async with asyncio.timeout(limit_s):
            while True:
                for look in self.looks[seen:]:
                    if what(look):
                        return look
                seen = len(self.looks)
                self._news.clear()
                await self._news.wait()

    async def looks_again(self, times: int = 2, limit_s: float = COMES_UP_S) -> None:
        """Until it has looked so often from now on: whatever was commanded before is there to be seen."""
        seen = len(self.looks) + times
        await self.until(lambda look: len(self.looks) >= seen, limit_s)

    def widest_gap_s(self, first: int) -> float:
        """The longest that nobody looked, from this look on: how far the measurer itself was behind."""
        looks = self.looks[max(first - 1, 0) :]
        return max((after.at_s - before.at_s for before, after in pairwise(looks)), default=0.0)


def shows(**wanted: bool) -> Callable[[Look], bool]:
    return lambda look: all(look.outputs[name] is on for name, on in wanted.items())
