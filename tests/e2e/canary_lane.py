"""A lane with readers of both kinds and cameras that push, through which the canary drives, and all that comes out.

Either in this process on a virtual clock, over TCP (`simulated`), or as processes (`canary_lane`): world and fakes are
one, the daemon with everything that it can log another, the broker a third; and people's tools look on.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from two_processes import drained, line_with, started
from whole_system import CONFIGS, LANECONTROL, LIMIT_S

from lanecontrol.config.document import plain, read
from lanecontrol.identifier import RotatingKey
from lanecontrol.links import LinkOpener
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.transport import Broker, Transport
from lanecontrol.service.logging import configure_logging
from sim.broker import iotcore_broker
from sim.simfile import load_scenario, load_simfile
from sim.simulate import EPOCH_UTC_S, Options, simulate

SECRETS = {
    "LANECONTROL_SECRET_HASHES": "a secret of the site for hashes",
    "LANECONTROL_SECRET_AT_REST": "a secret of the site for the disk",
}
WORLD = (sys.executable, str(Path(__file__).with_name("canary_world.py")))
SPEED = 2.0

LANE = """\
extends: {sentri}
log: {{level: debug, format: json}}
privacy: {{hash_key: !secret hashes}}
cameras:
  - {{device: lpr1, zone: approach}}
  - {{device: lpr2, zone: approach}}
antennas:
  - {{device: rfid1, number: 1, zone: booth}}
  - {{device: rfid1, number: 2, zone: booth}}
  - {{device: rfid2, number: 1, zone: approach}}
devices:
  - {{id: rfid1, kind: rfid.llrp, url: "tcp://192.0.2.41:5084", read_tid: true}}
  - {{id: rfid2, kind: rfid.mercury, url: "tcp://192.0.2.42:5000"}}
  - {{id: lpr1, kind: lpr.axis, url: "listen://127.0.0.1:8151"}}
  - {{id: lpr2, kind: lpr.mapped, url: "listen://127.0.0.1:8152", mapping: {mapping}}}
store: {{path: store, recorder_mib: 64{keys}}}
"""

SIM = """\
lane: lane-of-canary.yaml
scenario: scenario.yaml
scene:
  antennas:
    - {{device: rfid1, number: 1, at_m: 28, start_m: 17, end_m: 29}}
    - {{device: rfid1, number: 2, at_m: 26, start_m: 17, end_m: 29}}
    - {{device: rfid2, number: 1, at_m: 21, start_m: 17, end_m: 24}}
  cameras:
    - {{device: lpr1, at_m: 24, side: front}}
    - {{device: lpr2, at_m: 21, side: front}}
fakes:
  io1: {io1}
  rpm1: {{kind: rpm.rapiscan}}
  rfid1: {{kind: rfid.llrp}}
  rfid2: {{kind: rfid.mercury}}
  lpr1: {{kind: lpr.axis}}
  lpr2: {{kind: lpr.mapped, form: {form}}}
"""

QUIET = "title: the canary and its company\n"
TROUBLED = (
    QUIET
    + "mischief:\n"
    + "\n".join(
        f"  - {{device: {device}, what: {what}, at_s: {at_s}, for_s: {for_s}{more}}}"
        for device in ("rfid1", "rfid2", "lpr1", "lpr2")
        for what, at_s, for_s, more in (
            ("garble", 5, 40, ", share: 0.01"),
            ("drop", 50, 4, ""),
            ("duplicate", 60, 20, ""),
            ("drip", 85, 5, ", pause_s: 0.001"),
            ("drop", 95, 3, ""),
            ("garble", 100, 60, ", share: 0.003"),
            ("drop", 170, 3, ""),
            ("garble", 180, 400, ", share: 0.002"),
        )
    )
    + "\n"
)


@dataclass(slots=True)
class Heard:
    """Everything that was published: topic and payload."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)


def write_files(folder: Path, *, scenario: str, form: str, sealed: bool) -> Path:
    """Lane file, simulation and scenario; gives the simulation's path. `form` is how the second camera speaks."""
    mapping = {"webhook": "verkada", "isapi": "isapi"}[form]
    keys = ", keys: [!secret at_rest]" if sealed else ""
    lane = LANE.format(sentri=json.dumps(str(CONFIGS / "sentri.yaml")), mapping=mapping, keys=keys)
    (folder / "lane-of-canary.yaml").write_text(lane, encoding="utf-8")
    (folder / "sim.yaml").write_text(SIM.format(io1=_module(), form=form), encoding="utf-8")
    (folder / "scenario.yaml").write_text(scenario, encoding="utf-8")
    return folder / "sim.yaml"


def _module() -> str:
    """The shipped simulation's I/O module."""
    root = read((CONFIGS / "sim.yaml").read_text(encoding="utf-8"), "sim.yaml", [])
    return json.dumps(plain(root, lambda leaf: leaf.text)["fakes"]["io1"])


