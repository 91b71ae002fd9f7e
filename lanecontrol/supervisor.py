"""One device in session for ever: back-off, availability, counting and logging for every driver.

Made by the composition root, one per device. A driver's failure ends here: nothing that a driver does reaches the
lane but reports of its declared types and the device's state. Sessions and commands run as tasks of their own whose
end is looked at, so that a bug in a driver is an observation and not an exception; `except Exception` is not needed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Never

import structlog

from lanecontrol.backing import Alone, Backing
from lanecontrol.clock import Clock, Instant
from lanecontrol.commands import Command, Outcome, Result
from lanecontrol.driver import Driver
from lanecontrol.errors import CommandError, CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import DeviceChanged, DeviceReport, DeviceState, Event, Identity
from lanecontrol.failures import Backoff, Bug, bug_text, cause, where
from lanecontrol.identifier import HashKey, keyed_hash
from lanecontrol.links import Traffic
from lanecontrol.links.address import parse_url, place
from lanecontrol.sealing import Sealer

END_S: Final = 2.0
"""A cancelled session or command has this long to end: twice what closing a link may take."""

LISTENED_S: Final = 1.0
"""A session of a driver that listens and lasted so long is begun again without waiting."""

Emit = Callable[[str, Event], None]
"""Takes an event of a device (by its id) in. Never blocks or raises."""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A snapshot of one device, for status lines and `devices`."""

    device: str
    kind: str
    state: DeviceState
    reason: str
    """Why it is in this state; while it is away, the newest failure."""
    since: Instant
    identity: Identity
    busy: bool
    sessions: int
    """How often it came online."""
    failures: int
    """Failed attempts in a row."""
    lost: int
    """How often it went from online to something else."""
    events: int
    doubts: int
    bugs: int
    rx_bytes: int
    tx_bytes: int
    turned_away: int = 0
    """Connections to us that were refused or failed before they began, for a device that connects to us."""
    turned_away_why: str = ""


