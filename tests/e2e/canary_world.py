"""`lanecontrol` with a canary in the simulated traffic, and with an asyncio that can tell of each turn.

Every second vehicle has the canary's card and plate. As a process: `python canary_world.py sim --fakes-only ...`.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from canary import CARD, PLATE

from lanecontrol.cli import main
from sim.world import plan
from sim.world.plan import Conduct, Plan, Population, Tag

_drawn = Population.next


def _next(population: Population) -> Plan:
    drawn = _drawn(population)
    if drawn.number % 2:
        return drawn
    tags = (Tag(CARD, 1.8, "person"), *(tag for tag in drawn.tags if tag.kind != "person"))
    return replace(drawn, plate=PLATE, rear_plate=PLATE, jurisdiction="US-CA", tags=tags, conduct=Conduct.ORDINARY)


def let_canary_in() -> None:
    """From now on the canary is in the traffic of every simulated world of this process."""
    plan.Population.next = _next  # type: ignore[method-assign, assignment]


def tell_every_turn() -> None:
    """In asyncio's debug mode, a handle that takes any time at all is logged with everything that its repr shows."""
    made = asyncio.BaseEventLoop.__init__

    def making(loop: asyncio.BaseEventLoop) -> None:
        made(loop)
        loop.slow_callback_duration = 0.0

    asyncio.BaseEventLoop.__init__ = making  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    let_canary_in()
    tell_every_turn()
    sys.exit(main())
