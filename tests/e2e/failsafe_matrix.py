"""Every disturbance in every state of the lane: what was shown before, and how long until the outputs were safe.

A disturbance is done and undone; a state is reached from the one before it. What is looked for is seen by the rig's
independent client. Used by the test of it and by the benchmark `failsafe`.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from failsafe_rig import SAFE, WATCHDOG_S, Look, Rig

LOOKS_ON_S = WATCHDOG_S + 0.3
"""So long it is watched after the disturbance; then the module's watchdog has had its time."""
STALL_S = LOOKS_ON_S + 0.4


@dataclass(frozen=True, slots=True)
class Seen:
    """What an independent client saw of one disturbance in one state."""

    disturbance: str
    state: str
    before: dict[str, bool]
    after: dict[str, bool]
    safe_after_ms: float | None
    """From the disturbance until everything that had to fall was safe, for good; 0 where it was before."""
    tripped: bool
    conflicts: int
    """Looks at which green and red were on together."""
    wrong: str = ""

    @property
    def unsafe_before(self) -> list[str]:
        return [name for name, on in self.before.items() if on is not SAFE[name]]


# --- states ----------------------------------------------------------------------------------------------------------


async def _closed(lane: Rig) -> None:
    """As it comes up."""


async def _opening(lane: Rig) -> None:
    """Ordered to open while the loops' module is away."""
    lane.doors["io2"].shut()
    await lane.until(lambda: lane.told("device_state_changed", device="io2")[-1]["state"] != "online")
    await lane.order("open")
    await lane.life("opening")


async def _open_idle(lane: Rig) -> None:
    lane.doors["io2"].open()
    await lane.life("open")


async def _at_booth(lane: Rig) -> None:
    await lane.vehicle_at_booth()


async def _granted(lane: Rig) -> None:
    await lane.release()


async def _under_arm(lane: Rig) -> None:
    """Released once more; the gate is open, and the vehicle on the loops before and behind it."""
    await lane.release()
    await lane.in_turn(gate_closed=False)
    await lane.in_turn(gate_opened=True)
    await lane.in_turn(loop_exit=True)


async def _closing(lane: Rig) -> None:
    """It has left; another one is at the booth, released, and the lane is to close after it."""
    await lane.in_turn(loop_booth=False)
    await lane.in_turn(loop_exit=False)
    await lane.in_turn(gate_opened=False)
    await lane.in_turn(gate_closed=True)
    await lane.vehicle_at_booth()
    await lane.order("close")
    await lane.life("closing")
    await lane.release()


async def _emergency(lane: Rig) -> None:
    await lane.order("emergency")
    await lane.life("emergency")


STATES: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "closed": _closed,
    "opening": _opening,
    "open, idle": _open_idle,
    "vehicle at booth": _at_booth,
    "permission granted": _granted,
    "vehicle under the arm": _under_arm,
    "closing, one released": _closing,
    "emergency": _emergency,
}


# --- disturbances ----------------------------------------------------------------------------------------------------


class Disturbance:
    """Something goes wrong, and is mended. `module_falls`: nobody is left to command the module."""

    name = ""
    module_falls = True

    async def begin(self, lane: Rig) -> None:
        raise NotImplementedError

    async def mend(self, lane: Rig) -> None:
        raise NotImplementedError

    def must_fall(self, look: Look) -> bool:
        """Whether this is what must be shown in the end."""
        return look.safe


class Kill(Disturbance):
    name = "kill -9"

    async def begin(self, lane: Rig) -> None:
        lane.process.kill()
        await lane.process.wait()

    async def mend(self, lane: Rig) -> None:
        await lane.start()


class Stop(Disturbance):
    name = "SIGSTOP"

    async def begin(self, lane: Rig) -> None:
        lane.process.send_signal(signal.SIGSTOP)

    async def mend(self, lane: Rig) -> None:
        lane.process.send_signal(signal.SIGCONT)
        await lane.well()


