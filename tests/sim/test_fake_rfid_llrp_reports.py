"""Reports and AccessSpecs of the fake LLRP reader."""

from __future__ import annotations

import struct

import pytest
from fake_bench import virtual
from llrp_client import (
    EPC,
    EVENT,
    EVENTS_ON,
    HOLD,
    NOW_US,
    OTHER_EPC,
    REPORT,
    TID,
    accessspec,
    attached,
    fake_reader,
    read_tid,
    reader,
    report_spec,
    rospec,
    tlv,
)

from sim.readings import Contact, TagAnswer

# --- reports ---------------------------------------------------------------------------------------------------------

UTC = f"{NOW_US:016x}"


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        (0x0000, b"", ""),
        (0x8000, b"", "8900000001"),
        (0x4000, b"", "8e0001"),
        (0x2000, b"", "8a0001"),
        (0x1000, b"", "810001"),
        (0x0800, b"", "870001"),
        (0x0400, b"", "86cd"),
        (0x0200, b"", "82" + UTC),
        (0x0100, b"", "84" + UTC),
        (0x0080, b"", "880001"),
        (0x0040, b"", ""),
        (0xFFC0, b"", "89000000018e00018a000181000186cd87000182" + UTC + "84" + UTC + "880001"),
        (0x0000, tlv(348, b"\x80"), "8b127f"),
        (0x0000, tlv(348, b"\xc0"), "8b127f8c3000"),
    ],
)
def test_a_report_has_just_the_fields_that_were_asked_for(content: int, more: bytes, expected: str) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            await rfid.begin(rospec(report=report_spec(content=content, more=more)))
            rfid.tag(rssi_dbm=-51.2)
            assert await rfid.reports() == ["8d" + EPC.hex() + expected]

    check()


@virtual
async def test_a_reader_without_a_clock_gives_the_time_since_its_start() -> None:
    async with reader(utc_clock=False) as rfid:
        await rfid.begin(rospec(report=report_spec(content=0x0300)))
        rfid.tag()
        [report] = await rfid.reports()
        assert (report[26:28], report[44:46]) == ("83", "85")
        rfid.fake.raise_exception("hot")
        await rfid.do(3, b"\0" + EVENTS_ON)
        rfid.fake.raise_exception("hot")
        [(_, _, body)] = await rfid.got()
        assert body[4:6] == b"\0\x81"


@virtual
async def test_an_epc_of_another_length_comes_as_bits() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec(report=report_spec(content=0)))
        rfid.tag(epc=bytes(range(16)))
        assert await rfid.reports() == ["00f100160080" + bytes(range(16)).hex()]


@virtual
async def test_n_tags_are_collected_and_repetitions_are_counted() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec(report=report_spec(2, 3, 0x1480)))
        for rssi_dbm in (-60.0, -50.0, -70.0):
            rfid.tag(rssi_dbm=rssi_dbm)
        rfid.tag(antenna=2)
        assert await rfid.reports() == []
        rfid.tag(epc=OTHER_EPC, rssi_dbm=-200)
        assert [report[26:] for report in await rfid.reports()] == [
            "81000186ce880003",
            "81000286cd880001",
            "8100018680880001",
        ]


@virtual
async def test_without_a_count_the_report_comes_at_the_end_of_the_rospec() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec(report=report_spec(2, 0)))
        for _ in range(20):
            rfid.tag()
        assert await rfid.reports() == []
        await rfid.do(23, 1)
        assert len(await rfid.reports()) == 1


@virtual
async def test_without_a_trigger_reports_come_only_when_asked_for() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec(report=report_spec(0, 1)))
        rfid.tag()
        await rfid.do(23, 1)
        assert await rfid.reports() == []
        kind, body = await rfid.ask(60)
        assert kind == REPORT
        assert body[:2] == b"\0\xf0"
        assert await rfid.ask(60) == (REPORT, b""), "each tag is told once"


@virtual
async def test_a_rospec_without_a_report_spec_follows_the_readers_own() -> None:
    async with reader() as rfid:
        await rfid.do(3, b"\0" + report_spec(2, 2, 0x1000))
        await rfid.begin(rospec(report=b""))
        rfid.tag(1)
        rfid.tag(2)
        assert [report[26:] for report in await rfid.reports()] == ["810001", "810002"]


