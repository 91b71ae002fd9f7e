"""The fake M6e module: its frames, its answers to every command, its settings, its faults, and who is on the line."""

from __future__ import annotations

import asyncio

import pytest
from fake_bench import client_of, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from mercury_bench import (
    EPC,
    HOT,
    NANO_TAG,
    NONE,
    OTHER,
    RECORD,
    RETURN_LOSS,
    SETUP,
    START,
    STOPPED,
    TID,
    Bench,
    bench,
    frame,
    frames,
    slow_crc,
)

from lanecontrol.errors import LinkLost
from lanecontrol.links import LinkOpener, serve_pty, serve_tcp
from sim.readings import Contact, OutputSet, TagAnswer, Tamper
from sim.rfid_mercury import FakeMercury
from sim.rfid_mercury_settings import MercuryConfig
from sim.rfid_mercury_tags import ALL_META, Meta, Sighting, record
from sim.rfid_mercury_wire import MAX_LENGTH, UNIMPLEMENTED, Command, Framer, Op, answer, crc

# --- frames ----------------------------------------------------------------------------------------------------------


def test_the_crc_has_the_known_check_value_and_that_of_a_real_frame() -> None:
    assert crc(b"123456789") == slow_crc(b"123456789") == 0xA69D
    real = bytes.fromhex(NANO_TAG)
    assert crc(real[1:-2]) == int.from_bytes(real[-2:], "big")


@given(st.binary(min_size=2, max_size=300))
def test_the_quick_crc_is_the_one_by_the_rule(body: bytes) -> None:
    assert crc(body) == slow_crc(body)


@pytest.mark.parametrize(
    ("hexed", "op", "data"),
    [
        ("ff00031d0c", Op.VERSION, ""),
        ("ff000c1d03", Op.CURRENT_PROGRAM, ""),
        ("ff04060001c200a460", Op.SET_BAUD, "0001c200"),
        ("ff016105bdb8", Op.GET_ANTENNAS, "05"),
        ("ff059102010102022dc0", Op.SET_ANTENNAS, "0201010202"),
        ("ff039a010c00a35d", Op.SET_OPTION, "010c00"),
        ("ff0197014bbc", Op.SET_REGION, "01"),
        ("ff02930005517d", Op.SET_PROTOCOL, "0005"),
        ("ff02920a8c4bd5", Op.SET_READ_POWER, "0a8c"),
        ("ff072210001301f40fff3242", Op.SEARCH, "10001301f40fff"),
        ("ff03290fff00facd", Op.GET_BUFFER, "0fff00"),
        ("ff102f00000122000005072210001b00fa0fffb40b", Op.CONTINUOUS, START[2:]),
        ("ff032f0000025e86", Op.CONTINUOUS, "000002"),
    ],
)
def test_the_commands_of_the_vectors_are_understood(hexed: str, op: Op, data: str) -> None:
    data_bytes = bytes.fromhex(data)
    assert Framer(0.1).feed(bytes.fromhex(hexed), 0.0) == [Command(op, data_bytes)]
    assert frame(f"{op:02x}{data}") == bytes.fromhex(hexed)


def test_the_answers_of_the_vectors_are_those_of_the_module() -> None:
    read = bytes.fromhex("10001b0fff01") + bytes.fromhex(RECORD)
    assert answer(0x22, 0, read).hex() == f"ff2b22000010001b0fff01{RECORD}cff6"
    assert answer(0x04).hex() == "ff00040000c444"
    assert answer(0x99, 0x0101).hex() == "ff009901019751"
    assert [answer(0x22, status).hex() for status in (0x0400, 0x0504, 0x0505)] == [NONE, HOT, RETURN_LOSS]


def test_the_record_of_the_vectors_is_encoded_field_by_field() -> None:
    seen = Sighting(EPC, -51, 1, 42)
    assert record(seen, ALL_META, 1, tag_crc=b"\xaa\xbb").hex() == RECORD
    assert record(seen, 0, 1, tag_crc=b"\xaa\xbb").hex() == RECORD[38:]
    assert record(seen, Meta.COUNT | Meta.TIME, 300, tag_crc=b"\xaa\xbb").hex() == "ff0000002a" + RECORD[38:]


def test_a_tag_with_a_longer_epc_says_so_in_its_bits_and_pc_word() -> None:
    for words in (0, 1, 8, 31):
        data = record(Sighting(b"\xf0\0" * words, -51, 1, 0), 0, 1)
        assert int.from_bytes(data[:2], "big") == 16 * words + 32
        assert data[2] >> 3 == words
        assert len(data) == 2 * words + 6


