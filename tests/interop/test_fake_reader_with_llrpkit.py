"""llrpkit, a client that others wrote, with our fake reader: in a world of vehicles, and told what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from peer_bench import DEADLINE_S, Peer, WorldReader, peer, until, world_reader

from sim.readings import Contact, TagAnswer

pytestmark = pytest.mark.slow

# Neither has all the ones of the other: llrpkit's mask of a tag that it is after is that tag's own bits.
EPC, OTHER_EPC = "f0000000000000000000beef", "0f000000000000000000cafe"
TID = "e28011602000000000000001"


@asynccontextmanager
async def client_of(reader: WorldReader) -> AsyncIterator[Peer]:
    async with peer("llrpkit", "llrpkit_client.py", port=reader.port) as client:
        yield client


@asynccontextmanager
async def tags_in_the_field(reader: WorldReader) -> AsyncIterator[None]:
    """Two tags that answer all the time, one to each of two antennas."""

    async def answer() -> None:
        while True:
            for antenna, epc in ((1, EPC), (2, OTHER_EPC)):
                reader.fake.sense(TagAnswer(antenna, bytes.fromhex(epc), -50.0, bytes.fromhex(TID)))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_llrpkit_inventories_our_reader_and_sees_the_tags_of_the_world() -> None:
    async with world_reader() as reader, client_of(reader) as client:
        told = await client.hear("connected")
        assert (told["antennas"], told["powers"], told["modes"]) == (4, {"1": 10.0, "2": 30.0}, [0])
        await client.tell("inventory", max_tags=20)
        await client.hear("inventoried")
        seen = {(tag["epc"], tag["antenna"]) for tag in client.all_of("tag")}
        assert seen
        assert seen <= reader.reads
        await client.tell("leave")
        await client.hear("left")


async def test_llrpkit_narrows_the_inventory_to_one_antenna_and_to_tags_of_a_kind() -> None:
    async with world_reader(driving=False) as reader, client_of(reader) as client, tags_in_the_field(reader):
        for wish, epc in (({"antennas": [2]}, OTHER_EPC), ({"epc_filter": "f0"}, EPC)):
            before = len(client.said)
            await client.tell("inventory", max_tags=5, **wish)
            await client.hear_next("inventoried", before)
            assert {told["epc"] for told in client.said[before:] if told["what"] == "tag"} == {epc}


async def test_llrpkit_reads_a_tid_and_is_told_why_it_can_neither_write_nor_kill() -> None:
    async with world_reader(driving=False) as reader, client_of(reader) as client, tags_in_the_field(reader):
        await client.tell("read", bank="tid", word_count=6, target_epc=OTHER_EPC)
        assert await client.hear("read") == {"what": "read", "epc": OTHER_EPC, "status": "Success", "data": TID}
        await client.tell("write", bank="user", data="dead", target_epc=EPC)
        assert (await client.hear("wrote"))["status"] == "Tag_Memory_Locked_Error"
        await client.tell("kill", kill_password=1, target_epc=EPC)
        assert (await client.hear("killed"))["status"] == "Zero_Kill_Password_Error"


async def test_llrpkit_collects_a_window_of_tags_for_each_time_that_a_loop_is_occupied() -> None:
    async with (
        world_reader(driving=False, gpi={"loop": 2}) as reader,
        client_of(reader) as client,
        tags_in_the_field(reader),
    ):
        await client.tell("events")
        await client.hear("events on")
        await client.tell("windows", port=2)
        async with asyncio.timeout(DEADLINE_S):
            while len(client.all_of("window")) < 2:
                for on in (True, False):
                    reader.fake.sense(Contact("loop", on=on))
                    await asyncio.sleep(0.1)
        assert {epc for window in client.all_of("window") for epc in window["tags"]} == {EPC, OTHER_EPC}


async def test_llrpkit_reads_settings_switches_an_output_and_hears_of_a_lost_antenna() -> None:
    async with world_reader(driving=False) as reader, client_of(reader) as client:
        await client.tell("keepalive", ms=250)
        await client.hear("keepalive set")
        await client.tell("config")
        told = await client.hear("config")
        assert told == {"what": "config", "identification": "0000000000000001", "antennas": 4, "keepalive_ms": 250}
        await client.tell("gpo", port=3, state=True)
        assert (await client.hear("gpio"))["gpos"] == {"1": False, "2": False, "3": True, "4": False}
        await client.tell("events")
        await client.hear("events on")
        reader.fake.set_antenna(3, connected=False)
        reader.fake.raise_exception("PA hot")
        await until(lambda: len(client.all_of("event")) == 2)
        (antenna, exception) = client.all_of("event")
        assert "antenna_event" in antenna["kinds"]
        assert "reader_exception_event" in exception["kinds"]


async def test_a_second_llrpkit_is_refused_and_the_first_goes_on() -> None:
    async with world_reader(driving=False) as reader, client_of(reader) as first:
        await first.hear("connected")
        async with client_of(reader) as second:
            assert "Already_Exists" in (await second.hear("refused"))["why"]
        await first.tell("config")
        await first.hear("config")