class Supervisor:
    """Runs one driver. `run` is its task; `perform` carries out a command; `status` tells how it is."""

    def __init__(
        self,
        driver: Driver,
        emit: Emit,
        *,
        clock: Clock,
        rng: random.Random,
        hash_key: HashKey,
        healthy: Callable[[], bool] = lambda: True,
        traffic: Traffic | None = None,
        backing: Backing | None = None,
    ) -> None:
        self.device: str = driver.config.id
        self.kind: str = driver.config.kind
        self.driver = driver
        self._emit = emit
        self._clock = clock
        self._hash_key = hash_key
        self._healthy = healthy
        self._traffic = traffic or getattr(driver.links, "traffic", None) or Traffic()
        self._backing = backing or Alone()
        self._backoff = Backoff(rng)
        self._log: Any = structlog.get_logger("lanecontrol.device").bind(device=self.device, kind=self.kind)
        self._state = DeviceState.CONNECTING
        self._reason = "not started"
        self._since: Instant | None = None
        self._identity = Identity()
        self._session: _Session | None = None
        self._performing: asyncio.Task[Outcome] | None = None
        self._last_bug = ""
        self._sessions = self._lost = self._events = self._doubts = self._bugs = 0

    # --- the device's life -------------------------------------------------------------------------------------------

    async def run(self) -> Never:
        """Keep the device in session; ends only by being cancelled, and then the link is closed."""
        self._change(DeviceState.CONNECTING, self._nobody_yet() or "first attempt")
        loop = asyncio.get_running_loop()
        try:
            while True:
                began_s = loop.time()
                failure = await self._one_session()
                wait_s = self._backoff.after(failure)
                if self._only_waited(failure, loop.time() - began_s):
                    wait_s = 0.0
                self._ended(failure, wait_s)
                await asyncio.sleep(wait_s)
        finally:
            self._state, self._reason = DeviceState.OFFLINE, "stopped"

    def _nobody_yet(self) -> str:
        """In words that nobody has connected to us yet; empty for a device that we connect to."""
        traffic = self._traffic
        if not self.driver.traits.listens or traffic.connections:
            return ""
        where = place(parse_url(self.driver.config.url))
        if traffic.turned_away:
            return f"nobody was let in yet at {where}: {traffic.turned_away_why}"
        return f"nobody has connected yet at {where}"

    def _only_waited(self, failure: BaseException, lasted_s: float) -> bool:
        """We listened and the device did not come, or went. Listening again at once disturbs nobody, and the device
        must not find the door shut."""
        listened = self.driver.traits.listens and bool(self._traffic.listening_at)
        return listened and isinstance(failure, LinkLost) and lasted_s >= LISTENED_S

    async def _one_session(self) -> BaseException:
        """Why the session ended."""
        session = self._session = _Session(self)
        task = asyncio.get_running_loop().create_task(self.driver.session(session), name=f"session {self.device}")
        session.task = task
        try:
            await asyncio.wait({task})  # no deadline: a session lasts as long as its device
        finally:
            self._session = None
            session.over.set_result(None)
            await _end(task)
        if session.breach:
            return Bug(session.breach)
        if session.lost is not None:
            return session.lost
        if task.cancelled():
            return Bug("the session cancelled itself")
        return cause(task.exception() or Bug("the session returned"))

    def _ended(self, failure: BaseException, wait_s: float) -> None:
        match failure:
            case ProtocolViolation() | CredentialsRefused():
                self._change(DeviceState.FAULT, f"{failure.deed}: {failure.why}", retry_in_s=wait_s)
            case LinkLost():
                nobody = self._nobody_yet() if self._traffic.listening_at else ""
                self._change(DeviceState.OFFLINE, nobody or f"{failure.deed}: {failure.why}", retry_in_s=wait_s)
            case _:
                self._count_bug(failure)
                self._change(DeviceState.FAULT, bug_text(failure), retry_in_s=wait_s)

    def _change(
        self, state: DeviceState, reason: str, identity: Identity | None = None, retry_in_s: float | None = None
    ) -> None:
        """Go to `state`: told and logged once, when it is another one. The newest reason is always kept."""
        self._reason = reason
        before, since = self._state, self._since
        if state is before and since is not None:
            return
        now = self._clock.now()
        self._state, self._since = state, now
        if before is DeviceState.ONLINE:
            self._lost += 1
        self._log_change(before, reason, now.mono_s - since.mono_s if since else 0.0, retry_in_s)
        self._emit(self.device, DeviceChanged(state, reason, identity or self._identity))

    def _log_change(self, before: DeviceState, reason: str, lasted_s: float, retry_in_s: float | None) -> None:
        facts = {"reason": reason, "before": before.value, "lasted_s": round(lasted_s, 1), "lost": self._lost}
        if self._state is DeviceState.ONLINE:
            self._log.info("device online", **facts)
        elif self._state is not DeviceState.CONNECTING:
            self._log.warning(f"device {self._state.value}", retry_in_s=round(retry_in_s or 0.0, 1), **facts)

    # --- what a session tells ----------------------------------------------------------------------------------------

    def _online(self, session: _Session, identity: Identity) -> None:
        if session is not self._session:
            return
        if session.online_told:
            self._learned(identity)
            return
        session.online_told = True
        self._sessions += 1
        self._backoff.online()
        self._identity = identity
        self._change(DeviceState.ONLINE, "the device answers", identity)

    def _learned(self, identity: Identity) -> None:
        """The device said more about itself later in the session."""
        if identity != self._identity:
            self._identity = identity
            self._emit(self.device, DeviceChanged(DeviceState.ONLINE, "the device told more about itself", identity))

    def _report(self, session: _Session, event: DeviceReport) -> None:
        if session is not self._session:
            return
        if not session.online_told:
            session.end_for(f"reported {type(event).__name__} before it was online")
        elif type(event) not in self.driver.reports:
            session.end_for(f"reported {type(event).__name__}, which it does not declare")
        elif not session.breach:
            self._events += 1
            self._emit(self.device, event)

    def _doubt(self, raw: bytes, why: str) -> None:
        self._doubts += 1
        if _is_power_of_ten(self._doubts):
            digest = keyed_hash(self._hash_key, raw)
            self._log.warning("bytes in doubt", why=why, count=self._doubts, length=len(raw), hash=digest)

    def _count_bug(self, failure: BaseException) -> None:
        self._bugs += 1
        text = bug_text(failure)
        if text != self._last_bug:
            self._last_bug = text
            self._log.error("bug in the driver", error=text, where=where(failure), count=self._bugs)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def perform(self, command: Command, timeout_s: float) -> Outcome:
        """Carry out `command` now, or refuse it with the reason. Never raises but for cancellation.

        Timed out, or cut by the end of the session: UNKNOWN. When this call itself is cancelled, the command has
        ended (or END_S has passed) before the cancellation goes on to the caller, who must take it as UNKNOWN.
        """
        session = self._session
        if refusal := self._refusal(command):
            return Outcome(Result.REFUSED, refusal)
        assert session is not None
        task = asyncio.get_running_loop().create_task(self.driver.perform(command), name=f"perform {self.device}")
        self._performing = task
        try:
            ends: set[asyncio.Future[Any]] = {task, session.over}
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finished = task.done()
        finally:
            await _end(task)
            if not task.done():
                self._abandon(session)
        if finished:
            return self._outcome(task)
        lost = session.over.done()
        return Outcome(Result.UNKNOWN, "the session ended meanwhile" if lost else f"no answer within {timeout_s:g} s")

    def _abandon(self, session: _Session) -> None:
        """A command that will not end must not stand in the way of one that withdraws: the session ends with it.

        The link is closed, so nothing more comes of it, and the module's own watchdog has its say meanwhile.
        """
        self._performing = None
        session.end_for("a command did not end when it was cancelled")

    def _refusal(self, command: Command) -> str:
        if self._state is not DeviceState.ONLINE or self._session is None:
            return f"{self.device} is {self._state.value}: {self._reason}"
        if type(command) not in self.driver.performs:
            return f"{self.kind} performs no {type(command).__name__}"
        if self._performing is not None and not self._performing.done():
            return "busy"
        return ""

    def _outcome(self, task: asyncio.Task[Outcome]) -> Outcome:
        if task.cancelled():
            return Outcome(Result.UNKNOWN, "cancelled by the driver")
        match error := task.exception():
            case None:
                return task.result()
            case CommandError():
                return Outcome(Result.FAILED, f"{error.deed}: {error.why}")
            case DeviceError():
                return Outcome(Result.UNKNOWN, f"{error.deed}: {error.why}")
            case _:
                self._count_bug(error)
                return Outcome(Result.UNKNOWN, bug_text(error))

    # --- for status lines --------------------------------------------------------------------------------------------

    @property
    def status(self) -> DeviceStatus:
        """How the device is now."""
        return DeviceStatus(
            device=self.device,
            kind=self.kind,
            state=self._state,
            reason=self._reason,
            since=self._since or self._clock.now(),
            identity=self._identity,
            busy=self._performing is not None and not self._performing.done(),
            sessions=self._sessions,
            failures=self._backoff.failures,
            lost=self._lost,
            events=self._events,
            doubts=self._doubts,
            bugs=self._bugs,
            rx_bytes=self._traffic.rx_bytes,
            tx_bytes=self._traffic.tx_bytes,
            turned_away=self._traffic.turned_away,
            turned_away_why=self._traffic.turned_away_why,
        )


