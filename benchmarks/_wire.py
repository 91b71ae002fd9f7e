"""The thinnest MQTT there is, on blocking sockets: a counter of what arrives, and a publisher that fills a broker.

Used to measure by, so it shares nothing with the client that is measured. MQTT 3.1.1, whole packets by hand from the
standard. A counter runs in a process of its own; what it takes without a broker, from a socket that is always full, is
its own cap and is measured too.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

PUBLISH, PUBACK = 0x30, 0x40


def connect(port: int, name: str, keepalive_s: int = 600) -> socket.socket:
    """A greeted connection. Raises OSError."""
    link = socket.create_connection(("127.0.0.1", port), 10.0)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(packet(0x10, b"\x00\x04MQTT\x04\x02" + keepalive_s.to_bytes(2, "big") + text(name)))
    if _exactly(link, 4)[3] != 0:
        raise ConnectionRefusedError("refused by the broker")
    return link


def subscribe(link: socket.socket, topics: str, qos: int) -> None:
    link.sendall(packet(0x82, b"\x00\x01" + text(topics) + bytes((qos,))))
    _exactly(link, 5)


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    head, size = bytearray((first,)), len(body)
    while True:
        size, digit = size >> 7, size & 0x7F
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


def _exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise ConnectionResetError("the broker closed the connection")
        data += more
    return data


# --- what arrives ----------------------------------------------------------------------------------------------------


class Scanner:
    """Cuts a stream into packets as cheaply as Python can; keeps what is not whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """First byte, start and end of the body, and the bytes it lies in."""
        data = self._rest + data if self._rest else data
        at, have = 0, len(data)
        while have - at >= 2:
            size, body = data[at + 1], at + 2
            if size >= 0x80:
                shift = 7
                size &= 0x7F
                while body < have:
                    digit = data[body]
                    body += 1
                    size |= (digit & 0x7F) << shift
                    shift += 7
                    if digit < 0x80:
                        break
                else:
                    break
            if body + size > have:
                break
            yield data[at], body, body + size, data
            at = body + size
        self._rest = data[at:]


@dataclass(slots=True)
class Heard:
    """What a counter has heard."""

    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    """On the machine's monotonic clock, which all its processes share."""
    payloads: list[bytes] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return (self.count - 1) / (self.last_s - self.first_s) if self.count > 1 else 0.0


def count_messages(port: int, topics: str, expect: int, keep: bool, qos: int, tell: Connection) -> None:
    """A counter's process: says "ready", then counts until `expect` messages came or the other end of the pipe asks.

    At QoS 0 nothing goes back, so nothing slows the broker; at QoS 1 nothing that waits for us is ever dropped.
    """
    link = connect(port, f"counter-{time.monotonic_ns()}")
    subscribe(link, topics, qos)
    tell.send("ready")
    heard = Heard()
    count_on(link, heard, expect, keep, lambda: tell.poll())
    link.close()
    tell.send(heard)


def count_on(link: socket.socket, heard: Heard, expect: int, keep: bool, enough: Callable[[], bool]) -> None:
    scanner = Scanner()
    link.settimeout(0.05)
    while heard.count < expect:
        try:
            data = link.recv(1 << 20)
        except TimeoutError:
            if enough():
                return
            continue
        if not data:
            return
        answers = []
        for first, body, end, whole in scanner.feed(data):
            if first & 0xF0 != PUBLISH:
                continue
            heard.count += 1
            start = body + 2 + (whole[body] << 8 | whole[body + 1])
            if first & 0x06:
                answers.append(b"\x40\x02" + whole[start : start + 2])
                start += 2
            if keep:
                heard.payloads.append(whole[start:end])
        if answers:
            link.sendall(b"".join(answers))
        heard.last_s = time.monotonic()
        if not heard.first_s:
            heard.first_s = heard.last_s


def feed_without_broker(listener: socket.socket, messages: int, body: bytes, topic: str) -> None:
    """Plays the broker for one counter, at the speed of the socket: what the counter then shows is its own cap."""
    link, _ = listener.accept()
    link.recv(1000)
    link.sendall(b"\x20\x02\x00\x00")
    link.recv(1000)
    link.sendall(b"\x90\x03\x00\x01\x00")
    block = packet(PUBLISH, text(topic) + body) * 100
    for _ in range(messages // 100):
        link.sendall(block)
    link.recv(1000)
    link.close()


# --- filling a broker ------------------------------------------------------------------------------------------------


def publish_all(port: int, topic: str, bodies: Iterator[bytes], window: int, name: str = "filler") -> int:
    """Publish at QoS 1 with a window and answer how many were acknowledged. Raises OSError when the broker goes."""
    link = connect(port, name)
    scanner, flying, acknowledged, done = Scanner(), 0, 0, False
    number, head = 0, text(topic)
    while not done or flying:
        out = []
        while not done and flying < window:
            body = next(bodies, None)
            if body is None:
                done = True
                break
            number = number % 65_535 + 1
            out.append(packet(PUBLISH | 2, head + number.to_bytes(2, "big") + body))
            flying += 1
        if out:
            link.sendall(b"".join(out))
        if flying:
            data = link.recv(65536)
            if not data:
                raise ConnectionResetError("the broker closed the connection")
            answers = sum(1 for first, *_ in scanner.feed(data) if first == PUBACK)
            flying -= answers
            acknowledged += answers
    link.sendall(b"\xe0\x00")
    link.close()
    return acknowledged