def test_a_wake_up_run_and_noise_before_a_command_are_dropped() -> None:
    version = frame("03")
    for noise in (b"\xff" * 200, b"\0\1\2", b"\xff\xff\xfe\xff\xf9", b"\xff\5abc" + b"\xff" * 9):
        framer = Framer(0.1)
        found = framer.feed(noise, 0.0) + framer.feed(version + version, 0.05) + framer.feed(version, 0.06)
        assert found[-2:] == [Command(3, b"")] * 2


def test_a_wrong_crc_costs_one_byte_and_no_command_behind_it() -> None:
    bad = bytearray(frame("9701"))
    bad[-1] ^= 1
    inner = frame("0c")
    framer = Framer(0.1)
    assert framer.feed(bytes(bad) + frame("03"), 0.0) == [Command(3, b"")]
    assert framer.feed(b"\xff\x06" + inner + b"\0\0\0\0\0", 0.0) == [Command(12, b"")], "a frame within a damaged one"


def test_half_a_command_is_forgotten_when_no_more_comes() -> None:
    framer, version = Framer(0.1), frame("03")
    assert framer.feed(b"\xff\xf0\x03", 0.0) == []
    assert framer.feed(version, 0.2) == [Command(3, b"")]
    found = [command for n, byte in enumerate(version) for command in framer.feed(bytes((byte,)), 1.0 + 0.09 * n)]
    assert found == [Command(3, b"")]


@given(st.lists(st.one_of(st.binary(max_size=300), st.just(frame("03")), st.just(b"\xff" * 50)), max_size=20))
def test_the_framer_survives_everything_and_keeps_little(pieces: list[bytes]) -> None:
    framer = Framer(0.1)
    for data in pieces:
        framer.feed(data, 0.0)
        assert len(framer._buffer) < MAX_LENGTH + 5
    assert framer.feed(b"\0" * 260 + frame("03"), 0.0)[-1:] == [Command(3, b"")]


# --- settings --------------------------------------------------------------------------------------------------------


@virtual
async def test_the_vectors_of_a_session_are_answered_byte_for_byte() -> None:
    async with bench(ready=False, unconnected=(3, 4)) as lane:
        for command, reply in (
            ("ff00031d0c", "ff14030000150112001800000120200101011b0205000000102545"),
            ("ff000c1d03", "ff010c0000126343"),
            ("ff016105bdb8", "ff096100000501010201030004006bc4"),
            ("ff039a010c00a35d", "ff009a0000a633"),
            ("ff0197014bbc", answer(0x97).hex()),
            ("ff02930005517d", answer(0x93).hex()),
            ("ff02920a8c4bd5", answer(0x92).hex()),
            ("ff059102010102022dc0", answer(0x91).hex()),
            ("ff04060001c200a460", answer(0x06).hex()),
            ("ff032f0000025e86", STOPPED),
            ("ff102f00000122000005072210001b00fa0fffb40b", "ff012f00000130e5"),
        ):
            await lane.link.write(bytes.fromhex(command))
            assert (await received(lane.link)).hex() == reply


@virtual
async def test_the_order_of_the_vendors_sdk_is_answered() -> None:
    async with bench(ready=False) as lane:
        await lane.ask("03")
        await lane.link.write(b"\xff" * 200)
        for command, reply in (
            ("0c", "12"), ("68", "00"), ("6a010e", "010e00"), ("060001c200", ""), ("6a0112", "01120000"),
            ("63", "0000"), ("70", "0005"), ("6105", "050101020103010401"), ("67", "00"), ("6200", "000a8c"),
            ("6c019f41", "019f41"), ("9701", ""), ("930005", ""), ("91020101", ""), ("9a010c01", ""),
        ):  # fmt: skip
            assert await lane.ask(command) == reply


@virtual
async def test_what_is_set_can_be_read_back() -> None:
    async with bench(antennas=2) as lane:
        for setting, asking, reply in (
            ("970d", "67", "0d"), ("930000", "63", "0000"), ("9203e8", "6200", "0003e8"), ("940bb8", "6400", "000bb8"),
            ("9802", "68", "02"), ("9a010d00001388", "6a010d", "010d00001388"), ("910202", "6100", "0202"),
            ("910202020101", "6102", "0202020101"), ("9a011b01", "6a011b", "011b01"),
        ):  # fmt: skip
            assert await lane.ask(setting) == ""
            assert await lane.ask(asking) == reply
        assert await lane.ask("6201") == "0103e80c4e01f4"
        assert await lane.ask("71") == "010d0e"
        assert await lane.ask("0600002580") == ""
        assert lane.module.baud == 9600


