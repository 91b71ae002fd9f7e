"""`./lane bench io`: from a contact that changes to the output that is commanded, on a busy lane and a busy box.

A real daemon with twelve devices (a FAST lane with every sensor, more from two SENTRI lanes, vehicles all the time),
its worker reading plates without a pause, and one module served from here: pressing that one's emergency button has to
drop its signal to red. A bare poll loop in a process of its own does the same at the same time: what the machine itself
takes. Both poll every 20 ms, and are pressed at random moments. Ten thousand presses take some ten minutes.

Then the scanner, in `_io_interlocks`: from an interlock's contact to the end of the request, as many times, and whole
scans on a machine with more work than cores, of which none may be aborted without a contact gone bad (`--part` names
the one wanted).

Daemon, bare loop and the measurer are scheduled as the unit file says (as root on Linux; not with `--plain`), the load
as everything else.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import random
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from _io_box import POLL_S, Box, trials
from _io_interlocks import AS_SHIPPED_MS, Trial, interlocks, lanes, scans
from busy_machine import busy as burning
from two_processes import line_with, started
from whole_system import CONFIGS, LANECONTROL

from lanecontrol.links import serve_tcp
from sim.broker import MemoryBroker

HERE = Path(__file__).parent
LOAD = (sys.executable, str(HERE / "_io_load.py"))
P999_LIMIT_MS = 40.0
WORST_LIMIT_MS = 100.0
TRIAL_LIMIT_S = 5.0
BUCKETS_MS = (2, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)
PARTS = ("edge", "interlock", "scans")
Pair = tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench io", description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; repeat")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=2, help="side by side, for the scanner's trials")
    parser.add_argument("--scan-lanes", type=int, default=8, help="side by side, for whole scans")
    parser.add_argument("--without-plates", action="store_true", help="without the reading of plates")
    parser.add_argument("--without-devices", action="store_true", help="the module alone")
    parser.add_argument("--plain", action="store_true", help="schedule the daemon as everything else")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    options = parser.parse_args()
    service = not options.plain and as_a_service()
    plates, busy, parts = not options.without_plates, not options.without_devices, options.part or PARTS
    good = True
    if "edge" in parts:
        measured = asyncio.run(measure(options.trials, plates=plates, busy=busy, service=service))
        print(json.dumps(measured)) if options.json else tell(measured)
        edge = measured["edge"]
        good &= edge["p999_ms"] <= P999_LIMIT_MS and edge["max_ms"] <= WORST_LIMIT_MS and not measured["missed"]
    if "interlock" in parts:
        run = measure_interlocks(options.trials, options.lanes, plates=plates, busy=busy, service=service)
        measured = asyncio.run(run)
        print(json.dumps(measured)) if options.json else tell_interlocks(measured)
        good &= measured["edge"]["max_ms"] <= WORST_LIMIT_MS and not measured["missed"]
    if "scans" in parts:
        found = asyncio.run(measure_scans(options.scans, options.scan_lanes, plates=plates, service=service))
        print(json.dumps(found)) if options.json else tell_scans(found)
        good &= not found["false_aborts"] and not found["unseen"]
    return 0 if good else 1


def as_a_service() -> bool:
    """Become what systemd would make of us: the unit's share of the machine. Linux shares it out by sessions as systemd
    does by units; what is started as load has sessions of its own. Whether it is allowed."""
    child = os.fork()
    if child:
        with suppress(KeyboardInterrupt):
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.kill(child, signal.SIGINT)
        sys.exit(130)
    os.setsid()
    weight = int(unit()["CPUWeight"])
    try:
        in_turn()
        with suppress(FileNotFoundError):
            Path("/proc/self/autogroup").write_text(str(-round(math.log(weight / 100, 1.25))), encoding="ascii")
    except OSError:
        return False
    return True


def unit() -> dict[str, str]:
    text = (HERE.parent / "systemd" / "lanecontrol@.service").read_text(encoding="utf-8")
    return dict(re.findall(r"^(CPU\w+)=(.+)$", text, flags=re.MULTILINE))


def in_turn() -> None:
    """The scheduling of the unit, for this thread alone: its other threads and its children are as any other."""
    found = unit()
    policy = {"rr": os.SCHED_RR}[found["CPUSchedulingPolicy"]] | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(int(found["CPUSchedulingPriority"])))


async def measure(count: int, *, plates: bool, busy: bool, service: bool) -> dict[str, Any]:
    how: dict[str, Any] = {"preexec_fn": in_turn} if service else {}
    lane, bare = Box(), Box()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-io-")))
        lane_port = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, lane.serve))
        bare_port = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, bare.serve))
        broker = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, MemoryBroker().serve))
        urls = await stack.enter_async_context(fakes()) if busy else {}
        path = lane_file(folder, {**urls, "io9": f"tcp://127.0.0.1:{lane_port}"}, f"mqtt://127.0.0.1:{broker}")
        log = stack.enter_context((folder / "lane.log").open("wb"))
        await stack.enter_async_context(started(*LANECONTROL, "run", str(path), stdout=log, stderr=log, **how))
        await stack.enter_async_context(
            started(sys.executable, str(HERE / "_io_box.py"), str(bare_port), stderr=DEVNULL, **how)
        )
        reads = await stack.enter_async_context(reading()) if plates else []
        await lane.let_go(60.0)
        await bare.let_go(60.0)
        await asyncio.sleep(3.0)  # whatever happens at a start has happened
        found = await asyncio.gather(*(_pressed(box, count, name) for box, name in ((lane, "lane"), (bare, ""))))
        online = (folder / "lane.log").read_bytes().count(b'"device online"')
    return report(*found, devices=len(urls) + 1, online=online, reads=len(reads), service=service)


async def measure_interlocks(count: int, number: int, *, plates: bool, busy: bool, service: bool) -> dict[str, Any]:
    """The lanes are here, in the measurer's process, which is scheduled as the daemon would be."""
    how: dict[str, Any] = {"preexec_fn": in_turn} if service else {}
    bare = Box()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-io-")))
        bare_port = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, bare.serve))
        broker = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, MemoryBroker().serve))
        urls = await stack.enter_async_context(fakes()) if busy else {}
        there = await lanes(stack, number, folder, f"mqtt://127.0.0.1:{broker}", urls, int(POLL_S * 1000))
        gc.freeze()  # as the daemon does when it is ready
        await stack.enter_async_context(
            started(sys.executable, str(HERE / "_io_box.py"), str(bare_port), stderr=DEVNULL, **how)
        )
        reads = await stack.enter_async_context(reading()) if plates else []
        await bare.let_go(60.0)
        found, yard = await asyncio.gather(interlocks(there, count), _pressed(bare, count, ""))
        return report_interlocks(found, yard, devices=len(urls) + 2, lanes=number, reads=len(reads), service=service)


