"""AccessSpecs of the fake reader: which tags, which operations, and what comes of them. Pure; raises `Refused` only.

Reading gives what a tag holds. Writing, locking and killing are accepted, as every Gen2 reader must accept them, and
fail in the way that the simulation's tags would make them fail: their memory is locked for good, their kill password is
zero (such a tag cannot be killed), their access password is zero. Nothing is ever changed. Erasing and writing of
blocks are refused: the reader's capabilities say that it has neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from sim.rfid_llrp_specs import Bounds, Children, within
from sim.rfid_llrp_tags import Sighting, memory_bank
from sim.rfid_llrp_wire import Code, Fields, P, Param, inside, parameters, tlv, u8, u16


@dataclass(frozen=True, slots=True)
class Pattern:
    """Bits of a bank that a tag must have (or must not have); an empty mask takes every tag."""

    bank: int
    match: bool
    pointer: int
    mask: str
    data: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read words of a bank: 0 reserved, 1 EPC, 2 TID, 3 user."""

    op_id: int
    password: int
    bank: int
    word: int
    words: int


@dataclass(frozen=True, slots=True)
class Change:
    """Write, lock or kill: an operation that would change a tag, and changes none here."""

    kind: P
    op_id: int
    password: int


Operation = Read | Change


@dataclass(frozen=True, slots=True)
class AccessSpec:
    """What to do with tags that match. `count` 0 has no limit.

    `report_trigger` 0: results go with the ROSpec's report, 1: at once; None: as the reader is set.
    """

    id: int
    antenna: int
    rospec: int
    count: int
    patterns: tuple[Pattern, ...]
    operations: tuple[Operation, ...]
    report_trigger: int | None
    raw: bytes

    def encode(self, enabled: bool) -> bytes:
        """The parameter with its present state."""
        return self.raw[:11] + (b"\x80" if enabled else b"\0") + self.raw[12:]


# --- from bytes ------------------------------------------------------------------------------------------------------


def read_accessspec(param: Param, bounds: Bounds) -> AccessSpec:
    """The AccessSpec. Raises Refused."""
    fields = Fields(param.body, P.ACCESSSPEC)
    spec_id = within(P.ACCESSSPEC, fields.number(4), 1, 0xFFFF_FFFF, "the id")
    antenna = within(P.ACCESSSPEC, fields.number(2), 0, bounds.antennas, "the antenna")
    within(P.ACCESSSPEC, fields.number(1), 1, 1, "the air protocol")
    within(P.ACCESSSPEC, fields.number(1) >> 7, 0, 0, "the state")
    rospec = fields.number(4)
    children = Children(P.ACCESSSPEC, fields.rest())
    stop = Fields(children.need(P.ACCESSSPEC_STOP_TRIGGER).body, P.ACCESSSPEC_STOP_TRIGGER)
    limited, count = within(P.ACCESSSPEC_STOP_TRIGGER, stop.number(1), 0, 1, "the trigger"), stop.number(2)
    command = list(parameters(children.need(P.ACCESS_COMMAND).body))
    asked = children.optional(P.ACCESS_REPORT_SPEC)
    children.end()
    trigger = read_access_report_spec(asked) if asked else None
    patterns = _patterns(Children(P.ACCESS_COMMAND, command[:1]).need(P.C1G2_TAG_SPEC))
    operations = tuple(_operation(each) for each in command[1:] if each.type != P.CUSTOM)
    if not 1 <= len(operations) <= bounds.ops_per_access:
        raise inside(P.ACCESS_COMMAND, Code.IN_OVERFLOW_PARAMETER, f"there are {len(operations)} operations")
    return AccessSpec(spec_id, antenna, rospec, count if limited else 0, patterns, operations, trigger, param.raw)


def read_access_report_spec(param: Param) -> int:
    """AccessReportTrigger: 0 with the ROSpec's report, 1 at the end of the AccessSpec. Raises Refused."""
    return within(P.ACCESS_REPORT_SPEC, Fields(param.body, P.ACCESS_REPORT_SPEC).number(1), 0, 1, "the trigger")


def _patterns(param: Param) -> tuple[Pattern, ...]:
    found = tuple(_pattern(each) for each in parameters(param.body) if each.type == P.C1G2_TARGET_TAG)
    if not found:
        raise inside(param.type, Code.IN_MISSING_PARAMETER, f"parameter {int(P.C1G2_TARGET_TAG)} is missing")
    return found


def _pattern(param: Param) -> Pattern:
    fields = Fields(param.body, P.C1G2_TARGET_TAG)
    head = fields.number(1)
    pointer, mask, data = fields.number(2), fields.bits(), fields.bits()
    if len(mask) != len(data):
        raise inside(P.C1G2_TARGET_TAG, Code.IN_FIELD, "mask and data differ in length")
    return Pattern(head >> 6, bool(head & 0x20), pointer, mask, data)


