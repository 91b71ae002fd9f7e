"""ROSpecs and AccessSpecs: what a client asks the fake reader to do, read from bytes. Pure; raises `Refused` only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sim.rfid_llrp_wire import Code, Fields, P, Param, Refused, inside, parameters


@dataclass(frozen=True, slots=True)
class GpiTrigger:
    """Fires when `port` goes to `level`; as a stop trigger also after the time-out (0: none)."""

    port: int
    level: bool
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class StartTrigger:
    """0 null, 1 immediate, 2 periodic, 3 GPI."""

    kind: int
    offset_ms: int = 0
    period_ms: int = 0
    gpi: GpiTrigger | None = None


@dataclass(frozen=True, slots=True)
class StopTrigger:
    """0 null, 1 duration, 2 GPI; for an AISpec also 3 tag observation."""

    kind: int
    duration_ms: int = 0
    gpi: GpiTrigger | None = None
    observation: TagObservation | None = None


@dataclass(frozen=True, slots=True)
class TagObservation:
    """0 after `tags` tags, 1 when no new tag came for `quiet_ms`; either way after the time-out (0: none)."""

    kind: int
    tags: int
    quiet_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Antennas:
    """An AISpec: which antennas listen (0 among them: all), until when, under which inventory parameters."""

    numbers: tuple[int, ...]
    stop: StopTrigger
    inventory_id: int

    def cover(self, antenna: int) -> bool:
        return 0 in self.numbers or antenna in self.numbers


@dataclass(frozen=True, slots=True)
class Content:
    """Which optional fields a tag report has: the selector's bits, most significant first."""

    bits: int
    crc: bool = False
    pc: bool = False

    def has(self, place: int) -> bool:
        """0 ROSpecID, 1 SpecIndex, 2 InventoryParameterSpecID, 3 AntennaID, 4 ChannelIndex, 5 PeakRSSI, 6 FirstSeen,
        7 LastSeen, 8 TagSeenCount, 9 AccessSpecID."""
        return bool(self.bits >> 15 - place & 1)


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """When to report (0 only when asked, 1 after N tags or an AISpec, 2 after N tags or the ROSpec), and what."""

    trigger: int
    n: int
    content: Content


@dataclass(frozen=True, slots=True)
class ROSpec:
    """One reader operation. `raw` is the parameter as it came."""

    id: int
    priority: int
    start: StartTrigger
    stop: StopTrigger
    antennas: tuple[Antennas, ...]
    report: ReportSpec | None
    raw: bytes

    def encode(self, state: int) -> bytes:
        """The parameter with its present state: 0 disabled, 1 inactive, 2 active."""
        return self.raw[:9] + bytes((state,)) + self.raw[10:]


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
    bank: int
    word: int
    words: int


