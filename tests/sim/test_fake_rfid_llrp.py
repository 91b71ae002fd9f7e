"""The fake LLRP reader: connection, keep-alive, ROSpecs, and the defects it must not have."""

from __future__ import annotations

import asyncio
import struct

import pytest
from fake_bench import lost, virtual
from llrp_client import (
    EVENT,
    EVENTS_ON,
    KEEPALIVE_1_S,
    OTHER_EPC,
    aispec,
    attached,
    fake_reader,
    gpi_trigger,
    reader,
    report_spec,
    rospec,
    start_trigger,
    stop_trigger,
    tlv,
)

from sim.readings import Contact

# --- connection ------------------------------------------------------------------------------------------------------


@virtual
async def test_the_first_client_is_welcomed_and_a_second_one_is_told_that_the_reader_is_taken() -> None:
    fake = fake_reader()
    async with attached(fake) as first:
        assert await first.events() == ["010000060000"]
        async with attached(fake) as second:
            assert await second.events() == ["010000060002"]
            assert await lost(second.link)
        await first.do(1, b"\0")
    async with attached(fake) as third:
        assert await third.events() == ["010000060000"]


@virtual
async def test_closing_is_answered_and_then_the_connection_ends() -> None:
    async with reader() as rfid:
        assert await rfid.ask(14) == (4, bytes.fromhex("011f000800000000"))
        assert await lost(rfid.link)


@virtual
async def test_a_message_of_another_version_or_for_another_side_gets_an_error_message() -> None:
    async with reader() as rfid:
        for kind, code in ((46, 110), (47, 110), (61, 109), (999, 109), (1023, 109)):
            answer, body = await rfid.ask(kind)
            assert (answer, int.from_bytes(body[4:6], "big")) == (100, code)
        await rfid.link.write(bytes.fromhex("0801 0000000b 00000042 00"))
        [(kind, message_id, body)] = await rfid.got()
        assert (kind, message_id, body[4:6]) == (100, 0x42, b"\0\x6e")
        await rfid.do(1, b"\0")


@pytest.mark.parametrize("length", [0, 9, 1024 * 1024 + 1, 0xFFFF_FFFF])
def test_a_length_that_cannot_be_ends_the_connection_with_the_event_for_it(length: int) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            await rfid.link.write(struct.pack(">HII", 1 << 10 | 1, length, 1))
            assert await rfid.events() == ["01010004"]
            assert await lost(rfid.link)

    check()


@virtual
async def test_keep_alives_come_in_their_period_and_without_answers_the_reader_hangs_up() -> None:
    async with reader(keepalive_misses=3) as rfid:
        await rfid.do(3, b"\0" + KEEPALIVE_1_S)
        for _ in range(10):
            await asyncio.sleep(0.9995)
            assert [kind for kind, *_ in await rfid.got()] == [62]
            await rfid.link.write(bytes.fromhex("0448 0000000a 00000001"))
        assert [kind for kind, *_ in await rfid.got(quiet_s=1.5)] == [62, 62, 62, EVENT]
        assert await lost(rfid.link)


@virtual
async def test_keep_alives_can_be_switched_off() -> None:
    async with reader() as rfid:
        await rfid.do(3, b"\0" + KEEPALIVE_1_S)
        await rfid.do(3, b"\0" + tlv(220, struct.pack(">BI", 0, 0)))
        assert await rfid.got(quiet_s=60) == []


# --- the five defects of another emulator ----------------------------------------------------------------------------


@virtual
async def test_enabling_events_and_reports_has_no_answer() -> None:
    async with reader() as rfid:
        await rfid.link.write(bytes.fromhex("0440 0000000a 0000000c"))
        assert await rfid.got() == []


@virtual
async def test_id_0_stands_for_all_rospecs_in_delete_enable_and_disable() -> None:
    async with reader(max_rospecs=3) as rfid:
        for spec_id in (1, 2, 3):
            await rfid.do(20, rospec(spec_id))
        for kind, states in ((24, "010101"), (25, "000000")):
            await rfid.do(kind, 0)
            _, body = await rfid.ask(26)
            size = len(rospec())
            assert bytes(body[8 + n * size + 9] for n in range(3)).hex() == states
        await rfid.do(21, 0)
        assert await rfid.ask(26) == (36, bytes.fromhex("011f000800000000"))


@virtual
async def test_an_immediate_start_trigger_starts_the_rospec_when_it_is_enabled() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec(start=start_trigger(1)), start=False)
        rfid.tag()
        assert len(await rfid.reports()) == 1