# --- in this process -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Simulated:
    """What a simulation in this process left."""

    folder: Path
    heard: Heard
    log: bytes
    store: Path

    @property
    def doubted(self) -> set[str]:
        """Devices of which some bytes made no sense."""
        lines = (json.loads(line) for line in self.log.splitlines())
        return {line["device"] for line in lines if line["event"] == "bytes in doubt"}


def simulated(folder: Path, *, scenario: str, form: str, vehicles: int, sealed: bool) -> Simulated:
    """The canary's lane over TCP on a virtual clock, everything logged. The secrets come from the environment."""
    simulation = load_simfile(write_files(folder, scenario=scenario, form=form, sealed=sealed))
    wanted = load_scenario(folder / "scenario.yaml").model_copy(update={"vehicles": vehicles})
    stream, heard, keys = io.StringIO(), Heard(), RotatingKey(b"a secret of the site for hashes", lambda: EPOCH_UTC_S)
    configure_logging(level="debug", style="json", stream=stream, hash_key=keys)
    with iotcore_broker() as port, _hearing_in_a_thread(f"mqtt://127.0.0.1:{port}", heard):
        options = Options(simulation, wanted, seed=11, broker=f"mqtt://127.0.0.1:{port}", state=folder / "state")
        simulate(options)
    return Simulated(folder, heard, stream.getvalue().encode(), folder / "state" / "store-07")


@contextmanager
def _hearing_in_a_thread(url: str, heard: Heard) -> Iterator[None]:
    """A subscriber beside the simulation, whose loop has another time."""
    up, over = threading.Event(), threading.Event()

    async def listen() -> None:
        async with hearing_all(url, heard):
            up.set()
            await asyncio.to_thread(over.wait)  # until the simulation has ended

    thread = threading.Thread(target=asyncio.run, args=(listen(),))
    thread.start()
    try:
        assert up.wait(20.0)
        yield
    finally:
        over.set()
        thread.join()


# --- as processes ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Lane:
    """The canary's lane while it runs."""

    folder: Path
    lane_file: Path
    broker: str
    environment: dict[str, str]
    heard: Heard
    world: Process
    daemon: Process

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    async def tool(self, *arguments: str | Path) -> bytes:
        """What one of our commands says, on both its channels."""
        command = [*LANECONTROL, *map(str, arguments)]
        process = await asyncio.create_subprocess_exec(
            *command, env=self.environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=self.folder
        )
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
        return out + b"\n" + err

    def url_of(self, device: str) -> str:
        """Where a device's fake is."""
        found = re.search(rf'"id": "{device}", "url": "([^"]+)"', self.lane_file.read_text(encoding="utf-8"))
        assert found is not None
        return found[1]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not what():  # noqa: ASYNC110 - it is others, in processes of their own, that make it so
                await asyncio.sleep(0.2)

    async def stop(self, how: signal.Signals) -> int:
        """End the daemon; answers its exit code."""
        self.daemon.send_signal(how)
        async with asyncio.timeout(20.0):
            return await self.daemon.wait()


@asynccontextmanager
async def canary_lane(folder: Path, *, vehicles: int) -> AsyncIterator[Lane]:
    """The lane at work, in real time at SPEED; every turn of the daemon's loop is logged as asyncio does when asked."""
    write_files(folder, scenario=QUIET, form="isapi", sealed=True)
    (folder / "tmp").mkdir()
    environment = {**os.environ, **SECRETS, "PYTHONFAULTHANDLER": "1", "TMPDIR": str(folder / "tmp")}
    lane_file, heard = folder / "lane.yaml", Heard()
    async with started(sys.executable, "-m", "sim.broker", "--port", "0", stdout=PIPE) as broker:
        url = await line_with(broker.stdout, "mqtt://")
        arguments = ["--config", folder / "sim.yaml", "--write-config", lane_file, "--broker", url]
        arguments += ["--vehicles", vehicles, "--speed", SPEED, "--seed", 11]
        command = [*WORLD, "sim", "--fakes-only", *map(str, arguments)]
        async with (
            hearing_all(url, heard),
            started(*command, env=environment, stdout=DEVNULL, stderr=PIPE) as world,
        ):
            await line_with(world.stderr, "lane file written")
            reading = asyncio.create_task(drained(world.stderr))
            with (folder / "daemon.log").open("wb") as log:
                run = [*WORLD, "run", str(lane_file)]
                chatty = {**environment, "PYTHONASYNCIODEBUG": "1"}
                async with started(*run, env=chatty, stdout=log, stderr=log, cwd=folder) as daemon:
                    yield Lane(folder, lane_file, url, environment, heard, world, daemon)
            reading.cancel()


@asynccontextmanager
async def hearing_all(url: str, heard: Heard) -> AsyncIterator[None]:
    """Every message of every topic at the broker."""
    connect = MqttConnector(LinkOpener())
    async with connect(Broker(url, "canary-ear")) as transport:
        await transport.subscribe(["#"])
        listening = asyncio.create_task(_listen(transport, heard))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def _listen(transport: Transport, heard: Heard) -> None:
    while True:
        message = await transport.receive()
        heard.messages.append((message.topic, message.payload))
