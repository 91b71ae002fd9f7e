"""`lanecontrol divert PORT`: tell all lanes of a port that traffic is sent elsewhere, or no longer.

One message for every lane; each tells by `DivertChanged` what it makes of it. It stands at the broker until its time is
over, so that a lane that is away hears of it too.
"""

from __future__ import annotations

import argparse
import asyncio
import math

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser("divert", "Tell all lanes of a port that traffic is sent elsewhere, or no longer.")
    parser.add_argument("port", help="SYS or sim/SYS")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--for", dest="for_s", type=float, metavar="S", help="divert for so many seconds, at most a day")
    what.add_argument("--end", action="store_true", help="traffic may come again")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--to", default="", help="where traffic is sent, in plain words")
    parser.add_argument("--lane", action="append", default=[], metavar="ID", help="only this lane; may be repeated")
    parser.add_argument(
        "--name", default="", help="who says so, as it shall stand in the record (you, at this machine)"
    )
    parser.add_argument("--role", default="supervisor", choices=("supervisor", "central"))
    arguments.add_broker(parser)
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_divert(options))
    except ValueError as error:
        output.note(f"lanecontrol divert: {error}")
        return USAGE


async def _divert(options: argparse.Namespace) -> int:
    from lanecontrol.cli.port_tools import person, port_client
    from lanecontrol.clock import LoopClock
    from lanecontrol.commands import Actor, Role
    from lanecontrol.lane.regime_state import LONGEST_DIVERT_S
    from lanecontrol.port.mqtt_packets import reason_text
    from lanecontrol.port.notices import DIVERT, notice_bytes
    from lanecontrol.port.payloads import JSON
    from lanecontrol.port.topics import LaneAddress
    from lanecontrol.port.transport import REFUSED, Message

    simulated, port_name = options.port.startswith("sim/"), options.port.removeprefix("sim/")
    now_utc_s = LoopClock().now().utc_s
    holds_s = LONGEST_DIVERT_S if options.end else options.for_s
    body = notice_bytes(
        f"divert-{now_utc_s:.0f}",
        port_name,
        active=not options.end,
        actor=Actor(options.name or person(), Role(options.role)),
        issued_utc_s=now_utc_s,
        until_utc_s=now_utc_s + holds_s,
        reason=options.reason,
        to=options.to,
        lanes=tuple(options.lane),
    )
    topic = LaneAddress(port_name, "all", simulated).notice(DIVERT)
    message = Message(topic, body, retain=True, content_type=JSON, expiry_s=math.ceil(holds_s))
    async with port_client(options, "divert") as port:
        code = await port.publish(message)
    if code >= REFUSED:
        output.note(f"lanecontrol divert: the broker refused it: {reason_text(code)}")
        return FAILED
    return GOOD
