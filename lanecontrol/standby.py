"""What is done for a lane that cannot begin, because its store cannot be opened: its signals show red.

The run before may have ended with green. A module with a watchdog of its own drops that by itself, because nobody
says here that the lane is healthy; one without shows it until somebody commands red. Nothing is ever granted here.
Used by the composition root, once for each module that has a signal or the scanner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lanecontrol.commands import Result, WriteOutputs
from lanecontrol.events import DeviceChanged, DeviceState, Event
from lanecontrol.supervisor import Emit, Supervisor

AGAIN_S = 1.0
"""A module that did not take it is told again."""
LIMIT_S = 1.0


async def stay_red(red: WriteOutputs, made_with: Callable[[Emit], Supervisor]) -> None:
    """Keep in touch with one module and command red whenever it comes online; until cancelled."""
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
            outcome = await supervisor.perform(red, LIMIT_S)
            if outcome.result is not Result.DONE:
                await asyncio.sleep(AGAIN_S)
                online.set()
