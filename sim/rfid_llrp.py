"""Fake RFID reader with LLRP 1.0.1 or 1.1: antennas, ROSpecs, AccessSpecs, keep-alive, events, GPIO.

Written from the LLRP definitions, never from our driver. It accepts one controlling client; a second one is told that
the reader is taken and sent away. ROSpecs and settings outlive a connection, as in a reader that was not restarted;
what happens while nobody is connected is kept only if a client asked for holding. No operation changes a tag; there is
no RF survey. A ROSpec with an immediate start that ends by itself starts again (common clients count on it); one that
was stopped does not.

The world gives `TagAnswer` (reported when a ROSpec listens to that antenna) and `Contact` (a GPI, where one is wired).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from lanecontrol.links import Link
from sim.fake import Fake
from sim.outbox import Outbox, serve_client
from sim.readings import Contact, Deed, OutputSet, Reading, TagAnswer
from sim.rfid_llrp_access import read_accessspec
from sim.rfid_llrp_operations import Operations
from sim.rfid_llrp_settings import (
    EVENT_AISPEC,
    EVENT_ANTENNA,
    EVENT_BUFFER,
    EVENT_EXCEPTION,
    EVENT_GPI,
    EVENT_ROSPEC,
    ReaderConfig,
    Settings,
    capabilities,
    get_config,
    set_config,
)
from sim.rfid_llrp_specs import one, read_rospec
from sim.rfid_llrp_tags import Basket, Sighting, report
from sim.rfid_llrp_version import Versions
from sim.rfid_llrp_wire import (
    OK,
    Code,
    Fields,
    Frame,
    Framer,
    M,
    P,
    Refused,
    flag,
    in_version,
    message,
    status,
    tlv,
    u8,
    u16,
    u32,
    u64,
    utf8,
)

ACCEPTED, TAKEN = 0, 2
"""ConnectionAttempt status: success; a client-initiated connection exists."""
EVENTS_HELD = 64
"""How many events wait for a client; the oldest go first."""
BUFFER_WARNING_PERCENT = 80

_ANSWER = {
    M.GET_READER_CAPABILITIES: 11, M.GET_READER_CONFIG: 12, M.SET_READER_CONFIG: 13,
    M.ADD_ROSPEC: 30, M.DELETE_ROSPEC: 31, M.START_ROSPEC: 32, M.STOP_ROSPEC: 33, M.ENABLE_ROSPEC: 34,
    M.DISABLE_ROSPEC: 35, M.GET_ROSPECS: 36, M.ADD_ACCESSSPEC: 50, M.DELETE_ACCESSSPEC: 51, M.ENABLE_ACCESSSPEC: 52,
    M.DISABLE_ACCESSSPEC: 53, M.GET_ACCESSSPECS: 54, M.CLOSE_CONNECTION: 4,
}  # fmt: skip
"""Type of the answer to each request that has one."""


class FakeReader(Fake):
    """The reader. `now_utc_us` is its clock; without one it follows the loop's time from the configured anchor."""

    Config = ReaderConfig
    config: ReaderConfig

    def __init__(
        self, config: ReaderConfig, act: Callable[[Deed], None], now_utc_us: Callable[[], int] | None = None
    ) -> None:
        super().__init__(config, act)
        self._now_utc_us = now_utc_us or self._anchored_utc_us
        self._settings = Settings()
        self._basket = Basket(config.buffer_tags)
        self._operations = Operations(self, self._basket, config.max_rospecs, config.max_accessspecs)
        self._lost_antennas: set[int] = set()
        self._gpis: dict[int, bool] = {}
        self._held_events: deque[bytes] = deque(maxlen=EVENTS_HELD)
        self._buffer_state = 0
        self._client: _Client | None = None
        self._last_id = 0

    # --- the world's side --------------------------------------------------------------------------------------------

    def sense(self, reading: Reading) -> None:
        match reading:
            case TagAnswer(antenna, epc, rssi_dbm, tid) if 1 <= antenna <= self.config.antennas:
                if antenna not in self._lost_antennas:
                    rssi = min(max(round(rssi_dbm), -128), 127)
                    sighting = Sighting(antenna, epc, tid, rssi, self._now_utc_us(), _uptime_us())
                    self._operations.sighted(sighting, self._settings.report, self._settings.access_trigger)
                    self._watch_buffer()
            case Contact(point, on) if point in self.config.gpi:
                self._gpi(self.config.gpi[point], on)
            case _:
                pass  # a reader has no sensor for it

    def _gpi(self, port: int, on: bool) -> None:
        if self._gpis.get(port, False) == on:
            return
        self._gpis[port] = on
        if port not in self._settings.gpi_off:
            self._event(EVENT_GPI, tlv(P.GPI_EVENT, u16(port), flag(on)))
            self._operations.gpi(port, on)

    def set_antenna(self, antenna: int, connected: bool) -> None:
        """An antenna cable comes off, or is plugged in again."""
        if connected == (antenna in self._lost_antennas):
            (self._lost_antennas.discard if connected else self._lost_antennas.add)(antenna)
            self._event(EVENT_ANTENNA, tlv(P.ANTENNA_EVENT, u8(connected), u16(antenna)))

    def raise_exception(self, text: str) -> None:
        """The reader reports trouble of its own."""
        self._event(EVENT_EXCEPTION, tlv(P.READER_EXCEPTION_EVENT, utf8(text)))

    def complain(self, code: int) -> None:
        """Send an ERROR_MESSAGE that nobody asked for."""
        if self._client is not None:
            body = tlv(P.LLRP_STATUS, u16(code), utf8(""))
            self._client.tell(message(M.ERROR_MESSAGE, 0, body))

    def _anchored_utc_us(self) -> int:
        return round((self.config.utc_at_zero_s + asyncio.get_running_loop().time()) * 1e6)

    # --- what operations tell ----------------------------------------------------------------------------------------

    def rospec_event(self, kind: int, spec_id: int, by: int) -> None:
        """A ROSpec started, ended or was preempted."""
        self._event(EVENT_ROSPEC, tlv(P.ROSPEC_EVENT, u8(kind), u32(spec_id, by)))

    def aispec_ended(self, spec_id: int, index: int) -> None:
        """An AISpec came to its end."""
        self._event(EVENT_AISPEC, tlv(P.AISPEC_EVENT, u8(0), u32(spec_id), u16(index)))

    def basket_full(self) -> None:
        """A tag could not be kept."""
        if self._buffer_state < 2:
            self._buffer_state = 2
            self._event(EVENT_BUFFER, tlv(P.BUFFER_OVERFLOW_EVENT))

    def _watch_buffer(self) -> None:
        percent = 100 * len(self._basket) // self.config.buffer_tags
        if percent < BUFFER_WARNING_PERCENT:
            self._buffer_state = 0
        elif self._buffer_state == 0:
            self._buffer_state = 1
            self._event(EVENT_BUFFER, tlv(P.BUFFER_LEVEL_EVENT, u8(min(percent, 100))))

    def reports_due(self) -> None:
        """Send what is due, if somebody may get it now; keep it only where a client asked for holding."""
        client = self._client
        if client is None and not self._settings.hold:
            self._basket.take()
        elif client is not None and not client.held and (entries := self._basket.take()):
            client.tell(self._unasked(M.RO_ACCESS_REPORT, report(entries, self.config.utc_clock)))

    def _event(self, kind: int, parameter: bytes) -> None:
        if kind not in self._settings.events:
            return
        data = self.notification(parameter)
        if self._client is not None and not self._client.held:
            self._client.tell(data)
        elif self._settings.hold:
            self._held_events.append(data)

    def notification(self, parameter: bytes) -> bytes:
        """READER_EVENT_NOTIFICATION with its time stamp."""
        utc = self.config.utc_clock
        clock = tlv(P.UTC_TIMESTAMP, u64(self._now_utc_us())) if utc else tlv(P.UPTIME, u64(_uptime_us()))
        return message(M.READER_EVENT_NOTIFICATION, 0, tlv(P.EVENT_DATA, clock, parameter))

    def _unasked(self, kind: M, body: bytes = b"") -> bytes:
        self._last_id = self._last_id % 0xFFFF_FFFF + 1
        return message(kind, self._last_id, body)

    # --- the client's side -------------------------------------------------------------------------------------------

    async def serve(self, link: Link) -> None:
        if self._client is not None:
            await link.write(self.notification(tlv(P.CONNECTION_ATTEMPT_EVENT, u16(TAKEN))))
            return
        client = self._client = _Client(self, self.config, held=self._settings.hold)
        client.tell(self.notification(tlv(P.CONNECTION_ATTEMPT_EVENT, u16(ACCEPTED))))
        client.keep_alive(self._settings.keepalive_ms)
        if not client.held:
            self._release()
        try:
            await serve_client(link, client.outbox, client.listen(link))
        finally:
            client.keep_alive(0)
            self._client = None

    def keepalive(self) -> bytes:
        """The next KEEPALIVE."""
        return self._unasked(M.KEEPALIVE)

    def _release(self) -> None:
        """Events and reports that were held may go now."""
        client = self._client
        if client is not None:
            client.held = False
            while self._held_events:
                client.tell(self._held_events.popleft())
            self.reports_due()

    def answer(self, frame: Frame) -> bytes:
        """Carry out one message; the bytes to send back, none for a message that has no answer."""
        match frame.type:
            case M.KEEPALIVE_ACK | M.ERROR_MESSAGE:
                return b""
            case M.ENABLE_EVENTS_AND_REPORTS:
                self._release()
                return b""
            case M.GET_REPORT:
                self._basket.ripen()
                return message(M.RO_ACCESS_REPORT, frame.id, report(self._basket.take(), self.config.utc_clock))
            case known if known in _ANSWER:
                return message(_ANSWER[M(known)], frame.id, self._carry_out(M(known), Fields(frame.body), frame.body))
            case _:
                return self._error(frame, Code.UNSUPPORTED_MESSAGE, f"there is no message {frame.type} for a reader")

    def _error(self, frame: Frame, code: Code, text: str) -> bytes:
        return message(M.ERROR_MESSAGE, frame.id, status(Refused(code, text)))

    def _carry_out(self, kind: M, fields: Fields, body: bytes) -> bytes:
        """The answer's body: a status, and what was asked for."""
        try:
            return OK + self._do(kind, fields, body)
        except Refused as refusal:
            return status(refusal)

    def _do(self, kind: M, fields: Fields, body: bytes) -> bytes:
        match kind:
            case M.GET_READER_CAPABILITIES:
                return capabilities(self.config, fields.number(1))
            case M.GET_READER_CONFIG:
                return get_config(self.config, self._settings, self._lost_antennas, self._gpis, fields)
            case M.SET_READER_CONFIG:
                self._set_config(fields)
            case M.ADD_ROSPEC:
                self._operations.add(read_rospec(one(body, P.ROSPEC), self.config.bounds))
            case M.ADD_ACCESSSPEC:
                self._operations.add_access(read_accessspec(one(body, P.ACCESSSPEC), self.config.bounds))
            case M.GET_ROSPECS:
                fields.end()
                return self._operations.rospecs()
            case M.GET_ACCESSSPECS:
                fields.end()
                return self._operations.accessspecs()
            case M.CLOSE_CONNECTION:
                pass  # the connection closes once this is answered
            case _:
                self._do_by_id(kind, fields)
        return b""

    def _do_by_id(self, kind: M, fields: Fields) -> None:
        spec_id = fields.number(4)
        fields.end()
        operations = self._operations
        deed = {
            M.DELETE_ROSPEC: operations.delete, M.START_ROSPEC: operations.start, M.STOP_ROSPEC: operations.stop,
            M.ENABLE_ROSPEC: operations.enable, M.DISABLE_ROSPEC: operations.disable,
            M.DELETE_ACCESSSPEC: operations.delete_access, M.ENABLE_ACCESSSPEC: operations.enable_access,
            M.DISABLE_ACCESSSPEC: operations.disable_access,
        }[kind]  # fmt: skip
        deed(spec_id)

    def _set_config(self, fields: Fields) -> None:
        before = self._settings
        self._settings = set_config(self.config, before, fields)
        if self._client is not None and self._settings.keepalive_ms != before.keepalive_ms:
            self._client.keep_alive(self._settings.keepalive_ms)
        for name, port in self.config.gpo.items():
            on = self._settings.gpos.get(port, False)
            if on != before.gpos.get(port, False):
                self.act(OutputSet(name, on))


