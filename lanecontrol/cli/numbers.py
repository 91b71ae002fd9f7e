"""`lanecontrol numbers FILE`: the figures of a lane's traffic, recounted from its events, beside those it published.

FILE is what `lanecontrol ledger export` or `lanecontrol watch --json` of one lane gave, `-` for standard input. Fails
when a published window says something else than its events do.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lanecontrol.announcements import LaneNumbers
    from lanecontrol.lane.recount import Recounted, Told

HEADS = ("from", "open min", "served", "per hour", "saturation", "service s", "cycle s", "queue", "events")


def main(argv: list[str]) -> int:
    parser = arguments.parser("numbers", "The figures of a lane's traffic, recounted from its events.")
    parser.add_argument("file", help="what `lanecontrol ledger export` gave; - for standard input")
    parser.add_argument("--window", type=float, default=900.0, metavar="S", help="length of the lane's windows (900)")
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    if not options.window > 0:
        parser.error("--window wants seconds, more than 0")

    from lanecontrol.lane.recount import recount

    reading = _Reading()
    with _opened(options.file) as lines:
        windows = list(recount(reading.events(lines), options.window))
    if len(reading.lanes) > 1:
        output.note(f"lanecontrol numbers: events of {len(reading.lanes)} lanes; give those of one")
        return USAGE
    if not reading.lanes:
        found = f"none of its {reading.without} lines is an event of a lane" if reading.without else "it is empty"
        output.note(f"lanecontrol numbers: {options.file}: {found}; give what `lanecontrol ledger export` gave")
        return FAILED
    if reading.without:
        output.note(
            f"{reading.without} lines without an event's words (erased, sealed or withheld): figures may be low"
        )
    if not windows:
        output.note(f"lanecontrol numbers: {options.file}: no window of {options.window:g} s is over in these events")
    _show(windows, as_json=options.json)
    return FAILED if any(one.differences for one in windows) else GOOD


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    """The file to read, or standard input, which is left open."""
    return nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb")


class _Reading:
    """Events out of lines; counts what could not be read."""

    def __init__(self) -> None:
        self.without = 0
        self.lanes: set[str] = set()

    def events(self, lines: Iterable[bytes]) -> Iterator[Told]:
        from lanecontrol.lane.recount import Told
        from lanecontrol.port.payloads import TimeQuality, parse_event

        for line in lines:
            event = parse_event(line)
            announcement = event.announcement() if event is not None else None
            if event is None or announcement is None:
                self.without += bool(line.strip())
                continue
            self.lanes.add(event.source)
            yield Told(event.utc_s, announcement, event.quality is TimeQuality.SYNCHRONISED)


def _show(windows: list[Recounted], *, as_json: bool) -> None:
    if not as_json:
        output.table(HEADS, [_row(one) for one in windows])
        return
    from lanecontrol import forms

    for one in windows:
        output.json_line(
            {
                "figures": forms.to_plain(one.figures),
                "published": forms.to_plain(one.published) if one.published is not None else None,
                "differences": one.differences,
                "known": one.known,
            }
        )


def _row(one: Recounted) -> list[object]:
    from lanecontrol.clock import utc_text

    figures = one.figures
    return [
        utc_text(figures.start_utc_s)[:16],
        f"{figures.open_s / 60:.1f}",
        figures.served,
        _rate(figures.throughput_per_h),
        _rate(figures.saturation),
        _spread(figures, "service"),
        _spread(figures, "cycle"),
        _queue(figures),
        _agreement(one),
    ]


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _spread(figures: LaneNumbers, stage: str) -> str:
    """Median and 90th percentile."""
    found = next((times for times in figures.stages if times.stage.value == stage), None)
    return "-" if found is None else f"{found.median_s:.1f} / {found.p90_s:.1f}"


def _queue(figures: LaneNumbers) -> str:
    queue = figures.queue
    if queue is None:
        return "-"
    if queue.high is None:
        return f">= {queue.low}"
    return f"{queue.vehicles:g} ({queue.low} to {queue.high})"


def _agreement(one: Recounted) -> str:
    if not one.known:
        return "begin in the middle"
    if one.published is None:
        return "not published"
    return f"differ: {', '.join(one.differences)}" if one.differences else "agree"
