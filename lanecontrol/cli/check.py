"""`lanecontrol check CONFIG`: every problem of a lane file at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from lanecontrol.cli import BAD_CONFIG, GOOD, arguments, output

if TYPE_CHECKING:
    from lanecontrol.config import Loaded
    from lanecontrol.errors import Problem


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
        if problem := _store_in_the_way(loaded):
            raise ConfigError((problem,))
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


def _store_in_the_way(loaded: Loaded) -> Problem | None:
    """Something else than a folder where the store is to be, or above it. A look only: another box may have the store,
    and what cannot be looked at is left to `doctor`."""
    from lanecontrol.config.document import find
    from lanecontrol.config.overlay import read_layers

    wrong = _no_folder(loaded.store.path)
    if wrong is None:
        return None
    node, _ = find(read_layers(loaded.path, []), ("store", "path"))
    return node.place.problem(f"there can be no store: {wrong} is not a folder", "name a folder, or a place for one")


def _no_folder(path: Path) -> Path | None:
    """The nearest of `path` and the folders above it that exists, where that is not a folder."""
    for place in (path, *path.parents):
        try:
            if place.exists():
                return None if place.is_dir() else place
        except OSError:  # out of bounds for whoever asks
            return None
    return None