@virtual
async def test_what_cannot_be_set_is_refused_with_the_manuals_status() -> None:
    async with bench() as lane:
        for command, status in (
            ("9777", "010b"), ("930003", "0105"), ("9203e7", ""), ("92ffff", "0106"), ("9201f3", "0106"),
            ("920c4f", "0103"), ("0600002581", "010a"), ("9809", "0105"), ("9a01ee00", "0105"), ("9a010e03", "0105"),
            ("9a011b00", "0105"), ("91020505", "0105"), ("910102", "0105"), ("9103010101", "0100"),
            ("91030101", "0105"),
            ("6107", "0105"), ("6202", "0105"), ("6a0201", "0105"), ("960101", "0105"),
        ):  # fmt: skip
            assert await lane.ask(command) == (f"!{status}" if status else ""), command


@virtual
async def test_data_that_is_too_short_or_too_long_is_refused() -> None:
    async with bench() as lane:
        for command in (
            "0300", "0c00", "6700", "97", "970101", "9300", "92", "61", "610500", "62", "6a01", "9a010c", "9a010c0000",
            "6c", "9101", "91", "22", "2210001301f4", "2210001301f40fff00", "28", "290fff", "2a00", "2f", "2f000002ff",
            "06000000", "7200",
        ):  # fmt: skip
            assert await lane.ask(command) == "!0100", command


@virtual
async def test_what_changes_a_tag_is_unimplemented_and_all_else_invalid() -> None:
    async with bench() as lane:
        for op in range(256):
            if op not in set(Op):
                refusal = "!0102" if op in UNIMPLEMENTED else "!0101"
                assert await lane.ask(f"{op:02x}00") == refusal
        assert {0x23, 0x24, 0x25, 0x26, 0x2D, 0x2E} <= UNIMPLEMENTED


@virtual
async def test_a_boot_loader_answers_little_until_it_boots_the_application() -> None:
    async with bench(ready=False, program="boot loader") as lane:
        assert await lane.ask("0c") == "11"
        version = await lane.ask("03")
        for command in ("67", "2210001301f40fff", "24", START):
            assert await lane.ask(command) == "!0101"
        assert await lane.ask("04") == version
        assert await lane.ask("0c") == "12"
        assert await lane.ask("09", "0c") == "11"


@virtual
async def test_pins_are_read_and_switched() -> None:
    async with bench(gpi={"loop": 3}, gpo={"lamp": 1}) as lane:
        lane.module.sense(Contact("loop", on=True))
        lane.module.sense(Contact("nobody", on=True))
        assert await lane.ask("6601") == "01010100020000030001040000"
        assert await lane.ask("960101", "960101") == ""
        assert await lane.ask("960301") == "!0105", "an input"
        assert lane.deeds == [OutputSet("lamp", on=True)]
        lane.module.restart()
        assert lane.deeds[1:] == [OutputSet("lamp", on=False)]
        await lane.heard()
        assert await lane.ask("6601") == "01010100020000030001040000"


# --- faults ----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_hot_module_says_so_each_cycle_reads_nothing_and_recovers() -> None:
    async with bench() as lane:
        assert await lane.ask(START) == "01"
        lane.module.set_temperature(90)
        lane.tag()
        await asyncio.sleep(0.6)
        assert (await received(lane.link)).hex() == HOT * 2
        lane.module.set_temperature(40)
        lane.tag()
        assert [status for _op, status, _data in await lane.heard()] == [0]
        await lane.ask("2f000002")
        lane.module.set_temperature(90)
        assert await lane.ask("72") == "5a"
        assert await lane.ask("2210001301f40fff") == "!0504"
        await lane.ask("9a010500")
        assert await lane.search("2210001301f40fff", TagAnswer(1, EPC, -50.0)) == "10001300000001"


@virtual
async def test_a_missing_antenna_reads_nothing_and_shows() -> None:
    async with bench() as lane:
        await lane.ask(START)
        lane.module.set_antenna(2, connected=False)
        lane.tag(EPC, antenna=2)
        lane.tag(OTHER, antenna=1)
        await asyncio.sleep(0.3)
        assert [status for _op, status, _data in await lane.heard()] == [0, 0x0505]
        await lane.ask("2f000002", "9a010401", START)
        await asyncio.sleep(0.3)
        assert [status for _op, status, _data in await lane.heard()] == [0x0503]
        await lane.ask("2f000002")
        assert await lane.ask("6105") == "050101020003010401"
        assert await lane.ask("2210001301f40fff") == "!0503"
        await lane.ask("9a010400")
        assert await lane.search("2210001301f40fff", TagAnswer(1, EPC, -50.0)) == "10001300000001"
        lane.module.set_antenna(1, connected=False)
        assert await lane.ask("2210001301f40fff") == "!0505"
        lane.module.set_antenna(2, connected=True)
        assert await lane.ask("6105") == "050100020103010401"
        assert await lane.search("2210001301f40fff", TagAnswer(2, OTHER, -50.0)) == "10001300000001"


