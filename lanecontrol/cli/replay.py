"""`lanecontrol replay FILE`: feed a recording to the lane core of this version and compare every decision.

No device is opened and nothing is sent. Exit 1 when a decision differs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from lanecontrol.sealing import Sealer


def main(argv: list[str]) -> int:
    parser = arguments.parser("replay", "Feed a recording back and compare the decisions with those recorded.")
    parser.add_argument("file", type=Path, help="what `record` wrote, or a recorder's folder")
    parser.add_argument("--config", metavar="F", help="the lane file whose store keys open a folder that is sealed")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from pydantic import ValidationError

    from lanecontrol.recorder.replay import replay

    try:
        report = replay(options.file, sealer=_keys(options.config))
    except ValidationError as error:
        output.note(f"lanecontrol replay: recorded by a version with another state ({error.error_count()} differences)")
        return FAILED
    good = report.identical and report.inputs > 0  # of a file that is no recording nothing is identical
    facts = {"identical": good, **dataclasses.asdict(report)}
    if options.json:
        output.json_line(facts)
    else:
        differences = facts.pop("differences")
        output.pairs(facts)
        for difference in differences:
            print(f"  input {difference['number']} at {difference['at']}: {difference['what']}")
    if report.locked:
        output.note(f"lanecontrol replay: {report.locked} parts are sealed; --config names the lane file with the key")
    if report.inputs == 0:
        output.note("lanecontrol replay: the recording holds no input that could be replayed")
    return GOOD if good else FAILED


def _keys(lane_file: str | None) -> Sealer:
    """The store keys of a lane. Raises ConfigError, also when they are not known here."""
    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret
    from lanecontrol.sealing import NO_KEY, Sealer

    return NO_KEY if lane_file is None else Sealer(load(lane_file, secret=find_secret).store.keys)
