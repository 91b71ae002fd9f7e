"""The lane on a terminal: road, signal, devices, alarms, passages, events delivered. Draws what it is handed, no more.

The road with its vehicles is the world's truth, the rest is what the lane believes and what the port received: side by
side on purpose, so that a person can see a mistake. Made for 80 columns and 24 lines; more room shows more.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BORDER_CELLS = 4
"""The panel's frame and padding, left and right together."""
OTHER_LINES = 17
"""Lines of a picture without its passages, and one for the prompt below it."""
WIDE_CELLS = 100
"""From this width on, the findings of a passage are shown too."""
ALARMS_SHOWN = 3
LEGEND = "→ driving direction   m/s   ● signal   ┃ gate"
OVERHEAD_LEGEND = "   ▼ overhead"

STATE_STYLE = {"online": "green", "connecting": "yellow", "offline": "red", "fault": "bold red"}
WHERE_STYLE = {"complete": "green", "withdrawn": "yellow", "unreleased": "bold red", "interrupted": "magenta"}
REFERRAL_STYLE = {"mandatory": "bold red", "recommended": "yellow", "none": "dim"}
QUALITY_STYLE = {"GOOD": "green", "DEGRADED": "bold yellow", "MANUAL": "bold red"}
OVERHEAD = {
    "open": ("green arrow", "bold green"),
    "closing": ("yellow X", "bold yellow"),
    "closed": ("red X", "bold red"),
}
"""What burns in the overhead signal; the last of several is what drivers go by."""
DARK = ("dark", "dim")
SCAN_STYLE = {"disabled": "dim", "fault": "bold red", "aborted": "bold yellow", "scanning": "bold"}
GATE_MARK = {"open": "/", "opening": "/", "closing": "/", "closed": "┃"}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lies along the lane, in metres from where the picture begins."""

    label: str
    start_m: float
    end_m: float


@dataclass(frozen=True, slots=True)
class Moving:
    """A vehicle as it really is."""

    span: Span
    speed_mps: float


@dataclass(frozen=True, slots=True)
class DeviceRow:
    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm that has not ended, and the passages it may concern."""

    kind: str
    passages: tuple[str, ...]
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class PassageRow:
    """`where`: how far it has come, or how it ended. What is not known yet is empty."""

    passage: str
    where: str
    cards: str
    radiation: str
    referral: str
    disposition: str
    findings: str


@dataclass(frozen=True, slots=True)
class ScannerRow:
    """The scanner: what the lane says of it and why it will not scan, and what is so: the beam, and its people."""

    state: str
    blocking: str
    beam: bool
    people: str
    zone: str
    """The zone that the beam is in."""


