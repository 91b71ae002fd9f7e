"""A lane that is killed, hundreds of times, and mosquitto's bridge under the same hand, held against what arrived.

Confirmed is, for the lane, what its ledger said to be on disk; for the bridge, what its local broker acknowledged.
Between kills the way to the central broker is open, or cut for the whole of a series. What the central broker's
subscriber heard is compared at the end, when everything had its chance to arrive.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import _lanes
from _brokers import Mosquitto, bridge_lines, free_port, mosquitto
from _chaos import Proxy, proxy
from _delivery_rates import Counter, processes
from _wire import PUBACK, PUBLISH, Scanner, connect, packet, text

QUIET_S = 3.0
"""Nothing new for so long: all that will arrive has arrived."""
FINAL_S = 120.0
START_S = 30.0
"""A lane that has confirmed nothing by then is killed all the same."""
LIFE_S = 0.6

Tell = Callable[[str], None]


@dataclass(slots=True)
class Fate:
    """What became of the confirmed events of one way to deliver, in one series."""

    name: str
    kills: int = 0
    confirmed: set[str] = field(default_factory=set)
    arrived: Tally[str] = field(default_factory=Tally)
    differing: int = 0

    @property
    def lost(self) -> int:
        return len(self.confirmed - self.arrived.keys())

    @property
    def repeated(self) -> int:
        return sum(self.arrived.values()) - len(self.arrived)

    def take(self, payloads: list[bytes], made: Callable[[str], bytes]) -> None:
        for payload in payloads:
            try:
                name = _lanes.name_of(payload)
            except (ValueError, UnicodeDecodeError):
                self.differing += 1
                continue
            self.differing += payload != made(name)
            self.arrived[name] += 1


def kill_series(folder: Path, kills: int, seed: int, *, outage: bool, tell: Tell, bridge_lines_: bool = False) -> Fate:
    """One series of kills; of our lane, or of the local broker of a bridge."""
    rng = random.Random(f"delivery/{seed}/{outage}/{bridge_lines_}")
    folder.mkdir(parents=True, exist_ok=True)
    with mosquitto(folder / "central") as central, proxy(central.port, free_port()) as way:
        ear = Counter(central.port, _lanes.EVENTS, 10**9, keep=True, qos=1)
        ear.ready()
        if not outage:
            way.up()
        series = _killed_bridge if bridge_lines_ else _killed_lane
        fate = series(folder, kills, rng, way, outage, tell)
        payloads = ear.enough().payloads
    fate.take(payloads, _made)
    return fate


def _made(name: str) -> bytes:
    epoch, seq = name.split("-")
    return _lanes.body(int(epoch), int(seq), 300)


# --- our lane --------------------------------------------------------------------------------------------------------


def _killed_lane(folder: Path, kills: int, rng: random.Random, way: Proxy, outage: bool, tell: Tell) -> Fate:
    fate = Fate(f"this project, {'outage' if outage else 'online'}")
    said = folder / "confirmed"
    store = folder / "store" / "ledger.db"
    for number in range(kills):
        _one_life(store, way.port, said, rng)
        fate.kills += 1
        _progress(fate, number, kills, tell)
    way.up()
    fate.confirmed = set(said.read_text(encoding="ascii").split("\n")[:-1])
    _last_life(store, way.port)
    return fate


def _one_life(store: Path, port: int, said: Path, rng: random.Random) -> None:
    """A lane's process, killed at a random moment: one time in four soon after its start, else once it confirms."""
    with said.open("ab"):
        had = said.stat().st_size
    arguments = (str(store), port, rng.choice((1, 4, 32)), 0.001, str(said))
    child = processes().Process(target=live_until_killed, args=arguments, daemon=True)
    child.start()
    until_s = time.monotonic() + (LIFE_S if rng.random() < 0.25 else START_S)
    while said.stat().st_size == had and time.monotonic() < until_s:
        child.join(0.01)
    child.join(rng.uniform(0.0, LIFE_S))
    if child.exitcode is not None:
        raise RuntimeError(f"the lane ended by itself with {child.exitcode}")
    child.kill()
    child.join()


def live_until_killed(store: str, port: int, width: int, pause_s: float, said: str) -> None:
    """The process to be killed: what it confirms goes to a file in one write each, which outlives it."""
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    _lanes.live(store, port, width, pause_s, handle)


def _last_life(store: Path, port: int) -> None:
    near, far = processes().Pipe()
    child = processes().Process(target=_lanes.deliver_all, args=(str(store), port, far), daemon=True)
    child.start()
    if not near.poll(FINAL_S):
        raise RuntimeError("the last lane did not deliver what it had")
    near.recv()
    child.join()


