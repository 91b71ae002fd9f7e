"""Tag reads out of what an LLRP reader sends, the frequent forms of report without going through the tables.

Called by the `rfid.llrp` session and by `decode`. Pure but for the forms it learns; must never raise, and never give
another answer than the tables would.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from drivers.rfid_llrp_codec import (
    FRAME_LIMIT,
    HEADER_SIZE,
    Frames,
    Message,
    Parameter,
    decoding,
    decoding_parameters,
    extent,
)
from drivers.rfid_llrp_fields import Unfit
from drivers.rfid_llrp_layouts import SHORT_PARAMETERS
from lanecontrol.events import TagRead
from lanecontrol.framing import DOUBT_LIMIT, Doubt
from lanecontrol.identifier import Identifier

RO_ACCESS_REPORT = 61
TID_OP = 1
"""Operation id under which this driver asks for a tag's TID; results of other operations are somebody else's."""

_ANTENNA, _FIRST_UTC, _LAST_UTC, _RSSI, _COUNT, _ROSPEC, _EPC_96 = 1, 2, 4, 6, 8, 9, 13
_TAG_REPORT, _EPC_DATA, _READ_RESULT = 240, 241, 349

_FORMS = 32
"""How many forms of report are learned in a session. A reader sends one or two; learning takes a while."""

_RUN = 32
"""Reports read in one go: some tenths of a millisecond."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A tag as the reader reports it; `rospec` is the inventory that it says it was seen by."""

    read: TagRead
    rospec: int | None


def tag_reads(message: Message) -> Iterator[TagRead]:
    """The tags of an RO_ACCESS_REPORT by the tables. A report without an EPC says nothing."""
    for report in message.find(_TAG_REPORT):
        seen = sighting(report)
        if seen is not None:
            yield seen.read


def sighting(report: Parameter, *, late: bool = False) -> Sighting | None:
    """The tag of a TagReportData; None without an EPC."""
    epc, antenna, count = "", 0, 1
    tid: Identifier | None = None
    rssi: float | None = None
    first_us = last_us = rospec = None
    for part in report.parameters:
        match part.type:
            case 13:
                epc = part.values[0].hex()
            case 241:
                epc = part.values[0][1].hex()
            case 1:
                antenna = part.values[0]
            case 6:
                rssi = float(part.values[0])
            case 2:
                first_us = part.values[0]
            case 4:
                last_us = part.values[0]
            case 8:
                count = part.values[0]
            case 9:
                rospec = part.values[0]
            case 349:
                tid = _tid(part) or tid
            case _:
                pass
    if not epc:
        return None
    seen_us = first_us if last_us is None else last_us
    utc_s = None if seen_us is None else seen_us / 1e6
    return Sighting(TagRead(antenna, Identifier(epc), rssi, count, tid, utc_s, late), rospec)


def _tid(result: Parameter) -> Identifier | None:
    """The words of a read that went well, as hex."""
    code, op, words = result.values
    if code != 0 or op != TID_OP or not words:
        return None
    return Identifier(struct.pack(f">{len(words)}H", *words).hex())