@virtual
async def test_a_restart_is_told_and_the_whole_set_up_is_gone() -> None:
    async with bench() as lane:
        await lane.ask("9203e8", START)
        lane.module.restart()
        assert (await received(lane.link, 3)).hex() == "ff00040000c444"
        assert [await lane.ask(command) for command in ("67", "63", "6200", "6102")] == [
            "00",
            "0000",
            "000a8c",
            "020101",
        ]
        await lane.ask(*SETUP)
        await lane.link.write(frame("2210001301f40fff") + frame("67"))
        assert await lane.heard() == []
        lane.module.restart()
        assert (await received(lane.link, 3)).hex() == "ff00040000c444", "a search that was cut is never answered"
        await lane.ask(*SETUP)
        assert await lane.search("2210001301f40fff") == "!0400", "nor obeyed later what had waited for it"


@virtual
async def test_readings_of_other_sensors_and_tags_too_long_to_be_real_say_nothing() -> None:
    async with bench() as lane:
        await lane.ask(START)
        lane.module.sense(Tamper(active=True))
        lane.tag(bytes(64))
        assert await lane.heard() == []
        lane.tag(bytes(62))
        assert len(await lane.heard()) == 1


# --- who is on the line ----------------------------------------------------------------------------------------------


@virtual
async def test_two_clients_share_one_line_and_both_hear_every_answer() -> None:
    module = FakeMercury(MercuryConfig(), lambda deed: None)
    async with client_of(module.serve) as one, client_of(module.serve) as two:
        first, second = Bench(one, module, []), Bench(two, module, [])
        await one.write(frame("9701")[:3])
        assert await second.ask("67") == "00"
        assert await first.heard() == [(0x67, 0, b"\0")]
        await one.write(frame("9701")[3:])
        assert await second.heard() == await first.heard() == [(0x97, 0, b"")]


@virtual
async def test_the_module_goes_on_streaming_for_whoever_comes_next() -> None:
    module = FakeMercury(MercuryConfig(), lambda deed: None)
    async with client_of(module.serve) as first:
        await Bench(first, module, []).ask(*SETUP, START)
    await asyncio.sleep(7)
    async with client_of(module.serve) as second:
        lane = Bench(second, module, [])
        lane.tag()
        assert len(await lane.heard()) == 1
        assert await lane.ask("2f000002", "67") == "01"


@virtual
async def test_a_client_that_does_not_read_is_dropped_alone() -> None:
    module = FakeMercury(MercuryConfig(outbox_bytes=5000), lambda deed: None)
    async with client_of(module.serve) as deaf, client_of(module.serve) as good:
        lane = Bench(good, module, [])
        await lane.ask(*SETUP, "9a010c00", START)
        with pytest.raises(LinkLost):
            for _ in range(100_000):
                lane.tag()
                await lane.heard()
                await deaf.write(b"\0")
        lane.tag()
        assert len(await lane.heard()) == 1


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda op, data: frame(f"{op:02x}" + data.hex()), st.sampled_from(list(Op)), st.binary(max_size=24)
            ),
            st.sampled_from([frame("9701"), frame("930005"), frame(START), frame("2210001301f40fff"), b"\xff" * 200]),
        ),
        max_size=12,
    )
)
def test_whatever_a_client_sends_the_next_one_is_served(pieces: list[bytes]) -> None:
    @virtual
    async def check() -> None:
        module = FakeMercury(MercuryConfig(), lambda deed: None)
        async with client_of(module.serve) as hostile:
            for data in pieces:
                await hostile.write(data)
                module.sense(TagAnswer(1, EPC, -50.0, TID))
                await received(hostile)
            await asyncio.sleep(66 * len(pieces))
            frames(await received(hostile))
        await asyncio.sleep(1)
        async with client_of(module.serve) as client:
            lane = Bench(client, module, [])
            assert await lane.ask("2f000002", "04", "67", "0c") == "12"

    check()


@pytest.mark.parametrize("how", ["pty", "tcp"])
async def test_a_session_over_a_real_line(how: str) -> None:
    module = FakeMercury(MercuryConfig(byte_gap_s=5.0), lambda deed: None)
    serving = serve_pty(module.serve) if how == "pty" else serve_tcp("127.0.0.1", 0, module.serve)
    async with asyncio.timeout(20), serving as where:
        url = f"serial://{where}" if how == "pty" else f"tcp://127.0.0.1:{where}"
        async with LinkOpener().open(url) as link:
            for command in ("03", *SETUP, START):
                await link.write(b"\xff" * 200 + frame(command))
                reply = b""
                while len(reply) < 7 or len(reply) < reply[1] + 7:
                    reply += await link.read()
                assert reply[2:5] == frame(command)[2:3] + b"\0\0"
            module.sense(TagAnswer(1, EPC, -51.0))
            heard = b""
            while EPC not in heard:
                heard += await link.read()