@virtual
async def test_a_rospec_with_an_immediate_start_begins_again_when_it_ends_by_itself_until_it_is_stopped() -> None:
    one_tag = tlv(185, struct.pack(">BBHHHI", 0, 0, 1, 0, 0, 0))
    async with reader() as rfid:
        spec = rospec(start=start_trigger(1), specs=(aispec((1,), 3, 0, one_tag),), report=report_spec(1, 0))
        await rfid.begin(spec, start=False)
        for _ in range(5):
            rfid.tag()
            assert len(await rfid.reports()) == 1
        await rfid.do(23, 1)
        rfid.tag()
        assert await rfid.reports() == []


@virtual
async def test_disabling_an_active_rospec_succeeds_and_ends_it() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec())
        await rfid.do(25, 1)
        rfid.tag()
        assert await rfid.reports() == []


@virtual
async def test_the_question_of_newer_clients_for_versions_is_answered_by_110() -> None:
    async with reader() as rfid:
        kind, body = await rfid.ask(46)
        assert (kind, body[4:6]) == (100, b"\0\x6e")


# --- ROSpecs ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_tag_is_reported_only_while_a_rospec_listens_to_its_antenna() -> None:
    async with reader() as rfid:
        rfid.tag()
        await rfid.do(20, rospec(specs=(aispec((1, 2)),)))
        rfid.tag()
        await rfid.do(24, 1)
        rfid.tag()
        assert await rfid.reports() == []
        await rfid.do(22, 1)
        for antenna in (1, 2, 3, 9):
            rfid.tag(antenna)
        assert [report[26:32] for report in await rfid.reports()] == ["810001", "810002"]
        await rfid.do(23, 1)
        rfid.tag()
        assert await rfid.reports() == []


@virtual
async def test_states_are_checked_and_told() -> None:
    async with reader() as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        await rfid.do(20, rospec())
        assert await rfid.status(22, struct.pack(">I", 1)) == 101, "disabled"
        assert await rfid.status(23, struct.pack(">I", 1)) == 101
        assert await rfid.status(24, struct.pack(">I", 2)) == 101, "unknown"
        assert await rfid.status(22, struct.pack(">I", 0)) == 101, "0 is not all here"
        await rfid.do(24, 1)
        await rfid.do(24, 1)
        await rfid.do(22, 1)
        await rfid.do(22, 1)
        await rfid.do(23, 1)
        await rfid.do(23, 1)
        started, ended = "00f9000d000000000100000000", "00f9000d010000000100000000"
        assert await rfid.events() == [started, ended]


@virtual
async def test_periodic_rospecs_start_by_the_clock_and_run_for_their_duration() -> None:
    async with reader() as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        periodic = start_trigger(2, tlv(180, struct.pack(">II", 500, 2000)))
        await rfid.begin(rospec(start=periodic, stop=stop_trigger(1, 1000)), start=False)
        times = []
        for _ in range(80):
            await asyncio.sleep(0.0995)
            rfid.tag()
            times.append(bool(await rfid.reports()))
        assert "".join("01"[each] for each in times).count("01") == 4
        assert 38 <= sum(times) <= 42
        await rfid.do(25, 1)
        await rfid.got()
        assert await rfid.got(quiet_s=10) == []


@virtual
async def test_gpi_triggers_start_and_stop_and_give_up_after_their_time() -> None:
    async with reader(gpi={"loop": 1, "exit": 2}) as rfid:
        spec = rospec(start=start_trigger(3, gpi_trigger(1, True)), stop=stop_trigger(2, 0, gpi_trigger(2, True, 5000)))
        await rfid.begin(spec, start=False)
        seen = []
        for contact in (
            None,
            Contact("exit", True),
            Contact("loop", True),
            Contact("exit", False),
            Contact("exit", True),
        ):
            if contact:
                rfid.fake.sense(contact)
            rfid.tag()
            seen.append(len(await rfid.reports()))
        assert seen == [0, 0, 1, 1, 0]
        rfid.fake.sense(Contact("loop", False))
        rfid.fake.sense(Contact("loop", True))
        await asyncio.sleep(5.1)
        rfid.tag()
        assert await rfid.reports() == []