# --- the short way ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of report: a pattern of some such reports in a row, and where the values lie in each.

    What differs from one report to the next is left open in the pattern; all else is the same to the byte, so that the
    tables would find the same fields at the same places.
    """

    run: re.Pattern[bytes]
    values: struct.Struct
    rospec: int | None


class ReportReader:
    """Takes what arrives, gives tag reads one by one, and all else as messages.

    Reports of a form seen before are compared and unpacked many at a time. Readers repeat the form of their reports:
    what differs is the message id and the values.

    `rospec` is the inventory of this session. A report of another one, and one that does not say of which it is while
    `started` is not set, was held back by the reader: it is `late`.
    """

    def __init__(self, limit: int = FRAME_LIMIT, *, rospec: int | None = None) -> None:
        self._frames = Frames(limit)
        self._own = rospec
        self.started = rospec is None
        self._alone: dict[bytes, _Form] = {}
        """Frames with a single report, by the length in their header."""
        self._among: dict[bytes, _Form] = {}
        """Reports among others, by the header of their parameter."""
        self._learned = 0

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return self._frames.pending

    def feed(self, data: bytes) -> Iterator[TagRead | Message | Doubt | None]:
        """What `data` completes, in steps: None is a breath, for whoever must let others have their turn.

        To be taken to its end before the next bytes are fed. The reads of a report before the place where its bytes
        stop to fit come out, and then the doubt.
        """
        data = self._frames.joined(data)
        at = 0
        while True:
            form = self._alone.get(data[at + 2 : at + 6])
            run = form.run.match(data, at) if form is not None else None
            if form is not None and run is not None:
                yield from self._unpacked(form, data, at, run.end())
                at = run.end()
                continue
            frame = self._frames.cut(data, at)
            if frame is None:
                break
            if isinstance(frame, bytes):
                at += len(frame)
                yield from self._read(frame)
            else:
                yield frame
        self._frames.keep(data, at)

    def _unpacked(self, form: _Form, data: bytes, at: int, end: int) -> Iterator[TagRead]:
        late = self._late(form.rospec)
        for epc, antenna, rssi, seen_us, count in form.values.iter_unpack(data[at:end]):
            yield TagRead(antenna, Identifier(epc.hex()), float(rssi), count, None, seen_us / 1e6, late)

    def _late(self, rospec: int | None) -> bool:
        if self._own is None:
            return False
        return not self.started if rospec is None else rospec != self._own

    def _read(self, frame: bytes) -> Iterator[TagRead | Message | Doubt | None]:
        if frame[0] & 3 or frame[1] != RO_ACCESS_REPORT:
            yield (yield from decoding(frame))
            return
        found = False
        try:
            for item in self._reports(frame):
                found = found or item is not None
                yield item
        except Unfit as unfit:
            yield Doubt(frame[:DOUBT_LIMIT], f"RO_ACCESS_REPORT: {unfit}")
            return
        if not found:
            yield (yield from decoding(frame))

    def _reports(self, frame: bytes) -> Generator[TagRead | None, None, None]:
        """The tags of a report frame. Raises Unfit."""
        at, end = HEADER_SIZE, len(frame)
        while at < end:
            form = self._among.get(frame[at : at + 4])
            run = form.run.match(frame, at) if form is not None else None
            if form is not None and run is not None:
                yield from self._unpacked(form, frame, at, run.end())
                at = run.end()
                continue
            kind, _, stop = extent(frame, at, end)
            (report,) = yield from decoding_parameters(frame, at, stop)
            if kind == _TAG_REPORT:
                seen = sighting(report)
                if seen is not None:
                    yield self._dated(seen)
                    self._learn(frame, at, stop, report, seen.rospec)
            at = stop

    def _dated(self, seen: Sighting) -> TagRead:
        if not self._late(seen.rospec):
            return seen.read
        read = seen.read
        return TagRead(read.antenna, read.epc, read.rssi_dbm, read.seen_count, read.tid, read.reader_utc_s, late=True)

    def _learn(self, frame: bytes, at: int, stop: int, report: Parameter, rospec: int | None) -> None:
        if self._learned >= _FORMS:
            return
        found = _form_of(frame[at:stop], report)
        if found is None:
            return
        self._learned += 1
        pattern, values = found
        self._among[frame[at : at + 4]] = _made(pattern, values, rospec)
        if stop - at + HEADER_SIZE == len(frame):
            header = re.escape(frame[:6]) + b".{4}"
            self._alone[frame[2:6]] = _made(header + pattern, f"{HEADER_SIZE}x" + values, rospec)


def _made(pattern: bytes, values: str, rospec: int | None) -> _Form:
    run = re.compile(b"(?:%b){1,%d}+" % (pattern, _RUN), re.DOTALL)
    return _Form(run, struct.Struct(">" + values), rospec)


_WANTED = (_EPC_96, _ANTENNA, _RSSI, _LAST_UTC, _COUNT)
"""What a report must hold, in this order (the standard's), to be read the short way."""

_FORMATS = {_ANTENNA: "H", _RSSI: "b", _LAST_UTC: "Q", _COUNT: "H"}
_OPEN = {_ANTENNA: 2, _RSSI: 1, _LAST_UTC: 8, _COUNT: 2, _FIRST_UTC: 8, 3: 8, 5: 8, 7: 2, 10: 2, 11: 2, 12: 2, 14: 2}
"""Parameters whose values may differ, by their size. An inventory's id (9) may not: what is late depends on it."""


def _form_of(raw: bytes, report: Parameter) -> tuple[bytes, str] | None:
    """A pattern of such reports and the places of their values, or None where they can only be read by the tables."""
    kinds = [_EPC_96 if part.type == _EPC_DATA else part.type for part in report.parameters]
    if tuple(kind for kind in kinds if kind in _WANTED) != _WANTED:
        return None
    pattern, values, at = re.escape(raw[:4]), "4x", 4
    while at < len(raw):
        kind, start, stop = extent(raw, at, len(raw))
        if kind == _EPC_DATA:
            start += 2  # behind the count of its bits
        elif kind not in SHORT_PARAMETERS:
            return None
        head, size = start - at, stop - start
        if kind in (_EPC_96, _EPC_DATA):
            values += f"{head}x{size}s"
        elif kind in _OPEN:
            values += f"{head}x" + _FORMATS.get(kind, f"{size}x")
        else:
            head, size = stop - at, 0
            values += f"{head}x"
        pattern += re.escape(raw[at : at + head]) + (b".{%d}" % size if size else b"")
        at = stop
    return pattern, values
