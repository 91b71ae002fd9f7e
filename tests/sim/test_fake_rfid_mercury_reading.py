"""The fake reader of the Mercury protocol reads tags: searches, their memory, and continuous reading."""

from __future__ import annotations

import asyncio

from fake_bench import received, virtual
from mercury_bench import EPC, NONE, OTHER, RECORD, START, TID, bench, frame, frames

from sim.readings import TagAnswer
from sim.rfid_mercury_tags import epc_bank
from sim.rfid_mercury_wire import MAX_LENGTH

# --- searches --------------------------------------------------------------------------------------------------------


@virtual
async def test_a_search_takes_its_time_and_counts_the_tags_it_found() -> None:
    async with bench() as lane:
        await lane.link.write(bytes.fromhex("ff072210001301f40fff3242"))
        await asyncio.sleep(0.042)
        lane.tag()
        await asyncio.sleep(0.45)
        assert await received(lane.link, quiet_s=0.001) == b""
        assert (await received(lane.link, 0.1)).hex() == "ff07220000100013000000018f02"
        tag_crc = epc_bank(EPC)[:2].hex()
        assert await lane.ask("290fff00") == "0fff0001" + RECORD[:-4] + tag_crc
        assert await lane.ask("290fff00") == "!0600"
        assert await lane.ask("290fff01") == "0fff0101" + RECORD[:-4] + tag_crc
        assert await lane.ask("29") == "00010001"


@virtual
async def test_a_search_that_finds_nothing_says_no_tags() -> None:
    async with bench() as lane:
        lane.tag()  # before the search: nobody listens
        assert await lane.search("2210001301f40fff") == "!0400"
        assert await lane.ask("290fff00") == "!0600"
        assert await lane.search("22100013 0000 0fff") == "!0400"


@virtual
async def test_the_same_tag_again_counts_up_and_keeps_its_first_time_and_strongest_read() -> None:
    async with bench() as lane:
        reads = [
            TagAnswer(1, EPC, -60.0),
            TagAnswer(2, EPC, -40.4),
            TagAnswer(1, EPC, -55.0),
            TagAnswer(1, OTHER, -1e3),
        ]
        assert await lane.search("2210001301f40fff", *reads) == "10001300000002"
        records = bytes.fromhex(await lane.ask("29001700"))
        assert records[:4].hex() == "00170002"
        assert records[4:11].hex() == "03d82200000032"
        assert records[11 + 18 :][:7].hex() == "018011000000c8"


@virtual
async def test_options_make_a_record_for_each_antenna_or_the_time_of_the_strongest_read() -> None:
    async with bench() as lane:
        reads = [TagAnswer(1, EPC, -60.0), TagAnswer(2, EPC, -40.0)]
        await lane.ask("9a010001")
        assert await lane.search("2210001301f40fff", *reads) == "10001300000002"
        await lane.ask("2a", "9a010000", "9a010601")
        assert await lane.search("2210001301f40fff", *reads) == "10001300000001"
        assert (await lane.ask("29001000"))[8:16] == "00000064"


@virtual
async def test_records_come_in_as_many_frames_as_they_need() -> None:
    async with bench() as lane:
        tags = [TagAnswer(1, EPC[:-1] + bytes((n,)), -50.0) for n in range(40)]
        assert await lane.search("2210001307d00fff", *tags, after_s=0.01) == "10001300000028"
        fetched = []
        while not (reply := await lane.ask("29000000")).startswith("!"):
            fetched.append(bytes.fromhex(reply)[3])
            assert len(reply) <= 2 * MAX_LENGTH
        assert fetched == [13, 13, 13, 1]
        assert reply == "!0600"


@virtual
async def test_a_buffer_that_is_full_says_so_until_it_is_cleared() -> None:
    async with bench(buffer_tags=1) as lane:
        reads = [TagAnswer(1, EPC, -60.0), TagAnswer(1, OTHER, -40.0)]
        assert await lane.search("2210001301f40fff", *reads) == "!0601"
        await lane.ask("2a")
        assert await lane.search("2210001301f40fff", reads[0]) == "10001300000001"


@virtual
async def test_only_antennas_in_use_hear() -> None:
    async with bench() as lane:
        assert await lane.search("2210001301f40fff", TagAnswer(3, EPC, -50.0)) == "!0400"
        await lane.ask("9102030301 01")
        assert await lane.search("2210001301f40fff", TagAnswer(3, EPC, -50.0)) == "10001300000001"
        await lane.ask("2a", "910202")
        assert await lane.search("2210001001f40fff", TagAnswer(1, EPC, -50.0)) == "!0400"
        assert await lane.search("2210000001f40fff", TagAnswer(2, EPC, -50.0)) == "10000001", "a short count"


