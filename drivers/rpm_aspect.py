"""Driver `rpm.aspect`: Aspect radiation portals, which are Modbus/TCP servers.

Called by the supervisor. Reads the description, then the monitor block again and again. Must never take a failed
answer, an exception or the same values once more for a sample, never decide on an alarm, and never write a register.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from drivers.modbus_codec import PERMANENT, Bits, Mismatch, Read, Refused, read_answer, request_tail
from drivers.modbus_conversation import Conversation
from drivers.rpm_aspect_codec import (
    DESCRIPTION,
    MONITOR_REGISTERS,
    Description,
    Monitor,
    monitor_request,
    read_description,
    read_monitor,
)
from drivers.rpm_aspect_facts import Memory, PortalEvent, Watch, Ways
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.errors import DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import (
    Identity,
)
from lanecontrol.links import Link

_ROUNDING_S = 0.001
"""Timers may come this much early."""


class AspectConfig(DeviceConfig):
    """A radiation portal of the make Aspect. Nothing of its protocol was tried on a real portal yet."""

    kind: Literal["rpm.aspect"] = "rpm.aspect"
    unit: int = Field(default=1, ge=0, le=255)
    """Modbus unit id."""
    signatures: tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...] = ()
    """Signatures (register 0) of portals that may stand here; without any, every signature is taken."""
    words: Literal["low_first", "high_first"] = "low_first"
    """Which half of a value of 32 bits, whole or float, comes first."""
    neutron: bool = True
    """Whether the portal has a neutron channel."""
    count_time_s: float = Field(default=1.0, ge=0.05, le=600)
    """The time that the portal's counts, and its background with them, stand for."""
    elapsed_runs: bool = True
    """The portal's elapsed time runs on, so that values which do not change at all are those of a frozen portal."""
    poll_ms: int = Field(default=200, ge=200, le=1000)
    """Time from one reading to the next while vacant."""
    occupied_poll_ms: int = Field(default=100, ge=100, le=200)
    """The same while occupied."""
    request_timeout_ms: int = Field(default=150, ge=10, le=5000)
    """How long to wait for an answer."""
    stale_limit_s: float = Field(default=1.0, ge=0.2, le=60)
    """Without fresh values for so long they are reported as stale."""
    silence_timeout_s: float = Field(default=3.0, gt=0, le=600)
    """Without fresh values for so long the link counts as lost."""
    end_hold_ms: int = Field(default=300, ge=100, le=10_000)
    """An occupancy is over when all occupancy signals were clear for so long."""
    background_s: float = Field(default=5.0, ge=0.2, le=60)
    """Time from one report of the background to the next while vacant."""

    @model_validator(mode="after")
    def _times_fit_together(self) -> AspectConfig:
        if self.stale_limit_s * 1000 <= self.poll_ms + self.request_timeout_ms:
            raise ValueError("stale_limit_s must exceed poll_ms + request_timeout_ms: one lost answer is no fault")
        if self.silence_timeout_s < self.stale_limit_s:
            raise ValueError("silence_timeout_s must not be shorter than stale_limit_s")
        return self


class AspectPortal(Driver):
    """One portal. Online once its description and a first fresh sample are read."""

    Config = AspectConfig
    config: AspectConfig
    reports = frozenset(get_args(PortalEvent))
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=False, silence_s=3.0)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._memory = Memory()

    async def session(self, out: Reporter) -> None:
        config = self.config
        async with self.links.open(config.url, timeout_s=config.connect_timeout_s) as link:
            await _Session(link, out, config, self._memory).run()


