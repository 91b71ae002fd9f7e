"""`lanecontrol devices CONFIG`: the devices of a lane, each taken through a connection test in stages.

Reads only: nothing is commanded, and no device's watchdog is fed. With `--prove-failsafe` outputs are switched, and
are seen to fall; that is `devices_failsafe`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from lanecontrol.cli.bench_device import Stage, StagedTest
    from lanecontrol.config import Loaded


def main(argv: list[str]) -> int:
    parser = arguments.parser("devices", "Test each device of a lane: resolve, connect, handshake, first reading.")
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="how long to wait for each stage (5)")
    arguments.add_json(parser)
    proof = parser.add_argument_group("fail-safe outputs, with the daemon stopped")
    proof.add_argument("--prove-failsafe", action="store_true", help="stop the heartbeat and see each output fall")
    proof.add_argument("--yes", action="store_true", help="switch outputs without asking; for scripts")
    named = "switch this one too: a gate, a scan request; repeat"
    proof.add_argument("--outputs", action="append", default=[], metavar="NAME", help=named)
    proof.add_argument("--clear", action="store_true", help="clear a tripped watchdog, before and after")
    options = parser.parse_args(argv)
    if not options.prove_failsafe and (options.yes or options.outputs or options.clear):
        parser.error("--yes, --outputs and --clear go with --prove-failsafe")

    from lanecontrol.config import load

    if options.prove_failsafe:
        from lanecontrol.cli.devices_failsafe import prove

        return prove(load(options.config), options)
    tests = asyncio.run(_test_all(load(options.config), options.seconds))
    if options.json:
        for test in tests:
            output.json_line(_as_dict(test))
    else:
        output.table(
            ("device", "kind", "url", "resolve", "connect", "handshake", "first reading"),
            [[test.config.id, test.config.kind, test.config.url, *map(_cell, test.stages)] for test in tests],
        )
    return GOOD if all(test.good for test in tests) else FAILED


async def _test_all(loaded: Loaded, wait_s: float) -> list[StagedTest]:
    from lanecontrol import driver
    from lanecontrol.cli.bench_device import StagedTest
    from lanecontrol.links import LinkOpener

    opener = LinkOpener()
    tests = [StagedTest(config, opener.for_device(config.id)) for config in loaded.devices]
    async with asyncio.TaskGroup() as group:
        for test in tests:
            group.create_task(test.run(driver.load(test.config.kind), wait_s))
    return tests


def _as_dict(test: StagedTest) -> dict[str, object]:
    stages = [dataclasses.asdict(stage) for stage in test.stages]
    about = {"device": test.config.id, "kind": test.config.kind, "url": test.config.url}
    return {**about, "good": test.good, "stages": stages, "doubts": test.doubts}


def _cell(stage: Stage) -> str:
    match stage.good:
        case None:
            return stage.detail or "-"
        case True:
            return f"{stage.ms:g} ms {stage.detail}".rstrip()
        case False:
            return f"FAILED: {stage.detail}"
