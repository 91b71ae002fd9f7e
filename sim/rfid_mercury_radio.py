"""The radio of the fake module: searches, continuous readings and reads of a tag's memory, one of them at a time.

Only the fake module uses it: it hands in what a client commands and what tags answer, and is told what to say and
when a search is over. It owns the tag buffer and the state of the antennas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sim.readings import TagAnswer
from sim.rfid_mercury_search import START, STOP, WITH_METADATA, Search, SearchRequest, read_place, read_start
from sim.rfid_mercury_settings import (
    ANTENNA_CHECK,
    FILTER_TIMEOUT,
    NEWEST_TIME,
    READ_FILTER,
    TEMPERATURE_CHECK,
    UNIQUE_BY_ANTENNA,
    UNIQUE_BY_DATA,
    MercuryConfig,
    Settings,
)
from sim.rfid_mercury_tags import (
    ALL_META,
    FREQUENCY_KHZ,
    MemoryRead,
    Sighting,
    TagBuffer,
    embedded,
    metadata,
    read_memory,
    record,
)
from sim.rfid_mercury_wire import MAX_LENGTH, Fields, Op, Refused, Status, answer, u16

END_OF_STREAM, TAG_READ, REPORT = b"\0", b"\1", b"\2"
STATUS_FREQUENCY, STATUS_TEMPERATURE, STATUS_ANTENNA = 0x02, 0x04, 0x08
TEMPERATURE_STATISTIC = bytes.fromhex("8200")
"""Flag 0x100 in seven bits a byte, as real modules send it."""


@dataclass(slots=True)
class Work:
    """A search, a continuous reading, or one read of a tag's memory, under way since `began_s`."""

    op: Op
    request: SearchRequest
    began_s: float
    memory: MemoryRead | None = None
    timer: asyncio.TimerHandle | None = None
    found: int = 0
    keys: dict[tuple[object, ...], float] = field(default_factory=dict)
    """When each tag was read."""
    ports: set[int] = field(default_factory=set)
    embedded_done: int = 0
    embedded_failed: int = 0
    full: bool = False


