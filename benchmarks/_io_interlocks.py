"""What `io` measures of the scanner: from an interlock to the end of the request, and scans that are aborted falsely.

An interlock: a lane is brought to a beam that is on by a whole scan, once, with its 5 s of warning. After each trial it
is put back into that state, and commands its outputs anew; the way into the state is not what is measured. The way out
is nothing but the daemon's own: module, link, driver, runner, lane core, and the write back through `Drives`, with the
ledger on disk. Lanes and the measured modules share one process and its event loop, which only makes it slower.

Scans: whole ones by real time and real orders, by several lanes in one process, beside processes that burn time.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from _io_box import POLL_S
from _io_scanner import IN_BEAM, INTERLOCKS, ScanLane, ended, scan_lane

LIMIT_S = 5.0
STALE_EVERY = 50
"""Beside so many contacts, one module that goes silent."""
TRIES = 3
"""To bring a lane back into its state; a stall of the machine may end that as well."""
AS_SHIPPED_MS = 50
"""How often the shipped lane file polls."""
Trial = tuple[str, float | None]


async def lanes(
    stack: AsyncExitStack, count: int, folder: Path, broker: str, others: Mapping[str, str], poll_ms: int
) -> list[ScanLane]:
    """So many lanes at work with a vehicle in each scanner, the first with all the other devices."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    there = [
        await stack.enter_async_context(scan_lane(folder, number, broker, others if number == 1 else {}, poll_ms))
        for number in range(1, count + 1)
    ]
    await asyncio.gather(*(lane.vehicle_comes() for lane in there))
    return there


async def interlocks(there: list[ScanLane], count: int) -> list[Trial]:
    """So many trials with contacts, shared out, and some with a module that goes silent."""
    found = await asyncio.gather(
        *(_one_lane(lane, count // len(there), number) for number, lane in enumerate(there)),
    )
    return [trial for trials in found for trial in trials]


async def _one_lane(lane: ScanLane, count: int, seed: int) -> list[Trial]:
    rng, found = random.Random(seed), []
    await lane.keep_scanning()
    for number in range(1, count + 1):
        found.append(await _trial(lane, rng.choice(INTERLOCKS), rng))
        if number % STALE_EVERY == 0:
            found.append(await _trial(lane, "stale", rng))
        if number % 500 == 0:
            print(f"lane {seed + 1}: {number} of {count} interlocks", file=sys.stderr, flush=True)
    return found


async def _trial(lane: ScanLane, name: str, rng: random.Random) -> Trial:
    for attempt in range(TRIES):
        try:
            await lane.back(rng.choice(list(IN_BEAM)))
            break
        except TimeoutError:
            if attempt == TRIES - 1:
                raise
    return name, await lane.trial(name, rng.uniform(0.005, 0.005 + POLL_S), LIMIT_S)


# --- false aborts ----------------------------------------------------------------------------------------------------


async def scans(there: list[ScanLane], count: int) -> dict[str, object]:
    """So many whole scans, one after the other in each lane; how they ended, as the lanes themselves have it."""
    left = [count]
    unseen = await asyncio.gather(*(_scans(lane, left) for lane in there))
    causes = Counter[str]()
    for lane in there:
        causes.update({str(each.cause): each.count for each in lane.counts.by_cause})
    made, false = sum(ended(lane.counts) for lane in there), sum(lane.counts.false_aborts for lane in there)
    return {
        "lanes": len(there),
        "scans": made,
        "completed": sum(lane.counts.completed for lane in there),
        "aborted": sum(lane.counts.aborted for lane in there),
        "cancelled": sum(lane.counts.cancelled for lane in there),
        "faulted": sum(lane.counts.faulted for lane in there),
        "unseen": sum(unseen),
        "causes": dict(causes),
        "false_aborts": false,
        "per_1000": round(1000 * false / made, 2) if made else None,
        "per_1000_at_most": round(1000 * at_most(false) / made, 2) if made else None,
        "load": round(os.getloadavg()[0], 1),
    }


async def _scans(lane: ScanLane, left: list[int]) -> int:
    """Until none is left to be made; how many had no end."""
    unseen = 0
    while left[0] > 0:
        left[0] -= 1
        unseen += not await lane.scan()
        if left[0] % 50 == 0:
            print(f"{left[0]} scans to go", file=sys.stderr, flush=True)
    return unseen


def at_most(seen: int) -> float:
    """The 95 % upper bound of a Poisson mean of which `seen` were seen; 3.0 for none (the rule of three)."""
    low, high = float(seen), seen + 10.0 * math.sqrt(seen + 1.0)
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(seen + 1))
        low, high = (mean, high) if chance > 0.05 else (low, mean)
    return high