@virtual
async def test_aispecs_follow_each_other_and_the_last_one_ends_the_rospec() -> None:
    async with reader(specs_per_rospec=3) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        two_tags = tlv(185, struct.pack(">BBHHHI", 0, 0, 2, 0, 0, 5000))
        quiet = tlv(185, struct.pack(">BBHHHI", 1, 0, 0, 0, 400, 5000))
        specs = (aispec((1,), 1, 1000), aispec((2,), 3, 0, two_tags), aispec((3,), 3, 0, quiet))
        await rfid.begin(rospec(specs=specs, report=report_spec(1, 0, 0x5000)))
        rfid.tag(1)
        rfid.tag(2)
        await asyncio.sleep(1.001)
        assert [report[26:] for report in await rfid.reports()] == ["8e0001810001"]
        rfid.tag(2)
        rfid.tag(2)
        assert await rfid.reports() == []
        rfid.tag(2, OTHER_EPC)
        assert [report[26:] for report in await rfid.reports()] == ["8e0002810002"] * 2
        for _ in range(3):
            await asyncio.sleep(0.3)
            rfid.tag(3)
        await asyncio.sleep(0.3)
        assert [report[26:] for report in await rfid.reports()] == ["8e0003810003"]
        rfid.tag(3)
        assert await rfid.reports() == []
        ended = [event for event in await rfid.events() if event.startswith("00fe")]
        assert ended == [f"00fe000b0000000001000{number}" for number in (1, 2, 3)]


@virtual
async def test_a_rospec_of_higher_priority_preempts() -> None:
    async with reader(max_rospecs=2, priorities=2) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        await rfid.begin(rospec(1, priority=1))
        await rfid.begin(rospec(2, priority=0, report=report_spec(content=0x8000)), 2)
        assert (await rfid.events())[1] == "00f9000d020000000100000002"
        assert await rfid.status(22, struct.pack(">I", 1)) == 101
        rfid.tag()
        assert [report[26:] for report in await rfid.reports()] == ["8900000002"]


@pytest.mark.parametrize(
    ("body", "code", "parameter", "inner"),
    [
        (b"", 103, None, None),
        (rospec() * 2, 102, None, None),
        (rospec()[:-3], 100, 177, 201),
        (rospec(0), 100, 177, 201),
        (rospec(priority=1), 100, 177, 201),
        (rospec(state=1), 100, 177, 201),
        (rospec(start=start_trigger(4)), 100, 179, 201),
        (rospec(start=start_trigger(2)), 100, 179, 203),
        (rospec(start=start_trigger(3, gpi_trigger(9, True))), 100, 181, 201),
        (rospec(stop=stop_trigger(3)), 100, 182, 201),
        (rospec(specs=(aispec((5,)),)), 100, 183, 201),
        (rospec(specs=(aispec(()),)), 100, 183, 201),
        (rospec(specs=(aispec(),) * 2), 100, 177, 205),
        (rospec(specs=(tlv(187, bytes(8)),)), 100, 187, 209),
        (rospec(specs=(aispec(inventory=tlv(186, b"\0\1\2")),)), 100, 186, 201),
        (rospec(report=report_spec(3)), 100, 237, 201),
        (rospec(report=report_spec() + tlv(300)), 100, 300, 202),
        (rospec(report=tlv(237, b"\2\0\1")), 100, 237, 203),
    ],
)
def test_a_rospec_that_cannot_be_is_refused_with_the_parameter_at_fault(
    body: bytes, code: int, parameter: int | None, inner: int | None
) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            kind, answer = await rfid.ask(20, body)
            assert (kind, int.from_bytes(answer[4:6], "big")) == (30, code)
            if parameter is not None:
                assert answer[-8:] == struct.pack(">HHHH", 289, 8, parameter, inner)
            await rfid.do(20, rospec())

    check()


@virtual
async def test_a_reader_holds_no_more_rospecs_than_it_says_and_no_two_of_one_id() -> None:
    async with reader(max_rospecs=2) as rfid:
        await rfid.do(20, rospec(1))
        assert await rfid.status(20, rospec(1)) == 101
        await rfid.do(20, rospec(2))
        assert await rfid.status(20, rospec(3)) == 100


@virtual
async def test_extensions_of_other_makers_are_ignored() -> None:
    async with reader() as rfid:
        custom = tlv(1023, struct.pack(">II", 12345, 1), b"what ever")
        await rfid.begin(rospec(report=report_spec() + custom))
        rfid.tag()
        assert len(await rfid.reports()) == 1


@virtual
async def test_an_aispec_ends_after_its_attempts_or_sooner_after_its_time() -> None:
    for attempts, timeout_ms, lasts_s in ((10, 5000, 0.5), (10, 100, 0.1), (4, 0, 0.2)):
        async with reader() as rfid:
            await rfid.do(3, b"\0" + EVENTS_ON)
            trigger = tlv(185, struct.pack(">BBHHHI", 2, 0, 0, attempts, 0, timeout_ms))
            await rfid.begin(rospec(specs=(aispec((1,), 3, 0, trigger),)))
            await rfid.events()
            await asyncio.sleep(lasts_s - 0.01)
            assert await rfid.events() == []
            await asyncio.sleep(0.02)
            assert await rfid.events() == ["00fe000b00000000010001", "00f9000d010000000100000000"]