class _Session:
    """What one session is given (a `Reporter`). Once the session is over, what it says is ignored."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.task: asyncio.Task[None] | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.online_told = False
        self.breach = ""
        self.lost: LinkLost | None = None
        self._losses = supervisor._backing.losses

    def end_for(self, breach: str) -> None:
        """The driver broke its contract: end the session. What it still says is dropped."""
        self.breach = self.breach or breach
        if self.task is not None:
            self.task.cancel()

    @property
    def clock(self) -> Clock:
        return self._supervisor._clock

    @property
    def healthy(self) -> bool:
        return self._supervisor._healthy()

    def online(self, identity: Identity) -> None:
        self._supervisor._online(self, identity)

    def report(self, event: DeviceReport) -> None:
        self._supervisor._report(self, event)

    def doubt(self, raw: bytes, why: str) -> None:
        self._supervisor._doubt(raw, why)

    async def keep(self, picture: bytes, media_type: str) -> str:
        return "" if self.over.done() else await self._supervisor._backing.keep(picture, media_type)

    async def settled(self) -> None:
        backing = self._supervisor._backing
        await backing.settled()
        if backing.losses != self._losses:
            await self._begin_again()

    async def _begin_again(self) -> None:
        """Something was lost between the driver and the disk: a new session tells what was not settled once more."""
        self.lost = LinkLost("settle", "the lane could not take everything in; the device's spool is told again")
        if self.task is not None:
            self.task.cancel()
        await asyncio.get_running_loop().create_future()  # until the session's end cancels this

    @property
    def spool(self) -> Path:
        return self._supervisor._backing.spool

    @property
    def sealer(self) -> Sealer:
        return self._supervisor._backing.sealer


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel the task unless it is done, and wait until it has ended; one that will not is left behind after END_S."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=END_S)
    if task.done() and not task.cancelled():
        task.exception()  # looked at here, or asyncio prints it as never retrieved
