"""`./lane bench kills`: the daemon is killed ten times under a hundred vehicles; what was lost, repeated or cut.

World, fakes and officer in one process, a broker in another, the daemon in a third, at ten times real pace. A daemon
lives a random time, some not long enough to be ready. Takes about four minutes; exits 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from two_processes import Outcome, Plan, run_with_kills


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench kills", description=__doc__.splitlines()[0])
    parser.add_argument("--vehicles", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--speed", type=float, default=10.0, help="lane seconds per second")
    parser.add_argument("--longest-life", type=float, default=12.0, metavar="S", help="of a daemon, real time")
    options = parser.parse_args()
    plan = Plan(options.vehicles, options.kills, options.seed, options.speed, longest_life_s=options.longest_life)
    with tempfile.TemporaryDirectory(prefix="lanecontrol-kills-") as folder:
        outcome = asyncio.run(run_with_kills(Path(folder), plan, print))
    for what, figure in table(outcome):
        print(f"{what:48}{figure}")
    return 1 if wrong(outcome) else 0


def table(outcome: Outcome) -> list[tuple[str, object]]:
    score, ends = outcome.score, outcome.passages
    ended = Counter(end for each in ends.values() for end in each)
    return [
        ("vehicles", score["vehicles"]),
        ("kills", f"{outcome.kills}, {outcome.killed_before_ready} of them before any device was online"),
        ("events in the ledger", len(outcome.ledger)),
        ("events lost between ledger and subscriber", len(outcome.lost)),
        ("events lost by the score", score["events"]["lost"]),
        ("events repeated", outcome.repeated),
        ("events that differ from their first sending", len(outcome.differing)),
        ("events out of order within their class", score["events"]["out_of_order"]),
        ("ledger verifies", outcome.verified["good"]),
        ("passages opened", len(ends)),
        ("passages ended", ", ".join(f"{count} {end}" for end, count in sorted(ended.items()))),
        ("passages without an end, or with several", sum(len(each) != 1 for each in ends.values())),
        ("vehicles without a passage", score["passages"]["missed"]),
        ("vehicles with several passages", score["passages"]["split"]),
        ("alarms true, raised, missed", "{true}, {raised}, {missed}".format(**score["alarms"])),
        ("wall time, s", round(outcome.wall_s)),
    ]


def wrong(outcome: Outcome) -> bool:
    lost = outcome.lost or outcome.differing or outcome.opened_twice or outcome.score["events"]["lost"]
    return bool(lost or not outcome.verified["good"] or any(len(each) != 1 for each in outcome.passages.values()))


if __name__ == "__main__":
    sys.exit(main())