class Stall(Disturbance):
    name = "stalled event loop"

    async def begin(self, lane: Rig) -> None:
        await lane.stall.stall(STALL_S)

    async def mend(self, lane: Rig) -> None:
        await lane.well()


class DeviceLoss(Disturbance):
    name = "module's link cut"

    async def begin(self, lane: Rig) -> None:
        lane.doors["io1"].shut()

    async def mend(self, lane: Rig) -> None:
        lane.doors["io1"].open()
        await lane.well()


class FullDisk(Disturbance):
    """The lane still knows what it does: it withdraws by itself, and holds the gate over a vehicle."""

    name = "full disk"
    module_falls = False

    async def begin(self, lane: Rig) -> None:
        await asyncio.to_thread(_fill, lane.store)

    async def mend(self, lane: Rig) -> None:
        (lane.store / "ballast").unlink()

    def must_fall(self, look: Look) -> bool:
        return look.red and not look.green


class BrokerLoss(Disturbance):
    """No order can come. What was granted stands until it is used; nothing is granted anew."""

    name = "broker lost"
    module_falls = False

    async def begin(self, lane: Rig) -> None:
        lane.doors["broker"].shut()

    async def mend(self, lane: Rig) -> None:
        lane.doors["broker"].open()
        await lane.reached()

    def must_fall(self, look: Look) -> bool:
        return True


class NoDisk(Exception):
    """No small disk can be had here: only root can mount one."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A real disk of 8 MiB. Raises NoDisk."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        raise NoDisk
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> None:
    """To the last byte; whatever the daemon frees meanwhile too."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError:
                continue


DISTURBANCES: dict[str, type[Disturbance]] = {
    each.name: each for each in (Kill, Stop, Stall, DeviceLoss, FullDisk, BrokerLoss)
}


# --- one after the other ---------------------------------------------------------------------------------------------


async def disturbed(lane: Rig, kind: type[Disturbance], states: list[str]) -> AsyncIterator[Seen]:
    """Go through all states, and disturb the lane in those that are named."""
    for name, reach in STATES.items():
        await reach(lane)
        if name in states:
            yield await _disturb(lane, kind(), name)
        if states and name == states[-1]:
            return


async def _disturb(lane: Rig, disturbance: Disturbance, state: str) -> Seen:
    await asyncio.sleep(0.1)  # whatever was commanded last is there to be seen
    loop, before, first = asyncio.get_running_loop(), lane.observer.now, len(lane.observer.looks)
    began_s = loop.time()
    await disturbance.begin(lane)
    await asyncio.sleep(max(0.0, began_s + LOOKS_ON_S - loop.time()))
    looks = [look for look in lane.observer.looks[first:] if look.at_s >= began_s]
    after = looks[-1]
    unsafe = [look.at_s for look in looks if not disturbance.must_fall(look)]
    safe_s = next((look.at_s for look in looks if not unsafe or look.at_s > unsafe[-1]), None)
    was_safe = not unsafe and disturbance.must_fall(before)
    seen = Seen(
        disturbance.name,
        state,
        before.outputs,
        after.outputs,
        0.0 if was_safe else None if safe_s is None else round((safe_s - began_s) * 1000),
        after.tripped,
        sum(look.green and look.red for look in looks),
        _wrong(disturbance, before, looks),
    )
    await disturbance.mend(lane)
    return seen


def _wrong(disturbance: Disturbance, before: Look, looks: list[Look]) -> str:
    after = looks[-1]
    if not disturbance.must_fall(after):
        return f"not safe: {after.outputs}"
    if disturbance.module_falls and not after.tripped:
        return "the module's watchdog has not tripped"
    if not disturbance.module_falls and after.tripped:
        return "the module's watchdog has tripped"
    for name, on in SAFE.items():
        if before.outputs[name] is on and any(look.outputs[name] is not on for look in looks):
            return f"{name} left its safe value"
    if any(look.green and look.red for look in looks):
        return "green and red together"
    return ""
