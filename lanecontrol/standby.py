"""What is done for a lane that cannot begin, because its store cannot be opened: its signal shows red.

The run before may have ended with green. A module with a watchdog of its own drops that by itself, because nobody
says here that the lane is healthy; one without shows it until somebody commands red. Nothing is ever granted here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lanecontrol.commands import Result, WriteOutputs
from lanecontrol.events import DeviceChanged, DeviceState, Event
from lanecontrol.lane.setup import Signal
from lanecontrol.supervisor import Emit, Supervisor

AGAIN_S = 1.0
"""A module that did not take it is told again."""
LIMIT_S = 1.0


def red(signal: Signal) -> WriteOutputs:
    """The command that shows red, and nothing but red."""
    return WriteOutputs(((signal.red, True), (signal.green, False)))


async def stay_red(signal: Signal, made_with: Callable[[Emit], Supervisor]) -> None:
    """Keep in touch with the signal's module and command red whenever it comes online; until cancelled."""
    online = asyncio.Event()

    def emit(_: str, event: Event) -> None:
        if isinstance(event, DeviceChanged) and event.state is DeviceState.ONLINE:
            online.set()

    supervisor = made_with(emit)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run(), name=supervisor.device)
        while True:
            await online.wait()
            online.clear()
            outcome = await supervisor.perform(red(signal), LIMIT_S)
            if outcome.result is not Result.DONE:
                await asyncio.sleep(AGAIN_S)
                online.set()
