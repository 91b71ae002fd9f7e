"""One connection to an M6e module: set-up, reading, what it complains of, and stopping it at the end.

Called by the driver only. While the module reads continuously it takes no other command, so whatever has to be asked
is asked between a stop and the next start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import assert_never

from drivers import rfid_mercury_codec as codec
from drivers.rfid_mercury_codec import Frame, Frames, Op, Version
from drivers.rfid_mercury_faults import Faults
from drivers.rfid_mercury_records import Fetched, Nothing, SearchEnded, read_count, read_fetched, read_streamed
from lanecontrol.driver import Reporter
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, Identity, TagRead
from lanecontrol.framing import Doubt
from lanecontrol.links import Link

_GOODBYE_S = 0.5
"""How long a module may take to stop reading when the session is cancelled; half of what closing a link may take."""

_IDLE_S = 2.0
"""The module is stopped for a check only when no tag has answered for so long, or no vehicle would be safe from it."""

_FETCH_LIMIT = 1000
"""Answers to one fetch. The module's buffer holds fewer tags than this."""

_PIECE = 4096
"""Bytes looked at before others have their turn: noise that looks like frames costs a microsecond a byte at most."""

_UNSET = 0
"""The region of a module that was never told one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the driver wants of the module."""

    continuous: bool
    region: int
    centi_dbm: int
    antennas: tuple[int, ...]
    cycle_ms: int
    metadata: int
    read_tid: bool
    answer_s: float
    boot_s: float
    byte_gap_s: float
    check_s: float
    too_hot_c: int

    @property
    def silence_s(self) -> float:
        """While reading, a frame comes about once per cycle."""
        return 3 * self.cycle_ms / 1000 + 1.0


