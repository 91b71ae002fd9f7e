"""ROSpecs: what a client asks the fake reader to do, read from bytes. Pure; raises `Refused` only.

Used by the fake reader alone. AccessSpecs have a module of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim.rfid_llrp_filters import Filter, read_filters
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
    """0 after `tags` tags, 1 when no new tag came for `quiet_ms`, 2 after so many attempts to see all tags; in any
    case after the time-out (0: none)."""

    kind: int
    tags: int
    attempts: int
    quiet_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Antennas:
    """An AISpec: which antennas listen (0 among them: all), until when, under which inventory parameters, to whom."""

    numbers: tuple[int, ...]
    stop: StopTrigger
    inventory_id: int
    filters: tuple[Filter, ...] = ()

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


class Children:
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


def within(parameter: P, value: int, low: int, high: int, what: str) -> int:
    """The value, if it is in range. Raises Refused."""
    if not low <= value <= high:
        raise inside(parameter, Code.IN_FIELD, f"{what} is {value}, not {low} to {high}")
    return value


# --- ROSpec ----------------------------------------------------------------------------------------------------------


def read_rospec(param: Param, bounds: Bounds) -> ROSpec:
    """The ROSpec. Raises Refused."""
    fields = Fields(param.body, P.ROSPEC)
    spec_id = within(P.ROSPEC, fields.number(4), 1, 0xFFFF_FFFF, "the id")
    priority = within(P.ROSPEC, fields.number(1), 0, bounds.priorities - 1, "the priority")
    within(P.ROSPEC, fields.number(1), 0, 0, "the state")
    children = Children(P.ROSPEC, fields.rest())
    boundary = Children(P.RO_BOUNDARY_SPEC, parameters(children.need(P.RO_BOUNDARY_SPEC).body))
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
    kind = within(P.START_TRIGGER, fields.number(1), 0, 3, "the start trigger")
    children = Children(P.START_TRIGGER, fields.rest())
    if kind == 2:
        periodic = Fields(children.need(P.PERIODIC_TRIGGER).body, P.PERIODIC_TRIGGER)
        return StartTrigger(kind, periodic.number(4), periodic.number(4))
    return StartTrigger(kind, gpi=_gpi(children.need(P.GPI_TRIGGER), bounds) if kind == 3 else None)


def _gpi(param: Param, bounds: Bounds) -> GpiTrigger:
    fields = Fields(param.body, P.GPI_TRIGGER)
    port = within(P.GPI_TRIGGER, fields.number(2), 1, bounds.gpis, "the GPI port")
    return GpiTrigger(port, fields.flag(), fields.number(4))


def _stop(param: Param, bounds: Bounds, where: P, highest: int) -> StopTrigger:
    fields = Fields(param.body, where)
    kind = within(where, fields.number(1), 0, highest, "the stop trigger")
    duration_ms = fields.number(4)
    children = Children(where, fields.rest())
    gpi = _gpi(children.need(P.GPI_TRIGGER), bounds) if kind == 2 else None
    observation = _observation(children.need(P.TAG_OBSERVATION_TRIGGER)) if kind == 3 else None
    return StopTrigger(kind, duration_ms, gpi, observation)


def _observation(param: Param) -> TagObservation:
    fields = Fields(param.body, P.TAG_OBSERVATION_TRIGGER)
    kind = within(P.TAG_OBSERVATION_TRIGGER, fields.number(1), 0, 2, "the observation trigger")
    fields.take(1)
    return TagObservation(kind, fields.number(2), fields.number(2), fields.number(2), fields.number(4))


def _antennas(param: Param, bounds: Bounds) -> Antennas:
    fields = Fields(param.body, P.AISPEC)
    numbers = fields.numbers(2)
    for number in numbers or (-1,):
        within(P.AISPEC, number, 0, bounds.antennas, "an antenna")
    children = Children(P.AISPEC, fields.rest())
    stop = _stop(children.need(P.AISPEC_STOP_TRIGGER), bounds, P.AISPEC_STOP_TRIGGER, highest=3)
    inventory = [Fields(children.need(P.INVENTORY_PARAMETER_SPEC).body, P.INVENTORY_PARAMETER_SPEC)]
    inventory += [Fields(each.body, P.INVENTORY_PARAMETER_SPEC) for each in children.many(P.INVENTORY_PARAMETER_SPEC)]
    children.end()
    ids = [_inventory_id(each) for each in inventory]
    configurations = [each for each in inventory[0].rest() if each.type == P.ANTENNA_CONFIGURATION]
    return Antennas(numbers, stop, ids[0], read_filters(configurations))


def _inventory_id(fields: Fields) -> int:
    inventory_id = within(P.INVENTORY_PARAMETER_SPEC, fields.number(2), 1, 0xFFFF, "the id")
    within(P.INVENTORY_PARAMETER_SPEC, fields.number(1), 1, 1, "the air protocol")
    return inventory_id


def read_report_spec(param: Param) -> ReportSpec:
    """The ROReportSpec. Raises Refused."""
    fields = Fields(param.body, P.RO_REPORT_SPEC)
    trigger, n = within(P.RO_REPORT_SPEC, fields.number(1), 0, 2, "the report trigger"), fields.number(2)
    children = Children(P.RO_REPORT_SPEC, fields.rest())
    selector = Fields(children.need(P.CONTENT_SELECTOR).body, P.CONTENT_SELECTOR)
    children.end()
    bits = selector.number(2)
    memory = [Fields(each.body, P.C1G2_CONTENT_SELECTOR) for each in selector.rest() if each.type == 348]
    more = memory[0].number(1) if memory else 0
    return ReportSpec(trigger, n, Content(bits, bool(more & 0x80), bool(more & 0x40)))
