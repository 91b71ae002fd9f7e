"""The proof at commissioning: what it switches, what it sees fall, and what it says where nothing falls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lanecontrol import driver
from lanecontrol.cli.devices_failsafe import HINT, hint
from lanecontrol.cli.failsafe_proof import (
    FALLS,
    FALLS_NOT,
    NOT_SWITCHED,
    TRIPPED_ALREADY,
    ProofFailed,
    Shown,
    Trial,
    patterns,
)
from lanecontrol.links import LinkOpener, MemoryNet
from lanecontrol.safe_state import Part, SafeOutput
from sim.io_modbus import FakeModule, ModuleConfig
from sim.readings import Deed

GREEN = SafeOutput("io1", "green", False, Part.LAMP, "signal green", "signal")
RED = SafeOutput("io1", "red", True, Part.LAMP, "signal red", "signal")
ARROW = SafeOutput("io1", "arrow", False, Part.LAMP, "overhead green arrow", "overhead")
YELLOW = SafeOutput("io1", "yellow", False, Part.LAMP, "overhead yellow X", "overhead")
CROSS = SafeOutput("io1", "cross", True, Part.LAMP, "overhead red X", "overhead")
BEACON = SafeOutput("io1", "beacon", True, Part.LAMP, "beacon")
GATE = SafeOutput("io1", "gate_open", False, Part.GATE, "gate open command")
POINTS = ("green", "red", "gate_open")
SAFE = {"green": False, "red": True, "gate_open": False}
WATCHDOG_S = 0.3
REQUESTS: dict[str, Any] = {
    "title": "box",
    "inputs": {"count": 4},
    "outputs": {"count": 4},
    "watchdog": {
        "fed_by": "requests",
        "flag": {"area": "coils", "base": 4144},
        "clear": {"area": "coils", "base": 4144, "values": [1]},
    },
}
HEARTBEAT: dict[str, Any] = {
    **REQUESTS,
    "watchdog": {**REQUESTS["watchdog"], "fed_by": "heartbeat", "heartbeat": {"area": "holding_registers", "base": 1}},
}


class Bench:
    """A fake module, and what every output of it was set to."""

    def __init__(self, **watchdog: Any) -> None:
        settings = {"kind": "iologik", "time_s": WATCHDOG_S, "safe": SAFE, **watchdog}
        config = {"outputs": {"points": POINTS}, "watchdog": settings}
        self.deeds: list[tuple[str, bool]] = []
        self.module = FakeModule(ModuleConfig.model_validate(config), self._acted)

    def _acted(self, deed: Deed) -> None:
        self.deeds.append((deed.point, deed.on))

    @asynccontextmanager
    async def trial(self, profile: dict[str, Any]) -> AsyncIterator[Trial]:
        net = MemoryNet()
        net.listen("io1", self.module.serve)
        kind = driver.load("io.modbus")
        outputs = {name: at for at, name in enumerate(POINTS)}
        settings = {"id": "io1", "url": "mem://io1", "module": profile, "outputs": outputs, "inputs": {"loop": 0}}
        config = kind.Config.model_validate({**settings, "watchdog_ms": WATCHDOG_S * 1000, "heartbeat_ms": 50})
        yield Trial(config, kind, LinkOpener(net).for_device("io1"), WATCHDOG_S, at_most)
        await net.unlisten_and_wait("io1")

    async def proven(self, *outputs: SafeOutput, profile: dict[str, Any] = REQUESTS, **how: Any) -> dict[str, Shown]:
        async with self.trial(profile) as trial:
            shown = await trial.run(list(outputs), how.pop("also", []), clear=how.pop("clear", False))
        return {one.output.point: one for one in shown}


async def at_most(words: str, limit_s: float, what: Awaitable[object]) -> None:
    task = asyncio.ensure_future(what)
    await asyncio.wait({task}, timeout=limit_s)
    task.cancel()
    await asyncio.wait({task})


async def test_outputs_that_fall_are_seen_at_their_safe_values_once_the_module_may_be_asked_again() -> None:
    bench = Bench()
    shown = await bench.proven(GREEN, RED)
    assert {point: (one.verdict, one.seen) for point, one in shown.items()} == {
        "green": (FALLS, False),
        "red": (FALLS, True),
    }
    assert all(one.at_most and one.after_ms is not None for one in shown.values())
    assert bench.deeds[0] == ("green", True)
    assert bench.module.watchdog.tripped, "it holds them until somebody clears it"
    assert "gate_open" not in {point for point, _ in bench.deeds}


async def test_where_reading_does_not_feed_the_moment_of_the_fall_is_seen() -> None:
    bench = Bench(kind="generic", fed_by="heartbeat")
    shown = await bench.proven(GREEN, RED, GATE, profile=HEARTBEAT)
    assert {one.verdict for one in shown.values()} == {FALLS}
    assert not any(one.at_most for one in shown.values())
    assert shown["green"].after_ms is not None


async def test_an_output_without_a_safe_value_in_the_module_does_not_fall_and_is_made_safe_by_command() -> None:
    bench = Bench(safe={**SAFE, "gate_open": True})
    shown = await bench.proven(GREEN, RED, GATE)
    assert shown["gate_open"].verdict == FALLS_NOT
    assert {shown["green"].verdict, shown["red"].verdict} == {FALLS}
    assert bench.module.outputs() == SAFE


async def test_a_watchdog_that_is_not_set_is_found_and_nothing_is_left_unsafe() -> None:
    bench = Bench(time_s=0)
    shown = await bench.proven(GREEN, RED, GATE)
    assert {one.verdict for one in shown.values()} == {FALLS_NOT}
    assert bench.module.outputs() == SAFE


async def test_a_module_that_has_tripped_before_is_cleared_only_when_told_to() -> None:
    bench = Bench()
    await bench.proven(GREEN)
    with pytest.raises(ProofFailed, match=TRIPPED_ALREADY):
        await bench.proven(GREEN)
    shown = await bench.proven(GREEN, clear=True)
    assert shown["green"].verdict == FALLS
    assert not bench.module.watchdog.tripped
    assert bench.module.outputs() == SAFE


async def test_what_is_away_from_its_safe_value_already_is_watched_though_not_switched() -> None:
    bench = Bench()
    bench.module._write_output(2, True)
    shown = await bench.proven(GREEN, RED, also=[GATE])
    assert shown["gate_open"].verdict == FALLS


async def test_a_module_that_refuses_the_write_is_not_proven() -> None:
    bench = Bench()
    nowhere = SafeOutput("io1", "siren", False, Part.LAMP, "siren")
    shown = await bench.proven(nowhere)
    assert shown["siren"].verdict == NOT_SWITCHED
    assert "no output is named" in shown["siren"].why


async def test_a_module_that_does_not_answer_is_told_as_such() -> None:
    bench = Bench()
    async with bench.trial({**REQUESTS, "unit": 9}) as trial:
        with pytest.raises(ProofFailed, match="exception 11"):
            await trial.run([GREEN], [], clear=False)


def test_every_output_is_moved_once_and_no_signal_shows_two_aspects() -> None:
    outputs = [GREEN, RED, ARROW, YELLOW, CROSS, BEACON, GATE]
    made = patterns(outputs)
    assert len(made) == 2
    for output in outputs:
        assert any(pattern.get(output.point) is not output.on for pattern in made if output.point in pattern)
    for pattern in made:
        for head in ("signal", "overhead"):
            assert sum(pattern.get(o.point, False) for o in outputs if o.head == head) <= 1
    assert made[1] == {"yellow": True, "red": False, "cross": False}


def test_the_end_says_to_clear_a_module_that_was_found_tripped_and_nothing_else() -> None:
    tripped = [Shown(each, NOT_SWITCHED, why=TRIPPED_ALREADY) for each in (GREEN, RED)]
    assert hint(tripped) == "the watchdog of io1 has tripped before; give --clear to clear it first"
    assert hint([*tripped, Shown(replace(BEACON, device="io2"), FALLS)]) == hint(tripped)


def test_the_end_asks_about_another_client_where_an_output_did_not_fall() -> None:
    still = Shown(replace(BEACON, device="io2"), FALLS_NOT, True)
    assert hint([still]) == HINT
    both = hint([Shown(GREEN, NOT_SWITCHED, why=TRIPPED_ALREADY), still])
    assert "--clear" in both
    assert both.endswith(HINT)