class Session:
    """Serves one link until it is lost."""

    def __init__(self, link: Link, out: Reporter, plan: Plan, faults: Faults) -> None:
        self._link, self._out, self._plan, self._faults = link, out, plan, faults
        self._frames = Frames()
        self._arrived: deque[Frame] = deque()
        self._unread = b""
        self._reading = False
        self._tag_s = self._check_due_s = out.clock.now().mono_s
        self._seen: dict[int, bool] = {}

    async def run(self) -> None:
        """Raises LinkLost, ProtocolViolation. Cancelled, it stops the module first."""
        try:
            await self._halt_what_runs()
            identity = await self._identify()
            await self._configure()
            antennas = await self._antennas()
            await self._use(antennas)
            if self._plan.continuous:
                await self._start()
            self._out.online(identity)
            self._tell(self._faults.left_over())
            self._tell_antennas(antennas)
            await (self._listen() if self._plan.continuous else self._search_for_ever())
        except asyncio.CancelledError:
            await self._goodbye()
            raise

    # --- set-up ----------------------------------------------------------------------------------------------------

    async def _halt_what_runs(self) -> None:
        """A module goes on reading when its host dies. One that does not read may answer anything, or nothing."""
        await self._link.write(codec.STOP)
        try:
            async with asyncio.timeout(self._plan.answer_s):
                while (await self._next()).op != Op.CONTINUOUS:
                    pass  # reads for a host that is gone; their time is over before we are online
        except TimeoutError:
            pass

    async def _identify(self) -> Identity:
        answer = await self._ask(Op.VERSION)
        program = (await self._ask(Op.PROGRAM)).data
        if program[:1] == bytes((codec.BOOT_LOADER,)):
            await self._ask(Op.BOOT_FIRMWARE, within_s=self._plan.boot_s)
            answer = await self._ask(Op.VERSION)
        version = codec.read_version(answer.data)
        if version is None:
            raise ProtocolViolation("VERSION", "the answer is too short for one of these modules")
        return _identity(version)

    async def _configure(self) -> None:
        plan = self._plan
        await self._check_region()
        await self._ask(Op.SET_PROTOCOL, codec.GEN2)
        await self._ask(Op.SET_POWER, plan.centi_dbm.to_bytes(2, "big"))
        # The read filter keeps what was seen before from being sent again: wanted in the buffer only.
        await self._ask(Op.SET_OPTION, b"\x01\x0c\x00" if plan.continuous else b"\x01\x0c\x01")

    async def _check_region(self) -> None:
        """A module set to another region is refused, not set anew: it may be the wrong one to transmit here."""
        wanted = bytes((self._plan.region,))
        found = (await self._ask(Op.GET_REGION)).data
        if found == bytes((_UNSET,)):
            await self._ask(Op.SET_REGION, wanted)
            found = (await self._ask(Op.GET_REGION)).data
        if found != wanted:
            raise ProtocolViolation(
                "GET_REGION", f"the module is set to region {found.hex() or '?'}, and the lane to {wanted.hex()}"
            )

    async def _antennas(self) -> dict[int, bool]:
        """The ports and whether they have an antenna. Raises ProtocolViolation where a wanted port is not there."""
        answer = await self._ask(Op.GET_ANTENNAS, b"\x05")
        found = codec.read_antennas(answer.data)
        if not found:
            raise ProtocolViolation("GET_ANTENNAS", "the answer names no ports")
        missing = [antenna for antenna in self._plan.antennas if antenna not in found]
        if missing:
            raise ProtocolViolation("GET_ANTENNAS", f"the module has no antenna {missing[0]}")
        return found

    async def _use(self, antennas: dict[int, bool]) -> None:
        """Search on all that are wanted and connected. Without any, on the wanted ones: the module will complain."""
        self._seen = antennas
        wanted = self._plan.antennas or tuple(antennas)
        connected = tuple(antenna for antenna in wanted if antennas[antenna])
        await self._command(Op.SET_ANTENNAS, codec.antennas_in_use(connected or wanted))

    def _tell_antennas(self, antennas: dict[int, bool]) -> None:
        """Ports without an antenna are a fault where the site wants one; without a wish, only where one was lost."""
        for antenna, connected in antennas.items():
            code, known = f"antenna_{antenna}", antenna in self._faults.connected
            if connected:
                self._faults.connected.add(antenna)
                self._tell(self._faults.end(code) if known else [DeviceFault(code, "", active=False)])
            elif antenna in self._plan.antennas or known:
                self._tell(self._faults.begin(code, f"antenna {antenna} is not connected", self._now_s()))

    # --- reading ---------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        plan = self._plan
        command = codec.start(plan.cycle_ms, plan.metadata, read_tid=plan.read_tid)
        self._reading = True  # from the first byte on: a cancelled start must be stopped as well
        await self._command(Op.CONTINUOUS, command)
        self._check_due_s = self._now_s() + plan.check_s

    async def _listen(self) -> None:
        limit_s = self._plan.silence_s
        try:
            async with asyncio.timeout(limit_s) as silence:
                while True:
                    self._take(await self._next())
                    if self._check_is_due():
                        silence.reschedule(None)  # each question has its own time-out
                        await self._stop()
                        await self._check()
                        await self._start()
                    silence.reschedule(self._now_s() + limit_s)
        except TimeoutError:
            raise LinkLost("read", f"nothing from the module for {limit_s:g} s") from None

    async def _search_for_ever(self) -> None:
        plan, cycle_s = self._plan, self._plan.cycle_ms / 1000
        search = codec.search(plan.cycle_ms, plan.metadata, read_tid=plan.read_tid)
        self._check_due_s = self._now_s() + plan.check_s
        while True:
            again_s = self._now_s() + cycle_s  # a refusal comes at once, and must not be answered by a flood
            await self._ask(Op.CLEAR_TAGS)
            answer = await self._exchange(Op.SEARCH, search, cycle_s + plan.answer_s)
            if answer.status == codec.OK:
                await self._fetch(read_count(answer.data))
            else:
                self._complaint(answer)
            self._tell(self._faults.outlived(self._now_s()))
            if self._check_is_due():
                await self._check()
            await asyncio.sleep(max(again_s - self._now_s(), 0.0))

    async def _fetch(self, count: int) -> None:
        for _ in range(_FETCH_LIMIT):
            if count <= 0:
                return
            fetch = codec.get_tags(self._plan.metadata)
            answer = await self._exchange(Op.GET_TAGS, fetch, self._plan.answer_s)
            if answer.status == codec.BUFFER_EMPTY:
                return
            fetched = read_fetched(self._accepted(answer))
            if isinstance(fetched, Doubt):
                self._out.doubt(fetched.raw, fetched.why)
                return
            self._seen_tags(fetched)
            count -= fetched.records or count

    def _seen_tags(self, fetched: Fetched) -> None:
        for tag in fetched.tags:
            self._tag_s = self._now_s()
            self._out.report(tag)

    def _take(self, frame: Frame) -> None:
        """Deal with a frame that comes while the module reads."""
        match frame:
            case Frame(op=Op.SEARCH, status=codec.OK):
                self._streamed(frame)
            case Frame(op=Op.SEARCH):
                self._complaint(frame)
            case Frame(op=Op.CONTINUOUS):
                raise LinkLost("read", "the module has stopped reading")
            case Frame(op=Op.BOOT_FIRMWARE):
                raise LinkLost("read", "the module has restarted")
            case _:
                self._out.doubt(frame.raw, f"operation {frame.op:02x} that nobody waits for")
        self._tell(self._faults.outlived(self._now_s()))

    def _streamed(self, frame: Frame) -> None:
        match item := read_streamed(frame):
            case TagRead():
                self._tag_s = self._now_s()
                self._out.report(item)
            case SearchEnded():
                raise LinkLost("read", "the module has ended its search")
            case Doubt(raw, why):
                self._out.doubt(raw, why)
            case Nothing():
                pass
            case _:
                assert_never(item)

    def _complaint(self, frame: Frame) -> None:
        """Raises LinkLost where the module cannot go on as it was set up."""
        match frame.status:
            case codec.NO_TAGS:
                pass
            case codec.ANTENNA_MISSING:
                raise LinkLost("read", "an antenna in use is not connected any more")
            case 0x7F00 | 0x7F01:
                raise LinkLost("read", f"the module reports {codec.words_of(frame.status)}")
            case codec.TOO_HOT:
                self._fault("temperature", "the module is too hot and reads less")
            case codec.RETURN_LOSS:
                self._fault("return_loss", "an antenna or its cable sends power back")
            case status:
                self._fault("module", f"the module reports {codec.words_of(status)}")

    def _fault(self, code: str, detail: str) -> None:
        self._tell(self._faults.begin(code, detail, self._now_s()))

    def _tell(self, events: list[DeviceFault]) -> None:
        for event in events:
            self._out.report(event)

    # --- looking after the module ----------------------------------------------------------------------------------

    def _check_is_due(self) -> bool:
        now_s = self._now_s()
        if not self._plan.check_s or now_s < self._check_due_s:
            return False
        return now_s - self._tag_s >= _IDLE_S or now_s >= self._check_due_s + self._plan.check_s

    async def _check(self) -> None:
        """Ask for antennas and temperature, which no module tells of its own accord before it is too late."""
        self._check_due_s = self._now_s() + self._plan.check_s
        antennas = await self._antennas()
        self._tell_antennas(antennas)
        if antennas != self._seen:
            await self._use(antennas)
        answer = await self._exchange(Op.GET_TEMPERATURE, codec.command(Op.GET_TEMPERATURE), self._plan.answer_s)
        if answer.status == codec.OK and len(answer.data) == 1:
            degrees = int.from_bytes(answer.data, "big", signed=True)
            hot = degrees >= self._plan.too_hot_c
            self._tell(self._faults.measured("temperature", f"the module is at {degrees} degrees C", bad=hot))

    async def _stop(self) -> None:
        """Stop reading; every read was sent before the confirmation."""
        await self._link.write(codec.STOP)
        try:
            async with asyncio.timeout(self._plan.answer_s + self._plan.cycle_ms / 1000):
                while (frame := await self._next()).op != Op.CONTINUOUS:
                    self._take(frame)
        except TimeoutError:
            raise LinkLost("stop", "the module does not stop reading") from None
        self._reading = False

    async def _goodbye(self) -> None:
        """Stop the antennas; the link is closed in any case."""
        if not self._reading:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._link.write(codec.STOP)
                while not _stopped(await self._next()):
                    pass  # reads that were under way; the time-out ends this
        except (TimeoutError, LinkLost, ProtocolViolation):
            pass  # it goes on reading, and the next session stops it

    # --- the wire --------------------------------------------------------------------------------------------------

    async def _ask(self, op: Op, data: bytes = b"", *, within_s: float | None = None) -> Frame:
        """The good answer to a command. Raises LinkLost, and ProtocolViolation where the module refuses."""
        return await self._command(op, codec.command(op, data), within_s=within_s)

    async def _command(self, op: Op, frame: bytes, *, within_s: float | None = None) -> Frame:
        return self._accepted(await self._exchange(op, frame, within_s or self._plan.answer_s))

    @staticmethod
    def _accepted(answer: Frame) -> Frame:
        if answer.status != codec.OK:
            raise ProtocolViolation(Op(answer.op).name, f"the module answers {codec.words_of(answer.status)}")
        return answer

    async def _exchange(self, op: Op, frame: bytes, within_s: float) -> Frame:
        """Send once and wait for the answer, good or not."""
        await self._link.write(frame)
        try:
            async with asyncio.timeout(within_s):
                while (answer := await self._next()).op != op:
                    if answer.op == Op.BOOT_FIRMWARE:
                        raise LinkLost(op.name, "the module has restarted")
                    if answer.op != Op.SEARCH:  # the end of what was streamed before
                        self._out.doubt(answer.raw, f"operation {answer.op:02x} that nobody waits for")
        except TimeoutError:
            raise LinkLost(op.name, f"no answer within {within_s:g} s") from None
        return answer

    async def _next(self) -> Frame:
        """The next frame that makes sense."""
        while not self._arrived:
            for item in await self._receive():
                if isinstance(item, Doubt):
                    self._out.doubt(item.raw, item.why)
                else:
                    self._arrived.append(item)
        return self._arrived.popleft()

    async def _receive(self) -> list[Frame | Doubt]:
        """What the next bytes complete. A frame whose bytes stop coming is given up, so that it hides no other."""
        if self._unread:
            await asyncio.sleep(0)  # much has come at once, as it may behind a serial server; others first
        elif not self._frames.pending:
            self._unread = await self._link.read()
        else:
            try:
                async with asyncio.timeout(self._plan.byte_gap_s):
                    self._unread = await self._link.read()
            except TimeoutError:
                return self._frames.expire()
        piece, self._unread = self._unread[:_PIECE], self._unread[_PIECE:]
        return self._frames.feed(piece)

    def _now_s(self) -> float:
        return self._out.clock.now().mono_s


def _stopped(frame: Frame) -> bool:
    """Not the acknowledgement of a start that was cancelled."""
    return frame.op == Op.CONTINUOUS and frame.data != b"\x01"


def _identity(version: Version) -> Identity:
    return Identity("ThingMagic", version.model, "", version.firmware)
