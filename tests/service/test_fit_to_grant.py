"""A process whose health verdict is bad hands out no permission; taking one back asks nobody."""

from __future__ import annotations

from lanecontrol.commands import DONE, Command, Outcome, Result, WriteOutputs
from lanecontrol.lane.drives import Drives
from lanecontrol.lane.effects import Drive

GREEN = WriteOutputs((("green", True),))
RED = WriteOutputs((("green", False),))


class Module:
    def __init__(self) -> None:
        self.done: list[Command] = []

    async def perform(self, device: str, command: Command, timeout_s: float) -> Outcome:
        self.done.append(command)
        return DONE


async def test_nothing_is_granted_while_the_daemon_is_not_fit_to_and_everything_is_withdrawn() -> None:
    module, wrong = Module(), "event loop 0.40 s late"
    drives = Drives(module.perform, lambda: wrong)
    refused = await drives.carry_out(Drive("c1", "io1", GREEN, grants=True))
    assert refused.result is Result.REFUSED
    assert refused.reason.endswith("not fit to: event loop 0.40 s late")
    assert await drives.carry_out(Drive("c2", "io1", RED, grants=False)) == DONE
    wrong = ""
    assert await drives.carry_out(Drive("c3", "io1", GREEN, grants=True)) == DONE
    assert module.done == [RED, GREEN]
