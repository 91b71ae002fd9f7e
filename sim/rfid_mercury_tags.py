"""What the fake module does with tags that answer: one record each, a buffer of them, and their memory. Pure."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import IntFlag

from sim.rfid_mercury_wire import MAX_LENGTH, Refused, Status, u16, u32

FREQUENCY_KHZ, PHASE_DEGREES, GEN2 = 915_250, 90, 5
"""The fake's carrier never hops and its tags never turn: the world tells neither."""
MAX_EPC_BYTES = 62
"""496 bits, as many as the length field of the PC word can tell."""
FAILED_BITS = 0x8000
"""In place of the number of bits: the embedded command failed, and its status word follows."""


class Meta(IntFlag):
    """Metadata flags: which fields a record has, in this order."""

    COUNT = 0x0001
    RSSI = 0x0002
    ANTENNA = 0x0004
    FREQUENCY = 0x0008
    TIME = 0x0010
    PHASE = 0x0020
    PROTOCOL = 0x0040
    DATA = 0x0080
    GPIO = 0x0100
    Q = 0x0200
    LINK_FREQUENCY = 0x0400
    TARGET = 0x0800


ALL_META = 0x0FFF


@dataclass(frozen=True, slots=True)
class Sighting:
    """A tag answered an antenna; `time_ms` since the search or cycle began, `data` as the record's data field."""

    epc: bytes
    rssi_dbm: int
    port: int
    time_ms: int
    gpio: int = 0
    data: bytes = b"\0\0"


@dataclass(frozen=True, slots=True)
class MemoryRead:
    """Words of a bank of a tag's memory; 0 words for all there are."""

    bank: int
    word: int
    words: int


def epc_bank(epc: bytes) -> bytes:
    """Bank 1 of a tag: CRC, protocol control word, EPC (ISO 18000-63; the CRC is CRC-16 of Gen2)."""
    stored = u16((len(epc) + 1) // 2 << 11) + epc
    return u16(binascii.crc_hqx(stored, 0xFFFF) ^ 0xFFFF) + stored


def epc_part(epc: bytes, tag_crc: bytes | None = None) -> bytes:
    """The end of a record: bits of what follows, PC word, EPC, the tag's CRC."""
    bank = epc_bank(epc)
    return u16(8 * len(bank)) + bank[2:] + (bank[:2] if tag_crc is None else tag_crc)


def metadata(seen: Sighting, wanted: int, count: int) -> bytes:
    """The fields of a record that `wanted` asks for."""
    fields = (
        (Meta.COUNT, bytes((min(count, 255),))),
        (Meta.RSSI, bytes((min(max(seen.rssi_dbm, -128), 127) & 0xFF,))),
        (Meta.ANTENNA, bytes((seen.port << 4 | seen.port,))),
        (Meta.FREQUENCY, FREQUENCY_KHZ.to_bytes(3, "big")),
        (Meta.TIME, u32(seen.time_ms & 0xFFFF_FFFF)),
        (Meta.PHASE, u16(PHASE_DEGREES)),
        (Meta.PROTOCOL, bytes((GEN2,))),
        (Meta.DATA, seen.data),
        (Meta.GPIO, bytes((seen.gpio,))),
        (Meta.Q, b"\0"),
        (Meta.LINK_FREQUENCY, b"\0"),
        (Meta.TARGET, b"\0"),
    )
    return b"".join(field for flag, field in fields if wanted & flag)


def record(seen: Sighting, wanted: int, count: int, tag_crc: bytes | None = None) -> bytes:
    """One tag record."""
    return metadata(seen, wanted, count) + epc_part(seen.epc, tag_crc)


def read_memory(read: MemoryRead, epc: bytes, tid: bytes) -> bytes:
    """Words of a tag's memory. Raises Refused: passwords are locked, and there is no user memory."""
    if read.bank == 0:
        raise Refused(Status.MEMORY_LOCKED)
    bank = {1: epc_bank(epc), 2: tid}.get(read.bank, b"")
    end = 2 * (read.word + read.words) if read.words else len(bank)
    if end > len(bank) or 2 * read.word >= end:
        raise Refused(Status.MEMORY_OVERRUN)
    return bank[2 * read.word : end]


def embedded(read: MemoryRead | None, epc: bytes, tid: bytes) -> bytes:
    """The data field of a record: what an embedded read found; empty when there is none."""
    if read is None:
        return u16(0)
    try:
        words = read_memory(read, epc, tid)
    except Refused as refusal:
        return u16(FAILED_BITS, refusal.status)
    return u16(8 * len(words)) + words


@dataclass(slots=True)
class _Entry:
    seen: Sighting
    count: int = 1


class TagBuffer:
    """Records not cleared yet, at most `limit`: one for each tag, or for each tag and antenna or data as options say.

    A record shows its strongest sighting, and the time of its first unless `newest_time`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[tuple[object, ...], _Entry] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def position(self) -> tuple[int, int]:
        """Index of the next record to be fetched, and of the first that is not there yet."""
        return self._next, len(self._entries)

    def put(self, key: tuple[object, ...], seen: Sighting, *, newest_time: bool) -> bool:
        """Count a sighting into its record; False when there is no room for another one."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._limit:
                return False
            self._entries[key] = _Entry(seen)
            return True
        entry.count += 1
        if seen.rssi_dbm > entry.seen.rssi_dbm:
            time_ms = seen.time_ms if newest_time else entry.seen.time_ms
            entry.seen = Sighting(seen.epc, seen.rssi_dbm, seen.port, time_ms, seen.gpio, seen.data)
        return True

    def fetch(self, wanted: int, room: int = MAX_LENGTH) -> list[bytes]:
        """The next records, as many as fit into `room` bytes."""
        found: list[bytes] = []
        for entry in list(self._entries.values())[self._next :]:
            data = record(entry.seen, wanted, entry.count)
            if len(data) > room or len(found) == 255:
                break
            room -= len(data)
            found.append(data)
        self._next += len(found)
        return found

    def rewind(self) -> None:
        """Fetch from the first record again."""
        self._next = 0

    def clear(self) -> None:
        """Forget every record."""
        self._entries.clear()
        self._next = 0