@dataclass(frozen=True, slots=True)
class Road:
    """The lane from the side: how long it is, and what stands where."""

    length_m: float
    zones: tuple[Span, ...]
    signal_m: float
    gate_m: float | None
    overhead_m: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that one drawing shows."""

    title: str
    lane_s: float
    speed: str
    life: str
    signal: str
    gate: str
    quality: str
    road: Road
    vehicles: tuple[Moving, ...]
    devices: tuple[DeviceRow, ...]
    alarms: tuple[AlarmRow, ...]
    passages: tuple[PassageRow, ...]
    recorded: int
    delivered: int
    received: int
    vehicles_done: int
    vehicles_planned: int
    overhead: tuple[str, ...] | None = None
    """Lamps that really burn in the overhead signal; None where there is none."""
    overrides: tuple[str, ...] = ()
    """What is set aside by hand now, and why."""
    scanner: ScannerRow | None = None
    ended: bool = False
    """The lane was stopped: what it knew last is not shown as if it were still so."""


def draw(view: View, width: int, height: int) -> RenderableType:
    """One picture of the lane, for a terminal of so many cells and lines."""
    road = _road(view, max(20, width - BORDER_CELLS))
    frame = Panel(
        Text("\n").join(road),
        title=_title(view),
        title_align="left",
        subtitle=Text(LEGEND + (OVERHEAD_LEGEND if view.road.overhead_m is not None else ""), "dim"),
        subtitle_align="right",
        box=box.ROUNDED,
        width=width,
    )
    return Group(frame, *_lines(view), Text(), _passages(view, width, height), Text(), _footer(view))


def _title(view: View) -> Text:
    hours, rest = divmod(int(view.lane_s), 3600)
    text = Text(f"{view.title} ", "bold")
    text.append(" SIMULATED ", "black on yellow")
    text.append(f" {hours:02d}:{rest // 60:02d}:{rest % 60:02d}  speed {view.speed}", "not bold")
    return text


# --- the road -------------------------------------------------------------------------------------------------------


def _road(view: View, cells: int) -> list[Text]:
    per_m = cells / view.road.length_m
    names = [Text(row, "cyan") for row in _names(view.road.zones, cells, per_m)]
    bands = [" "] * cells
    for zone in view.road.zones:
        _fill(bands, zone, per_m, "━")
    ground = Text("".join(bands), "cyan")
    if view.scanner is not None and view.scanner.beam:
        for zone in (zone for zone in view.road.zones if zone.label == view.scanner.zone):
            ground.stylize("bold red", _cell(zone.start_m, per_m, cells), _cell(zone.end_m, per_m, cells))
    return [*names, ground, _vehicles(view, cells, per_m), _surface(view, cells, per_m)]


def _names(zones: tuple[Span, ...], cells: int, per_m: float) -> list[str]:
    """The zones' names above their beginnings; one that would touch its neighbour goes one line lower."""
    rows = [[" "] * cells, [" "] * cells]
    for zone in zones:
        at = min(_cell(zone.start_m, per_m, cells), max(0, cells - len(zone.label)))
        free = (row for row in rows if not "".join(row[max(0, at - 1) : at + len(zone.label) + 1]).strip())
        _write(next(free, rows[1]), at, zone.label)
    return ["".join(row) for row in rows]