@virtual
async def test_a_search_ends_early_after_so_many_tags() -> None:
    async with bench() as lane:
        began_s = asyncio.get_running_loop().time()
        await lane.link.write(frame("2210005 3ea60 0fff 00000002".replace(" ", "")))
        await asyncio.sleep(0.1)
        lane.tag(EPC)
        lane.tag(EPC)
        assert await lane.heard() == []
        lane.tag(OTHER)
        assert await lane.heard() == [(0x22, 0, bytes.fromhex("10005300000002"))]
        assert asyncio.get_running_loop().time() - began_s < 1


@virtual
async def test_what_comes_during_a_search_waits_for_its_end() -> None:
    async with bench() as lane:
        await lane.link.write(frame("2210001301f40fff") + frame("67") + frame("2210001301f40fff") + frame("72"))
        lane.tag()
        assert await received(lane.link, 0.2) == b""
        first, region = frames(await received(lane.link, 0.35))
        assert (first[0], region) == (0x22, (0x67, 0, b"\1"))
        second, temperature = frames(await received(lane.link, 0.6))
        assert (second[1], temperature) == (0x0400, (0x72, 0, b"\x23"))


@virtual
async def test_without_region_or_protocol_nothing_is_transmitted() -> None:
    async with bench(ready=False) as lane:
        for command in ("2210001301f40fff", "2803e80002 00000000 00", START):
            assert await lane.ask(command) == "!010b"
        await lane.ask("9701")
        for command in ("2210001301f40fff", "2803e80002 00000000 00", START):
            assert await lane.ask(command) == "!0401"


@virtual
async def test_searches_it_cannot_make_are_refused() -> None:
    async with bench() as lane:
        for command in ("22010013 01f4 0fff", "2210021301f40fff", "2210001b01f40fff", "2210001301f4ffff"):
            assert await lane.ask(command) == "!0105"
        assert await lane.ask("2210001701f40fff 01 05 24 0000 00 0000".replace(" ", "")) == "!0102", "a write"
        assert await lane.ask("2210001701f40fff 02 09 28 0000 00 02 00000000 00".replace(" ", "")) == "!0105"


# --- tag memory ------------------------------------------------------------------------------------------------------


@virtual
async def test_an_embedded_read_puts_the_tid_into_each_record() -> None:
    async with bench() as lane:
        embedded = "0109 28 0000 00 02 00000000 03".replace(" ", "")
        reads = [TagAnswer(1, EPC, -50.0, TID), TagAnswer(1, OTHER, -50.0)]
        assert await lane.search("2210001701f40080" + embedded, *reads) == "1000170000000201 28 0001 0001".replace(
            " ", ""
        )
        records = await lane.ask("29008000")
        assert records[:8] == "00800002"
        assert records[8:24] == "0030" + TID.hex()
        assert records[24 + 36 :][:8] == "80000423"


@virtual
async def test_memory_of_the_first_tag_is_read_by_itself() -> None:
    async with bench() as lane:
        tag = TagAnswer(1, EPC, -50.0, TID)
        assert (
            await lane.search("2803e810 0045 02 00000001 02", tag) == "100045 01 11 05".replace(" ", "") + TID[2:].hex()
        )
        assert await lane.search("2803e800 02 00000000 00", TagAnswer(1, EPC, -50.0, TID)) == TID.hex()
        assert await lane.search("2803e8 02 00000000 00", TagAnswer(1, EPC, -50.0, TID)) == TID.hex()
        assert await lane.search("2803e800 01 00000002 06", TagAnswer(1, EPC, -50.0)) == EPC.hex()
        assert await lane.search("2803e800 01 00000002 07", TagAnswer(1, EPC, -50.0)) == "!0423"
        assert await lane.search("2803e800 03 00000000 00", TagAnswer(1, EPC, -50.0)) == "!0423"
        assert await lane.search("2803e800 00 00000000 02", TagAnswer(1, EPC, -50.0)) == "!0424"
        assert await lane.search("2803e800 02 00000000 00") == "!0400"


# --- continuous reading ----------------------------------------------------------------------------------------------


