"""Every disturbance in every state of the lane: what was shown before, and how long until the outputs were safe.

A disturbance is done and undone; a state is reached from the one before it. What is looked for is seen by the rig's
independent client. Used by the test of it and by the benchmark `failsafe`.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failsafe_rig import Rig
from failsafe_watch import SAFE, WATCHDOG_S, Look

LIMIT_S = WATCHDOG_S + 0.1
"""By then a look has to have shown that all is safe: the watchdog's time, and a little for a feed that was under way
and for looks that are 20 ms apart. A look that comes late counts against the lane."""
BEHIND_S = 0.1
"""Where what was seen is wrong, and the measurer itself did not look for so long, the trial says nothing: once more."""
TRIES = 3
LOOKS_ON_S = WATCHDOG_S + 0.3
"""So long it is watched after the disturbance: what is safe has to stay so."""
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
    gap_ms: float
    """The longest that the independent client itself did not look."""
    wrong: str = ""
    safe_values: Mapping[str, bool] = field(default_factory=lambda: SAFE)

    @property
    def unsafe_before(self) -> list[str]:
        return [name for name, on in self.before.items() if on is not self.safe_values.get(name, on)]

    @property
    def says_nothing(self) -> bool:
        """The measurer was behind: neither good nor bad, to be repeated."""
        return bool(self.wrong) and self.gap_ms > BEHIND_S * 1000


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
        lane.doors[lane.watched].shut()

    async def mend(self, lane: Rig) -> None:
        lane.doors[lane.watched].open()
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
        return look.withdrawn


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


Reach = Callable[[Any], Awaitable[Any]]
Plan = Mapping[str, Sequence[type[Disturbance]]]
"""Which disturbances in which states."""
Told = Callable[[Seen], None]


async def all_seen(
    make: Callable[[], AbstractAsyncContextManager[Rig]],
    plan: Plan,
    ways: Mapping[str, Reach] = STATES,
    tell: Told = lambda seen: None,
) -> list[Seen]:
    """The whole plan with one lane; what said nothing because the measurer was behind is done again, with another one.

    Raises AssertionError where that happens again and again.
    """
    found: list[Seen] = []
    for _ in range(TRIES):
        async with make() as lane:
            tried = [seen async for seen in disturbed(lane, plan, ways)]
        for seen in tried:
            tell(seen)
        found += [seen for seen in tried if not seen.says_nothing]
        plan = {
            state: [kind for kind in kinds if any(s.says_nothing and _is(s, kind, state) for s in tried)]
            for state, kinds in plan.items()
        }
        if not any(plan.values()):
            return found
    raise AssertionError(f"the measurer itself was behind {TRIES} times: {plan}")


def _is(seen: Seen, kind: type[Disturbance], state: str) -> bool:
    return (seen.disturbance, seen.state) == (kind.name, state)


async def disturbed(lane: Rig, plan: Plan, ways: Mapping[str, Reach] = STATES) -> AsyncIterator[Seen]:
    """Go through the states up to the last that is named, and disturb the lane in each as planned."""
    named = [state for state in ways if plan.get(state)]
    for name, reach in ways.items():
        for kind in plan.get(name) or (None,):
            await reach(lane)
            if kind is not None:
                yield await _disturb(lane, kind(), name)
        if named and name == named[-1]:
            return


async def _disturb(lane: Rig, disturbance: Disturbance, state: str) -> Seen:
    observer = lane.observer
    await lane.until_fed()
    await observer.looks_again()
    loop, before, first = asyncio.get_running_loop(), observer.now, len(observer.looks)
    began_s = loop.time()
    await disturbance.begin(lane)
    await asyncio.sleep(max(0.0, began_s + LOOKS_ON_S - loop.time()))
    looks = [look for look in observer.looks[first:] if look.at_s >= began_s]
    gap_s = max(observer.widest_gap_s(first), loop.time() - observer.now.at_s)
    seen = _seen(disturbance, state, before, looks, began_s, gap_s)
    await disturbance.mend(lane)
    return seen


def _seen(disturbance: Disturbance, state: str, before: Look, looks: list[Look], began_s: float, gap_s: float) -> Seen:
    after = looks[-1] if looks else before
    unsafe = [look.at_s for look in looks if not disturbance.must_fall(look)]
    safe_s = next((look.at_s for look in looks if not unsafe or look.at_s > unsafe[-1]), None)
    took_s = None if safe_s is None else safe_s - began_s
    if took_s is not None and not unsafe and disturbance.must_fall(before):
        took_s = 0.0
    return Seen(
        disturbance.name,
        state,
        before.outputs,
        after.outputs,
        None if took_s is None else round(took_s * 1000),
        after.tripped,
        sum(look.green and look.red for look in looks),
        round(gap_s * 1000),
        _wrong(disturbance, before, looks, took_s),
        before.safe_values,
    )


def _wrong(disturbance: Disturbance, before: Look, looks: list[Look], took_s: float | None) -> str:
    if took_s is None:
        return f"not safe: {looks[-1].outputs if looks else 'nobody looked'}"
    if took_s > LIMIT_S:
        return f"safe only after {took_s * 1000:.0f} ms"
    after = looks[-1]
    if disturbance.module_falls and not after.tripped:
        return "the module's watchdog has not tripped"
    if not disturbance.module_falls and any(look.tripped for look in looks):
        return "the module's watchdog has tripped"
    for name, on in before.safe_values.items():
        if before.outputs[name] is on and any(look.outputs[name] is not on for look in looks):
            return f"{name} left its safe value"
    if any(look.green and look.red for look in looks):
        return "green and red together"
    return ""
