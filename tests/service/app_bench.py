"""A whole lane on memory links, with a fake module, and a broker and a disk that hang or fail when told to."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.commands import Actor, Role
from lanecontrol.config.load import load
from lanecontrol.ledger import database
from lanecontrol.links import Link, LinkOpener, MemoryNet, serve_memory
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.order_payloads import ReplyPayload
from lanecontrol.port.transport import Broker
from sim.broker import MemoryBroker
from sim.lanefile import Replaced, lane_file
from sim.readings import Contact, Deed
from sim.simfile import load_simfile

CONFIGS = Path(__file__).parents[2] / "configs"
OFFICER = Actor("sim-officer", Role.OFFICER, simulated=True)


class Disk:
    """Where the store is. `hangs` until released, or `fails` with an error."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails: Exception | None = None

    def hang(self) -> None:
        self.go_on.clear()

    def connect(self, path: Path, access: database.Access) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                if sql.startswith("COMMIT") or disk.fails is not None:
                    disk.go_on.wait(30)
                    if disk.fails is not None:
                        raise disk.fails
                return super().execute(sql, parameters)

            def __del__(self) -> None:
                self.close()  # what a thread that hung still holds goes with the process; here nothing else ends it

        uri = f"{path.absolute().as_uri()}?mode={access}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)


def full_disk() -> Exception:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error


def damaged_file() -> Exception:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    return error


class Bench:
    """One lane and what it is connected to. `outputs` is what the module shows, `deeds` how it came to that."""

    def __init__(self, folder: Path, number: str = "07", *, camera: bool = False) -> None:
        self.net = MemoryNet()
        self.disk = Disk()
        self.deeds: list[Deed] = []
        self.outputs: dict[str, bool] = {"signal_green": False, "signal_red": False}
        self.keys = iter(f"key-{n:08d}" for n in range(1000))
        self.stop = asyncio.Event()
        self.broker_hears = asyncio.Event()
        self.broker_hears.set()
        self.module_answers = asyncio.Event()
        self.module_answers.set()
        simulation = load_simfile(CONFIGS / "sim.yaml")
        self.module = simulation.make_fake("io1", self._acted)
        path = folder / f"{number}.yaml"
        urls = {"io1": "mem://io1", "rpm1": "mem://nobody", "rfid1": "mem://nobody"}
        settings: dict[str, dict[str, Any]] = {}
        if camera:
            urls["lpr1"], settings["lpr1"] = "mem://lpr1", {"kind": "lpr.axis"}
        own = Replaced(number, urls, "mem://broker", folder / f"store-{number}", settings=settings)
        text = lane_file(simulation.lane, own) + "limits: {assess_after_s: 0.1}\n"
        path.write_text(text, encoding="utf-8")
        self.loaded = load(path)
        around = Surroundings(LoopClock(), random.Random(1), boot="b00t", memory=self.net, database=self.disk.connect)
        self.lane = Lane(self.loaded, around)

    def _acted(self, deed: Deed) -> None:
        self.deeds.append(deed)
        self.outputs[deed.point] = deed.on

    @asynccontextmanager
    async def served(self) -> AsyncIterator[asyncio.Task[None]]:
        """Broker, module and lane at work; gives the lane's task."""
        broker = MemoryBroker()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serve_memory(self.net, "broker", _through(self.broker_hears, broker.serve)))
            await stack.enter_async_context(
                serve_memory(self.net, "io1", _through(self.module_answers, self.module.serve))
            )
            running = asyncio.get_running_loop().create_task(self.lane.run(self.stop))
            stack.push_async_callback(self._ended, running)
            yield running

    async def _ended(self, running: asyncio.Task[None]) -> None:
        self.disk.go_on.set()
        if not running.done():
            running.cancel()
            await asyncio.wait({running})

    async def until(self, condition: Callable[[], bool], limit_s: float = 10.0) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(0.005)

    async def at_work(self) -> None:
        """The module is online and the port connected."""
        await self.lane.ready.wait()
        for point in ("loop_approach", "loop_booth", "loop_exit", "gate_opened"):
            self.module.sense(Contact(point, False))
        self.module.sense(Contact("gate_closed", True))
        await self.until(lambda: self.lane.snapshot().port.connected and self.outputs["signal_red"])

    async def vehicle_at_booth(self) -> str:
        """A vehicle drives up; the id of its passage."""
        self.module.sense(Contact("loop_approach", True))
        await asyncio.sleep(0.1)
        self.module.sense(Contact("loop_booth", True))
        await asyncio.sleep(0.1)
        self.module.sense(Contact("loop_approach", False))
        await self.until(lambda: any(p.booth_s for p in self.lane.runner.state.tracking.passages))
        return self.lane.runner.state.tracking.passages[0].id

    @asynccontextmanager
    async def port(self) -> AsyncIterator[Callable[..., Awaitable[ReplyPayload]]]:
        """Gives how to order something."""
        keys = self.keys
        connect, broker = MqttConnector(LinkOpener(self.net)), Broker("mem://broker", "port")
        async with PortClient(connect, broker, clock=LoopClock(), new_key=lambda: next(keys)) as client:

            async def order(verb: str, timeout_s: float = 5.0, **fields: Any) -> ReplyPayload:
                return await client.command(self.lane.address, verb, fields, actor=OFFICER, timeout_s=timeout_s)

            yield order

    async def green(self) -> None:
        """Open the lane and release a vehicle; the signal shows green then."""
        async with self.port() as order:
            reply = await order("open")
            assert reply.result == "done", reply
            passage = await self.vehicle_at_booth()
            await self.until(lambda: bool(self.lane.runner.state.tracking.passages[0].revision))
            reply = await order("disposition", passage=passage, disposition="RELEASED")
            assert reply.result == "done", reply
        await self.until(lambda: self.outputs["signal_green"])


def _through(open_: asyncio.Event, serve: Callable[[Link], Awaitable[None]]) -> Callable[[Link], Awaitable[None]]:
    """Serve a client as long as `open_` is set; while it is not, nothing is read and nothing answered."""

    async def handle(link: Link) -> None:
        await serve(_Gated(link, open_))

    return handle


class _Gated(Link):
    def __init__(self, link: Link, open_: asyncio.Event) -> None:
        self._link, self._open, self.peer = link, open_, link.peer

    async def read(self) -> bytes:
        data = await self._link.read()
        await self._open.wait()
        return data

    async def write(self, data: bytes) -> None:
        await self._open.wait()
        await self._link.write(data)

    async def close(self) -> None:
        await self._link.close()
