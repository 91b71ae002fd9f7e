"""A lane whose booth button is a third party's lamp panel; run as a script where that panel's wheel is installed.

Nobody but the button decides here: the automatic officer only opens the lane. Prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lanecontrol.service.logging import configure_logging
from sim.port_desk import short_name
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, Report, Run, simulate
from sim.world.scenario import Officer

LOOK_AT_VEHICLE_S = 5.0


async def press_for_each_vehicle(runs: list[Run], lane_s: Callable[[], float]) -> None:
    """Somebody in the booth presses the button once a vehicle has stood there for a while. Cancelled at the end."""
    world = runs[0].stage.world
    served = -1
    while True:
        await asyncio.sleep(LOOK_AT_VEHICLE_S)
        there = world.at_booth
        if there is not None and there.number != served:
            served = there.number
            world.press_button()


def told(report: Report) -> dict[str, object]:
    events = [one.arrival.event for one in report.runs[0].desk.heard if one.arrival.event is not None]
    named = [(short_name(event.type), event.data) for event in events]
    states = [data for name, data in named if name == "device_state_changed" and data["device"] == "panel1"]
    decided = [data["by"] for name, data in named if name == "disposition_recorded"]
    return {
        "panel": [(data["state"], data["identity"]["model"]) for data in states],
        "dispositions": [(each["disposition"], each["actor"]["name"], each["actor"]["role"]) for each in decided],
        "complete": sum(name == "passage_closed" and data["end"] == "complete" for name, data in named),
    }


def main(simfile: str, scenario: str) -> None:
    configure_logging(level="warning", style="json", stream=sys.stderr, hash_key=os.urandom(32))
    opens_only = Officer(service_time_s=1e6, service_time_sd_s=0.0)
    wanted = load_scenario(Path(scenario)).model_copy(update={"vehicles": 2, "officer": opens_only})
    report = simulate(Options(load_simfile(Path(simfile)), wanted, links="mem"), press_for_each_vehicle)
    sys.stdout.write(json.dumps(told(report)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