class _Client:
    """The controlling client: what goes out to it, and the keep-alive."""

    def __init__(self, reader: FakeReader, config: ReaderConfig, *, held: bool) -> None:
        self.outbox = Outbox(config.outbox_bytes)
        self.held = held
        self._reader = reader
        self._config = config
        self._versions = Versions(config.highest_version)
        self._unacknowledged = 0
        self._timer: asyncio.TimerHandle | None = None

    async def listen(self, link: Link) -> None:
        """Answer until the client closes, by message or by leaving. Waits without limit; keep-alives watch it."""
        framer = Framer(self._config.max_frame_bytes)
        while not framer.broken:
            for frame in framer.feed(await link.read()):
                if frame.type == M.KEEPALIVE_ACK:
                    self._unacknowledged = 0
                closing = frame.type == M.CLOSE_CONNECTION and frame.version == self._versions.current
                self._answer(frame)
                if closing:
                    return
        self._close()

    def tell(self, data: bytes) -> None:
        """Send a message that is no answer, in the version that is spoken."""
        self.outbox.put(in_version(data, self._versions.current))

    def _answer(self, frame: Frame) -> None:
        data = self._versions.answer(frame)
        if data is not None:
            self.outbox.put(data)
        else:
            self.tell(self._reader.answer(frame))

    def _close(self) -> None:
        self.tell(self._reader.notification(tlv(P.CONNECTION_CLOSE_EVENT)))
        self.outbox.finish()

    def keep_alive(self, period_ms: int) -> None:
        """Send a keep-alive in this period from now on; 0 for none."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unacknowledged = 0
        if period_ms:
            self._timer = asyncio.get_running_loop().call_later(period_ms / 1000, self._beat, period_ms)

    def _beat(self, period_ms: int) -> None:
        if self._unacknowledged >= self._config.keepalive_misses:
            self._close()
            return
        self._unacknowledged += 1
        self.tell(self._reader.keepalive())
        self._timer = asyncio.get_running_loop().call_later(period_ms / 1000, self._beat, period_ms)


def _uptime_us() -> int:
    return round(asyncio.get_running_loop().time() * 1e6)