class Radio:
    """The radio. `say` sends a frame to the host, `idle` is called after each search."""

    def __init__(
        self, config: MercuryConfig, settings: Settings, say: Callable[[bytes], None], idle: Callable[[], None]
    ) -> None:
        self._config = config
        self._say = say
        self._idle = idle
        self._search: Work | None = None
        self._stream: Work | None = None
        self.settings = settings
        self.buffer = TagBuffer(config.buffer_tags)
        self.missing = set(config.unconnected)
        self.temperature_c = config.temperature_c

    @property
    def searching(self) -> bool:
        """A search, or a read of a tag's memory, is under way and not answered yet."""
        return self._search is not None

    @property
    def streaming(self) -> bool:
        """It reads continuously."""
        return self._stream is not None

    def restart(self, settings: Settings) -> None:
        """Forget everything but what is plugged in."""
        self._end(self._search)
        self._end(self._stream)
        self._search = self._stream = None
        self.settings = settings
        self.buffer.clear()

    def _ports(self) -> list[int]:
        """The antennas in use."""
        work = self._search or self._stream
        listed = work is not None and work.request.flags & Search.CONFIGURED_LIST == Search.CONFIGURED_LIST
        return self.settings.list if listed else [self.settings.port]

    def _hot(self) -> bool:
        check = self.settings.options[TEMPERATURE_CHECK]
        return bool(check) and self.temperature_c > self._config.hot_above_c

    # --- tags --------------------------------------------------------------------------------------------------------

    def heard(self, tag: TagAnswer) -> None:
        """A tag would answer this antenna: it does while the antenna is in use and the module transmits."""
        work = self._search or self._stream
        if work is None or tag.antenna not in self._ports() or tag.antenna in self.missing or self._hot():
            return
        if work.memory is not None:
            self._memory_read(work, work.memory, tag)
            return
        options = self.settings.options
        data = embedded(work.request.memory, tag.epc, tag.tid)
        key = (
            tag.epc,
            tag.antenna if options[UNIQUE_BY_ANTENNA] else 0,
            data if options[UNIQUE_BY_DATA] else b"",
        )
        seen = Sighting(tag.epc, round(tag.rssi_dbm), tag.antenna, _since_ms(work), self.settings.gpio, data)
        if work is self._stream:
            self._stream_tag(work, key, seen)
        else:
            self._keep_tag(work, key, seen)

    def _keep_tag(self, work: Work, key: tuple[object, ...], seen: Sighting) -> None:
        """One read of a search, into the buffer."""
        if not self.buffer.put(key, seen, newest_time=bool(self.settings.options[NEWEST_TIME])):
            work.full = True
            return
        if key in work.keys:
            return
        work.keys[key] = _now_s()
        work.found += 1
        if work.request.memory is not None:
            failed = seen.data.startswith(b"\x80\0")
            work.embedded_failed += failed
            work.embedded_done += not failed
        if work.found == work.request.stop_after:
            self._search_over(work)

    def _stream_tag(self, work: Work, key: tuple[object, ...], seen: Sighting) -> None:
        """One read of a continuous reading, told at once; with the read filter only once for each tag."""
        timeout_ms = self.settings.options[FILTER_TIMEOUT]
        told_s = work.keys.get(key)
        filtering = bool(self.settings.options[READ_FILTER])
        if filtering and told_s is not None and (not timeout_ms or _now_s() < told_s + timeout_ms / 1000):
            return
        if len(work.keys) >= self._config.buffer_tags:
            work.keys.clear()
        work.keys[key] = _now_s()
        work.found += 1
        work.ports.add(seen.port)
        data = work.request.stream_head + TAG_READ + record(seen, work.request.metadata, 1)
        if len(data) <= MAX_LENGTH:
            self._say(answer(Op.SEARCH, Status.OK, data))
        request = work.request
        if request.stop_after and len(work.keys) >= request.stop_after:
            self._end(work)
            self._stream = None
            self._say(answer(Op.SEARCH, Status.OK, request.stream_head + END_OF_STREAM))

    def _memory_read(self, work: Work, memory: MemoryRead, tag: TagAnswer) -> None:
        """The first tag that answers is the one whose memory is read."""
        try:
            words = read_memory(memory, tag.epc, tag.tid)
        except Refused as refusal:
            self._search_answered(work, refusal.status)
            return
        request = work.request
        seen = Sighting(tag.epc, round(tag.rssi_dbm), tag.antenna, _since_ms(work), self.settings.gpio)
        head = b""
        if request.option & WITH_METADATA:
            head = bytes((request.option,)) + u16(request.metadata) + metadata(seen, request.metadata, 1)
        data = head + words
        fits = len(data) <= MAX_LENGTH
        self._search_answered(work, Status.OK if fits else Status.MEMORY_OVERRUN, data if fits else b"")

    # --- a search ----------------------------------------------------------------------------------------------------

    def begin_search(self, op: Op, request: SearchRequest, memory: MemoryRead | None = None) -> None:
        """Raises Refused when it cannot transmit."""
        work = Work(op, request, _now_s(), memory)
        self._search = work
        try:
            self._check_radio()
            self._check_antennas()
        except Refused:
            self._search = None
            raise
        work.timer = asyncio.get_running_loop().call_later(request.time_ms / 1000, self._search_over, work)

    def _search_over(self, work: Work) -> None:
        request = work.request
        if work.full:
            self._search_answered(work, Status.BUFFER_FULL)
        elif not work.found:
            self._search_answered(work, Status.TEMPERATURE if self._hot() else Status.NO_TAGS)
        else:
            size = 4 if request.flags & Search.LARGE_POPULATION else 1
            data = request.head + min(work.found, 256**size - 1).to_bytes(size, "big")
            if request.memory is not None:
                data += bytes((1, Op.READ_MEMORY)) + u16(work.embedded_done, work.embedded_failed)
            self._search_answered(work, Status.OK, data)

    def _search_answered(self, work: Work, status: Status, data: bytes = b"") -> None:
        """The end of a search; what came meanwhile is obeyed now."""
        self._end(work)
        self._search = None
        self._say(answer(work.op, status, data))
        self._idle()

    def _check_radio(self) -> None:
        if not self.settings.region:
            raise Refused(Status.REGION)
        if not self.settings.protocol:
            raise Refused(Status.NO_PROTOCOL)

    def _check_antennas(self) -> None:
        missing = self.missing.intersection(self._ports())
        if missing and self.settings.options[ANTENNA_CHECK]:
            raise Refused(Status.ANTENNA_MISSING)
        if self._hot():
            raise Refused(Status.TEMPERATURE)
        if missing.issuperset(self._ports()):
            raise Refused(Status.RETURN_LOSS)

    # --- continuous reading ------------------------------------------------------------------------------------------

    def continuous(self, fields: Fields) -> bytes:
        """Op 2F: start or stop. Raises Refused."""
        fields.number(2)  # a time limit that modules ignore
        option = fields.number(1)
        if option == START:
            request = read_start(fields)
            self._check_radio()
            self._end(self._stream)
            self._stream = Work(Op.CONTINUOUS, request, _now_s())
            self._next_cycle(self._stream, _now_s())
        elif option == STOP:
            fields.end()
            self._end(self._stream)
            self._stream = None
        else:
            raise Refused(Status.UNIMPLEMENTED)
        return bytes((option,))

    def _next_cycle(self, work: Work, began_s: float) -> None:
        work.began_s = began_s
        work.found = 0
        work.ports.clear()
        due_s = began_s + (work.request.time_ms + work.request.off_ms) / 1000
        work.timer = asyncio.get_running_loop().call_at(due_s, self._cycle_over, work, due_s)

    def _cycle_over(self, work: Work, due_s: float) -> None:
        """Trouble, or that nothing was read; then what reports were asked for; then the next cycle."""
        try:
            self._check_antennas()
            if self.missing.intersection(self._ports()):
                raise Refused(Status.RETURN_LOSS)
            if not work.found:
                raise Refused(Status.NO_TAGS)
        except Refused as trouble:
            self._say(answer(Op.SEARCH, trouble.status))
        if report := self._report(work):
            self._say(answer(Op.SEARCH, Status.OK, work.request.stream_head + REPORT + report))
        self._next_cycle(work, due_s)

    def _report(self, work: Work) -> bytes:
        """A status report, or the temperature of the statistics: no other statistic's form is known."""
        wanted, temperature = work.request.reports, bytes((self.temperature_c & 0xFF,))
        if work.request.flags & Search.STATISTICS:
            asked = wanted == int.from_bytes(TEMPERATURE_STATISTIC, "big")
            return TEMPERATURE_STATISTIC * 2 + b"\1" + temperature if asked else b""
        wanted &= STATUS_FREQUENCY | STATUS_TEMPERATURE | STATUS_ANTENNA
        report = FREQUENCY_KHZ.to_bytes(3, "big") if wanted & STATUS_FREQUENCY else b""
        report += temperature if wanted & STATUS_TEMPERATURE else b""
        report += bytes((self._ports()[0],)) * 2 if wanted & STATUS_ANTENNA else b""
        return u16(wanted) + report if wanted else b""

    def _end(self, work: Work | None) -> None:
        if work is not None and work.timer is not None:
            work.timer.cancel()

    def begin_read(self, fields: Fields) -> None:
        """Op 28, with metadata or without; the oldest form has no option. Raises Refused."""
        time_ms = fields.number(2)
        option = fields.number(1) if len(fields) != 6 else 0
        if option & ~WITH_METADATA:
            raise Refused(Status.BAD_PARAMETER)
        wanted = fields.number(2) if option else 0
        memory = read_place(fields)
        if wanted & ~ALL_META:
            raise Refused(Status.BAD_PARAMETER)
        request = SearchRequest(option, 0, time_ms, 0, wanted, 0, 0, None)
        self.begin_search(Op.READ_MEMORY, request, memory)

    def fetch(self, fields: Fields) -> bytes:
        """Op 29: how many records there are, or the next ones with the metadata asked for. Raises Refused."""
        if not len(fields):
            return u16(*self.buffer.position)
        wanted, option = fields.number(2), fields.number(1)
        fields.end()
        if wanted & ~ALL_META or option not in (0, 1):
            raise Refused(Status.BAD_PARAMETER)
        if option:
            self.buffer.rewind()
        records = self.buffer.fetch(wanted, MAX_LENGTH - 4)
        if not records:
            raise Refused(Status.BUFFER_EMPTY)
        return u16(wanted) + bytes((option, len(records))) + b"".join(records)


def _since_ms(work: Work) -> int:
    return round(1000 * (_now_s() - work.began_s))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