class _Session:
    """Serves one link until it is lost. One request is under way at a time."""

    def __init__(self, link: Link, out: Reporter, config: AspectConfig, memory: Memory) -> None:
        self._out, self._config, self._memory = out, config, memory
        ways = Ways(config.count_time_s, config.neutron, config.end_hold_ms / 1000, config.background_s)
        self._watch = Watch(ways, memory)
        self._wire = Conversation(link, out, self._lost_track)
        self._failing = ""
        self._fresh_s = self._now_s()
        self._age_timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Raises LinkLost, ProtocolViolation."""
        limit_s = self._config.silence_timeout_s
        try:
            async with asyncio.timeout(limit_s) as silence:
                description = await self._describe()
                request = self._monitor(description)
                await self._watch_for_ever(request, _identity(description), silence)
        except TimeoutError:
            raise LinkLost("read", self._failing or f"no answer for {limit_s:g} s") from None
        finally:
            if self._age_timer is not None:
                self._age_timer.cancel()

    # --- handshake -------------------------------------------------------------------------------------------------

    async def _describe(self) -> Description:
        """Ask until it is answered; the silence ends it."""
        while True:
            answer = await self._exchange(DESCRIPTION)
            if isinstance(answer, Bits):
                return read_description(answer.value)
            self._refuse("read description", answer)
            await asyncio.sleep(self._config.poll_ms / 1000)

    def _monitor(self, description: Description) -> Read:
        """Raises ProtocolViolation where this is no portal that we know how to read."""
        signatures = self._config.signatures
        if signatures and description.signature not in signatures:
            raise ProtocolViolation("read description", f"signature {description.signature:#06x} is not in the list")
        request = monitor_request(description)
        if request is None:
            length, base = description.monitor_length, description.monitor_base
            raise ProtocolViolation(
                "read description", f"a monitor block of {length} registers at {base}, not {MONITOR_REGISTERS} or more"
            )
        return request

    @staticmethod
    def _refuse(deed: str, answer: Refused | None) -> None:
        if answer is not None and answer.code in PERMANENT:
            raise ProtocolViolation(deed, f"the portal answers {answer}")

    # --- watching --------------------------------------------------------------------------------------------------

    async def _watch_for_ever(self, request: Read, identity: Identity, silence: asyncio.Timeout) -> None:
        online, due_s = False, self._now_s()
        while True:
            asked_s = self._now_s()
            answer = await self._exchange(request)
            if isinstance(answer, Bits):
                sample = read_monitor(answer.value, high_first=self._config.words == "high_first")
                if self._is_fresh(sample):
                    if not online:
                        online = True
                        self._out.online(identity)
                    self._take(asked_s, sample, silence)
            elif not online:
                self._refuse("read monitor block", answer)
            due_s = max(due_s + self._period_s(), asked_s)
            await asyncio.sleep(max(due_s - self._now_s(), 0.0))

    def _period_s(self) -> float:
        config = self._config
        return (config.occupied_poll_ms if self._watch.occupied else config.poll_ms) / 1000

    def _is_fresh(self, sample: Monitor) -> bool:
        """A portal that hangs may answer for ever. Compared also with the session before: it may hang through both."""
        last = self._memory.last
        if last is None or not self._config.elapsed_runs or sample.raw != last.raw:
            return True
        self._failing = "the portal repeats the same values"
        return False

    def _take(self, asked_s: float, sample: Monitor, silence: asyncio.Timeout) -> None:
        """The values are as old as the question, not as the answer."""
        if self._watch.sees_restart(sample):
            raise LinkLost("read", "the portal has restarted: its elapsed time went back")
        self._fresh_s, self._failing = asked_s, ""
        silence.reschedule(asked_s + self._config.silence_timeout_s)
        if self._age_timer is None:
            self._watch_age()
        self._tell(self._watch.take(asked_s, sample))

    def _watch_age(self) -> None:
        """Report values that have grown too old. A timer that is set again at most once per limit."""
        limit_s = self._config.stale_limit_s
        age_s = self._now_s() - self._fresh_s
        if age_s >= limit_s - _ROUNDING_S:
            self._tell(self._watch.grow_stale(self._failing or f"no answer for {limit_s:g} s"))
            age_s = 0.0
        loop = asyncio.get_running_loop()
        self._age_timer = loop.call_later(limit_s - age_s, self._watch_age)

    def _tell(self, events: list[PortalEvent]) -> None:
        for event in events:
            self._out.report(event)

    # --- the wire --------------------------------------------------------------------------------------------------

    async def _exchange(self, request: Read) -> Bits | Refused | None:
        """Ask once; None where there is no answer in time, or none that fits."""
        config = self._config
        tail = await self._wire.ask(request_tail(config.unit, request), config.request_timeout_ms / 1000)
        if tail is None:
            self._failing = ""
            return None
        match answer := read_answer(config.unit, request, tail):
            case Bits():
                return answer
            case Refused():
                self._failing = f"the portal answers {answer}"
                return answer
            case Mismatch(why):
                self._failing = why
                self._out.doubt(tail, why)
        return None

    def _lost_track(self, why: str) -> DeviceError:
        """Before the first answer this is the wrong device; later the stream broke, and a new one may be good."""
        return LinkLost("read", why) if self._wire.answered else ProtocolViolation("read", why)

    def _now_s(self) -> float:
        return self._out.clock.now().mono_s


def _identity(description: Description) -> Identity:
    return Identity("Aspect", f"signature {description.signature:04x}")