@virtual
async def test_held_events_and_reports_wait_for_the_client_after_a_reconnect() -> None:
    fake = fake_reader(gpi={"loop": 1})
    async with attached(fake) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON + HOLD)
        await rfid.begin(rospec())
        rfid.tag()
        assert len(await rfid.reports()) == 1, "this connection is not held"
    fake.sense(TagAnswer(1, EPC, -51.0))
    fake.sense(Contact("loop", on=True))
    async with attached(fake) as rfid:
        rfid.tag(2)
        assert [kind for kind, *_ in await rfid.got()] == [EVENT], "only that the connection was accepted"
        await rfid.link.write(bytes.fromhex("0440 0000000a 0000000c"))
        frames = await rfid.got()
        assert [kind for kind, *_ in frames] == [EVENT, REPORT]
        assert frames[1][2].count(EPC) == 2
        rfid.tag()
        assert len(await rfid.reports()) == 1


@virtual
async def test_without_holding_what_happens_while_nobody_is_connected_is_lost_and_rospecs_go_on() -> None:
    fake = fake_reader()
    async with attached(fake) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        await rfid.begin(rospec())
    fake.sense(TagAnswer(1, EPC, -51.0))
    fake.raise_exception("hot")
    async with attached(fake) as rfid:
        assert [kind for kind, *_ in await rfid.got()] == [EVENT]
        rfid.tag()
        assert len(await rfid.reports()) == 1


@virtual
async def test_a_filling_buffer_is_warned_of_and_its_overflow_is_told_once() -> None:
    async with reader(buffer_tags=10) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON)
        await rfid.begin(rospec(report=report_spec(0, 0)))
        await rfid.got()
        for number in range(100):
            rfid.tag(epc=b"\xf0" + number.to_bytes(11, "big"))
        assert await rfid.events() == ["00fa000550", "00fb0004"]
        _, body = await rfid.ask(60)
        assert len(body) % 10 == 0
        assert body.count(b"\x8d\xf0") == 10


# --- AccessSpecs -----------------------------------------------------------------------------------------------------

TID_READ = "015d00150000010006" + TID.hex()


@virtual
async def test_an_accessspec_reads_the_tid_and_says_why_it_could_not() -> None:
    async with reader() as rfid:
        await rfid.do(40, accessspec())
        await rfid.do(42, 0)
        await rfid.begin(rospec(report=report_spec(content=0x0040)))
        for tid in (TID, b"", TID[:4]):
            rfid.tag(tid=tid)
        assert [report[26:] for report in await rfid.reports()] == [
            "9000000001" + TID_READ,
            "9000000001" + "015d00090200010000",
            "9000000001" + "015d00090100010000",
        ]


@virtual
async def test_an_accessspec_works_only_while_it_is_enabled_and_for_its_count() -> None:
    async with reader() as rfid:
        await rfid.do(40, accessspec(count=2))
        await rfid.begin(rospec(report=report_spec(content=0)))
        deeds = [(42, 1), (43, 1), (42, 0)]
        results = []
        for kind, spec_id in deeds:
            rfid.tag(tid=TID)
            results += await rfid.reports()
            await rfid.do(kind, spec_id)
        for _ in range(4):
            rfid.tag(tid=TID)
            results += await rfid.reports()
        assert ["015d" in report for report in results] == [False, True, False, True, True, False, False]
        assert await rfid.ask(44) == (54, bytes.fromhex("011f000800000000")), "deleted after its last"


@virtual
async def test_an_accessspec_takes_only_the_tags_it_targets() -> None:
    pattern = f"{int.from_bytes(EPC[-2:], 'big'):016b}"
    for match, wanted in ((True, [True, False]), (False, [False, True])):
        async with reader() as rfid:
            await rfid.do(40, accessspec(mask=pattern, pointer=32 + 80, match=match))
            await rfid.do(42, 1)
            await rfid.begin(rospec(report=report_spec(content=0)))
            for epc in (EPC, OTHER_EPC):
                rfid.tag(epc=epc, tid=TID)
            assert ["015d" in report for report in await rfid.reports()] == wanted


@virtual
async def test_the_epc_bank_is_read_with_its_crc_and_control_word() -> None:
    async with reader() as rfid:
        await rfid.do(40, accessspec(1, read_tid(words=0, bank=1)))
        await rfid.do(42, 1)
        await rfid.begin(rospec(report=report_spec(content=0, more=tlv(348, b"\x80"))))
        rfid.tag()
        [report] = await rfid.reports()
        crc = report[28:32]
        assert report.endswith("0008" + crc + "3000" + EPC.hex())


def write_user(password: int = 0) -> bytes:
    return tlv(342, struct.pack(">HIBHHH", 7, password, 3 << 6, 0, 1, 0xDEAD))


def kill(password: int = 0) -> bytes:
    return tlv(343, struct.pack(">HI", 7, password))


