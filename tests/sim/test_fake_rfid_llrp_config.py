"""Configuration and events of the fake LLRP reader."""

from __future__ import annotations

import struct

from fake_bench import virtual
from llrp_client import EVENTS_ON, HOLD, KEEPALIVE_1_S, attached, fake_reader, reader, report_spec, rospec, tlv

from sim.readings import Contact, Deed, OutputSet, Tamper

# --- configuration and events ----------------------------------------------------------------------------------------


def config_question(what: int = 0, antenna: int = 0, gpi: int = 0, gpo: int = 0) -> bytes:
    return struct.pack(">HBHH", antenna, what, gpi, gpo)


@virtual
async def test_the_whole_configuration_comes_in_the_order_of_the_standard() -> None:
    async with reader(antennas=2, gpis=1, gpos=1) as rfid:
        _, body = await rfid.ask(2, config_question())
        assert _kinds(body[8:]) == [218, 221, 221, 222, 222, 244, 237, 239, 217, 220, 225, 219, 226]
        for what, kind in enumerate((218, 221, 222, 237, 244, 239, 217, 220, 225, 219, 226), start=1):
            _, body = await rfid.ask(2, config_question(what, antenna=1))
            assert _kinds(body[8:]) == [kind]
        assert await rfid.status(2, config_question(12)) == 101
        assert await rfid.status(2, config_question(2, antenna=3)) == 101
        assert await rfid.status(2, b"\0") == 101


def _kinds(data: bytes) -> list[int]:
    kinds = []
    while data:
        kinds.append(int.from_bytes(data[:2], "big"))
        data = data[int.from_bytes(data[2:4], "big") :]
    return kinds


@virtual
async def test_what_is_set_can_be_read_back_and_reset() -> None:
    async with reader(antennas=2) as rfid:
        antenna = tlv(222, struct.pack(">H", 0), tlv(224, struct.pack(">HHH", 1, 0, 1)))
        parts = {3: antenna, 4: report_spec(1, 7, 0x1000), 6: tlv(239, b"\1"), 8: KEEPALIVE_1_S, 11: HOLD}
        _, factory = await rfid.ask(2, config_question())
        await rfid.do(3, b"\0" + b"".join(parts.values()) + tlv(219, struct.pack(">HB", 2, 0x80)))
        for what, part in parts.items():
            _, body = await rfid.ask(2, config_question(what, antenna=2))
            assert body[8:].endswith(part[6:]), what
        _, body = await rfid.ask(2, config_question(10, gpo=2))
        assert body[8:] == tlv(219, struct.pack(">HB", 2, 0x80))
        await rfid.do(3, b"\x80")
        _, body = await rfid.ask(2, config_question())
        assert _without_state_value(body) == _without_state_value(factory)


def _without_state_value(body: bytes) -> bytes:
    head, _, tail = body.partition(struct.pack(">HH", 217, 8))
    return head + tail[4:]


@virtual
async def test_a_setting_that_cannot_be_changes_nothing_at_all() -> None:
    async with reader() as rfid:
        _, before = await rfid.ask(2, config_question())
        for wrong in (
            tlv(219, struct.pack(">HB", 9, 0x80)),
            tlv(245, b"\0\1\x80"),
            tlv(220, b"\1"),
            b"\x00\xdc\x00\x02",
        ):
            assert await rfid.status(3, b"\0" + HOLD + wrong) == 100
        assert await rfid.ask(2, config_question()) == (12, before)


@virtual
async def test_a_general_purpose_output_reaches_the_world_when_it_changes() -> None:
    deeds: list[Deed] = []
    async with attached(fake_reader(deeds.append, gpo={"lamp": 3})) as rfid:
        await rfid.got()
        for level in (0x80, 0x80, 0):
            await rfid.do(3, b"\0" + tlv(219, struct.pack(">HB", 3, level)))
        assert deeds == [OutputSet("lamp", on=True), OutputSet("lamp", on=False)]


@virtual
async def test_events_come_only_for_what_was_switched_on() -> None:
    async with reader(gpi={"loop": 2}) as rfid:
        rfid.fake.sense(Contact("loop", on=True))
        rfid.fake.set_antenna(2, connected=False)
        assert await rfid.events() == []
        await rfid.do(3, b"\0" + EVENTS_ON)
        for on in (True, False, False, True):
            rfid.fake.sense(Contact("loop", on))
        rfid.fake.set_antenna(2, connected=False)
        rfid.fake.set_antenna(2, connected=True)
        rfid.fake.raise_exception("PA hot")
        rfid.fake.sense(Tamper(active=True))
        assert await rfid.events() == [
            "00f80007000200",
            "00f80007000280",
            "00ff0007010002",
            "00fc000c0006504120686f74",
        ]
        _, body = await rfid.ask(2, config_question(9, gpi=2))
        assert body[8:] == tlv(225, b"\0\2\x80\1")


@virtual
async def test_an_input_that_is_switched_off_is_silent() -> None:
    async with reader(gpi={"loop": 2}) as rfid:
        await rfid.do(3, b"\0" + EVENTS_ON + tlv(225, b"\0\2\0\0"))
        rfid.fake.sense(Contact("loop", on=True))
        assert await rfid.events() == []


@virtual
async def test_a_lost_antenna_reads_nothing_and_is_told_as_not_connected() -> None:
    async with reader() as rfid:
        await rfid.begin(rospec())
        rfid.fake.set_antenna(1, connected=False)
        rfid.tag(1)
        assert await rfid.reports() == []
        _, body = await rfid.ask(2, config_question(2, antenna=1))
        assert body[8:] == tlv(221, b"\0\0\1\0\0")
        rfid.fake.set_antenna(1, connected=True)
        rfid.tag(1)
        assert len(await rfid.reports()) == 1


@virtual
async def test_a_reader_in_trouble_sends_an_error_message_unasked() -> None:
    async with reader() as rfid:
        rfid.fake.complain(401)
        assert await rfid.got() == [(100, 0, bytes.fromhex("011f000801910000"))]
