"""What was sent on one connection and has no answer yet: packet identifiers, the broker's window, who is told what.

Used by the client alone, which brings the bytes to the link and the answers here. Pure bookkeeping: it does no I/O,
reads no clock and starts no timer. Everything that was taken in is told of exactly once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from lanecontrol.errors import DeviceError, ProtocolViolation
from lanecontrol.port import mqtt_encode as encode
from lanecontrol.port.mqtt_packets import LONGEST, PACKET_TOO_LARGE, RETAIN_UNSUPPORTED, Connack, reason_text
from lanecontrol.port.transport import Batch, Message, Sink

Codes = tuple[int, ...]

_FORMS = 64
"""More than a lane has classes of events."""


class Flight:
    """Messages and questions under way. `out` are the bytes that wait to be written, in order."""

    def __init__(self, protocol: int) -> None:
        self.out: list[bytes] = []
        self._protocol = protocol
        self._written: list[tuple[Sink, Any]] = []
        """What counts as sent when it is written: messages of QoS 0, the goodbye."""
        self._packet_id = 0
        self._window = 1
        self._largest: int | None = None
        self._retains = True
        self._flying: dict[int, tuple[Sink, Any, float]] = {}
        self._asking: dict[int, tuple[asyncio.Future[Codes], float]] = {}
        self._waiting: deque[tuple[Message, bytes, Any, Sink]] = deque()
        self._forms: dict[int, encode.Form] = {}
        """Of messages that are sent again and again with other payloads, by their id; each keeps its message alive."""

    def welcome(self, connack: Connack) -> None:
        """What the broker takes."""
        self._window = connack.receive_maximum
        self._largest = connack.maximum_packet_bytes
        self._retains = connack.retain_available

    # --- sending -----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch, sink: Sink, due_s: float) -> None:
        """Send all of a batch in order; what the window has no room for waits for it."""
        flying, asking, forms, out = self._flying, self._asking, self._forms, self.out
        free = 0 if self._waiting else self._window - len(flying)
        largest = min((self._largest or LONGEST) - 3, encode.USUAL_BYTES)  # without its first bytes
        for message, payload, token in batch:
            form, packet_id = forms.get(id(message)), self._packet_id % 65_535 + 1
            size = form.size + len(payload) if form is not None else largest + 1
            before = form.usual.get(size) if form is not None and size <= largest else None
            if form is None or before is None or free <= 0 or packet_id in flying or packet_id in asking:
                free = self._take_unusual(message, payload, token, sink, due_s)
                continue
            self._packet_id = packet_id
            flying[packet_id] = sink, token, due_s
            out += (before, packet_id.to_bytes(2, "big"), form.after, payload)
            free -= 1

    def _take_unusual(self, message: Message, payload: bytes, token: Any, sink: Sink, due_s: float) -> int:
        """Send it or have it wait; answers how much room there is then."""
        if self._waiting or (message.qos and len(self._flying) >= self._window):
            self._waiting.append((message, payload, token, sink))
            return 0
        self._send(message, payload, token, sink, due_s)
        return self._window - len(self._flying)

    def refill(self, due_s: float) -> None:
        """Send what waited, as far as there is room for it now."""
        waiting = self._waiting
        while waiting and (len(self._flying) < self._window or not waiting[0][0].qos):
            message, payload, token, sink = waiting.popleft()
            if sink is not FUTURES or not token.done():  # nobody gave it up while it waited
                self._send(message, payload, token, sink, due_s)

    def _send(self, message: Message, payload: bytes, token: Any, sink: Sink, due_s: float) -> None:
        packet_id = self._next_id() if message.qos else 0
        try:
            form = self._forms.get(id(message)) or self._new_form(message, payload)
            head = form.head(packet_id, len(payload))
        except encode.Unsendable as bad:
            sink.other(token, bad.code)
            return
        if self._largest is not None and len(head) + len(payload) > self._largest:
            sink.other(token, PACKET_TOO_LARGE)
            return
        if message.retain and not self._retains:
            sink.other(token, RETAIN_UNSUPPORTED)
            return
        if packet_id:
            self._flying[packet_id] = sink, token, due_s
        else:
            self._written.append((sink, token))
        self.out += (head, payload)

    def _new_form(self, message: Message, payload: bytes) -> encode.Form:
        form = encode.Form(message, self._protocol)
        if message.payload is not payload:  # or it is sent just once
            if len(self._forms) >= _FORMS:
                self._forms.clear()
            self._forms[id(message)] = form
        return form

    def _next_id(self) -> int:
        while True:
            self._packet_id = packet_id = self._packet_id % 65_535 + 1
            if packet_id not in self._flying and packet_id not in self._asking:
                return packet_id

    def ask(self, filters: Sequence[str], due_s: float, *, retain_as_published: bool) -> asyncio.Future[Codes]:
        """Send a SUBSCRIBE; its codes. Raises ProtocolViolation for a filter that cannot be sent."""
        packet_id = self._next_id()
        try:
            packet = encode.encode_subscribe(
                filters, packet_id, self._protocol, retain_as_published=retain_as_published
            )
        except encode.Unsendable as bad:
            raise ProtocolViolation("subscribe", str(bad)) from None
        future: asyncio.Future[Codes] = asyncio.get_running_loop().create_future()
        self._asking[packet_id] = future, due_s
        self.out.append(packet)
        return future

    def tell_when_written(self, packet: bytes) -> asyncio.Future[int]:
        """Send a packet that nobody answers; resolves when it is written."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._written.append((FUTURES, future))
        self.out.append(packet)
        return future

    @property
    def only_answered(self) -> bool:
        """Nothing in `out` counts as sent when it is written."""
        return not self._written

    def take_out(self) -> tuple[bytes, list[tuple[Sink, Any]]]:
        """All that waits to be written, and what to call `wrote` with when it is."""
        data, written = b"".join(self.out), self._written
        self.out, self._written = [], []
        return data, written

    # --- answers -----------------------------------------------------------------------------------------------------

    def acknowledged(self, packet_ids: Sequence[int]) -> None:
        """The broker took these. One that is no packet of ours means nothing."""
        pop = self._flying.pop
        for packet_id in packet_ids:
            sent = pop(packet_id, None)
            if sent is not None:
                sent[0].good(sent[1])

    def answered(self, packet_id: int, code: int) -> None:
        """A PUBACK with a reason code."""
        sent = self._flying.pop(packet_id, None)
        if sent is None:
            return
        if code:
            sent[0].other(sent[1], code)
        else:
            sent[0].good(sent[1])

    def granted(self, packet_id: int, codes: Codes) -> None:
        """A SUBACK."""
        asked = self._asking.pop(packet_id, None)
        if asked is not None and not asked[0].done():
            asked[0].set_result(codes)

    def oldest_due_s(self) -> float | None:
        """When the first answer is overdue; None while none is waited for."""
        due = [due_s for _, _, due_s in islice(self._flying.values(), 1)]
        due += [due_s for _, due_s in islice(self._asking.values(), 1)]
        return min(due, default=None)

    @property
    def flying(self) -> int:
        return len(self._flying)

    @property
    def waiting(self) -> bool:
        """Something has no room in the window."""
        return bool(self._waiting)

    @property
    def pending(self) -> bool:
        """Somebody waits to be told."""
        return bool(self._flying or self._waiting or self._asking or self._written)

    def abandon(self, loss: Callable[[], DeviceError]) -> None:
        """The connection is over: all who wait are told, at once."""
        untold = [sent[:2] for sent in self._flying.values()] + [(w[3], w[2]) for w in self._waiting] + self._written
        asking = [future for future, _ in self._asking.values()]
        self._flying.clear()
        self._asking.clear()
        self._waiting.clear()
        self._written = []
        for sink, token in untold:
            sink.other(token, loss())
        for future in asking:
            if not future.done():
                future.set_exception(loss())


def wrote(written: list[tuple[Sink, Any]]) -> None:
    """These are on their way."""
    for sink, token in written:
        sink.good(token)


def refusals(filters: Sequence[str], codes: Codes) -> str:
    """What a SUBACK says against the filters; empty when all are granted."""
    refused = [f"{name}: {reason_text(code)}" for name, code in zip(filters, codes, strict=False) if code > 2]
    if refused or len(codes) != len(filters):
        return "; ".join(refused) or "not an answer for each filter"
    return ""


def _succeed(future: asyncio.Future[int]) -> None:
    if not future.done():
        future.set_result(0)


def _resolve(future: asyncio.Future[int], outcome: int | BaseException) -> None:
    if future.done():
        return
    if isinstance(outcome, int):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


FUTURES = Sink(_succeed, _resolve)
"""Tells futures."""