async def measure_scans(count: int, number: int, *, plates: bool, service: bool) -> dict[str, Any]:
    """Scans on a machine that has twice as much to do as it has cores, and plates to read."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanecontrol-io-")))
        broker = await stack.enter_async_context(serve_tcp("127.0.0.1", 0, MemoryBroker().serve))
        there = await lanes(stack, number, folder, f"mqtt://127.0.0.1:{broker}", {}, AS_SHIPPED_MS)
        gc.freeze()
        reads = await stack.enter_async_context(reading()) if plates else []
        burners = 2 * (os.cpu_count() or 1)
        stack.enter_context(burning(burners))
        found = await scans(there, count)
        return {**found, "burners": burners, "reads": len(reads), "cores": os.cpu_count(), "service": service}


async def _pressed(box: Box, count: int, name: str) -> list[Pair | None]:
    rng, done = random.Random(name), 0

    async def tick() -> None:
        nonlocal done
        done += 1
        if name and done % 500 == 0:
            print(f"{done} of {count}", file=sys.stderr, flush=True)

    return await trials(box, count, TRIAL_LIMIT_S, lambda: rng.uniform(0.005, 0.005 + POLL_S), tick)


# --- what is measured, and what is around it -------------------------------------------------------------------------


def lane_file(folder: Path, urls: dict[str, str], broker: str) -> Path:
    """A FAST lane with more devices than it needs, whose signal and emergency button are on the measured module."""
    kinds = {"io": "io.modbus", "rpm": "rpm.rapiscan", "rfid": "rfid.llrp"}
    known = {"io1", "rpm1", "rpm2", "rfid1", "rfid2", "lpr1", "lpr2"}
    devices: list[dict[str, Any]] = []
    for name, url in urls.items():
        more = {} if name in known else {"kind": kinds[name.rstrip("0123456789")]}
        devices.append({"id": name, "url": url, **more, **_module(name)})
    base = CONFIGS / "fast.yaml"
    about = {
        "extends": str(base),
        "simulated": True,
        "lane": {"id": "07"},
        "devices": devices,
        "signal": {"device": "io9", "green": "green", "red": "red"},
        "gate": {"device": "io9", "open_output": "gate", "opened_input": "opened", "closed_input": "closed"},
        "emergency_button": {"device": "io9", "point": "stop"},
        "brokers": [{"url": broker}],
        "store": {"path": str(folder / "store")},
    }
    if len(urls) == 1:  # without its devices, the FAST lane is one of this module alone
        about = {**about, "extends": str(alone(folder))}
    path = folder / "lane.yaml"
    path.write_text(json.dumps(about), encoding="utf-8")
    return path


def alone(folder: Path) -> Path:
    about = {
        "port": "SYS",
        "lane": {"id": "07", "type": "FAST", "booth_zone": "booth"},
        "zones": [{"name": "booth", "start_m": 0, "end_m": 4}],
        "loops": [{"name": "booth", "device": "io9", "point": "loop", "zone": "booth"}],
        "store": {"path": "store"},
    }
    path = folder / "alone.yaml"
    path.write_text(json.dumps(about), encoding="utf-8")
    return path


def _module(name: str) -> dict[str, Any]:
    if name == "io9":
        inputs = {"stop": 0, "opened": 1, "closed": 2, "loop": 3}
        return {"poll_ms": 20, "inputs": inputs, "outputs": {"green": 1, "red": 0, "gate": 2}}
    return {"poll_ms": 20, "inputs": {"loop": 1}} if name == "io2" else {"poll_ms": 20} if name == "io1" else {}


@asynccontextmanager
async def fakes() -> AsyncIterator[dict[str, str]]:
    async with started(*LOAD, "fakes", stdout=PIPE, stderr=DEVNULL, start_new_session=True) as child:
        yield json.loads(await line_with(child.stdout, "{", 60.0))


@asynccontextmanager
async def reading() -> AsyncIterator[list[str]]:
    """The worker of the daemon, without a pause; what it has read so far."""
    read: list[str] = []
    async with started(*LOAD, "plates", stdout=PIPE, stderr=DEVNULL, start_new_session=True) as child:
        await line_with(child.stdout, "plates", 60.0)

        async def count() -> None:
            while child.stdout is not None and (line := await child.stdout.readline()):
                read.append(line.decode())

        counting = asyncio.create_task(count())
        try:
            yield read
        finally:
            counting.cancel()


# --- figures ---------------------------------------------------------------------------------------------------------


def report(lane: list[Pair | None], bare: list[Pair | None], **about: int) -> dict[str, Any]:
    good, yard = [pair for pair in lane if pair], [pair for pair in bare if pair]
    edge, floor = figures([pair[0] for pair in good]), figures([pair[0] for pair in yard])
    return {
        "trials": len(lane),
        "missed": len(lane) - len(good),
        "edge": edge,
        "seen": figures([pair[1] for pair in good]),
        "bare": floor,
        "bare_seen": figures([pair[1] for pair in yard]),
        "polls": {name: round(value / (POLL_S * 1000), 2) for name, value in edge.items()},
        "times_bare": {name: round(value / floor[name], 2) for name, value in edge.items() if floor[name]},
        "histogram": histogram([pair[0] for pair in good]),
        "bare_histogram": histogram([pair[0] for pair in yard]),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        **about,
    }


def report_interlocks(found: list[Trial], bare: list[Pair | None], **about: int) -> dict[str, Any]:
    seen = [took for name, took in found if name != "stale" and took is not None]
    names = sorted({name for name, _ in found})
    return {
        "trials": sum(name != "stale" for name, _ in found),
        "missed": sum(took is None for _, took in found),
        "edge": figures(seen),
        "bare": figures([pair[0] for pair in bare if pair]),
        "each": {name: figures([took for one, took in found if one == name and took is not None]) for name in names},
        "silences": sum(name == "stale" for name, _ in found),
        "histogram": histogram(seen),
        "bare_histogram": histogram([pair[0] for pair in bare if pair]),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        **about,
    }


def figures(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]

    def at(part: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000, 1)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1.0)}


def histogram(seconds: Sequence[float]) -> list[tuple[float, int]]:
    """How many took less than each bound, and not less than the one before; the last has no bound."""
    counts = [0] * (len(BUCKETS_MS) + 1)
    for value in seconds:
        counts[next((n for n, bound in enumerate(BUCKETS_MS) if value * 1000 < bound), len(BUCKETS_MS))] += 1
    return list(zip((*BUCKETS_MS, float("inf")), counts, strict=True))


HEAD = f"{'':46}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>8}  ms"
COLUMNS = ("p50_ms", "p99_ms", "p999_ms", "max_ms")


def row_of(what: str, row: dict[str, float]) -> str:
    return f"{what:46}" + "".join(f"{row.get(key, 0):>8}" for key in COLUMNS)


def tell(measured: dict[str, Any]) -> None:
    print(HEAD)
    for name, what in (
        ("edge", "contact changes -> output commanded"),
        ("seen", "poll that tells of it -> output commanded"),
        ("bare", "bare poll loop: contact -> output"),
        ("bare_seen", "bare poll loop: poll -> output"),
        ("polls", "contact -> output, in polls of 20 ms"),
        ("times_bare", "contact -> output, times the bare loop's"),
    ):
        print(row_of(what, measured[name]))
    draw(measured, "contact -> output")
    print(f"\n{measured['trials']} presses, {measured['missed']} without an answer in {TRIAL_LIMIT_S:g} s; ", end="")
    print(
        f"{measured['devices']} devices, {measured['online']} online; {measured['reads']} vehicles read by the worker"
    )
    tell_machine(measured)


def draw(measured: dict[str, Any], what: str) -> None:
    print(f"\n{what:>12}{'daemon':>10}{'bare':>8}")
    before, most = 0.0, max(count for _, count in measured["histogram"])
    for (bound, count), (_, bare) in zip(measured["histogram"], measured["bare_histogram"], strict=True):
        if count or bare:
            print(f"{before:>6g} - {bound:<6g} ms{count:>10}{bare:>8}  {'#' * -(-40 * count // most)}")
        before = bound


def tell_interlocks(measured: dict[str, Any]) -> None:
    print(f"\n{HEAD}")
    print(row_of("interlock's contact -> request off", measured["edge"]))
    print(row_of("bare poll loop: contact -> output", measured["bare"]))
    for name, row in measured["each"].items():
        print(row_of(f"  {name}" if name != "stale" else "  a module goes silent (age limit 250 ms)", row))
    draw(measured, "interlock -> off")
    print(f"\n{measured['trials']} contacts and {measured['silences']} silences, ", end="")
    print(
        f"{measured['missed']} without an answer in {TRIAL_LIMIT_S:g} s; {measured['lanes']} lanes in one process, ",
        end="",
    )
    print(f"the first with {measured['devices']} devices; {measured['reads']} vehicles read by the worker")
    tell_machine(measured)


def tell_scans(found: dict[str, Any]) -> None:
    print(
        f"\n{found['scans']} scans by {found['lanes']} lanes in one process: {found['completed']} completed, ", end=""
    )
    print(f"{found['aborted']} aborted, {found['cancelled']} cancelled, {found['faulted']} faulted; {found['causes']}")
    print(f"false aborts: {found['false_aborts']}, {found['per_1000']} per 1,000 scans, ", end="")
    print(f"with 95 % confidence no more than {found['per_1000_at_most']}; {found['unseen']} without an end")
    print(f"{found['burners']} processes that burn time, {found['reads']} vehicles read by the worker")
    tell_machine(found)


def tell_machine(measured: dict[str, Any]) -> None:
    print(f"load of the machine {measured['load']} on {measured['cores']} cores; ", end="")
    print("scheduled as the unit says" if measured["service"] else "scheduled as everything else")


if __name__ == "__main__":
    sys.exit(main())
