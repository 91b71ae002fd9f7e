"""One connection to a Modbus/TCP module: who may ask when, what was read last, and what that means for the lane.

Called by the driver only. One request is under way at a time; a command goes between two polls. The path of a poll that
reads what the last one read is kept short, because it runs twenty times a second for years.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drivers.io_modbus_requests import (
    Asked,
    Points,
    flag_request,
    heartbeats,
    inputs_request,
    made_ready,
    readback_request,
)
from drivers.modbus_codec import (
    PERMANENT,
    Answer,
    Bits,
    Mismatch,
    Refused,
    Request,
    WriteCoils,
    Written,
    read_answer,
)
from drivers.modbus_conversation import Conversation
from lanecontrol.commands import DONE, Outcome, Result
from lanecontrol.driver import Reporter
from lanecontrol.errors import CommandError, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import Identity, InputChanged, InputsFresh, InputsStale, ModuleWatchdogTripped, OutputsRead
from lanecontrol.links import Link

TURN_S = 0.5
"""A command that has not got its turn by then is refused: it was not sent, and the lane must know at once."""

PUT_OFF_S = 0.1
"""Reading back and the heartbeat wait at most so long for inputs that change at every poll."""
TELL_AGAIN_S = 30.0
"""A trip that cannot be cleared is told at least so often."""
_ROUNDING_S = 0.001
"""Timers may come this much early."""


@dataclass(frozen=True, slots=True)
class Timing:
    poll_s: float
    request_s: float
    stale_s: float
    silence_s: float
    readback_s: float
    heartbeat_s: float
    watchdog_s: float


class _Starved(Exception):
    """The request got no answer in time."""


class Session:
    """Serves one link until it is lost."""

    def __init__(self, link: Link, out: Reporter, points: Points, timing: Timing, *, stale: bool) -> None:
        self._out, self._points, self._timing = out, points, timing
        self._wire = Conversation(link, out, self._lost_track)
        self._turn = asyncio.Lock()
        self._answered_s = out.clock.now().mono_s
        self._failing = ""
        self._inputs = inputs_request(points)
        self._inputs_tail: bytes | None = None
        self._inputs_bits: int | None = None
        self._read_s = self._answered_s
        self._age_timer: asyncio.TimerHandle | None = None
        self._readback = readback_request(points)
        self._told_outputs: int | None = None
        self._flag = flag_request(points)
        self._tripped = False
        self._tell_again_s = 0.0
        """From then on the trip is told again, while the lane is healthy and so can have it cleared."""
        self._clears = 0
        """How often it was to be cleared since the flag was last seen down."""
        self._heartbeats = heartbeats(points)
        self._fed = False
        """The watchdog was fed in this session, and so is running."""
        self._unhealthy_s: float | None = None
        self._check_due_s = self._answered_s
        self._heartbeat_due_s = self._answered_s if self._heartbeats is not None else float("inf")
        self.stale = stale
        """The inputs were reported stale and have not been read since."""
        self.online = False

    async def run(self) -> None:
        """Read watchdog flag, outputs and inputs, go online, then poll. Raises LinkLost, ProtocolViolation."""
        tripped = await self._surely("read watchdog flag", self._flag)
        outputs = await self._surely("read outputs", self._readback)
        inputs = await self._surely("read inputs", self._inputs)
        self._out.online(Identity(model=self._points.profile.title))
        self.online = True
        self._take_flag(tripped)
        self._take_outputs(outputs)
        now_s = self._now_s()
        self._check_due_s = now_s + self._timing.readback_s
        try:
            self._take_inputs(inputs, now_s - self._timing.request_s)
            await self._poll()
        finally:
            self.online = False
            if self._age_timer is not None:
                self._age_timer.cancel()

    @property
    def healthy(self) -> bool:
        """The lane's health verdict now."""
        return self._out.healthy

    async def carry_out(self, deed: str, requests: Iterable[Request]) -> Outcome:
        """Send the requests of a command between two polls, each once. Raises CommandError."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            return Outcome(Result.REFUSED, "the module is busy with other requests")
        try:
            if not self._fed and self._heartbeats is not None and self._fit:
                await self._feed(self._heartbeats)  # nothing is driven by a watchdog that was never started
            for request in requests:
                await self._write(deed, request)
        except _Starved:
            return Outcome(Result.UNKNOWN, "no answer from the module")
        except (LinkLost, ProtocolViolation) as error:
            return Outcome(Result.UNKNOWN, error.why)
        finally:
            self._check_due_s = self._now_s()
            self._turn.release()
        return DONE

    # --- the wire --------------------------------------------------------------------------------------------------

    def _lost_track(self, why: str) -> DeviceError:
        """Before the first good answer this is the wrong device; later the stream broke, and a new one may be good."""
        return LinkLost("read answer", why) if self.online else ProtocolViolation("read answer", why)

    def _read(self, asked: Asked, tail: bytes) -> Answer:
        """What an answer says. A refusal is no sign of life: a module that only refuses is as good as away."""
        answer = read_answer(self._points.unit, asked.request, tail)
        match answer:
            case Bits() | Written():
                self._answered_s = self._now_s()
                self._failing = ""
            case Refused():
                self._failing = f"the module answers {answer}"
            case Mismatch(why):
                self._out.doubt(tail, why)
        return answer

    async def _exchange(self, asked: Asked) -> Answer | None:
        """Ask once; None where there is no answer in time."""
        tail = await self._wire.ask(asked.tail, self._timing.request_s)
        return None if tail is None else self._read(asked, tail)

    async def _bits(self, deed: str, asked: Asked) -> int | None:
        """Read bits; None where they could not be read now. Raises LinkLost after too long a silence."""
        async with self._turn:
            answer = await self._exchange(asked)
        if isinstance(answer, Bits):
            return answer.value
        self._missed(deed)
        return None

    def _missed(self, deed: str) -> None:
        limit_s = self._timing.silence_s
        if self._now_s() - self._answered_s >= limit_s - _ROUNDING_S:
            raise LinkLost(deed, self._failing or f"no answer for {limit_s:g} s")

    async def _surely(self, deed: str, asked: Asked | None) -> int | None:
        """Ask until answered, at most as long as a silence may last; None where there is nothing to ask for."""
        if asked is None:
            return None
        while True:
            answer = await self._exchange(asked)
            match answer:
                case Bits(value):
                    return value
                case Refused(code) if code in PERMANENT:
                    raise ProtocolViolation(deed, f"the module answers {answer}")
            self._missed(deed)
            await asyncio.sleep(self._timing.poll_s)

    # --- polling ---------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        due_s = self._now_s()
        while True:
            now_s, edge = self._now_s(), False
            if self._withholds(now_s):
                self._answered_s = now_s
            else:
                edge = await self._poll_once(now_s)
            due_s = max(due_s + self._timing.poll_s, now_s)
            least_s = self._timing.poll_s / 2 if edge else 0.0
            await asyncio.sleep(max(due_s - self._now_s(), least_s))

    async def _poll_once(self, now_s: float) -> bool:
        """The inputs first; answers whether they had changed.

        After an edge the wire is left to what the lane makes of it: the rest can wait a poll, and polls that are late
        do not come one upon the other.
        """
        edge = self._inputs is not None and await self._poll_inputs(self._inputs, now_s)
        if edge and now_s < min(self._check_due_s, self._heartbeat_due_s) + PUT_OFF_S:
            return True
        if now_s >= self._check_due_s:
            self._check_due_s = now_s + self._timing.readback_s
            await self._check()
        if self._heartbeats is not None and now_s >= self._heartbeat_due_s and self._fit:
            self._heartbeat_due_s = now_s + self._timing.heartbeat_s
            async with self._turn:
                await self._feed(self._heartbeats)
        return edge

    async def _feed(self, heartbeats: Iterator[Asked]) -> None:
        if isinstance(await self._exchange(next(heartbeats)), Written):
            self._fed = True

    @property
    def _fit(self) -> bool:
        """The watchdog may be fed: the lane is healthy and what this module tells it is fresh."""
        return self._out.healthy and not self.stale

    async def _poll_inputs(self, asked: Asked, now_s: float) -> bool:
        """Whether there was an answer, and another one than before."""
        async with self._turn:
            tail = await self._wire.ask(asked.tail, self._timing.request_s)
        if tail is not None and tail == self._inputs_tail:
            self._answered_s = now_s
            self._inputs_read(now_s)
            return False
        answer = None if tail is None else self._read(asked, tail)
        if isinstance(answer, Bits):
            self._inputs_tail = tail
            self._take_inputs(answer.value, now_s)
            return True
        self._missed("read inputs")
        return False

    def _take_inputs(self, bits: int | None, asked_s: float) -> None:
        if bits is not None:
            self._report_edges(bits ^ self._points.inputs_mask)
            self._inputs_read(asked_s)

    def _inputs_read(self, asked_s: float) -> None:
        """The inputs are as old as the question, not as the answer."""
        self._read_s = asked_s
        if self.stale:
            self.stale = False
            self._out.report(InputsFresh())
        if self._age_timer is None:
            self._watch_age()

    def _report_edges(self, bits: int) -> None:
        first, before = self._inputs_bits is None, self._inputs_bits or 0
        self._inputs_bits = bits
        for name, at in self._points.inputs:
            if first or (bits ^ before) >> at & 1:
                self._out.report(InputChanged(name, bool(bits >> at & 1)))

    def _watch_age(self) -> None:
        """Report inputs that have grown too old. A timer that is set again at most once per limit."""
        age_s = self._now_s() - self._read_s
        if age_s >= self._timing.stale_s - _ROUNDING_S:
            self._age_timer = None
            self.stale = True
            self._out.report(InputsStale(age_s))
        else:
            loop = asyncio.get_running_loop()
            self._age_timer = loop.call_later(self._timing.stale_s - age_s, self._watch_age)

    # --- outputs and watchdog --------------------------------------------------------------------------------------

    async def _check(self) -> None:
        if self._readback is not None:
            self._take_outputs(await self._bits("read outputs", self._readback))
        if self._flag is not None:
            self._take_flag(await self._bits("read watchdog flag", self._flag))

    def _take_outputs(self, bits: int | None) -> None:
        """Tell the lane what the outputs are where that is not what it knows already."""
        if bits is None:
            return
        named = sum(1 << at for _, at in self._points.outputs)
        if self._told_outputs is not None and not (bits ^ self._told_outputs) & named:
            return
        self._told_outputs = bits
        real = bits ^ self._points.outputs_mask
        self._out.report(OutputsRead(tuple((name, bool(real >> at & 1)) for name, at in self._points.outputs)))

    def _take_flag(self, value: int | None) -> None:
        watchdog = self._points.profile.watchdog
        if value is None or watchdog is None or watchdog.flag is None:
            return
        tripped = value == watchdog.flag.tripped
        healthy = self._out.healthy
        if tripped and (not self._tripped or (healthy and self._now_s() >= self._tell_again_s)):
            self._out.report(ModuleWatchdogTripped())
            self._tell_again_s = float("inf") if healthy else 0.0
        if not tripped:
            self._clears = 0
        self._tripped = tripped

    def clearing_ended(self, *, sent: bool) -> None:
        """The lane has asked once for the flag to be cleared. Whatever came of it, a flag that is still up is told
        again, or nobody would ever clear it: after a while that grows, for a module that never lets go of it."""
        if not sent:
            self._tell_again_s = 0.0
            return
        wait_s = min(self._timing.readback_s * 2.0 ** min(self._clears, 10), TELL_AGAIN_S)
        self._tell_again_s = self._now_s() + wait_s
        self._clears += 1

    async def _write(self, deed: str, request: Request) -> None:
        """One write of a command. What is not answered leaves the outputs unknown until they are read back.

        Where any request feeds the watchdog this one does too: starving it begins anew.
        """
        if self._unhealthy_s is not None:
            self._unhealthy_s = self._now_s()
        told, self._told_outputs = self._told_outputs, None
        match await self._exchange(made_ready(self._points, request)):
            case Written():
                self._told_outputs = self._after(told, request)
            case Refused() as refused:
                raise CommandError(deed, f"the module answers {refused}")
            case _:
                raise _Starved

    def _after(self, told: int | None, request: Request) -> int | None:
        """The outputs as the lane knows them after a write to coils among them."""
        outputs = self._points.profile.outputs
        if told is None or outputs is None or not isinstance(request, WriteCoils):
            return told
        for at, on in enumerate(request.values, request.address - outputs.base):
            if 0 <= at < outputs.count:
                told = told | 1 << at if on else told & ~(1 << at)
        return told

    def _withholds(self, now_s: float) -> bool:
        """Nothing is asked for a while after the lane turned unhealthy, where any request would feed the watchdog.

        Half as long again as the watchdog takes; then its flag holds the outputs, and polling may go on.
        """
        watchdog = self._points.profile.watchdog
        if watchdog is None or watchdog.fed_by != "requests":
            return False
        if self._out.healthy:
            self._unhealthy_s = None
            return False
        if self._unhealthy_s is None:
            self._unhealthy_s = now_s
        return now_s - self._unhealthy_s < 1.5 * self._timing.watchdog_s

    def _now_s(self) -> float:
        return self._out.clock.now().mono_s