@dataclass(frozen=True, slots=True)
class AccessSpec:
    """What to do with tags that match. `count` 0 has no limit."""

    id: int
    antenna: int
    rospec: int
    count: int
    patterns: tuple[Pattern, ...]
    reads: tuple[Read, ...]
    raw: bytes

    def encode(self, enabled: bool) -> bytes:
        """The parameter with its present state."""
        return self.raw[:11] + (b"\x80" if enabled else b"\0") + self.raw[12:]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the reader has: numbers from its capabilities."""

    antennas: int
    gpis: int
    priorities: int
    specs_per_rospec: int
    ops_per_access: int


def one(body: bytes, kind: P) -> Param:
    """The one parameter of a message. Raises Refused."""
    found = list(parameters(body))
    if not found or found[0].type != kind:
        raise Refused(Code.MISSING_PARAMETER, f"parameter {int(kind)} is missing")
    if len(found) > 1:
        raise Refused(Code.UNEXPECTED_PARAMETER, f"parameter {found[1].type} does not belong here")
    return found[0]


class _Children:
    """The parameters inside a parameter, taken in the order of the standard."""

    def __init__(self, parent: P, found: Iterable[Param]) -> None:
        self._parent = parent
        self._found = [param for param in found if param.type != P.CUSTOM]  # extensions of other makers are ignored

    def optional(self, kind: P) -> Param | None:
        if self._found and self._found[0].type == kind:
            return self._found.pop(0)
        return None

    def need(self, kind: P) -> Param:
        param = self.optional(kind)
        if param is None:
            raise inside(self._parent, Code.IN_MISSING_PARAMETER, f"parameter {int(kind)} is missing")
        return param

    def many(self, kind: P) -> list[Param]:
        found: list[Param] = []
        while param := self.optional(kind):
            found.append(param)
        return found

    def end(self) -> None:
        if self._found:
            kind = self._found[0].type
            raise inside(kind, Code.IN_UNEXPECTED_PARAMETER, f"parameter {kind} is not expected here")


def _within(parameter: P, value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise inside(parameter, Code.IN_FIELD, f"{what} is {value}, not {low} to {high}")
    return value


# --- ROSpec ----------------------------------------------------------------------------------------------------------


def read_rospec(param: Param, bounds: Bounds) -> ROSpec:
    """The ROSpec. Raises Refused."""
    fields = Fields(param.body, P.ROSPEC)
    spec_id = _within(P.ROSPEC, fields.number(4), 1, 0xFFFF_FFFF, "the id")
    priority = _within(P.ROSPEC, fields.number(1), 0, bounds.priorities - 1, "the priority")
    _within(P.ROSPEC, fields.number(1), 0, 0, "the state")
    children = _Children(P.ROSPEC, fields.rest())
    boundary = _Children(P.RO_BOUNDARY_SPEC, parameters(children.need(P.RO_BOUNDARY_SPEC).body))
    start = _start(boundary.need(P.START_TRIGGER), bounds)
    stop = _stop(boundary.need(P.STOP_TRIGGER), bounds, P.STOP_TRIGGER, highest=2)
    boundary.end()
    if children.optional(P.RF_SURVEY_SPEC):
        raise inside(P.RF_SURVEY_SPEC, Code.IN_UNSUPPORTED_PARAMETER, "this reader does no RF survey")
    antennas = tuple(_antennas(each, bounds) for each in children.many(P.AISPEC))
    if not antennas:
        raise inside(P.ROSPEC, Code.IN_MISSING_PARAMETER, "there is no AISpec")
    if len(antennas) > bounds.specs_per_rospec:
        raise inside(P.ROSPEC, Code.IN_OVERFLOW_PARAMETER, "there are too many AISpecs")
    asked = children.optional(P.RO_REPORT_SPEC)
    children.end()
    report = read_report_spec(asked) if asked else None
    return ROSpec(spec_id, priority, start, stop, antennas, report, param.raw)


def _start(param: Param, bounds: Bounds) -> StartTrigger:
    fields = Fields(param.body, P.START_TRIGGER)
    kind = _within(P.START_TRIGGER, fields.number(1), 0, 3, "the start trigger")
    children = _Children(P.START_TRIGGER, fields.rest())
    if kind == 2:
        periodic = Fields(children.need(P.PERIODIC_TRIGGER).body, P.PERIODIC_TRIGGER)
        return StartTrigger(kind, periodic.number(4), periodic.number(4))
    return StartTrigger(kind, gpi=_gpi(children.need(P.GPI_TRIGGER), bounds) if kind == 3 else None)


def _gpi(param: Param, bounds: Bounds) -> GpiTrigger:
    fields = Fields(param.body, P.GPI_TRIGGER)
    port = _within(P.GPI_TRIGGER, fields.number(2), 1, bounds.gpis, "the GPI port")
    return GpiTrigger(port, fields.flag(), fields.number(4))


def _stop(param: Param, bounds: Bounds, where: P, highest: int) -> StopTrigger:
    fields = Fields(param.body, where)
    kind = _within(where, fields.number(1), 0, highest, "the stop trigger")
    duration_ms = fields.number(4)
    children = _Children(where, fields.rest())
    gpi = _gpi(children.need(P.GPI_TRIGGER), bounds) if kind == 2 else None
    observation = _observation(children.need(P.TAG_OBSERVATION_TRIGGER)) if kind == 3 else None
    return StopTrigger(kind, duration_ms, gpi, observation)


def _observation(param: Param) -> TagObservation:
    fields = Fields(param.body, P.TAG_OBSERVATION_TRIGGER)
    kind = _within(P.TAG_OBSERVATION_TRIGGER, fields.number(1), 0, 1, "the observation trigger")
    fields.take(1)
    tags = fields.number(2)
    fields.take(2)  # attempts: only for a kind that this reader does not offer
    return TagObservation(kind, tags, fields.number(2), fields.number(4))


def _antennas(param: Param, bounds: Bounds) -> Antennas:
    fields = Fields(param.body, P.AISPEC)
    numbers = fields.numbers(2)
    for number in numbers or (-1,):
        _within(P.AISPEC, number, 0, bounds.antennas, "an antenna")
    children = _Children(P.AISPEC, fields.rest())
    stop = _stop(children.need(P.AISPEC_STOP_TRIGGER), bounds, P.AISPEC_STOP_TRIGGER, highest=3)
    inventory = [Fields(children.need(P.INVENTORY_PARAMETER_SPEC).body, P.INVENTORY_PARAMETER_SPEC)]
    inventory += [Fields(each.body, P.INVENTORY_PARAMETER_SPEC) for each in children.many(P.INVENTORY_PARAMETER_SPEC)]
    children.end()
    ids = [_inventory_id(each) for each in inventory]
    return Antennas(numbers, stop, ids[0])


def _inventory_id(fields: Fields) -> int:
    inventory_id = _within(P.INVENTORY_PARAMETER_SPEC, fields.number(2), 1, 0xFFFF, "the id")
    _within(P.INVENTORY_PARAMETER_SPEC, fields.number(1), 1, 1, "the air protocol")
    return inventory_id


def read_report_spec(param: Param) -> ReportSpec:
    """The ROReportSpec. Raises Refused."""
    fields = Fields(param.body, P.RO_REPORT_SPEC)
    trigger, n = _within(P.RO_REPORT_SPEC, fields.number(1), 0, 2, "the report trigger"), fields.number(2)
    children = _Children(P.RO_REPORT_SPEC, fields.rest())
    selector = Fields(children.need(P.CONTENT_SELECTOR).body, P.CONTENT_SELECTOR)
    children.end()
    bits = selector.number(2)
    memory = [Fields(each.body, P.C1G2_CONTENT_SELECTOR) for each in selector.rest() if each.type == 348]
    more = memory[0].number(1) if memory else 0
    return ReportSpec(trigger, n, Content(bits, bool(more & 0x80), bool(more & 0x40)))


# --- AccessSpec ------------------------------------------------------------------------------------------------------


def read_accessspec(param: Param, bounds: Bounds) -> AccessSpec:
    """The AccessSpec. Only reading is possible: no reader of this fake ever writes, locks, erases or kills a tag.

    Raises Refused.
    """
    fields = Fields(param.body, P.ACCESSSPEC)
    spec_id = _within(P.ACCESSSPEC, fields.number(4), 1, 0xFFFF_FFFF, "the id")
    antenna = _within(P.ACCESSSPEC, fields.number(2), 0, bounds.antennas, "the antenna")
    _within(P.ACCESSSPEC, fields.number(1), 1, 1, "the air protocol")
    _within(P.ACCESSSPEC, fields.number(1) >> 7, 0, 0, "the state")
    rospec = fields.number(4)
    children = _Children(P.ACCESSSPEC, fields.rest())
    stop = Fields(children.need(P.ACCESSSPEC_STOP_TRIGGER).body, P.ACCESSSPEC_STOP_TRIGGER)
    limited, count = _within(P.ACCESSSPEC_STOP_TRIGGER, stop.number(1), 0, 1, "the trigger"), stop.number(2)
    command = _Children(P.ACCESS_COMMAND, parameters(children.need(P.ACCESS_COMMAND).body))
    children.optional(P.ACCESS_REPORT_SPEC)
    children.end()
    patterns = _each(command.need(P.C1G2_TAG_SPEC), P.C1G2_TARGET_TAG, _pattern)
    reads = tuple(_read(Fields(each.body, P.C1G2_READ)) for each in command.many(P.C1G2_READ))
    _refuse_other_operations(command, reads, bounds)
    return AccessSpec(spec_id, antenna, rospec, count if limited else 0, patterns, reads, param.raw)


def _refuse_other_operations(command: _Children, reads: tuple[Read, ...], bounds: Bounds) -> None:
    try:
        command.end()
    except Refused as refusal:
        kind = refusal.parameter[0] if refusal.parameter else 0
        raise inside(kind, Code.IN_UNSUPPORTED_PARAMETER, "this reader only reads tags") from None
    if not 1 <= len(reads) <= bounds.ops_per_access:
        raise inside(P.ACCESS_COMMAND, Code.IN_OVERFLOW_PARAMETER, f"there are {len(reads)} operations")


def _each(param: Param, kind: P, read: Callable[[Fields], Pattern]) -> tuple[Pattern, ...]:
    found = [Fields(each.body, kind) for each in parameters(param.body) if each.type == kind]
    if not found:
        raise inside(param.type, Code.IN_MISSING_PARAMETER, f"parameter {int(kind)} is missing")
    return tuple(map(read, found))


def _pattern(fields: Fields) -> Pattern:
    head = fields.number(1)
    pointer, mask, data = fields.number(2), fields.bits(), fields.bits()
    if len(mask) != len(data):
        raise inside(P.C1G2_TARGET_TAG, Code.IN_FIELD, "mask and data differ in length")
    return Pattern(head >> 6, bool(head & 0x20), pointer, mask, data)


def _read(fields: Fields) -> Read:
    op_id = fields.number(2)
    fields.take(4)  # the password: tags of the simulation have none
    return Read(op_id, fields.number(1) >> 6, fields.number(2), fields.number(2))