def _operation(param: Param) -> Operation:
    read = _OPERATIONS.get(param.type)
    if read is None:
        raise inside(param.type, Code.IN_UNSUPPORTED_PARAMETER, "this reader has no such operation")
    return read(Fields(param.body, param.type))


def _read(fields: Fields) -> Read:
    return Read(fields.number(2), fields.number(4), fields.number(1) >> 6, fields.number(2), fields.number(2))


def _write(fields: Fields) -> Change:
    change = Change(P.C1G2_WRITE, fields.number(2), fields.number(4))
    fields.take(3)  # bank and first word
    if not fields.numbers(2):
        raise inside(P.C1G2_WRITE, Code.IN_FIELD, "there is nothing to write")
    return change


def _lock(fields: Fields) -> Change:
    change = Change(P.C1G2_LOCK, fields.number(2), fields.number(4))
    if not any(each.type == P.C1G2_LOCK_PAYLOAD for each in fields.rest()):
        raise inside(P.C1G2_LOCK, Code.IN_MISSING_PARAMETER, f"parameter {int(P.C1G2_LOCK_PAYLOAD)} is missing")
    return change


def _kill(fields: Fields) -> Change:
    return Change(P.C1G2_KILL, fields.number(2), fields.number(4))


_OPERATIONS: dict[int, Callable[[Fields], Operation]] = {
    P.C1G2_READ: _read, P.C1G2_WRITE: _write, P.C1G2_KILL: _kill, P.C1G2_LOCK: _lock
}  # fmt: skip


# --- to bytes --------------------------------------------------------------------------------------------------------


class ReadResult(IntEnum):
    """C1G2ReadResultType."""

    SUCCESS = 0
    NONSPECIFIC_TAG_ERROR = 1
    NO_RESPONSE_FROM_TAG = 2


WRITE_MEMORY_LOCKED, WRITE_NO_RESPONSE = 2, 5
LOCK_TAG_ERROR, LOCK_NO_RESPONSE = 2, 3
KILL_ZERO_PASSWORD = 1


def access(spec: AccessSpec, rospec: int, sighting: Sighting) -> bytes | None:
    """The results of an AccessSpec for a tag; None when it does not apply."""
    if spec.antenna not in (0, sighting.antenna) or spec.rospec not in (0, rospec):
        return None
    if not all(_fits(pattern, sighting) for pattern in spec.patterns):
        return None
    return b"".join(_result(operation, sighting) for operation in spec.operations)


def _fits(pattern: Pattern, sighting: Sighting) -> bool:
    bank = memory_bank(pattern.bank, sighting)
    bits = f"{int.from_bytes(bank, 'big'):0{8 * len(bank)}b}" if bank else ""
    part = bits[pattern.pointer : pattern.pointer + len(pattern.mask)]
    same = len(part) == len(pattern.mask) and all(
        bit == wanted for bit, care, wanted in zip(part, pattern.mask, pattern.data, strict=True) if care == "1"
    )
    return same == pattern.match or not pattern.mask


def _result(operation: Operation, sighting: Sighting) -> bytes:
    wrong = operation.password != 0  # a tag does not answer to a password that it does not have
    match operation:
        case Read() if wrong:
            return _read_result(ReadResult.NO_RESPONSE_FROM_TAG, operation.op_id)
        case Read():
            return _read_words(operation, sighting)
        case Change(P.C1G2_WRITE):
            result = WRITE_NO_RESPONSE if wrong else WRITE_MEMORY_LOCKED
            return tlv(P.C1G2_WRITE_RESULT, u8(result), u16(operation.op_id, 0))
        case Change(P.C1G2_LOCK):
            return tlv(P.C1G2_LOCK_RESULT, u8(LOCK_NO_RESPONSE if wrong else LOCK_TAG_ERROR), u16(operation.op_id))
        case _:
            return tlv(P.C1G2_KILL_RESULT, u8(KILL_ZERO_PASSWORD), u16(operation.op_id))


def _read_words(read: Read, sighting: Sighting) -> bytes:
    bank = memory_bank(read.bank, sighting)
    if not bank:
        return _read_result(ReadResult.NO_RESPONSE_FROM_TAG, read.op_id)
    words = bank[2 * read.word : 2 * (read.word + read.words) if read.words else None]
    if len(words) % 2 or not words or (read.words and len(words) < 2 * read.words):
        return _read_result(ReadResult.NONSPECIFIC_TAG_ERROR, read.op_id)
    return _read_result(ReadResult.SUCCESS, read.op_id, words)


def _read_result(result: ReadResult, op_id: int, words: bytes = b"") -> bytes:
    return tlv(P.C1G2_READ_RESULT, u8(result), u16(op_id, len(words) // 2), words)
