"""`lanecontrol watch`: the events of lanes as they are published.

With --json each event is the payload as it came; a terminal gets words, in which card numbers and plates are hashed.
With --pictures the bytes of pictures that lanes publish are put together in a folder, for their owner only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import GOOD, USAGE, arguments, output

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanecontrol.port.central import Arrival


LOOKOUTS = "/event/lookout"


def main(argv: list[str]) -> int:
    parser = arguments.parser("watch", "The events of lanes as they are published.")
    parser.add_argument("--lane", default="", help="only this lane: PORT/LANE or sim/PORT/LANE")
    parser.add_argument("--all", action="store_true", help="statuses and device states too")
    parser.add_argument("--lookouts", action="store_true", help="lookouts too; for those who are authorised")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="put the pictures that are published there")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="end after N lines")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="end after this time")
    arguments.add_broker(parser)
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_watch(options))
    except ValueError as error:
        output.note(f"lanecontrol watch: {error}")
        return USAGE


async def _watch(options: argparse.Namespace) -> int:
    from lanecontrol.cli.port_tools import lane_address, port_client
    from lanecontrol.port.central import EVERYTHING

    address = lane_address(options.lane) if options.lane else None
    if options.lane and address is None:
        raise ValueError("--lane wants PORT/LANE or sim/PORT/LANE")
    show = _show_json if options.json else _in_words()
    take = _into(options.pictures) if options.pictures else None
    shown = 0
    try:
        async with asyncio.timeout(options.seconds or None), port_client(options, "watch") as port:
            await port.subscribe([f"{address.root}/#"] if address else EVERYTHING)
            async for arrival in port.events():
                if take is not None and "/evidence/" in arrival.topic:
                    await asyncio.to_thread(take, arrival.raw)
                    continue
                if arrival.event is None and not options.all:
                    continue
                if LOOKOUTS in arrival.topic and not options.lookouts:
                    continue
                show(arrival)
                shown += 1
                if shown == options.count:
                    break
    except TimeoutError:
        pass
    return GOOD


def _into(folder: Path) -> Callable[[bytes], None]:
    """Takes chunks of pictures; says when one is whole."""
    from lanecontrol.port.evidence_in import PictureDesk, Took

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    desk = PictureDesk(folder)

    def take(payload: bytes) -> None:
        taken = desk.take(payload)
        match taken.took:
            case Took.WHOLE:
                output.note(f"a picture of {taken.size_bytes} bytes: {taken.path}")
            case Took.WRONG | Took.NOT_OURS:
                output.note("lanecontrol watch: a picture, or a part of one, that is not what it says")

    return take


def _show_json(arrival: Arrival) -> None:
    if arrival.event is not None:
        print(arrival.raw.decode(), flush=True)
    else:
        output.json_line({"topic": arrival.topic, "retained": arrival.retained, "document": _document(arrival.raw)})


def _document(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode(errors="backslashreplace")


_TOLD = ("state", "reason", "kind", "config_hash", "overrides", "simulated")
"""Of a status or a device's state, what a person looks for: nothing that could be a number of somebody."""


def _state(arrival: Arrival) -> str:
    """A status or a device's state in words; of everything else, how long it is."""
    if not arrival.raw:
        return "removed"
    document = _document(arrival.raw)
    if isinstance(document, dict) and isinstance(document.get("state"), dict):
        document = document["state"] | {"simulated": document.get("simulated")}
    *_, kind, last = arrival.topic.split("/")
    if not isinstance(document, dict) or "state" not in document or not (last == "status" or kind == "device"):
        return f"{len(arrival.raw)} bytes"
    return output.words({name: document[name] for name in _TOLD if name in document})


def _in_words() -> Callable[[Arrival], None]:
    import secrets

    from lanecontrol.clock import utc_text
    from lanecontrol.service.logging import Redaction

    redaction = Redaction(secrets.token_bytes(32))

    def show(arrival: Arrival) -> None:
        event = arrival.event
        if event is None:
            print(f"{arrival.at.iso()} {output.printable(arrival.topic)} {_state(arrival)}", flush=True)
            return
        announcement = event.announcement()
        # Of a type this version does not know, nothing is shown: it may carry numbers.
        told = output.words(redaction.safe(announcement)) if announcement is not None else event.type
        flags = " (again)" * arrival.duplicate + " (backlog)" * arrival.backlog
        print(f"{utc_text(event.utc_s)} {event.source} {event.id} {told}{flags}", flush=True)

    return show
