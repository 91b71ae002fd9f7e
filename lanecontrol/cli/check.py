"""`lanecontrol check CONFIG`: every problem of a lane file at once."""

from __future__ import annotations

import dataclasses

from lanecontrol.cli import BAD_CONFIG, GOOD, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser("check", "Tell every problem of a lane file as file:line:col; exit 78 if there is one.")
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--without-secrets", action="store_true", help="do not ask for the value of any !secret")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret, stand_in
    from lanecontrol.errors import ConfigError

    try:
        loaded = load(options.config, secret=stand_in if options.without_secrets else find_secret)
    except ConfigError as error:
        if not options.json:
            raise
        output.json_line({"good": False, "problems": [dataclasses.asdict(problem) for problem in error.problems]})
        return BAD_CONFIG
    setup = loaded.setup
    if options.json:
        output.json_line({"good": True, "problems": [], "config_hash": loaded.config_hash})
    else:
        simulated = ", simulated" if loaded.simulated else ""
        print(
            f"{options.config}: good: port {setup.port}, lane {setup.lane}, {setup.lane_type}, "
            f"{len(loaded.devices)} devices{simulated}; configuration {loaded.config_hash}"
        )
    return GOOD
