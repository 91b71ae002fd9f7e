"""What the fake reader does with tags that answer: collects them into report entries. Pure."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from sim.rfid_llrp_specs import Content
from sim.rfid_llrp_wire import P, tlv, tv, u8, u16, u32, u64

CHANNEL_INDEX = 1


@dataclass(frozen=True, slots=True)
class Sighting:
    """A tag answered an antenna of a running AISpec; times in microseconds."""

    antenna: int
    epc: bytes
    tid: bytes
    rssi_dbm: int
    utc_us: int
    uptime_us: int


@dataclass(slots=True)
class Entry:
    """One TagReportData: the same tag seen once or more."""

    content: Content
    rospec: int
    spec_index: int
    inventory: int
    first: Sighting
    last: Sighting
    rssi_dbm: int
    count: int = 1
    access: int = 0
    results: bytes = b""

    def again(self, sighting: Sighting) -> None:
        """Seen once more."""
        self.last = sighting
        self.rssi_dbm = max(self.rssi_dbm, sighting.rssi_dbm)
        self.count = min(self.count + 1, 0xFFFF)

    def encode(self, utc_clock: bool) -> bytes:
        """The parameter, with just those fields that the content selector asks for."""
        first, last = self.first, self.last
        if utc_clock:
            times = tv(P.FIRST_SEEN_UTC, u64(first.utc_us)), tv(P.LAST_SEEN_UTC, u64(last.utc_us))
        else:
            times = tv(P.FIRST_SEEN_UPTIME, u64(first.uptime_us)), tv(P.LAST_SEEN_UPTIME, u64(last.uptime_us))
        optional = (
            (0, tv(P.ROSPEC_ID, u32(self.rospec))),
            (1, tv(P.SPEC_INDEX, u16(self.spec_index))),
            (2, tv(P.INVENTORY_PARAMETER_SPEC_ID, u16(self.inventory))),
            (3, tv(P.ANTENNA_ID, u16(first.antenna))),
            (5, tv(P.PEAK_RSSI, u8(self.rssi_dbm & 0xFF))),
            (4, tv(P.CHANNEL_INDEX, u16(CHANNEL_INDEX))),
            (6, times[0]),
            (7, times[1]),
            (8, tv(P.TAG_SEEN_COUNT, u16(self.count))),
        )
        parts = [epc_parameter(first.epc), *(part for place, part in optional if self.content.has(place))]
        if self.content.crc:
            parts.append(tv(P.C1G2_CRC, epc_bank(first.epc)[:2]))
        if self.content.pc:
            parts.append(tv(P.C1G2_PC, epc_bank(first.epc)[2:4]))
        if self.access and self.content.has(9):
            parts.append(tv(P.ACCESSSPEC_ID, u32(self.access)))
        return tlv(P.TAG_REPORT_DATA, *parts, self.results)


@dataclass(slots=True)
class Basket:
    """Entries not reported yet, at most `limit`. What is `due` may go; the rest waits for its trigger."""

    limit: int
    due: list[Entry] = field(default_factory=list)
    collecting: dict[tuple[object, ...], Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.due) + len(self.collecting)

    def put(self, entry: Entry) -> bool:
        """Count a sighting into its entry; False when there is no room for another one."""
        # Only what the report tells apart makes a second entry; an access result is never merged away.
        key = (entry.first.epc, entry.rospec, entry.first.antenna if entry.content.has(3) else 0, entry.spec_index)
        known = self.collecting.get(key)
        if known is not None and not entry.results and not known.results:
            known.again(entry.first)
            return True
        if len(self) >= self.limit:
            return False
        if known is not None:
            self.due.append(self.collecting.pop(key))
        self.collecting[key] = entry
        return True

    def ripen(self) -> None:
        """What was collected is due."""
        self.due += self.collecting.values()
        self.collecting.clear()

    def take(self) -> list[Entry]:
        """What is due, which is no longer in the basket then."""
        taken, self.due = self.due, []
        return taken


def epc_parameter(epc: bytes) -> bytes:
    """EPC_96 for 96 bits, EPCData for every other length."""
    return tv(P.EPC_96, epc) if len(epc) == 12 else tlv(P.EPC_DATA, u16(8 * len(epc)), epc)


def epc_bank(epc: bytes) -> bytes:
    """Bank 1 of a tag: CRC, protocol control word, EPC (ISO 18000-63; the CRC is CRC-16 of Gen2)."""
    stored = u16((len(epc) + 1) // 2 << 11) + epc
    return u16(binascii.crc_hqx(stored, 0xFFFF) ^ 0xFFFF) + stored


def memory_bank(number: int, sighting: Sighting) -> bytes:
    """Bank 1 EPC or 2 TID of a tag; tags here have nothing in the others that a reader gets at."""
    return {1: epc_bank(sighting.epc), 2: sighting.tid}.get(number, b"")


def report(entries: Iterable[Entry], utc_clock: bool) -> bytes:
    """Body of RO_ACCESS_REPORT."""
    return b"".join(entry.encode(utc_clock) for entry in entries)
