"""`lanecontrol devices CONFIG --prove-failsafe`: each output of the lane is seen to fall when nobody feeds its module.

For commissioning, with the daemon stopped. Switches lamps only, unless the lane is simulated or an output is named;
asks before it does, and tells what of a module's profile nobody has verified. Fails for a module that has no watchdog.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, USAGE, output

if TYPE_CHECKING:
    from lanecontrol.cli.failsafe_proof import Shown
    from lanecontrol.config import Loaded
    from lanecontrol.driver import DeviceConfig
    from lanecontrol.safe_state import SafeOutput

NO_WATCHDOG = "NOT FAIL-SAFE"
DEFAULT_WATCHDOG_MS = 2000
HINT = "is another client, such as the daemon, feeding it? are its safe values and its watchdog's time set?"


def prove(loaded: Loaded, options: Namespace) -> int:
    """Try every module that the lane commands, one after the other, and print what was seen."""
    modules = _modules(loaded)
    plans = {config.id: _plan(loaded, config, options.outputs) for config in modules}
    unknown = _unknown(options.outputs, modules, plans)
    if unknown or not modules:
        output.note(f"lanecontrol devices: {unknown or 'the lane commands no outputs'}")
        return USAGE
    _announce(modules, plans)
    if not options.yes and not _confirmed():
        output.note("lanecontrol devices: nothing was switched; confirm with `yes`, or give --yes")
        return USAGE
    shown = [each for config in modules for each in _tried(config, *plans[config.id], clear=options.clear)]
    _print(shown, as_json=options.json)
    good = all(one.good for one in shown)
    output.note("every output that was tried falls by itself" if good else f"NOT proven: {hint(shown)}")
    if not options.clear and any(one.verdict == "falls" for one in shown):
        output.note(
            "a tripped module holds its safe values until it is cleared: the daemon does that when it connects, "
            "and tells that it has; or give --clear"
        )
    return GOOD if good else FAILED


def hint(shown: list[Shown]) -> str:
    """What to do about it: where modules were only found tripped, clearing them, and nothing else."""
    from lanecontrol.cli.failsafe_proof import TRIPPED_ALREADY

    failed = [one for one in shown if not one.good]
    tripped = dict.fromkeys(one.output.device for one in failed if one.why == TRIPPED_ALREADY)
    if not tripped:
        return HINT
    clear = f"the watchdog of {', '.join(tripped)} has tripped before; give --clear to clear it first"
    return clear if all(one.output.device in tripped for one in failed) else f"{clear}; as to the others: {HINT}"


# --- what is to be done ----------------------------------------------------------------------------------------------


def _modules(loaded: Loaded) -> list[DeviceConfig]:
    """The modules with outputs that the lane commands."""
    from lanecontrol.safe_state import safe_outputs

    commanded = {each.device for each in safe_outputs(loaded.setup)}
    return [config for config in loaded.devices if config.id in commanded]


Plan = tuple[list["SafeOutput"], list["SafeOutput"]]


def _plan(loaded: Loaded, config: DeviceConfig, named: list[str]) -> Plan:
    """What is switched, and what is only watched: lamps are harmless, a gate or a scan request has to be named."""
    from lanecontrol.safe_state import Part, safe_outputs

    mine = [each for each in safe_outputs(loaded.setup) if each.device == config.id]
    moved = [
        each for each in mine if each.part is Part.LAMP or loaded.simulated or named_by(each.device, each.point, named)
    ]
    return moved, [each for each in mine if each not in moved]


def named_by(device: str, point: str, named: list[str]) -> bool:
    return point in named or f"{device}/{point}" in named


def _unknown(named: list[str], modules: list[DeviceConfig], plans: dict[str, Plan]) -> str:
    known = {
        name for moved, left in plans.values() for o in (*moved, *left) for name in (o.point, f"{o.device}/{o.point}")
    }
    wrong = [name for name in named if name not in known]
    return f"the lane commands no output {', '.join(wrong)}" if wrong else ""


def _announce(modules: list[DeviceConfig], plans: dict[str, Plan]) -> None:
    for config in modules:
        moved, left = plans[config.id]
        for fact, note in getattr(config, "unverified", {}).items():
            output.note(f"{config.id}: unverified: {fact}: {note}")
        if getattr(config, "fails_safe", None) is False:
            output.note(f"{config.id}: {NO_WATCHDOG}: its profile knows of no watchdog; nothing is switched there")
            continue
        words = ", ".join(f"{each.point} ({each.role}) {'off' if each.on else 'on'}" for each in moved)
        output.note(f"{config.id}: will be switched: {words or 'nothing'}")
        if left:
            output.note(f"{config.id}: left alone unless named with --outputs: {', '.join(o.point for o in left)}")
    output.note("OUTPUTS MOVE. Signals show what they should not for some seconds: close the lane, keep everybody out.")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Switch these outputs now? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"


# --- doing it --------------------------------------------------------------------------------------------------------


def _tried(config: DeviceConfig, moved: list[SafeOutput], left: list[SafeOutput], *, clear: bool) -> list[Shown]:
    """The module's outputs, each with what became of it."""
    from lanecontrol import driver
    from lanecontrol.cli.failsafe_proof import FALLS_NOT, NOT_MOVED, NOT_SWITCHED, ProofFailed, Shown, Trial
    from lanecontrol.links import LinkOpener

    if getattr(config, "fails_safe", None) is False:
        why = f"{NO_WATCHDOG}: the module keeps its last state when nobody talks to it"
        return [Shown(each, FALLS_NOT, why=why) for each in (*moved, *left)]
    watchdog_s = getattr(config, "watchdog_ms", DEFAULT_WATCHDOG_MS) / 1000
    links = LinkOpener().for_device(config.id)
    trial = Trial(config, driver.load(config.kind), links, watchdog_s, _waiting(config.id))
    try:
        shown = asyncio.run(trial.run(moved, left, clear=clear))
    except ProofFailed as error:
        return [Shown(each, NOT_SWITCHED, why=str(error)) for each in moved]
    tried = {each.output for each in shown}
    return [*shown, *(Shown(each, NOT_MOVED, why="name it with --outputs") for each in left if each not in tried)]


