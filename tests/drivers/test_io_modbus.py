"""A module in session: edges and not polls, staleness, commands between polls, the module's own watchdog."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from driver_bench import Notebook, in_session, make, session_of
from modbus_bench import POINTS, serving
from modbus_module import Module

from drivers.io_modbus import ModbusConfig, ModbusModule, _coils
from drivers.io_modbus_profile import load, shipped
from lanecontrol.commands import Outcome, Result, WriteOutputs
from lanecontrol.errors import CommandError, LinkLost, ProtocolViolation
from lanecontrol.events import Identity, InputChanged, InputsFresh, InputsStale, OutputsRead
from lanecontrol.links import MemoryNet

# --- inputs ----------------------------------------------------------------------------------------------------------


async def test_every_named_input_is_reported_once_and_then_only_its_edges() -> None:
    module = Module()
    module.contacts[5] = True
    async with serving(module) as (_, _, notebook):
        first = [InputChanged("loop_approach", False), InputChanged("loop_booth", False)]
        assert notebook.of(InputChanged) == [*first, InputChanged("gate_closed", True)]
        assert notebook.identities == [Identity(model="generic Modbus/TCP module")]
        notebook.events.clear()
        await asyncio.sleep(60)
        assert notebook.events == []
        module.contacts[0] = True
        module.contacts[3] = True
        await asyncio.sleep(0.1)
        module.contacts[0] = False
        await asyncio.sleep(0.1)
        assert notebook.events == [InputChanged("loop_approach", True), InputChanged("loop_approach", False)]


async def test_the_inputs_are_read_twenty_times_a_second() -> None:
    module = Module()
    async with serving(module):
        module.requests.clear()
        await asyncio.sleep(10)
        assert module.requests.count((2, 0)) == pytest.approx(200, abs=2)


async def test_inverted_points_are_turned_over_in_both_directions() -> None:
    module = Module()
    module.coils[1] = True
    async with serving(module, invert=["gate_closed", "signal_red"]) as (driver, _, notebook):
        assert notebook.of(InputChanged)[2] == InputChanged("gate_closed", True)
        assert notebook.of(OutputsRead)[0].points[1] == ("signal_red", False)
        await driver.perform(WriteOutputs((("signal_red", True),)))
        assert module.coils[1] is False


async def test_a_missed_answer_is_no_edge_and_no_fault() -> None:
    module = Module()
    async with serving(module) as (_, bench, notebook):
        notebook.events.clear()
        module.mute = True
        await asyncio.sleep(0.06)
        module.mute = False
        await asyncio.sleep(5)
        assert notebook.events == []
        assert not bench.session.done()


async def test_inputs_older_than_250_ms_are_stale_and_fresh_again_after_the_edges_since() -> None:
    module = Module()
    async with serving(module) as (_, _, notebook):
        notebook.events.clear()
        notebook.times.clear()
        began_s = notebook.clock.now().mono_s
        module.mute = True
        await asyncio.sleep(0.6)
        (stale,) = notebook.events
        assert isinstance(stale, InputsStale)
        assert stale.age_s == pytest.approx(0.25, abs=0.01)
        assert notebook.times[0] - began_s <= 0.26
        module.contacts[1] = True
        module.mute = False
        await asyncio.sleep(0.2)
        assert notebook.events[1:] == [InputChanged("loop_booth", True), InputsFresh()]
        module.mute = True
        await asyncio.sleep(0.4)
        assert isinstance(notebook.events[-1], InputsStale), "it is watched again"


async def test_a_session_that_ended_stale_is_followed_by_one_that_says_fresh() -> None:
    module, net, notebook = Module(), MemoryNet(), Notebook()
    net.listen("device", module.serve)
    driver = make(ModbusModule, net, **POINTS)
    async with session_of(driver, notebook) as bench:
        await asyncio.sleep(0.5)
        module.mute = True
        assert isinstance(await bench.failure(), LinkLost)
    assert notebook.of(InputsStale)
    module.mute = False
    async with session_of(driver, notebook):
        await asyncio.sleep(0.2)
        assert len(notebook.of(InputsFresh)) == 1
    await net.unlisten_and_wait("device")


# --- answers that do not come, or should not -------------------------------------------------------------------------


async def test_a_module_that_stops_answering_is_lost_after_a_second() -> None:
    module = Module()
    async with serving(module) as (_, bench, notebook):
        began_s = notebook.clock.now().mono_s
        module.mute = True
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "no answer for 1 s"
        assert notebook.clock.now().mono_s - began_s <= 1.2


async def test_a_module_that_never_answers_is_never_online() -> None:
    module = Module()
    module.mute = True
    async with in_session(ModbusModule, module.serve, **POINTS) as (_, bench):
        assert isinstance(await bench.failure(), LinkLost)
        assert bench.notebook.identities == []


async def test_late_answers_are_doubted_and_never_taken_for_the_next_ones() -> None:
    module = Module()
    async with serving(module) as (_, bench, notebook):
        notebook.events.clear()
        module.delay_s = 0.1
        module.contacts[0] = True
        await asyncio.sleep(0.5)
        assert notebook.of(InputChanged) == []
        assert notebook.doubts
        module.delay_s = 0.0
        await asyncio.sleep(1)
        assert notebook.of(InputChanged) == [InputChanged("loop_approach", True)]
        assert not bench.session.done()


async def test_foreign_answers_are_doubted_and_the_session_goes_on() -> None:
    module = Module()
    async with serving(module) as (_, bench, notebook):
        foreign = bytes.fromhex("7b01 0000 0004 01 02 01 ff")
        module.before_answer = lambda answer: foreign + answer
        await asyncio.sleep(1)
        assert {raw for raw, _ in notebook.doubts} == {foreign}
        assert not any(event.on for event in notebook.of(InputChanged))
        assert not bench.session.done()


async def test_a_stream_that_breaks_while_online_ends_the_session_as_a_lost_link() -> None:
    module = Module()
    async with serving(module) as (_, bench, notebook):
        module.before_answer = lambda answer: b"HTTP/1.1 400 Bad Request\r\n\r\n"
        assert isinstance(await bench.failure(), LinkLost)
        assert notebook.doubts


async def test_a_peer_that_never_spoke_modbus_is_the_wrong_device() -> None:
    module = Module()
    module.before_answer = lambda answer: b"HTTP/1.1 400 Bad Request\r\n\r\n"
    async with in_session(ModbusModule, module.serve, **POINTS) as (_, bench):
        assert isinstance(await bench.failure(), ProtocolViolation)


async def test_an_address_that_the_module_does_not_have_is_a_fault_that_names_it() -> None:
    module = Module()
    module.refuse = lambda function, address: 2 if function == 2 else 0
    async with in_session(ModbusModule, module.serve, **POINTS) as (_, bench):
        failure = await bench.failure()
        assert isinstance(failure, ProtocolViolation)
        assert str(failure) == "read inputs: the module answers exception 2 (illegal data address)"


async def test_a_busy_module_is_waited_for_but_not_for_ever() -> None:
    module = Module()
    async with serving(module) as (_, bench, _):
        module.refuse = lambda function, address: 6
        await asyncio.sleep(0.5)
        assert not bench.session.done()
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert failure.why == "the module answers exception 6 (device busy)"


# --- outputs ---------------------------------------------------------------------------------------------------------


async def test_the_outputs_are_read_back_at_the_start_and_whenever_they_are_not_what_was_written() -> None:
    module = Module()
    module.coils[3] = True
    async with serving(module) as (driver, _, notebook):
        before = OutputsRead((("signal_green", False), ("signal_red", False), ("gate_open", True)))
        assert notebook.of(OutputsRead) == [before]
        assert await driver.perform(WriteOutputs((("gate_open", False),))) == Outcome(Result.DONE)
        await asyncio.sleep(5)
        assert notebook.of(OutputsRead) == [before], "as written, so there is nothing to tell"
        module.coils[0] = True
        module.coils[2] = True
        await asyncio.sleep(5)
        after = OutputsRead((("signal_green", True), ("signal_red", False), ("gate_open", False)))
        assert notebook.of(OutputsRead) == [before, after]


async def test_neighbouring_outputs_are_written_in_one_deed_and_what_goes_off_goes_first() -> None:
    module = Module()
    async with serving(module) as (driver, _, _):
        module.writes.clear()
        await driver.perform(WriteOutputs((("signal_green", True), ("signal_red", False))))
        assert module.writes == [(15, 0, bytes.fromhex("0002 01 01"))]
        module.writes.clear()
        await driver.perform(WriteOutputs((("gate_open", False), ("signal_green", True))))
        assert module.writes == [(5, 3, b"\x00\x00"), (5, 0, b"\xff\x00")]


def test_lamps_apart_never_burn_together_between_two_writes() -> None:
    """Green beside another output that goes off, red beside one that goes on: all that goes off is written first."""
    outputs = {"green": 0, "fan": 1, "red": 3, "beacon": 4}
    config = ModbusConfig(id="io1", url="tcp://192.0.2.1:502", inputs={"a": 0}, outputs=outputs)
    points = (("red", False), ("fan", False), ("green", True), ("beacon", True))
    runs = [(run.address, run.values) for run in _coils(config, points)]
    assert runs == [(1, (False,)), (3, (False,)), (0, (True,)), (4, (True,))]
    turned = config.model_copy(update={"invert": ("red",)})
    assert [run.address for run in _coils(turned, points)] == [1, 3, 0, 4], "off is what is dark, not what is 0"


async def test_a_command_without_an_answer_is_unknown_and_not_repeated_and_the_outputs_are_read_again() -> None:
    module = Module()
    async with serving(module) as (driver, _, notebook):
        module.mute = True
        outcome = await driver.perform(WriteOutputs((("signal_red", True),)))
        assert outcome.result is Result.UNKNOWN
        module.mute = False
        await asyncio.sleep(0.3)
        assert [write[:2] for write in module.writes] == [(5, 1)]
        assert notebook.of(OutputsRead)[-1].points[1] == ("signal_red", True)


async def test_after_an_edge_what_the_lane_makes_of_it_goes_before_reading_back() -> None:
    module, notebook = Module(), Notebook()
    async with serving(module, notebook, poll_ms=20, readback_ms=20) as (driver, _, _):
        reactions: list[asyncio.Task[Outcome]] = []

        def react(event: object) -> None:
            reactions.append(asyncio.ensure_future(driver.perform(WriteOutputs((("signal_red", True),)))))

        notebook.report = react  # type: ignore[method-assign]
        for _ in range(10):
            module.contacts[0] = not module.contacts[0]
            await asyncio.sleep(0.07)
        asked = [function for function, _ in module.requests]
        assert {asked[at - 1] for at, function in enumerate(asked) if function == 5} == {2}
        assert len(reactions) == 10
        assert (await reactions[-1]).result is Result.DONE


async def test_inputs_that_change_at_every_poll_do_not_keep_the_outputs_from_being_read_back() -> None:
    module = Module()
    async with serving(module, poll_ms=20, readback_ms=20) as (_, _, _):
        module.requests.clear()
        for _ in range(50):
            module.contacts[0] = not module.contacts[0]
            await asyncio.sleep(0.02)
        assert module.requests.count((1, 0)) >= 5


async def test_a_refused_write_and_an_unknown_output_are_command_errors() -> None:
    module = Module()
    async with serving(module) as (driver, _, _):
        module.refuse = lambda function, address: 4 if function == 5 else 0
        with pytest.raises(CommandError, match=re.escape("exception 4 (device failure)")):
            await driver.perform(WriteOutputs((("signal_red", True),)))
        with pytest.raises(CommandError, match="no output is named 'siren'"):
            await driver.perform(WriteOutputs((("siren", True),)))


async def test_a_command_before_the_session_is_refused() -> None:
    driver = make(ModbusModule, MemoryNet(), **POINTS)
    assert (await driver.perform(WriteOutputs((("signal_red", True),)))).result is Result.REFUSED


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_profile_is_valid(name: str) -> None:
    profile = load(name)
    assert profile.inputs or profile.outputs


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"profile": "acme"}, "no such profile"),
        ({}, "at least one input or output"),
        ({"inputs": {"loop": 16}}, "the module has 16 inputs"),
        ({"inputs": {"loop": 0, "door": 0}}, "share a channel"),
        ({"inputs": {"lamp": 0}, "outputs": {"lamp": 0}}, "both an input and an output"),
        ({"inputs": {"Loop 1": 0}}, "lower-case"),
        ({"inputs": {"loop": 0}, "invert": ["lop"]}, "which is no point"),
        ({"inputs": {"loop": 0}, "poll_ms": 200, "request_timeout_ms": 70}, "stale_limit_ms must exceed"),
        ({"inputs": {"loop": 0}, "poll_ms": 10}, "greater than or equal to 20"),
    ],
)
def test_a_wrong_stanza_is_refused_with_the_reason(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ModbusConfig.model_validate({"id": "io1", "url": "mem://x", **settings})


async def test_a_profile_written_in_the_lane_file_is_used() -> None:
    module = Module(unit=7)
    module.registers[10] = 0b10
    profile = {"title": "odd one", "unit": 7, "inputs": {"area": "input_registers", "base": 10, "count": 32}}
    notebook = Notebook()
    settings: dict[str, Any] = {"module": profile, "inputs": {"loop": 1, "door": 17}}
    async with in_session(ModbusModule, module.serve, notebook, **settings):
        await asyncio.sleep(0.2)
        assert notebook.events == [InputChanged("loop", True), InputChanged("door", False)]
