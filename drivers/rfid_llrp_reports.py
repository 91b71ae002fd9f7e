"""Tag reads out of LLRP reports, the frequent ones without going through the tables.

Called by the `rfid.llrp` session and by `decode`. Pure but for the shapes it learns; must never raise, and never give
another answer than the tables would.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.rfid_llrp_codec import HEADER_SIZE, Message, Parameter, decode
from lanecontrol.events import TagRead
from lanecontrol.framing import Doubt
from lanecontrol.identifier import Identifier

RO_ACCESS_REPORT = 61
TID_OP = 1
"""Operation id under which this driver asks for a tag's TID; results of other operations are somebody else's."""

_ANTENNA, _FIRST_UTC, _LAST_UTC, _RSSI, _COUNT, _EPC_96 = 1, 2, 4, 6, 8, 13
_TAG_REPORT, _EPC_DATA, _READ_RESULT = 240, 241, 349

_SHAPES = 16
"""How many forms of report are remembered. A reader sends one or two."""


def tag_reads(message: Message) -> Iterator[TagRead]:
    """The tags of an RO_ACCESS_REPORT. A report without an EPC says nothing."""
    for report in message.find(_TAG_REPORT):
        read = _tag_read(report)
        if read is not None:
            yield read


def _tag_read(report: Parameter) -> TagRead | None:
    epc, tid = "", None
    antenna, count = 0, 1
    rssi: float | None = None
    first_us = last_us = None
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
            case 349:
                tid = _tid(part) or tid
            case _:
                pass
    if not epc:
        return None
    seen_us = first_us if last_us is None else last_us
    return TagRead(antenna, Identifier(epc), rssi, count, tid, None if seen_us is None else seen_us / 1e6)


def _tid(result: Parameter) -> Identifier | None:
    """The words of a read that went well, as hex."""
    code, op, words = result.values
    if code != 0 or op != TID_OP or not words:
        return None
    return Identifier(struct.pack(f">{len(words)}H", *words).hex())


# --- the short way ---------------------------------------------------------------------------------------------------

_Unpack = Callable[[bytes], tuple[bytes, int, int, int, int]]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A form of single-tag report: which bits never differ (as one number), and where the values lie."""

    mask: int
    fixed: int
    unpack: _Unpack


class ReportReader:
    """Reads frames. Single-tag reports of a form seen before are compared and unpacked in one go.

    Readers repeat the form of their reports: what differs from one to the next is the message id and the values.
    """

    def __init__(self) -> None:
        self._shapes: dict[int, _Shape] = {}

    def read(self, frame: bytes) -> TagRead | Message | Doubt:
        """A lone tag, or the decoded message where it is anything else."""
        shape = self._shapes.get(len(frame))
        if shape is not None and int.from_bytes(frame, "big") & shape.mask == shape.fixed:
            epc, antenna, rssi, seen_us, count = shape.unpack(frame)
            return TagRead(antenna, Identifier(epc.hex()), float(rssi), count, None, seen_us / 1e6)
        message = decode(frame)
        if isinstance(message, Message) and message.type == RO_ACCESS_REPORT:
            self._learn(frame, message)
        return message

    def _learn(self, frame: bytes, message: Message) -> None:
        if len(message.parameters) != 1 or message.parameters[0].type != _TAG_REPORT:
            return
        shape = _shape(frame, message.parameters[0])
        if shape is not None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            self._shapes[len(frame)] = shape


_WANTED = (_EPC_96, _ANTENNA, _RSSI, _LAST_UTC, _COUNT)
"""What a report must hold, in this order (the standard's), to be read the short way."""

_FORMATS = {_ANTENNA: "H", _RSSI: "b", _LAST_UTC: "Q", _COUNT: "H"}
_SIZES = {
    _ANTENNA: 2,
    _RSSI: 1,
    _LAST_UTC: 8,
    _COUNT: 2,
    _FIRST_UTC: 8,
    3: 8,
    5: 8,
    7: 2,
    9: 4,
    10: 2,
    11: 2,
    12: 2,
    14: 2,
}


def _shape(frame: bytes, report: Parameter) -> _Shape | None:
    kinds = [_EPC_96 if part.type == _EPC_DATA else part.type for part in report.parameters]
    if tuple(kind for kind in kinds if kind in _WANTED) != _WANTED:
        return None
    fixed = bytearray(b"\xff" * 6 + b"\x00" * 4 + b"\xff" * 4)
    layout = [f">{HEADER_SIZE + 4}x"]
    for part in report.parameters:
        if part.type in (_EPC_96, _EPC_DATA):
            head, epc = (1, part.values[0]) if part.type == _EPC_96 else (6, part.values[0][1])
            if not epc:
                return None
            fixed += b"\xff" * head + bytes(len(epc))
            layout.append(f"{head}x{len(epc)}s")
        elif part.type in _SIZES:
            fixed += b"\xff" + bytes(_SIZES[part.type])
            layout.append("x" + _FORMATS.get(part.type, f"{_SIZES[part.type]}x"))
        else:
            return None
    mask = int.from_bytes(fixed, "big")
    unpack: _Unpack = struct.Struct("".join(layout)).unpack
    return _Shape(mask, int.from_bytes(frame, "big") & mask, unpack)
