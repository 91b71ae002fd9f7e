"""One connection to an LLRP reader: greeting, configuration, inventory, and what the reader says from then on.

Called by the driver only. Answers are matched by id; everything else that arrives meanwhile is dealt with as it comes.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from drivers import rfid_llrp_requests as ask
from drivers.rfid_llrp_codec import Frames, Message, Parameter, encode
from drivers.rfid_llrp_reports import RO_ACCESS_REPORT, ReportReader, tag_reads
from lanecontrol.driver import Reporter
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, DeviceReport, Identity, InputChanged, TagRead
from lanecontrol.framing import Doubt
from lanecontrol.links import Link

_KEEPALIVE = 62
_EVENT = 63

_HELD_LIMIT = 1024
"""Reports kept until the session is online; a reader that still runs an old inventory sends some."""

_GOODBYE_S = 0.5
"""How long a reader may take to answer CLOSE_CONNECTION; half of what closing a link may take."""

_REFUSALS = {
    1: "busy: a connection that the reader made exists",
    2: "busy: another client is connected",
    3: "busy: the reader refuses without a reason",
    4: "busy: another client tried to connect",
}
"""Values of ConnectionAttemptEvent other than success (LLRP 1.0.1, section 13.2.6.10)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the driver wants of the reader."""

    rospec: int
    antennas: tuple[int, ...]
    power_dbm: Mapping[int, float]
    keepalive_s: float
    answer_s: float
    silence_s: float
    read_tid: bool
    gpi: Mapping[int, str]
    frame_limit: int


class Faults:
    """Faults that the reader announced and that were not cleared yet. Outlives a session."""

    def __init__(self) -> None:
        self._active: dict[str, str] = {}

    def begin(self, code: str, detail: str) -> DeviceFault:
        self._active[code] = detail
        return DeviceFault(code, detail)

    def end(self, code: str) -> list[DeviceFault]:
        """The report that clears it, if it was there."""
        return [DeviceFault(code, self._active.pop(code), active=False)] if code in self._active else []

    def passing(self) -> list[str]:
        """Codes of faults that no later event clears; a new session starts without them."""
        return [code for code in self._active if not code.startswith("antenna_")]


class Session:
    """Serves one link until it is lost."""

    def __init__(self, link: Link, out: Reporter, plan: Plan, faults: Faults) -> None:
        self._link, self._out, self._plan, self._faults = link, out, plan, faults
        self._frames = Frames(plan.frame_limit)
        self._reports = ReportReader()
        self._arrived: deque[tuple[bytes, TagRead | Message]] = deque()
        self._number = 0
        self._understood = False
        self._online = False
        self._inventory = False
        self._started = False
        self._held: deque[DeviceReport] = deque(maxlen=_HELD_LIMIT)

    async def run(self) -> None:
        """Raises LinkLost, ProtocolViolation. Cancelled, it says goodbye to the reader first."""
        try:
            await self._greeting()
            await self._set_up()
            await self._serve()
        except asyncio.CancelledError:
            await self._goodbye()
            raise

    # --- handshake -------------------------------------------------------------------------------------------------

    async def _greeting(self) -> None:
        """The reader speaks first: it tells whether it takes us as its client."""
        try:
            async with asyncio.timeout(self._plan.answer_s):
                while (status := _connection_attempt(await self._next_message())) is None:
                    pass  # nothing else counts before the greeting
        except TimeoutError:
            raise LinkLost("connect", f"no greeting within {self._plan.answer_s:g} s") from None
        if status:
            raise ProtocolViolation("connect", _REFUSALS.get(status, f"the reader refuses with status {status}"))

    async def _set_up(self) -> None:
        plan = self._plan
        capabilities = await self._ask(ask.get_capabilities())
        transmitters = _transmitters(capabilities, plan.antennas, plan.power_dbm)
        await self._ask(ask.set_configuration(int(plan.keepalive_s * 1000), plan.gpi))
        configuration = await self._ask(ask.get_configuration(), tolerant=True)
        await self._ask(ask.delete_rospecs(), tolerant=True)
        if plan.read_tid:
            await self._ask(ask.delete_accessspecs(), tolerant=True)
        await self._ask(ask.add_rospec(plan.rospec, plan.antennas, transmitters))
        if plan.read_tid:
            await self._ask(ask.add_tid_read())
            await self._ask(ask.enable_tid_read())
        await self._ask(ask.enable_rospec(plan.rospec))
        await self._ask(ask.start_rospec(plan.rospec))
        self._inventory = True
        await self._send(ask.enable_events_and_reports())
        self._go_online(_identity(capabilities), configuration)

    def _go_online(self, identity: Identity, configuration: Message) -> None:
        self._out.online(identity)
        self._online = True
        for code in self._faults.passing():
            self._tell(*self._faults.end(code))
        for antenna in configuration.find(221):
            if antenna["connected"] or antenna["antenna"] in self._plan.antennas:
                self._antenna(antenna["antenna"], bool(antenna["connected"]))
        for port in configuration.find(225):
            if port["state"] in (0, 1):
                self._gpi(port["port"], port["state"] == 1)
        self._tell(*self._held)
        self._held.clear()

    async def _ask(self, request: Message, *, tolerant: bool = False) -> Message:
        """The answer to a request. A refusal ends the session unless the request is only a wish (`tolerant`)."""
        self._number += 1
        await self._send(dataclasses.replace(request, id=self._number))
        try:
            async with asyncio.timeout(self._plan.answer_s):
                answer = await self._answer(ask.ANSWERS[request.type])
        except TimeoutError:
            raise LinkLost(request.name, f"no answer within {self._plan.answer_s:g} s") from None
        refusal = ask.complaint(answer)
        if refusal and not tolerant:
            raise ProtocolViolation(request.name, f"the reader answers {refusal}")
        return answer

    async def _answer(self, kind: int) -> Message:
        """An ERROR_MESSAGE may carry id 0, where the reader could not make sense of the request's header."""
        while True:
            frame, item = await self._next()
            if isinstance(item, Message):
                if item.type == kind and item.id == self._number:
                    return item
                if item.type == ask.ERROR_MESSAGE and item.id in (0, self._number):
                    return item
            await self._take(frame, item)

    # --- serving ---------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        limit_s = self._plan.silence_s
        try:
            async with asyncio.timeout(limit_s) as silence:
                while True:
                    await self._take(*await self._next())
                    silence.reschedule(self._out.clock.now().mono_s + limit_s)
        except TimeoutError:
            raise LinkLost("read", f"nothing from the reader for {limit_s:g} s") from None

    async def _take(self, frame: bytes, item: TagRead | Message) -> None:
        """Deal with something that is no answer to what was just asked."""
        match item:
            case TagRead():
                self._tell(item)
            case Message(type=kind) if kind == RO_ACCESS_REPORT:
                self._tell(*tag_reads(item))
            case Message(type=kind, id=number) if kind == _KEEPALIVE:
                await self._send(ask.keepalive_ack(number))
            case Message(type=kind) if kind == _EVENT:
                for data in item.find(246):
                    for event in data.parameters:
                        self._event(event)
            case _:
                self._out.doubt(frame, f"{item.name} that nobody waits for")

    def _rospec_event(self, event: Parameter) -> None:
        """Our inventory started, ended, or was preempted.

        An end before its start is a held one: of an operation of the same number that somebody, perhaps this daemon
        before it was killed, had running when we connected.
        """
        if event["event"] == 0:
            self._started = True
        elif self._inventory and self._started:
            why = "the reader ended it" if event["event"] == 1 else f"preempted by operation {event['preempting']}"
            raise LinkLost("inventory", why)

    def _event(self, event: Parameter) -> None:
        match event.type:
            case 248:
                self._gpi(event["port"], bool(event["level"]))
            case 249 if event["rospec"] == self._plan.rospec:
                self._rospec_event(event)
            case 250:
                self._tell(self._faults.begin("report_buffer", f"report buffer {event['percent']} % full"))
            case 251:
                self._tell(self._faults.begin("report_overflow", "report buffer overflow: reads were lost"))
            case 252:
                text = "".join(letter for letter in event["message"][:200] if letter.isprintable())
                self._tell(self._faults.begin("reader_exception", text))
            case 255:
                self._antenna(event["antenna"], event["event"] == 1)
            case 257:
                raise LinkLost("read", "the reader closes the connection")
            case _:
                pass

    def _antenna(self, antenna: int, connected: bool) -> None:
        code = f"antenna_{antenna}"
        if connected:
            self._tell(*self._faults.end(code))
        else:
            self._tell(self._faults.begin(code, f"antenna {antenna} is not connected"))

    def _gpi(self, port: int, high: bool) -> None:
        name = self._plan.gpi.get(port)
        if name is not None:
            self._tell(InputChanged(name, high))

    def _tell(self, *events: DeviceReport) -> None:
        """Report, or keep until the session is online."""
        if not self._online:
            self._held.extend(events)
            return
        for event in events:
            self._out.report(event)

    async def _goodbye(self) -> None:
        """Stop the antennas and end the connection as the standard wants it; the link is closed in any case."""
        if not self._understood:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._send(ask.disable_rospec(self._plan.rospec))
                await self._send(ask.close_connection())
                while (await self._next_message()).type != ask.ANSWERS[14]:
                    pass  # reports may still be under way; the time-out ends this
        except (TimeoutError, LinkLost, ProtocolViolation):
            pass  # it goes without a farewell

    # --- the wire --------------------------------------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        await self._link.write(encode(message))

    async def _next_message(self) -> Message:
        while True:
            _, item = await self._next()
            if isinstance(item, Message):
                return item

    async def _next(self) -> tuple[bytes, TagRead | Message]:
        """The next frame that makes sense."""
        while not self._arrived:
            for frame in self._frames.feed(await self._link.read()):
                if isinstance(frame, Doubt):
                    self._out.doubt(frame.raw, frame.why)
                    raise self._lost_track(frame.why)
                item = self._reports.read(frame)
                if isinstance(item, Doubt):
                    self._out.doubt(item.raw, item.why)
                    continue
                self._understood = True
                self._arrived.append((frame, item))
        return self._arrived.popleft()

    def _lost_track(self, why: str) -> LinkLost | ProtocolViolation:
        """Without one good frame this is no reader; later the stream broke, and a new one may be good."""
        return LinkLost("read", why) if self._understood else ProtocolViolation("read", why)