@virtual
async def test_a_stream_tells_each_read_at_once_and_empty_cycles_keep_it_alive() -> None:
    async with bench() as lane:
        await lane.ask("9a010c00")
        assert await lane.ask(START) == "01"
        assert await received(lane.link, 0.24) == b""
        await asyncio.sleep(0.509)  # to the end of the third cycle
        assert (await received(lane.link)).hex() == NONE * 3
        await asyncio.sleep(0.041)
        lane.tag()
        lane.tag()
        head, tag_crc = bytes.fromhex("10001b0fff01"), epc_bank(EPC)[:2].hex()
        read = (0x22, 0, head + bytes.fromhex(RECORD[:-4] + tag_crc))
        assert await lane.heard() == [read, read]
        assert await received(lane.link, 0.24) == b"", "a cycle with tags ends without a word"
        assert await lane.ask("2f000002") == "02"
        assert await received(lane.link, 5) == b""
        lane.tag()
        assert await lane.heard() == []


@virtual
async def test_a_stream_keeps_its_cycles_for_an_hour() -> None:
    async with bench() as lane:
        await lane.ask(START.replace("00fa", "03e8"))
        await asyncio.sleep(3600.5)
        assert len(await lane.heard()) in (3600, 3601)


@virtual
async def test_the_read_filter_tells_each_tag_once_or_once_in_its_time() -> None:
    async with bench() as lane:
        await lane.ask(START)
        for _ in range(5):
            lane.tag()
        assert len(await lane.heard()) == 1
        await lane.ask("2f000002", "9a010d000003e8", START)
        for _ in range(25):
            lane.tag()
            await asyncio.sleep(0.1)
        reads = [each for each in await lane.heard() if each[1] == 0]
        assert len(reads) == 3


@virtual
async def test_while_it_streams_other_commands_are_refused_and_it_goes_on() -> None:
    async with bench() as lane:
        await lane.ask(START)
        for command in ("03", "72", "2210001301f40fff", "970d"):
            assert await lane.ask(command) == "!0101"
        assert await lane.ask("2f0000040172") == "!0102", "nobody knows the form of a wrapped command"
        lane.tag()
        assert len(await lane.heard()) == 1
        assert await lane.ask("2f000002", "67") == "01"


@virtual
async def test_a_stream_that_is_started_wrongly_does_not_start() -> None:
    async with bench() as lane:
        for command, status in (
            ("2f00000122000005062210001b00fa0fff", "0100"), ("2f00000122000003072210001b00fa0fff", "0401"),
            ("2f0000012200000507221000130 0fa0fff".replace(" ", ""), "0105"),
            ("2f00000122000005072210001b00000fff", "0105"),
            ("2f00000128000005072210001b00fa0fff", "0102"), ("2f00000122000005072410001b00fa0fff", "0102"),
            ("2f000009", "0102"),
        ):  # fmt: skip
            assert await lane.ask(command) == f"!{status}", command
        assert await received(lane.link, 3) == b""


@virtual
async def test_a_stream_can_end_by_itself_and_says_so() -> None:
    async with bench() as lane:
        start = "2f 0000 01 22 0040 00000002 05 0b 22 10 005b 00fa 0000 00000002".replace(" ", "")
        assert await lane.ask(start) == "01"
        lane.tag(EPC)
        lane.tag(OTHER)
        lane.tag(EPC[:-1])
        heard = await lane.heard()
        assert [data[5:6] for _op, _status, data in heard] == [b"\1", b"\1", b"\0"]
        assert await received(lane.link, 3) == b""


@virtual
async def test_status_and_temperature_reports_come_after_each_cycle() -> None:
    async with bench(temperature_c=-3) as lane:
        await lane.ask("2f 0000 01 22 0000 05 09 22 10 003b 00fa 0000 000e".replace(" ", ""))
        await asyncio.sleep(0.3)
        alive, report = await lane.heard()
        assert alive[1] == 0x0400
        assert report == (0x22, 0, bytes.fromhex("10003b0000 02 000e 0df732 fd 0101"))
        # As in the recorded frame of a real module, which was asked without metadata.
        real = "2f 0000 01 22 0000 05 13 22 00 011f 00fa 8200 01 09 28 0000 00 02 00000000 00"
        assert await lane.ask(real.replace(" ", "")) == "01"
        lane.module.set_temperature(27)
        await asyncio.sleep(0.3)
        assert (await lane.heard())[-1] == (0x22, 0, bytes.fromhex("00011f02 8200 8200 01 1b"))


@virtual
async def test_a_duty_cycle_makes_cycles_longer() -> None:
    async with bench() as lane:
        await lane.ask("2f 0000 01 22 0000 05 09 22 10 041b 00fa 02ee 0fff".replace(" ", ""))
        await asyncio.sleep(10.5)
        assert len(await lane.heard()) == 10