def lock(password: int = 0) -> bytes:
    return tlv(344, struct.pack(">HI", 7, password), tlv(345, b"\0\0"))


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        pytest.param(write_user(), "015e00090200070000", id="write: memory is locked"),
        pytest.param(write_user(1), "015e00090500070000", id="write with a password: no answer"),
        pytest.param(kill(), "015f0007010007", id="kill: the kill password is zero"),
        pytest.param(kill(1), "015f0007010007", id="kill with a password: the kill password is zero"),
        pytest.param(lock(), "01600007020007", id="lock: the tag refuses"),
        pytest.param(lock(1), "01600007030007", id="lock with a password: no answer"),
    ],
)
def test_writing_killing_and_locking_are_tried_and_told_to_have_failed_on_every_tag(
    operation: bytes, result: str
) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            await rfid.do(40, accessspec(1, operation))
            await rfid.do(42, 1)
            await rfid.begin(rospec(report=report_spec(content=0x0040)))
            rfid.tag(tid=TID)
            assert await rfid.reports() == ["8d" + EPC.hex() + "9000000001" + result]
            await rfid.do(41, 0)
            await rfid.do(40, accessspec())
            await rfid.do(42, 1)
            rfid.tag(tid=TID)
            assert await rfid.reports() == ["8d" + EPC.hex() + "9000000001" + TID_READ], "the tag is as it was"

    check()


@pytest.mark.parametrize("kind", [346, 347])
def test_erasing_and_writing_blocks_is_refused_as_the_capabilities_say(kind: int) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            _, answer = await rfid.ask(40, accessspec(1, tlv(kind, bytes(16))))
            assert answer[-4:] == struct.pack(">HH", kind, 209)
            _, capabilities = await rfid.ask(1, b"\4")
            assert capabilities[8:] == tlv(327, b"\0\0\2"), "neither block erase nor block write"

    check()


@pytest.mark.parametrize(
    ("operation", "parameter", "inner"),
    [
        (tlv(342, struct.pack(">HIBHH", 1, 0, 0, 0, 0)), 342, 201),
        (tlv(342, b"\0\1"), 342, 201),
        (tlv(344, struct.pack(">HI", 1, 0)), 344, 203),
        (tlv(343, b"\0\1"), 343, 201),
    ],
)
def test_an_operation_that_is_not_whole_is_refused(operation: bytes, parameter: int, inner: int) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            _, answer = await rfid.ask(40, accessspec(1, operation))
            assert answer[-4:] == struct.pack(">HH", parameter, inner)

    check()


@virtual
async def test_a_tag_does_not_answer_to_a_password_that_it_does_not_have() -> None:
    async with reader() as rfid:
        await rfid.do(40, accessspec(1, tlv(341, struct.pack(">HIBHH", 1, 0xBAD, 2 << 6, 0, 6))))
        await rfid.do(42, 1)
        await rfid.begin(rospec(report=report_spec(content=0)))
        rfid.tag(tid=TID)
        assert [report[26:] for report in await rfid.reports()] == ["015d00090200010000"]


@pytest.mark.parametrize("of_the_reader", [False, True])
def test_results_of_an_accessspec_come_at_once_where_that_was_asked_for(of_the_reader: bool) -> None:
    at_once = tlv(239, b"\1")

    @virtual
    async def check() -> None:
        async with reader() as rfid:
            spec = accessspec()
            if of_the_reader:
                await rfid.do(3, b"\0" + at_once)
            else:
                spec = tlv(207, spec[4:], at_once)
            await rfid.do(40, spec)
            await rfid.begin(rospec(report=report_spec(2, 0, 0)))
            rfid.tag(tid=TID)
            assert await rfid.reports() == []
            await rfid.do(42, 1)
            rfid.tag(tid=TID)
            assert ["015d" in report for report in await rfid.reports()] == [False, True]

    check()


@virtual
async def test_accessspecs_are_kept_with_their_state_and_within_the_readers_bounds() -> None:
    async with reader(max_accessspecs=1) as rfid:
        await rfid.do(40, accessspec())
        assert await rfid.status(40, accessspec()) == 101
        assert await rfid.status(40, accessspec(2)) == 100
        assert await rfid.status(42, struct.pack(">I", 9)) == 101
        await rfid.do(42, 1)
        _, body = await rfid.ask(44)
        assert body[8:] == accessspec()[:11] + b"\x80" + accessspec()[12:]
        await rfid.do(41, 0)
        assert await rfid.status(40, accessspec(3, read_tid(), read_tid())) == 100
