"""A lane with a scanner, whole, in the measurer's process: the daemon's parts on two modules over TCP, in real time.

The modules are the shipped simulation's, the scanner behind them a few timers, the vehicle one that never leaves: it is
scanned again and again. Used by `io` for the time from an interlock to the request's end, and for false aborts.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lanecontrol.announcements import ScanCounts, ScannerState
from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.commands import (
    Actor,
    ConfirmDriverOut,
    Dispose,
    Disposition,
    EnableEquipment,
    EnableScanner,
    Order,
    Request,
    ResetScanner,
    Role,
    ScanVehicle,
)
from lanecontrol.config.load import load
from lanecontrol.errors import LinkLost
from lanecontrol.events import OrderGiven, Tick
from lanecontrol.lane.record import replace
from lanecontrol.lane.scanner.view import NAMES
from lanecontrol.lane.scanner_state import Scanning
from lanecontrol.lane.state import LaneState
from lanecontrol.links import Link, serve_tcp
from sim.io_modbus import FakeModule
from sim.readings import Contact, Deed
from sim.simfile import Simulation, load_simfile

CONFIGS = Path(__file__).parents[1] / "configs"
SUPERVISOR = Actor("bench-supervisor", Role.SUPERVISOR, simulated=True)
OFFICER = Actor("bench-officer", Role.OFFICER, simulated=True)
COMES_S = 60.0
"""For what is not measured, on a busy machine."""
LOOK_S = 0.005
SCAN_S = 60.0
"""A scan takes seven seconds; one whose end nobody has seen by then is told as missing."""

CALLED = {
    "ready": "scanner_ready",
    "key_enabled": "scanner_key",
    "fault": "scanner_fault",
}
"""Contacts whose point has another name than they."""
GOOD = dict.fromkeys(NAMES, False) | dict.fromkeys(
    ("ready", "key_enabled", "shutter_closed", "estop_ok", "zone_clear", "barrier_closed"), True
)
STANDING = GOOD | {"vehicle_in_position": True, "driver_clear": True}
"""The scanner's contacts with a vehicle in it and everybody out."""
IN_BEAM: dict[ScannerState, dict[str, bool]] = {
    ScannerState.TRIGGERED: STANDING | {"warning_active": True},
    ScannerState.SCANNING: STANDING
    | {"warning_active": True, "shutter_closed": False, "shutter_open": True, "scan_in_progress": True},
}
INTERLOCKS = (
    "zone_clear",
    "estop_ok",
    "ready",
    "barrier_closed",
    "key_enabled",
    "driver_clear",
    "vehicle_in_position",
    "fault",
)
"""Contacts of which each alone ends a scan; what is measured is the change away from its good value."""


class Module(FakeModule):
    """A module that can stop answering, with its connections open."""

    def quiet(self, quiet: bool) -> None:
        self._speaks().clear() if quiet else self._speaks().set()

    def _speaks(self) -> asyncio.Event:
        if not hasattr(self, "_speaking"):
            self._speaking = asyncio.Event()
            self._speaking.set()
        return self._speaking

    async def _read(self, link: Link) -> bytes | None:
        data = await super()._read(link)
        await self._speaks().wait()
        return data

    async def handle(self, link: Link) -> None:
        with suppress(LinkLost):
            await self.serve(link)


