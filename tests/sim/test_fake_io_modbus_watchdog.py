"""The fake I/O module's watchdogs: the plain one, and those of the makers' modules as the reference has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_bench import client_of, lost, virtual
from module_bench import Bench, bench
from pymodbus.client import AsyncModbusTcpClient

from lanecontrol.links import serve_tcp
from sim.io_modbus import FakeModule, ModuleConfig
from sim.readings import Contact, OutputSet

HEARTBEAT = "0600010001"
READ_FLAG, CLEAR_FLAG = "0110300001", "051030ff00"


@virtual
async def test_without_a_heartbeat_the_outputs_fall_to_their_safe_values_and_stay_there_until_cleared() -> None:
    async with bench() as lane:
        for _ in range(5):
            await lane.ask(HEARTBEAT)
            await lane.ask("0f000000030105")  # green and gate on
            await asyncio.sleep(0.9)
        assert lane.deeds == [OutputSet("green", on=True), OutputSet("gate", on=True)]
        assert await lane.ask(READ_FLAG) == "010100"
        await asyncio.sleep(0.2)
        assert lane.deeds[2:] == [OutputSet("green", False), OutputSet("red", True), OutputSet("gate", False)]
        assert await lane.ask(READ_FLAG) == "010101"
        assert await lane.ask("050000ff00") == "8504"
        assert await lane.ask(HEARTBEAT) == HEARTBEAT
        assert await lane.ask("0f000000030105") == "8f04", "a heartbeat alone clears nothing"
        await asyncio.sleep(5)
        assert await lane.ask("0400000001") == "04020001", "and starts nothing"
        assert await lane.ask("0510300000") == "0510300000", "nor does writing 0"
        assert await lane.ask(READ_FLAG) == "010101"
        assert await lane.ask(CLEAR_FLAG) == CLEAR_FLAG
        assert await lane.ask(READ_FLAG) == "010100"
        assert await lane.ask("050000ff00") == "050000ff00"
        assert await lane.ask("0400000001") == "04020001", "one trip since power-on"


@virtual
async def test_reads_do_not_feed_unless_it_is_configured_so() -> None:
    for fed_by, tripped in (("heartbeat", "010101"), ("any", "010100")):
        async with bench(watchdog={"time_s": 1.0, "fed_by": fed_by}) as lane:
            await lane.ask(HEARTBEAT)
            for _ in range(30):
                await asyncio.sleep(0.1)
                await lane.ask("0200000001")
            assert await lane.ask(READ_FLAG) == tripped


@virtual
async def test_a_watchdog_that_was_never_fed_does_not_trip() -> None:
    async with bench() as lane:
        await asyncio.sleep(3600)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_after_clearing_the_watchdog_runs_again_without_waiting_for_a_heartbeat() -> None:
    async with bench() as lane:
        await lane.ask(HEARTBEAT)
        await asyncio.sleep(2)
        await lane.ask(CLEAR_FLAG)
        await asyncio.sleep(2)
        assert await lane.ask(READ_FLAG) == "010101"


@virtual
async def test_the_time_can_be_read_and_set_in_units_of_100_ms_and_0_switches_off() -> None:
    async with bench() as lane:
        assert await lane.ask("0300000002") == "0304000a0000"
        assert await lane.ask("100000000204001e0005") == "1000000002"
        assert await lane.ask("0300000002") == "0304001e0005"
        await asyncio.sleep(2.9)
        assert await lane.ask(READ_FLAG) == "010100"
        assert await lane.ask("0600000000") == "0600000000"
        await asyncio.sleep(60)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_a_shorter_time_counts_at_once() -> None:
    async with bench(watchdog={"time_s": 60.0}) as lane:
        await lane.ask(HEARTBEAT)
        await lane.ask("0600000005")
        await asyncio.sleep(0.6)
        assert await lane.ask(READ_FLAG) == "010101"


@virtual
async def test_an_iologik_is_fed_by_every_valid_request_and_has_no_time_register() -> None:
    async with bench(watchdog={"kind": "iologik", "time_s": 1.0}) as lane:
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000001")
        assert await lane.ask("0300000001") == "8302"
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000000")  # refused: no life sign
        assert await lane.ask(READ_FLAG) == "010101"
        await lane.ask(CLEAR_FLAG)
        assert await lane.ask(READ_FLAG) == "010100"


@virtual
async def test_a_wago_has_its_register_block() -> None:
    config = {"outputs": {"points": ("red",)}, "watchdog": {"kind": "wago", "time_s": 1.0, "safe": {"red": True}}}
    async with bench(**config) as lane:
        status, trigger, restart = "0310060001", "061003{:04x}", "0610070001"
        assert await lane.ask(status) == "03020000", "idle"
        assert await lane.ask("0610000014") == "0610000014", "2 s"
        for value in range(1, 10):
            assert await lane.ask(trigger.format(value)) == trigger.format(value)
            assert await lane.ask(status) == "03020001", "active"
            await asyncio.sleep(1.9)
        assert await lane.ask("0610000001") == "8603", "the time of a running watchdog stays"
        await lane.ask(trigger.format(9))  # the same value again is no trigger
        await asyncio.sleep(0.2)
        assert await lane.ask(status) == "03020002", "expired"
        assert lane.deeds == [OutputSet("red", on=True)]
        assert await lane.ask("0500000000") == "8504"
        assert await lane.ask(restart) == restart
        assert await lane.ask("0500000000") == "0500000000"
        assert await lane.ask("061008aa55") + await lane.ask("06100855aa") == "061008aa55" + "06100855aa"
        await asyncio.sleep(60)
        assert await lane.ask(status) == "03020000", "stopped"
        assert await lane.ask(READ_FLAG) == "8102", "no flag coil"
        assert await lane.ask("0610060000") == "8602", "the status is read only"


@virtual
async def test_a_wago_can_be_fed_by_the_functions_in_its_mask() -> None:
    async with bench(watchdog={"kind": "wago", "time_s": 1.0}) as lane:
        await lane.ask("0610010002")  # bit of FC 2
        await lane.ask("0610030001")
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0200000001")
        assert await lane.ask("0310060001") == "03020001"
        for _ in range(30):
            await asyncio.sleep(0.1)
            await lane.ask("0100000001")
        assert await lane.ask("0310060001") == "03020002"


# --- the makers' modules, as the reference has them ------------------------------------------------------------------

ADAM = {
    "inputs": {"area": "coils", "base": 0, "count": 6, "points": ("loop",)},
    "outputs": {"base": 16, "count": 6, "points": ("red", "gate")},
    "watchdog": {"kind": "adam", "time_s": 1.0, "safe": {"red": True}},
}
WAGO = {
    "inputs": {"points": ("loop",)},
    "outputs": {"points": ("red", "gate")},
    "readback_base": 0x200,
    "watchdog": {"kind": "wago", "time_s": 1.0, "safe": {"red": True}},
}
IOLOGIK = {
    "inputs": {"count": 6, "points": ("loop",)},
    "outputs": {"count": 6, "points": ("red", "gate")},
    "watchdog": {"kind": "iologik", "time_s": 1.0, "safe": {"red": True}},
}


@virtual
async def test_an_adam_drops_its_outputs_when_nobody_asks_and_tells_nobody_but_by_its_outputs() -> None:
    async with bench(**ADAM) as lane:
        gate_on, outputs = "050011ff00", "0100100002"
        for _ in range(20):
            assert await lane.ask(gate_on) == gate_on
            await asyncio.sleep(0.5)
        assert await lane.ask(outputs) == "010102", "the gate is on"
        await asyncio.sleep(1.1)
        assert lane.deeds == [OutputSet("gate", True), OutputSet("red", True), OutputSet("gate", False)]
        assert await lane.ask(outputs) == "010101", "only what is read back tells of it"
        assert await lane.ask(READ_FLAG) == "8102"
        assert await lane.ask("0300000001") == "8302", "nor has it any registers"
        assert await lane.ask(gate_on) == gate_on, "whoever writes next drives it again"


@virtual
async def test_a_wagos_idle_timeout_closes_the_connection_and_leaves_the_outputs_as_they_are() -> None:
    async with bench(**WAGO) as lane:
        await lane.ask("050001ff00")
        assert await lane.ask("061030001e") == "061030001e", "3 s"
        await lane.ask("0310300001")
        assert await lost(lane.link)
        assert lane.module.outputs() == {"red": False, "gate": True}, "the trap: no fail-safe"
        async with client_of(lane.module.serve) as other:
            assert await Bench(other, lane.module, lane.deeds).ask("0102010001") == "010101"


@pytest.mark.parametrize(
    ("config", "inputs", "outputs"),
    [(ADAM, "coils", 16), (WAGO, "discrete_inputs", 0), (IOLOGIK, "discrete_inputs", 0)],
    ids=["adam", "wago", "iologik"],
)
async def test_pymodbus_sees_the_watchdog_drop_what_another_client_had_set(
    config: dict[str, Any], inputs: str, outputs: int
) -> None:
    watchdog = {**config["watchdog"], "time_s": 0.2}
    dropped = asyncio.Event()
    module = FakeModule(
        ModuleConfig.model_validate({**config, "watchdog": watchdog}),
        lambda deed: dropped.set() if deed == OutputSet("gate", on=False) else None,
    )
    async with serve_tcp("127.0.0.1", 0, module.serve) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        module.sense(Contact("loop", on=True))
        assert (await getattr(client, f"read_{inputs}")(0, count=6, device_id=1)).bits[0]
        assert not (await client.write_coils(outputs, [False, True], device_id=1)).isError()
        if watchdog["kind"] == "wago":
            assert not (await client.write_register(0x1003, 1, device_id=1)).isError()
        await dropped.wait()  # no deadline: the suite's own, should the watchdog not work
        assert (await client.read_coils(outputs, count=2, device_id=1)).bits[:2] == [True, False]
        client.close()


@virtual
async def test_where_time_runs_faster_than_the_real_one_the_client_is_given_as_much_longer() -> None:
    async with bench() as lane:
        lane.module.pace = 10.0
        await lane.ask(HEARTBEAT)
        await asyncio.sleep(9.5)
        assert await lane.ask(READ_FLAG) == "010100"
        await asyncio.sleep(1.0)
        assert await lane.ask(READ_FLAG) == "010101"
