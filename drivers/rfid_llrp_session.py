"""One connection to an LLRP reader: greeting, configuration, inventory, and what the reader says from then on.

Called by the driver only. Answers are matched by id; everything else that arrives meanwhile is dealt with as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers import rfid_llrp_requests as ask
from drivers.rfid_llrp_codec import Message, Parameter
from drivers.rfid_llrp_faults import Faults
from drivers.rfid_llrp_reports import RO_ACCESS_REPORT, ReportReader
from drivers.rfid_llrp_stream import Item, Stream
from lanecontrol.driver import Reporter
from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.events import DeviceFault, DeviceReport, Identity, InputChanged, TagRead
from lanecontrol.links import Link

_KEEPALIVE = 62
_EVENT = 63

_HELD_LIMIT = 16_384
"""Reports kept until the session is online: what a reader held back while nobody was connected, some megabytes."""

_TOLD_IN_ONE_GO = 64
"""Of the reports kept, so many are told before others have their turn."""

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
    """What the driver wants of the reader. `rospec` is another one in every session, also of the next process."""

    rospec: int
    version: str
    antennas: tuple[int, ...]
    power_dbm: Mapping[int, float]
    keepalive_s: float
    answer_s: float
    silence_s: float
    tid_words: int | None
    gpi: Mapping[int, str]
    inverted: frozenset[str]
    frame_limit: int


@dataclass(slots=True)
class Memory:
    """What outlives a session."""

    faults: Faults = field(default_factory=Faults)
    mute_on_version: bool = False
    """The reader did not answer when it was asked for its version, or went: it is not asked again."""


class Session:
    """Serves one link until it is lost."""

    def __init__(self, link: Link, out: Reporter, plan: Plan, memory: Memory) -> None:
        self._out, self._plan, self._memory, self._faults = out, plan, memory, memory.faults
        self._reports = ReportReader(plan.frame_limit, rospec=plan.rospec)
        self._stream = Stream(link, out, self._reports)
        self._online = False
        self._inputs_known = False
        self._inventory_began = False
        self._held: list[DeviceReport] = []
        self._not_kept = 0

    async def run(self) -> None:
        """Raises LinkLost, ProtocolViolation. Cancelled, it says goodbye to the reader first."""
        try:
            self._faults.new_session()
            await self._greeting()
            await self._agree_on_version()
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
                while (status := _connection_attempt(await self._stream.next())) is None:
                    pass  # nothing else counts before the greeting
        except TimeoutError:
            raise LinkLost("connect", f"no greeting within {self._plan.answer_s:g} s") from None
        if status:
            raise ProtocolViolation("connect", _REFUSALS.get(status, f"the reader refuses with status {status}"))

    async def _agree_on_version(self) -> None:
        """LLRP 1.1 where both sides have it. A connection begins in 1.0.1, and may stay in it unless configured."""
        must = self._plan.version == "1.1"
        if self._plan.version == "1.0.1" or (self._memory.mute_on_version and not must):
            return
        self._memory.mute_on_version = True
        why = await self._version_refused()
        if why is not None:
            self._memory.mute_on_version = False
        if why is None and must:
            raise LinkLost("agree on version", f"no answer within {self._plan.answer_s:g} s")
        if why and must:
            raise ProtocolViolation("agree on version", why)

    async def _version_refused(self) -> str | None:
        """Why it stays with 1.0.1; empty where it does not, None where the reader does not answer."""
        try:
            answer = await self._answer_to(ask.get_supported_version())
        except TimeoutError:
            return None
        if refusal := ask.complaint(answer):
            return f"the reader answers {refusal}"
        if answer["supported"] < ask.VERSION_1_1:
            return "the reader supports 1.0.1 only"
        if answer["current"] != ask.VERSION_1_1:
            refusal = ask.complaint(await self._ask(ask.set_protocol_version(), tolerant=True))
            if refusal:
                return f"the reader answers {refusal}"
        self._stream.version = ask.VERSION_1_1
        return ""

    async def _set_up(self) -> None:
        """From nothing to a running inventory.

        The reader's hold is lifted before its old operations are deleted, or it might delete what it holds with them.
        The states of antennas and inputs are asked for at the end: what was held is older than them.
        """
        plan = self._plan
        capabilities = await self._ask(ask.get_capabilities())
        transmitters = _transmitters(capabilities, plan.antennas, plan.power_dbm)
        await self._ask(ask.set_configuration(int(plan.keepalive_s * 1000), plan.gpi))
        await self._stream.send(ask.enable_events_and_reports())
        await self._ask(ask.delete_rospecs(), tolerant=True)
        if plan.tid_words is not None:
            await self._ask(ask.delete_accessspecs(), tolerant=True)
        await self._ask(ask.add_rospec(plan.rospec, plan.antennas, transmitters))
        if plan.tid_words is not None:
            await self._ask(ask.add_tid_read(plan.tid_words))
            await self._ask(ask.enable_tid_read())
        await self._ask(ask.enable_rospec(plan.rospec))
        self._reports.started = True
        await self._ask(ask.start_rospec(plan.rospec))
        configuration = await self._ask(ask.get_configuration(), tolerant=True)
        self._inputs_known = True
        await self._go_online(_identity(capabilities), configuration)

    async def _go_online(self, identity: Identity, configuration: Message) -> None:
        self._out.online(identity)
        self._online = True
        self._tell(*self._faults.left_over())
        for at in range(0, len(self._held), _TOLD_IN_ONE_GO):
            self._tell(*self._held[at : at + _TOLD_IN_ONE_GO])
            await asyncio.sleep(0)
        self._held.clear()
        if self._not_kept:
            self._complain("report_overflow", f"{self._not_kept} reads that the reader had held are lost")
        for antenna in configuration.find(221):
            if antenna["connected"] or antenna["antenna"] in self._plan.antennas:
                self._antenna(antenna["antenna"], bool(antenna["connected"]))
        for port in configuration.find(225):
            if port["state"] in (0, 1):
                self._gpi(port["port"], port["state"] == 1)

    async def _ask(self, request: Message, *, tolerant: bool = False) -> Message:
        """The answer to a request. A refusal ends the session unless the request is only a wish (`tolerant`)."""
        try:
            answer = await self._answer_to(request)
        except TimeoutError:
            raise LinkLost(request.name, f"no answer within {self._plan.answer_s:g} s") from None
        refusal = ask.complaint(answer)
        if refusal and not tolerant:
            raise ProtocolViolation(request.name, f"the reader answers {refusal}")
        return answer

    async def _answer_to(self, request: Message) -> Message:
        """Raises TimeoutError. An ERROR_MESSAGE may carry id 0, where the reader could not read the request's."""
        number, kind = await self._stream.request(request), ask.ANSWERS[request.type]
        async with asyncio.timeout(self._plan.answer_s):
            while True:
                item = await self._stream.next()
                if isinstance(item, Message):
                    if item.type == kind and item.id == number:
                        return item
                    if item.type == ask.ERROR_MESSAGE and item.id in (0, number):
                        return item
                await self._take(item)

    # --- serving ---------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        limit_s = self._plan.silence_s
        try:
            async with asyncio.timeout(limit_s) as silence:
                while True:
                    for item in await self._stream.some():
                        await self._take(item)
                    now_s = self._now_s()
                    silence.reschedule(now_s + limit_s)
                    self._tell(*self._faults.outlived(now_s))
        except TimeoutError:
            raise LinkLost("read", f"nothing from the reader for {limit_s:g} s") from None

    async def _take(self, item: Item) -> None:
        """Deal with something that is no answer to what was just asked."""
        match item:
            case TagRead():
                self._tell(item)
            case Message(type=kind) if kind == RO_ACCESS_REPORT:
                pass  # nothing in it but, perhaps, what no inventory of ours asks for
            case Message(type=kind, id=number) if kind == _KEEPALIVE:
                await self._stream.send(ask.keepalive_ack(number))
            case Message(type=kind) if kind == _EVENT:
                for data in item.find(246):
                    for event in data.parameters:
                        self._event(event)
            case _:
                self._stream.foreign(item)

    def _event(self, event: Parameter) -> None:
        match event.type:
            case 248:
                self._gpi(event["port"], bool(event["level"]))
            case 249 if event["rospec"] == self._plan.rospec:
                self._rospec_event(event)
            case 250:
                self._complain("report_buffer", f"report buffer {event['percent']} % full")
            case 251:
                self._complain("report_overflow", "report buffer overflow: reads were lost")
            case 252:
                self._complain("reader_exception", ask.words(event["message"]))
            case 255:
                self._antenna(event["antenna"], event["event"] == 1)
            case 257:
                raise LinkLost("read", "the reader closes the connection")
            case _:
                pass

    def _rospec_event(self, event: Parameter) -> None:
        """Our inventory started, ended, or was preempted.

        An end before its start is a held one: of an operation of the same number that somebody had running when we
        connected (a clock that was set back lets numbers come again).
        """
        if event["event"] == 0:
            self._inventory_began = True
        elif self._reports.started and self._inventory_began:
            why = "the reader ended it" if event["event"] == 1 else f"preempted by operation {event['preempting']}"
            raise LinkLost("inventory", why)

    def _antenna(self, antenna: int, connected: bool) -> None:
        if connected:
            self._tell(*self._faults.end(f"antenna_{antenna}"))
        else:
            self._complain(f"antenna_{antenna}", f"antenna {antenna} is not connected")

    def _gpi(self, port: int, high: bool) -> None:
        """Events before the states were asked for are old ones: an edge of theirs would be a vehicle that is gone."""
        name = self._plan.gpi.get(port)
        if name is not None and self._inputs_known:
            self._tell(InputChanged(name, high != (name in self._plan.inverted)))

    def _complain(self, code: str, detail: str) -> None:
        self._tell(*self._faults.begin(code, detail, self._now_s()))

    def _tell(self, *events: DeviceReport) -> None:
        """Report, or keep until the session is online."""
        if self._online:
            for event in events:
                self._out.report(event)
            return
        for event in events:
            if len(self._held) < _HELD_LIMIT or isinstance(event, DeviceFault):
                self._held.append(event)
            else:
                self._not_kept += 1

    async def _goodbye(self) -> None:
        """Stop the antennas and end the connection as the standard wants it; the link is closed in any case."""
        if not self._stream.understood:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._stream.send(ask.disable_rospec(self._plan.rospec))
                await self._stream.send(ask.close_connection())
                while not _says_goodbye(await self._stream.next()):
                    pass  # reports may still be under way; the time-out ends this
        except (TimeoutError, LinkLost, ProtocolViolation):
            pass  # it goes without a farewell

    def _now_s(self) -> float:
        return self._out.clock.now().mono_s


# --- what the reader tells of itself ---------------------------------------------------------------------------------


def _says_goodbye(item: Item) -> bool:
    return isinstance(item, Message) and item.type == ask.ANSWERS[14]


def _connection_attempt(item: Item) -> int | None:
    """Status of a ConnectionAttemptEvent, None where there is none."""
    if not isinstance(item, Message) or item.type != _EVENT:
        return None
    for data in item.find(246):
        for event in data.find(256):
            status: int = event["status"]
            return status
    return None


def _identity(capabilities: Message) -> Identity:
    """The maker is told as a number of the IANA list of private enterprises."""
    for general in capabilities.find(137):
        return Identity(f"IANA {general['maker']}", str(general["model"]), "", ask.printable(general["firmware"][:100]))
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