# --- mosquitto's bridge ----------------------------------------------------------------------------------------------


def _killed_bridge(folder: Path, kills: int, rng: random.Random, way: Proxy, outage: bool, tell: Tell) -> Fate:
    fate = Fate(f"mosquitto bridge, {'outage' if outage else 'online'}")
    local = Mosquitto(folder / "local", bridge_lines(folder / "kept", way.port))
    numbers = itertools.count(1)
    for number in range(kills):
        local.start()
        life_s = rng.uniform(0.02, LIFE_S)
        stopping = threading.Timer(life_s, local.kill_now)
        stopping.start()
        _publish_until_cut(local.port, numbers, rng.choice((1, 4, 20)), fate.confirmed)
        stopping.join()
        local.kill()
        fate.kills += 1
        _progress(fate, number, kills, tell)
    way.up()
    local.start()
    time.sleep(QUIET_S + 8.0)  # a bridge takes its time to come back
    local.stop()
    return fate


def _publish_until_cut(port: int, numbers: Iterator[int], window: int, confirmed: set[str]) -> None:
    """Publish at QoS 1 until the broker is gone; what it acknowledged counts as confirmed."""
    with suppress(OSError):
        link = connect(port, "gate")
        link.settimeout(5.0)
        _publish_on(link, numbers, window, confirmed)


def _publish_on(link: socket.socket, numbers: Iterator[int], window: int, confirmed: set[str]) -> None:
    scanner, flying, packet_id = Scanner(), dict[int, str](), 0
    while True:
        out = []
        while len(flying) < window:
            number, packet_id = next(numbers), packet_id % 65_535 + 1
            flying[packet_id] = f"1-{number}"
            body = text(_lanes.TOPIC) + packet_id.to_bytes(2, "big") + _lanes.body(1, number, 300)
            out.append(packet(PUBLISH | 2, body))
        link.sendall(b"".join(out))
        data = link.recv(65536)
        if not data:
            return
        for first, start, _, whole in scanner.feed(data):
            if first == PUBACK:
                confirmed.add(flying.pop(int.from_bytes(whole[start : start + 2], "big")))
        time.sleep(0.001)


def _progress(fate: Fate, number: int, kills: int, tell: Tell) -> None:
    if (number + 1) % 25 == 0 or number + 1 == kills:
        tell(f"  {fate.name}: {number + 1} of {kills} kills")


# --- at every system call of a passage -------------------------------------------------------------------------------

PASSAGE_EVENTS = 8
"""As many as a vehicle without alarm leads to."""


def tracer() -> str | None:
    """strace, where it is and may trace."""
    found = shutil.which("strace")
    if found is None or subprocess.run([found, "-o", os.devnull, "true"], capture_output=True).returncode != 0:
        return None
    return found


def kill_at_every_call(folder: Path, call: str, *, outage: bool, step: int, tell: Tell) -> Fate:
    """A passage is killed at its first such call, at its second, and so on until one comes through.

    The store is the same throughout: what one left is what the next one begins with.
    """
    fate = Fate(f"at each {call} of a passage, {'outage' if outage else 'online'}")
    folder.mkdir(parents=True, exist_ok=True)
    said, store = folder / "confirmed", folder / "store" / "ledger.db"
    said.touch()
    with mosquitto(folder / "central") as central:
        ear = Counter(central.port, _lanes.EVENTS, 10**9, keep=True, qos=1)
        ear.ready()
        asyncio.run(_lanes.fill(store, 0))  # making a store takes more calls than all that follows
        while _killed_at(call, 1 + step * fate.kills, store, 0 if outage else central.port, said):
            fate.kills += 1
        tell(f"  {fate.name}: {fate.kills} kills")
        fate.confirmed = set(said.read_text(encoding="ascii").split("\n")[:-1])
        _last_life(store, central.port)
        payloads = ear.enough().payloads
    fate.take(payloads, _made)
    return fate


def _killed_at(call: str, when: int, store: Path, port: int, said: Path) -> bool:
    """Whether there was such a call to be killed at. Raises RuntimeError when the process ended badly by itself."""
    tracing = [tracer() or "strace", "-f", "-qq", "-o", os.devnull, f"--trace={call}"]
    tracing.append(f"--inject={call}:signal=KILL:when={when}")
    passage = [sys.executable, _lanes.__file__, str(store), str(port), str(PASSAGE_EVENTS), str(said)]
    done = subprocess.run([*tracing, *passage], capture_output=True, timeout=FINAL_S, check=False)
    if done.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
        raise RuntimeError(f"a passage ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return done.returncode != 0