class ScanLane:
    """One lane at work; made by `scan_lane`."""

    def __init__(self, simulation: Simulation) -> None:
        made = {name: Module(_as_module(simulation, name), self._acted) for name in ("io1", "io2")}
        self.loops, self.scanner_io = made["io1"], made["io2"]
        self.lane: Lane
        self.sweeps = True
        """The scanner does what it is asked for; else its contacts are the measurer's alone."""
        self._off: asyncio.Future[float] | None = None
        self._orders = 0
        self._kept: LaneState

    # --- the scanner -------------------------------------------------------------------------------------------------

    def _acted(self, deed: Deed) -> None:
        if deed.point == "scan_request" and not deed.on and self._off is not None and not self._off.done():
            self._off.set_result(time.perf_counter())
        if self.sweeps and deed.point == "warning_request":
            self._later(0.1, warning_active=deed.on)
        if self.sweeps and deed.point == "scan_request":
            self._sweep() if deed.on else self._shut()

    def _sweep(self) -> None:
        self._later(0.2, shutter_closed=False, scan_in_progress=True)
        self._later(0.4, shutter_open=True)
        self._later(1.0, scan_complete=True)
        self._later(1.5, scan_complete=False)

    def _shut(self) -> None:
        self._later(0.2, shutter_open=False, scan_in_progress=False)
        self._later(0.3, shutter_closed=True)

    def _later(self, after_s: float, **contacts: bool) -> None:
        asyncio.get_running_loop().call_later(after_s, self._if_sweeping, contacts)

    def _if_sweeping(self, contacts: Mapping[str, bool]) -> None:
        if self.sweeps:
            self.contacts(contacts)

    def contacts(self, contacts: Mapping[str, bool]) -> None:
        for name, on in contacts.items():
            self.scanner_io.sense(Contact(CALLED.get(name, name), on))

    def loop(self, name: str, on: bool) -> None:
        self.loops.sense(Contact(f"loop_{name}", on))

    # --- the lane ----------------------------------------------------------------------------------------------------

    @property
    def scanning(self) -> Scanning:
        found = self.lane.runner.state.scanner
        assert found is not None
        return found

    @property
    def counts(self) -> ScanCounts:
        return self.scanning.counts

    def give(self, actor: Actor, request: Request) -> str:
        self._orders += 1
        key = f"bench-{self._orders}"
        due_utc_s = time.time() + 30.0
        self.lane.runner.take("port", OrderGiven(Order(key, actor, request, due_utc_s)))
        return key

    async def until(
        self, what: Callable[[], bool], limit_s: float = COMES_S, *, again: Callable[[], Any] | None = None
    ) -> None:
        """Wait until it is so; what is done `again` is done every second. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        async with asyncio.timeout(limit_s):
            while not what():
                await asyncio.sleep(LOOK_S)
                if again is not None and loop.time() > asked_s + 1.0:
                    asked_s = loop.time()
                    again()

    def sees(self, contacts: Mapping[str, bool]) -> bool:
        """The lane has these contacts for read, all of them."""
        plan, known = self.lane.runner.state.plan, self.lane.runner.state.equipment.contacts
        return all(
            place < len(known) and known[place].on is contacts[name]
            for name, place in zip(NAMES, plan.scanner, strict=True)
        )

    async def vehicle_comes(self) -> None:
        """To the scanner, past the booth. It stays there."""
        await self.until(lambda: self.sees(GOOD))
        self.give(SUPERVISOR, EnableEquipment())
        await self.until(
            lambda: self.scanning.state is ScannerState.IDLE, again=lambda: self.give(SUPERVISOR, EnableScanner())
        )
        for loop, on in (("approach", True), ("booth", True), ("approach", False)):
            self.loop(loop, on)
            await asyncio.sleep(1.0)
        await self.until(lambda: bool(self.lane.runner.state.tracking.passages))
        self.give(OFFICER, Dispose(self.passage, Disposition.REFER_SCANNER))
        await asyncio.sleep(1.0)
        for loop, on in (("scanner", True), ("booth", False)):
            self.loop(loop, on)
            await asyncio.sleep(1.0)
        self.contacts(STANDING)
        await self.until(lambda: self.sees(STANDING))

    @property
    def passage(self) -> str:
        return self.lane.runner.state.tracking.passages[0].id

    async def order(self) -> None:
        """From the order to the check of the interlocks."""
        key = self.give(OFFICER, ScanVehicle(self.passage, "measured"))
        await self.until(lambda: self.scanning.scan is not None and self.scanning.state is ScannerState.POSITIONING)
        self.give(OFFICER, ConfirmDriverOut(key))

    async def scan(self) -> bool:
        """One whole scan, to its record; the scanner is put into use again after one that was aborted. Whether its end
        was seen."""
        await self.until(
            lambda: self.scanning.state is ScannerState.IDLE and self.sees(STANDING), again=self._put_into_use
        )
        before = self.counts
        await self.order()
        try:
            await self.until(lambda: ended(self.counts) > ended(before), SCAN_S)
        except TimeoutError:
            return False
        return True

    def _put_into_use(self) -> None:
        self.give(SUPERVISOR, ResetScanner())
        self.give(SUPERVISOR, EnableScanner())

    # --- an interlock ------------------------------------------------------------------------------------------------

    async def keep_scanning(self) -> None:
        """All the way to a beam that is on, once; from there on that state is the one to come back to."""
        await self.order()
        await self.until(lambda: self.scanning.state is ScannerState.SCANNING)
        self.sweeps = False
        self.contacts(IN_BEAM[ScannerState.SCANNING])
        await self.until(lambda: self.sees(IN_BEAM[ScannerState.SCANNING]) and not self.scanning.sent, 1.5)
        self._kept = self.lane.runner.state

    async def back(self, state: ScannerState) -> None:
        """Into this state again, with the contacts that belong to it. The lane itself commands what the state wants,
        through ledger, driver and module; only how it came to the state is left out."""
        self.contacts(IN_BEAM[state])
        await self.until(lambda: self.sees(IN_BEAM[state]) and self._modules_are_well() and not self.scanning.sent)
        runner, now, kept = self.lane.runner, self.scanning, self._kept.scanner
        assert kept is not None
        since_s = runner.state.now_s
        runner.state = replace(
            runner.state,
            tracking=self._kept.tracking,
            desk=replace(runner.state.desk, alarms=self._kept.desk.alarms),
            scanner=replace(
                kept,
                state=state,
                since_s=since_s,
                wanted=now.wanted,
                grants=(),
                sent=(),
                unshown=now.unshown,
                counts=now.counts,
                wake_s=since_s,
            ),
        )
        runner.take("lane", Tick())
        await self.until(lambda: self._requested() and self.scanning.state is state and not self.scanning.sent, 5.0)

    def _modules_are_well(self) -> bool:
        notes = {note.device: note for note in self.lane.runner.state.equipment.devices}
        return all(
            name in notes and notes[name].state.value == "online" and not notes[name].stale for name in ("io1", "io2")
        )

    def _requested(self) -> bool:
        return self.scanner_io.outputs()["scan_request"]

    async def trial(self, name: str, pause_s: float, limit_s: float) -> float | None:
        """An interlock goes bad after a while; the seconds from there to the request's end at the module.

        `stale` is no contact: the module of the loops says nothing any more.
        """
        await asyncio.sleep(pause_s)
        if not self._requested():
            return None
        self._off = asyncio.get_running_loop().create_future()
        began_s = time.perf_counter()
        if name == "stale":
            self.loops.quiet(True)
        else:
            self.contacts({name: not STANDING[name]})
        try:
            async with asyncio.timeout(limit_s):
                return await self._off - began_s
        except TimeoutError:
            return None
        finally:
            self.loops.quiet(False)
            self._off = None


def ended(counts: ScanCounts) -> int:
    return counts.completed + counts.aborted + counts.cancelled + counts.faulted + counts.interrupted


# --- making one ------------------------------------------------------------------------------------------------------


def _as_module(simulation: Simulation, name: str) -> Any:
    return simulation.fakes[name]


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return read


def _other(shipped: Mapping[str, dict[str, Any]], name: str, url: str, poll_ms: int) -> dict[str, Any]:
    """A device on whose word no scan depends. Modules have other names than the two that are measured."""
    if name.startswith("io"):
        return {"id": f"{name}1", "kind": "io.modbus", "url": url, "poll_ms": poll_ms, "inputs": {"spare": 1}}
    kinds = {"rpm": "rpm.rapiscan", "rfid": "rfid.llrp"}
    own = shipped[name] if name in shipped else {"kind": kinds[name.rstrip("0123456789")]}
    return own | {"id": name, "url": url}


@asynccontextmanager
async def scan_lane(
    folder: Path, number: int, broker: str, others: Mapping[str, str], poll_ms: int
) -> AsyncIterator[ScanLane]:
    """A lane at work, without a vehicle yet; `others` are devices that keep it busy, by the fakes' names."""
    made = ScanLane(load_simfile(CONFIGS / "sim-scanner.yaml"))
    made.contacts(GOOD)
    made.loops.sense(Contact("gate_closed", True))
    async with AsyncExitStack() as stack:
        ports = {
            name: await stack.enter_async_context(serve_tcp("127.0.0.1", 0, module.handle))
            for name, module in (("io1", made.loops), ("io2", made.scanner_io))
        }
        path = folder / f"scan{number}.yaml"
        urls = {name: f"tcp://127.0.0.1:{port}" for name, port in ports.items()}
        path.write_text(json.dumps(_lane_file(folder, number, broker, urls, others, poll_ms)), encoding="utf-8")
        made.lane = Lane(load(path), Surroundings(clock=LoopClock(), rng=random.Random(number), boot="bench"))
        stop = asyncio.Event()
        running = asyncio.create_task(made.lane.run(stop))
        try:
            async with asyncio.timeout(COMES_S):
                await made.lane.ready.wait()
            yield made
        finally:
            stop.set()
            await asyncio.wait({running}, timeout=10.0)


def _lane_file(
    folder: Path, number: int, broker: str, urls: Mapping[str, str], others: Mapping[str, str], poll_ms: int
) -> dict[str, Any]:
    """The shipped lane with a scanner, for which one person is enough; of its other devices those that there are."""
    about, fast = (_read(CONFIGS / name) for name in ("scanner.yaml", "fast.yaml"))
    shipped = {stanza["id"]: stanza for stanza in (*fast["devices"], *about["devices"])}
    devices = [shipped[name] | {"url": url, "poll_ms": poll_ms} for name, url in urls.items()]
    devices += [_other(shipped, name, url, poll_ms) for name, url in others.items()]
    for section in () if others else ("portals", "antennas", "cameras"):
        about.pop(section)
    return about | {
        "extends": str(CONFIGS / "port.yaml"),
        "lane": about["lane"] | {"id": f"{number:02d}", "opens_at_start": True},
        "scanner": about["scanner"] | {"two_persons": False},
        "devices": devices,
        "brokers": [{"url": broker}],
        "store": {"path": str(folder / f"store{number}")},
    }