# --- what the reader tells of itself ---------------------------------------------------------------------------------


def _connection_attempt(message: Message) -> int | None:
    """Status of a ConnectionAttemptEvent, None where the message holds none."""
    if message.type != _EVENT:
        return None
    for data in message.find(246):
        for event in data.find(256):
            status: int = event["status"]
            return status
    return None


def _identity(capabilities: Message) -> Identity:
    """The maker is told as a number of the IANA list of private enterprises."""
    for general in capabilities.find(137):
        return Identity(f"IANA {general['maker']}", str(general["model"]), "", general["firmware"][:100])
    return Identity()


def _transmitters(
    capabilities: Message, antennas: tuple[int, ...], power_dbm: Mapping[int, float]
) -> dict[int, tuple[int, int, int]]:
    """Hop table, channel and power index per antenna whose power is set: the highest power not above what is asked.

    Raises ProtocolViolation where the reader has no such antenna or no such power.
    """
    for general in capabilities.find(137):
        for antenna in (*antennas, *power_dbm):
            if antenna > general["antennas"]:
                raise ProtocolViolation("configure", f"the reader has no antenna {antenna}")
    if not power_dbm:
        return {}
    bands = [band for regulatory in capabilities.find(143) for band in regulatory.find(144)]
    table = {entry["centi_dbm"]: entry["index"] for band in bands for entry in band.find(145)}
    frequencies = [frequency for band in bands for frequency in band.find(146)]
    hop_tables = [hops["table"] for frequency in frequencies for hops in frequency.find(147)]
    hop_table, channel = (hop_tables[0], 0) if hop_tables else (0, 1)
    return {
        antenna: (hop_table, channel, table[_power(table, wanted, antenna)]) for antenna, wanted in power_dbm.items()
    }


def _power(table: Mapping[int, int], wanted_dbm: float, antenna: int) -> int:
    within = [centi_dbm for centi_dbm in table if centi_dbm <= wanted_dbm * 100]
    if not within:
        raise ProtocolViolation(
            "configure", f"antenna {antenna}: the reader has no power of {wanted_dbm:g} dBm or less"
        )
    return max(within)
