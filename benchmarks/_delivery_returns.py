"""How long after an outage the first event is through, and whether a link that flaps is used each time it is up.

Our lane and mosquitto's bridge go through a proxy each, to the same broker, cut and opened at the same moments.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import _lanes
from _brokers import bridge_lines, free_port, mosquitto
from _chaos import Proxy, proxy
from _delivery_kills import live_until_killed
from _delivery_rates import Counter, Tell, processes
from _wire import connect, packet, text

EVENT_EVERY_S = 0.02
LIMIT_S = 30.0
BRIDGE_TOPIC = "poe/bridge/lane/1/event/passage"


@dataclass(slots=True)
class Returns:
    """Seconds from the moment the broker can be reached again to the first event at its subscriber, by round."""

    ours: list[float] = field(default_factory=list)
    bridge: list[float] = field(default_factory=list)


def first_events(folder: Path, rounds: int, outage_s: float, tell: Tell) -> Returns:
    """Outages of the same length for both; how soon each is back."""
    found = Returns()
    with mosquitto(folder / "central") as central, _both(folder, central.port) as (ours, bridge):
        for number in range(rounds):
            for way in (ours, bridge):
                way.down()
            time.sleep(outage_s + random.Random(number).random())
            ears = [Counter(central.port, topics, 1) for topics in (_lanes.EVENTS, BRIDGE_TOPIC)]
            for ear in ears:
                ear.ready()
            opened = [way.up() for way in (ours, bridge)]
            took = [ear.heard(LIMIT_S).first_s - since_s for ear, since_s in zip(ears, opened, strict=True)]
            found.ours.append(took[0])
            found.bridge.append(took[1] if took[1] > 0 else LIMIT_S)
            tell(f"  outage {number + 1}: first event after {found.ours[-1]:.2f} s, bridge {found.bridge[-1]:.2f} s")
            time.sleep(1.0)
    return found


def flapping(folder: Path, windows: int, seed: int, tell: Tell) -> list[tuple[float, int]]:
    """A link that is up for 0.2 to 5 s at a time: how long each time, and how many events arrived in it."""
    rng, found = random.Random(f"flapping/{seed}"), []
    with mosquitto(folder / "central") as central, proxy(central.port, free_port()) as way, _lane(folder, way.port):
        for number in range(windows):
            time.sleep(rng.uniform(0.2, 3.0))
            up_s = 0.2 if number == 0 else rng.uniform(0.2, 5.0)
            ear = Counter(central.port, _lanes.EVENTS, 10**9)
            ear.ready()
            way.up()
            time.sleep(up_s)
            way.down()
            found.append((up_s, ear.enough().count))
            tell(f"  up for {up_s:.2f} s: {found[-1][1]} events")
    return found


@contextmanager
def _both(folder: Path, central_port: int) -> Iterator[tuple[Proxy, Proxy]]:
    with proxy(central_port, free_port()) as ours, proxy(central_port, free_port()) as far:
        lines = bridge_lines(folder / "kept", far.port)
        with mosquitto(folder / "local", *lines) as local, _lane(folder, ours.port), _gate(local.port):
            ours.up(), far.up()
            time.sleep(12.0)  # the bridge's first attempts found nobody
            yield ours, far


@contextmanager
def _lane(folder: Path, port: int) -> Iterator[None]:
    said = folder / "confirmed"
    said.touch()
    arguments = (str(folder / "store" / "ledger.db"), port, 1, EVENT_EVERY_S, str(said))
    child = processes().Process(target=live_until_killed, args=arguments, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


@contextmanager
def _gate(port: int) -> Iterator[None]:
    """What gives the local broker of the bridge an event as often as the lane makes one."""
    ended = threading.Event()
    thread = threading.Thread(target=_publish, args=(port, ended.is_set), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _publish(port: int, ended: Callable[[], bool]) -> None:
    with connect(port, "gate") as link:
        number = 0
        while not ended():
            number += 1
            body = text(BRIDGE_TOPIC) + (number % 65_535 + 1).to_bytes(2, "big") + _lanes.body(1, number, 300)
            with suppress(TimeoutError):
                link.sendall(packet(0x32, body))
                link.recv(4096)
            time.sleep(EVENT_EVERY_S)
