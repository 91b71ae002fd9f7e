"""JPEG pictures as RTP packets (RFC 3550, RFC 2435), interleaved into an RTSP connection (RFC 2326, 10.12). Pure.

Used by the camera fake alone. Takes a JPEG file apart into what RFC 2435 sends: sampling, size, quantisation tables and
the scan; a receiver puts the headers back, with the Huffman tables that the JPEG standard suggests. So only baseline
JPEGs of three components with those tables can be sent, as cameras make them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PAYLOAD_TYPE = 26
"""JPEG in the audio and video profile (RFC 3551)."""
CLOCK_HZ = 90_000
MOST_PX = 2040
"""Width and height travel as one byte each, in units of 8 pixels."""
PACKET = 1400
"""Bytes of scan in one packet: what cameras use, so that a packet fits into an Ethernet frame."""
_OWN_TABLES = 255
"""A quality that says: the tables come with each picture."""
_SAMPLINGS = {(0x21, 0x11, 0x11): 0, (0x22, 0x11, 0x11): 1}
"""4:2:2 and 4:2:0: the two types of RFC 2435 without restart markers."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One picture as RFC 2435 wants it. `kind` is its type field."""

    kind: int
    width: int
    height: int
    tables: bytes
    """The quantisation tables of luminance and chrominance, 64 bytes each."""
    data: bytes


def scan_of(jpeg: bytes) -> Scan | None:
    """What RFC 2435 can send of this file; None where it cannot. Never raises."""
    tables: dict[int, bytes] = {}
    frame: tuple[int, int, int, tuple[int, ...]] | None = None
    at = 2
    while jpeg.startswith(b"\xff\xd8") and at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        segment = jpeg[at + 4 : at + 2 + length]
        at += 2 + max(2, length)
        match marker:
            case 0xDB:
                tables |= _tables(segment)
            case 0xC0:
                frame = _frame(segment)
            case 0xDA:
                return _whole(frame, tables, jpeg[at:])
            case _ if (0xC1 <= marker <= 0xCF and marker != 0xC4) or marker == 0xDD:
                return None  # progressive, arithmetic or with restart markers
    return None


def _tables(segment: bytes) -> dict[int, bytes]:
    """The 8-bit tables by their number."""
    return {segment[at]: segment[at + 1 : at + 65] for at in range(0, len(segment) - 64, 65) if segment[at] < 4}


def _frame(segment: bytes) -> tuple[int, int, int, tuple[int, ...]] | None:
    """Type, width, height and each component's table."""
    if len(segment) != 15 or segment[0] != 8 or segment[5] != 3:
        return None
    height, width = struct.unpack_from(">HH", segment, 1)
    kind = _SAMPLINGS.get((segment[7], segment[10], segment[13]))
    return None if kind is None else (kind, width, height, (segment[8], segment[11], segment[14]))


def _whole(frame: tuple[int, int, int, tuple[int, ...]] | None, tables: dict[int, bytes], rest: bytes) -> Scan | None:
    end = rest.rfind(b"\xff\xd9")
    if frame is None or end < 0:
        return None
    kind, width, height, used = frame
    luminance, chrominance = tables.get(used[0]), tables.get(used[1])
    if luminance is None or chrominance is None or used[1] != used[2]:
        return None
    if width % 8 or height % 8 or not 0 < width <= MOST_PX or not 0 < height <= MOST_PX:
        return None
    return Scan(kind, width, height, luminance + chrominance, rest[:end])


class Packets:
    """Numbers the packets of one stream."""

    def __init__(self, source: int, sequence: int, timestamp: int) -> None:
        self.source, self.sequence, self._first = source & 0xFFFFFFFF, sequence & 0xFFFF, timestamp
        self._sent = self._bytes = 0

    def timestamp(self, after_s: float) -> int:
        """The stream's clock so long after its first picture."""
        return self._first + round(after_s * CLOCK_HZ) & 0xFFFFFFFF

    def picture(self, scan: Scan, after_s: float) -> Iterator[bytes]:
        """The packets of one picture; the last one carries the marker."""
        table_header = struct.pack(">BBH", 0, 0, len(scan.tables)) + scan.tables
        for at in range(0, len(scan.data), PACKET):
            piece = scan.data[at : at + PACKET]
            last = at + PACKET >= len(scan.data)
            head = struct.pack(">BBHII", 0x80, last << 7 | PAYLOAD_TYPE, self.sequence, self.timestamp(after_s),
                               self.source)  # fmt: skip
            jpeg_head = struct.pack(">I", at) + bytes((scan.kind, _OWN_TABLES, scan.width // 8, scan.height // 8))
            payload = jpeg_head + (table_header if at == 0 else b"") + piece
            self.sequence = self.sequence + 1 & 0xFFFF
            self._sent += 1
            self._bytes = self._bytes + len(payload) & 0xFFFFFFFF
            yield head + payload

    def report(self, utc_s: float, after_s: float) -> bytes:
        """A sender report and the source's name, as RFC 3550 wants them in one packet."""
        seconds = int(utc_s) + 2_208_988_800  # NTP counts from 1900
        fraction = int((utc_s % 1.0) * (1 << 32))
        sender = struct.pack(">BBHIIIIII", 0x80, 200, 6, self.source, seconds & 0xFFFFFFFF, fraction,
                             self.timestamp(after_s), self._sent & 0xFFFFFFFF, self._bytes)  # fmt: skip
        name = b"\x01\x06camera"
        item = struct.pack(">I", self.source) + name + bytes(4 - len(name) % 4)
        return sender + struct.pack(">BBH", 0x81, 202, len(item) // 4) + item


def interleaved(channel: int, packet: bytes) -> bytes:
    """A packet within the RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet
