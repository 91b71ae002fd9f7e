"""One simulated lane's surroundings: the world, a fake for each device, and the addresses where they are reached.

The daemon under test is not in here and nothing in here can see it: it connects to the addresses like any client, and
a device that connects by itself finds it, or does not find it, where the daemon was told to listen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from lanecontrol.errors import LinkLost
from lanecontrol.links import (
    Handler,
    Link,
    LinkOpener,
    MemoryNet,
    reserved_port,
    serve_memory,
    serve_pty,
    serve_tcp,
)
from sim.fake import Fake
from sim.mischief import Bent, Mischiefs, dial_with, serve_with
from sim.readings import Deed
from sim.world.world import World

TICK_S = 0.1
"""How often the world moves on. Half of the portal's 200 ms interval, and below a driver's reaction by far."""


DIAL_S = 5.0
"""How long a device's own attempt to connect may take."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """How fakes are reached: `tcp` on loopback, `mem` within the process, `pty` where a device is serial."""

    how: str = "tcp"
    net: MemoryNet | None = None
    prefix: str = ""
    """Put before memory names, so that several lanes fit into one process."""


class Stage:
    """The world of one lane and its fakes. `serve` opens the doors, `play` lets time run."""

    def __init__(
        self,
        world: World,
        make_fakes: Callable[[str, Callable[[Deed], None]], Fake],
        devices: tuple[str, ...],
        *,
        seed: int = 0,
        utc_at_zero_s: float | None = None,
        pace: float = 1.0,
    ) -> None:
        """Faults of `devices` come from the world's scenario; `utc_at_zero_s` sets the fakes' clocks.

        `pace` is how many of the loop's seconds go by in a real one.
        """
        self.world = world
        self._faults = {
            device: Mischiefs(
                tuple(m for m in world.scenario.mischief if m.device == device),
                lambda: self.world.now_s,
                random.Random(f"{seed}/{device}"),
            )
            for device in devices
        }
        self._bent = {device: Bent(faults) for device, faults in self._faults.items() if faults.planned}
        self.fakes = {device: make_fakes(device, self._acting(device)) for device in devices}
        for fake in self.fakes.values():
            fake.pace = max(1.0, pace)
            if utc_at_zero_s is not None:
                fake.utc_at_zero_s = utc_at_zero_s
        self._hand_over(0.0)  # a closed gate's limit switch is closed before the first client asks

    def _acting(self, device: str) -> Callable[[Deed], None]:
        return lambda deed: self.world.act(device, deed)

    @asynccontextmanager
    async def serve(self, wiring: Wiring) -> AsyncIterator[Mapping[str, str]]:
        """Serve every fake, or let it connect by itself; gives the URL of each device. Leaving closes all of them."""
        async with AsyncExitStack() as doors:
            yield {device: await self._serve_one(doors, wiring, device) for device in self.fakes}

    async def _serve_one(self, doors: AsyncExitStack, wiring: Wiring, device: str) -> str:
        if self.fakes[device].dials:
            return await self._let_dial(doors, wiring, device)
        handler = self.handler(device)
        match wiring.how:
            case "mem":
                if wiring.net is None:
                    raise ValueError("memory links need a MemoryNet")
                name = f"{wiring.prefix}{device}"
                await doors.enter_async_context(serve_memory(wiring.net, name, handler))
                return f"mem://{name}"
            case "pty":
                return f"serial://{await doors.enter_async_context(serve_pty(handler))}"
            case _:
                return f"tcp://127.0.0.1:{await doors.enter_async_context(serve_tcp('127.0.0.1', 0, handler))}"

    async def _let_dial(self, doors: AsyncExitStack, wiring: Wiring, device: str) -> str:
        """Gives the URL at which the daemon must listen."""
        if wiring.how == "mem":
            listen = connect = f"mem://{wiring.prefix}{device}"
        else:
            # Held until the end: the daemon may come and go, and nobody else must get the port meanwhile.
            where = f"127.0.0.1:{doors.enter_context(reserved_port())}"
            listen, connect = f"listen://{where}", f"tcp://{where}"
        await doors.enter_async_context(self.dialling(device, connect, wiring.net))
        return listen

    @asynccontextmanager
    async def dialling(self, device: str, url: str, net: MemoryNet | None = None) -> AsyncIterator[None]:
        """This device's fake connects to `url` by itself, as long as this lasts."""
        opener, faults = LinkOpener(net), self._faults[device]

        def connect() -> AbstractAsyncContextManager[Link]:
            return dial_with(lambda: opener.connect(url, DIAL_S), faults)

        task = asyncio.get_running_loop().create_task(self.fakes[device].dial(connect), name=f"dial {device}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})  # no deadline: it closes its links, a second at most
            if not task.cancelled():
                task.result()  # a defect of the fake

    def handler(self, device: str) -> Handler:
        """Serves one client of this device's fake."""
        fake, faults = self.fakes[device], self._faults[device]

        async def handle(link: Link) -> None:
            with suppress(LinkLost):  # the client went: the normal end
                if faults.planned:
                    await serve_with(link, faults, fake.serve)
                else:
                    await fake.serve(link)

        return handle

    async def play(self, after: Callable[[], None] = lambda: None) -> None:
        """Let the world run by the loop's time until it is done, and hand its readings to the fakes.

        `after` is called after each step: whoever acts in the world without being a device.
        """
        await self._play_while(lambda: not self.world.done, after)

    async def play_on(self, until_s: float) -> None:
        """Let it run on until a moment of the loop's time: a world that is done still has sensors."""
        loop = asyncio.get_running_loop()
        await self._play_while(lambda: loop.time() < until_s, lambda: None)

    async def _play_while(self, going: Callable[[], bool], after: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while going():
            next_s += TICK_S
            await asyncio.sleep(max(0.0, next_s - loop.time()))
            self.tick()
            after()

    def tick(self) -> None:
        """One step of the world."""
        self._hand_over(TICK_S)

    def _hand_over(self, dt_s: float) -> None:
        for sensed in self.world.advance(dt_s):
            bent = self._bent.get(sensed.device)
            for reading in (sensed.reading,) if bent is None else bent.take(sensed.reading):
                self.fakes[sensed.device].sense(reading)
        for device, bent in self._bent.items():
            self._faults[device].tick()
            for reading in bent.catch_up():
                self.fakes[device].sense(reading)
