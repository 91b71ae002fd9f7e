"""`lanecontrol command LANE VERB [key=value]...`: ask something of a lane, as an officer or technician may.

The lane decides; this only asks and tells the answer. Nothing is repeated: an order without an answer stays unknown.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, get_origin

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser(
        "command", "Ask something of a lane: disposition, occupants, acknowledge, open, close ..."
    )
    parser.add_argument("lane", help="07, SYS/07 or sim/SYS/07")
    parser.add_argument(
        "verb",
        help="disposition, open, close, emergency, override, enable ...; a wrong one lists them all, wrong fields tell "
        "what it takes",
    )
    parser.add_argument("fields", nargs="*", type=arguments.setting, metavar="key=value", help="what the verb takes")
    parser.add_argument("--name", default="", help="who asks, as it shall stand in the record (you, at this machine)")
    parser.add_argument("--role", default="officer", choices=("officer", "supervisor", "technician", "central"))
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="the lane refuses it after this (10)")
    arguments.add_broker(parser)
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol.port.order_payloads import Refusal

    try:
        return asyncio.run(_command(options))
    except Refusal as error:
        output.note(f"lanecontrol command: {error}; {_wanted(options.verb)}")
        return USAGE
    except ValueError as error:
        output.note(f"lanecontrol command: {error}")
        return USAGE


async def _command(options: argparse.Namespace) -> int:
    from lanecontrol.cli.port_tools import find_lane, has_told, lane_address, person, port_client
    from lanecontrol.commands import Actor, Result, Role

    fields = _fields(options.verb, options.fields)
    address = lane_address(options.lane)
    actor = Actor(options.name or person(), Role(options.role))
    async with port_client(options, "command") as port:
        lane = address or await find_lane(port, options.lane)
        reply = await port.command(lane, options.verb, fields, actor=actor, timeout_s=options.seconds)
        known = reply.result is not Result.UNKNOWN or await has_told(port, lane)
    if not known:
        output.note(
            f"lanecontrol command: this broker has never heard of {lane.root}: is that its name, and does it run?"
        )
    if options.json:
        output.json_line({**reply.model_dump(mode="json"), "lane": lane.root})
    else:
        print(f"{reply.result}{': ' if reply.reason else ''}{reply.reason}")
    return GOOD if reply.result is Result.DONE else FAILED


def _wanted(verb: str) -> str:
    """What the verb takes, in a line."""
    from lanecontrol.port.order_payloads import COMMANDS

    own = COMMANDS[verb].own_fields()
    must = " ".join(f"{name}=..." for name, required in own.items() if required)
    may = " ".join(f"[{name}=...]" for name, required in own.items() if not required)
    return f"{verb} takes {f'{must} {may}'.strip() or 'nothing more'}"


def _fields(verb: str, given: list[tuple[str, str]]) -> dict[str, Any]:
    """The fields as the verb's model wants them: a key that may be repeated makes a list. Raises ValueError."""
    from lanecontrol.port.order_payloads import COMMANDS

    model = COMMANDS.get(verb)
    if model is None:
        raise ValueError(f"no verb {verb!r}; there are {', '.join(COMMANDS)}")
    fields: dict[str, Any] = {}
    for key, value in given:
        known = model.model_fields.get(key)
        if known is not None and get_origin(known.annotation) is tuple:
            fields.setdefault(key, []).append(value)
        elif key in fields:
            raise ValueError(f"{key} is given twice")
        else:
            fields[key] = value
    return fields
