"""The lane on a terminal: zones, signal, devices, last passages, events delivered. Draws what it is handed, no more.

The strip of vehicles is the world's truth, the rest is what the lane believes and what the port received: side by side
on purpose, so that a person can see a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

STRIP_CELLS = 96
STATE_STYLE = {"online": "green", "connecting": "yellow", "offline": "red", "fault": "bold red"}
END_STYLE = {"complete": "green", "withdrawn": "yellow", "unreleased": "bold red", "interrupted": "magenta"}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lies along the lane, in metres."""

    label: str
    start_m: float
    end_m: float


@dataclass(frozen=True, slots=True)
class DeviceRow:
    name: str
    kind: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassageRow:
    passage: str
    end: str
    tags: int
    alarms: str
    referral: str
    disposition: str


@dataclass(frozen=True, slots=True)
class View:
    """All that one drawing shows."""

    title: str
    lane_s: float
    speed: float
    life: str
    signal: str
    gate: str
    quality: str
    length_m: float
    zones: tuple[Span, ...]
    vehicles: tuple[Span, ...]
    devices: tuple[DeviceRow, ...]
    passages: tuple[PassageRow, ...]
    recorded: int
    delivered: int
    received: int
    vehicles_done: int
    vehicles_planned: int


def draw(view: View) -> RenderableType:
    """One picture of the lane."""
    return Group(
        Panel(_strip(view), title=_title(view), title_align="left"),
        Columns([_devices(view), _passages(view)], padding=(0, 2)),
        _footer(view),
    )


def _title(view: View) -> Text:
    hours, rest = divmod(int(view.lane_s), 3600)
    text = Text(f"{view.title}   {hours:02d}:{rest // 60:02d}:{rest % 60:02d}   ")
    text.append("SIMULATED", style="black on yellow")
    text.append(f"   x{view.speed:.0f}")
    return text


def _strip(view: View) -> RenderableType:
    return Group(_band(view, view.zones, "─", "cyan"), _band(view, view.vehicles, "█", "white"), _lights(view))


def _band(view: View, spans: tuple[Span, ...], fill: str, style: str) -> Text:
    cells = [" "] * STRIP_CELLS
    for span in spans:
        first = _cell(view, span.start_m)
        last = max(first + 1, _cell(view, span.end_m))
        for at in range(first, min(last, STRIP_CELLS)):
            cells[at] = fill
        if fill != "█":
            _write(cells, first, span.label)
    return Text("".join(cells), style=style)


def _write(cells: list[str], at: int, label: str) -> None:
    for offset, letter in enumerate(label):
        if 0 <= at + offset < STRIP_CELLS:
            cells[at + offset] = letter


def _cell(view: View, metres: float) -> int:
    return max(0, min(STRIP_CELLS, round(metres / view.length_m * STRIP_CELLS)))


def _lights(view: View) -> Text:
    text = Text("signal ")
    text.append(
        "● PROCEED" if view.signal == "proceed" else "● STOP", "bold green" if view.signal == "proceed" else "red"
    )
    text.append(f"   gate {view.gate}   lane {view.life}   correlation {view.quality}")
    return text


def _devices(view: View) -> RenderableType:
    table = Table("device", "kind", "state", box=None, header_style="dim")
    for row in view.devices:
        table.add_row(row.name, row.kind, Text(row.state, STATE_STYLE.get(row.state, "")))
    return table


def _passages(view: View) -> RenderableType:
    table = Table("passage", "end", "tags", "radiation", "referral", "disposition", box=None, header_style="dim")
    for row in view.passages:
        alarms = Text(row.alarms or "-", "bold red" if row.alarms else "dim")
        end = Text(row.end, END_STYLE.get(row.end, ""))
        table.add_row(row.passage, end, str(row.tags), alarms, row.referral, row.disposition)
    return table


def _footer(view: View) -> Text:
    return Text(
        f"vehicles {view.vehicles_done}/{view.vehicles_planned}   events recorded {view.recorded}"
        f"   delivered {view.delivered}   received at the port {view.received}",
        style="dim",
    )