def _vehicles(view: View, cells: int, per_m: float) -> Text:
    row = [" "] * cells
    for vehicle in view.vehicles:
        first, last = _fill(row, vehicle.span, per_m, "█")
        name = vehicle.span.label.split("_")[0]
        if len(name) + 2 <= last - first:
            _write(row, first + (last - first - len(name)) // 2, name)
    return Text("".join(row), "bold white")


def _surface(view: View, cells: int, per_m: float) -> Text:
    """The road's surface: the speed of each vehicle below it, signal and gate where they stand."""
    row = ["─"] * cells
    signal_at = min(_cell(view.road.signal_m, per_m, cells), cells - 1)
    row[signal_at] = "●"
    if view.road.gate_m is not None:
        row[min(_cell(view.road.gate_m, per_m, cells), cells - 1)] = GATE_MARK.get(view.gate, "?")
    overhead_at = -1 if view.road.overhead_m is None else min(_cell(view.road.overhead_m, per_m, cells), cells - 1)
    if overhead_at >= 0:
        row[overhead_at] = "▼"
    for vehicle in view.vehicles:
        at = _cell(vehicle.span.start_m, per_m, cells)
        speed = f"{vehicle.speed_mps:.1f}"
        if row[at : at + len(speed)] == ["─"] * len(speed):
            _write(row, at, speed)
    text = Text("".join(row), "dim")
    text.stylize(_signal_style(view), signal_at, signal_at + 1)
    if overhead_at >= 0:
        text.stylize(_overhead(view)[1], overhead_at, overhead_at + 1)
    return text


def _fill(row: list[str], span: Span, per_m: float, with_: str) -> tuple[int, int]:
    first = _cell(span.start_m, per_m, len(row))
    last = min(len(row), max(first + 1, _cell(span.end_m, per_m, len(row))))
    row[first:last] = with_ * (last - first)
    return first, last


def _write(row: list[str], at: int, text: str) -> None:
    fitting = text[: len(row) - at]
    row[at : at + len(fitting)] = fitting


def _cell(metres: float, per_m: float, cells: int) -> int:
    return max(0, min(cells, round(metres * per_m)))


# --- below it -------------------------------------------------------------------------------------------------------


def _lines(view: View) -> list[Text]:
    scanner = [_scanner(view, view.scanner)] if view.scanner is not None else []
    return [_one_line(text) for text in (_state(view), *scanner, _devices(view), _alarms(view))]


def _one_line(text: Text) -> Text:
    """However much there is to say: the picture must keep its height, or it jumps."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _state(view: View) -> Text:
    if view.ended:
        return Text("lane      stopped; it asked for red last, the I/O module holds the safe state", "dim")
    text = Text(f"lane      {view.life}, ")
    if view.overrides:
        text.append(f"OVERRIDDEN {'; '.join(view.overrides)}", "bold white on red")
        text.append(", ")
    text.append("signal ")
    text.append("● PROCEED" if view.signal == "proceed" else f"● {view.signal.upper()}", _signal_style(view))
    if view.overhead is not None:
        text.append(", overhead ")
        text.append(*_overhead(view))
    text.append(f", gate {view.gate}, matching of readings ")
    text.append(view.quality, QUALITY_STYLE.get(view.quality, ""))
    return text


def _overhead(view: View) -> tuple[str, str]:
    """What the overhead signal shows, and how to show that."""
    if view.ended:
        return DARK
    return next((OVERHEAD[lamp] for lamp in reversed(view.overhead or ()) if lamp in OVERHEAD), DARK)


def _scanner(view: View, row: ScannerRow) -> Text:
    if view.ended:
        return Text("scanner   stopped; its I/O module holds the request off", "dim")
    text = Text("scanner   ")
    text.append(row.state.replace("_", " ") or "not heard of yet", SCAN_STYLE.get(row.state, ""))
    text.append(", ")
    text.append(*(("BEAM ON", "bold white on red") if row.beam else ("no beam", "dim")))
    if row.people:
        text.append(f", people of the vehicle: {row.people}")
    if row.blocking:
        text.append(f", {row.blocking}", "dim")
    return text


def _signal_style(view: View) -> str:
    if view.ended:
        return "dim"
    return "bold green" if view.signal == "proceed" else "bold red"


def _devices(view: View) -> Text:
    text = Text("devices   ")
    for number, row in enumerate(view.devices):
        text.append(", " if number else "")
        text.append(f"{row.name} ")
        text.append("closed" if view.ended else row.state, "dim" if view.ended else STATE_STYLE.get(row.state, ""))
        if row.state != "online" and row.reason and not view.ended:
            text.append(f" ({row.reason})", "dim")
    return text


def _alarms(view: View) -> Text:
    text = Text("alarms    ")
    if not view.alarms:
        text.append("none", "dim")
    for number, alarm in enumerate(view.alarms[:ALARMS_SHOWN]):
        text.append("  " if number else "")
        told = f" {alarm.kind.replace('_', ' ').upper()} {', '.join(alarm.passages)} "
        text.append(told, "red" if alarm.acknowledged else "bold white on red")
    if len(view.alarms) > ALARMS_SHOWN:
        text.append(f"  and {len(view.alarms) - ALARMS_SHOWN} more")
    return text


def _passages(view: View, width: int, height: int) -> RenderableType:
    room = height - OTHER_LINES - (view.scanner is not None)
    rows = view.passages[: max(1, room)]
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), width=width, expand=True)
    # Widths that do not depend on what is in the rows, or the columns would wander.
    for head, cells in (("passage", 10), ("where", 12), ("cards", 6), ("radiation", 14), ("recommended", 17)):
        table.add_column(head, width=cells - 1, no_wrap=True)
    table.add_column("officer", width=15 if width < WIDE_CELLS else 21, no_wrap=True)
    table.add_column("findings" if width >= WIDE_CELLS else "", no_wrap=True, ratio=1)
    for row in rows:
        table.add_row(*_cells(row), row.findings if width >= WIDE_CELLS else "")
    for _ in range(max(0, min(room, 3) - len(rows))):
        table.add_row("")
    return table


def _cells(row: PassageRow) -> list[Text]:
    return [
        Text(row.passage),
        Text(row.where, WHERE_STYLE.get(row.where, "bold")),
        Text(row.cards),
        Text(row.radiation or "-", "bold red" if row.radiation else "dim"),
        Text(row.referral.replace("_", " "), REFERRAL_STYLE.get(row.referral, "")),
        Text(row.disposition),
    ]


def _footer(view: View) -> Text:
    planned = f" of {view.vehicles_planned}" if view.vehicles_planned else ""
    text = f"vehicles {view.vehicles_done}{planned} through   events {view.recorded} recorded, "
    return _one_line(Text(f"{text}{view.delivered} delivered, {view.received} at the port", "dim"))