def _waiting(device: str) -> Callable[[str, float, Awaitable[object]], Awaitable[None]]:
    """Shows a wait: a bar on a terminal, a line elsewhere."""

    async def wait(words: str, limit_s: float, what: Awaitable[object]) -> None:
        task = asyncio.ensure_future(what)
        try:
            if sys.stderr.isatty():
                await _bar(f"{device}: {words}", limit_s, task)
            else:
                output.note(f"{device}: {words}; at most {limit_s:.1f} s")
                await asyncio.wait({task}, timeout=limit_s)
        finally:
            task.cancel()
            await asyncio.wait({task})

    return wait


async def _bar(words: str, limit_s: float, task: asyncio.Future[object]) -> None:
    from rich.console import Console
    from rich.progress import Progress

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        row = progress.add_task(words, total=limit_s)
        while not task.done() and (left_s := began_s + limit_s - loop.time()) > 0:
            await asyncio.wait({task}, timeout=min(0.1, left_s))
            progress.update(row, completed=loop.time() - began_s)


# --- telling it ------------------------------------------------------------------------------------------------------


def _print(shown: list[Shown], *, as_json: bool) -> None:
    if as_json:
        for one in shown:
            output.json_line(_as_dict(one))
        return
    output.table(
        ("device", "output", "what it is", "safe value", "seen", "after", "verdict", "why"),
        [_row(one) for one in shown],
    )


def _row(one: Shown) -> list[str]:
    safe = one.output
    return [safe.device, safe.point, safe.role, _on(safe.on), _on(one.seen), _after(one), one.verdict, one.why]


def _as_dict(one: Shown) -> dict[str, Any]:
    safe = one.output
    return {
        "device": safe.device,
        "output": safe.point,
        "role": safe.role,
        "expected": safe.on,
        **{name: value for name, value in dataclasses.asdict(one).items() if name != "output"},
        "good": one.good,
    }


def _on(value: bool | None) -> str:
    return "-" if value is None else "on" if value else "off"


def _after(one: Shown) -> str:
    return "-" if one.after_ms is None else f"{'<= ' if one.at_most else ''}{one.after_ms:.0f} ms"
