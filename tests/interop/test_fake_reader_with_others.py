"""pyllrp and sllurp, clients that others wrote, with our fake reader in a world of vehicles."""

from __future__ import annotations

import pytest
from peer_bench import peer, until, world_reader

from sim.readings import TagAnswer

pytestmark = pytest.mark.slow

TID = "e28011602000000000000001"
ASKED_FOR = {
    "AntennaID", "PeakRSSI", "ChannelIndex", "FirstSeenTimestampUTC", "LastSeenTimestampUTC", "TagSeenCount",
    "ROSpecID", "SpecIndex", "InventoryParameterSpecID",
}  # fmt: skip


async def test_pyllrp_inventories_our_reader_and_sees_the_tags_of_the_world() -> None:
    async with world_reader() as reader:
        await until(lambda: len(reader.reads) > 0)
        async with peer("pyllrp", "pyllrp_client.py", port=reader.port, task="inventory") as client:
            found = (await client.hear("inventory"))["epcs"]
            assert found
            assert set(found) <= reader.epcs
            assert {(tag["epc"], tag["antenna"]) for tag in client.all_of("tag")} <= reader.reads
            assert client.all_of("tag")[0]["keys"] == ["AntennaID", "EPC", "PeakRSSI", "Tag", "Timestamp"]


async def test_pyllrp_understands_every_answer_and_reads_a_tid() -> None:
    async with (
        world_reader(driving=False) as reader,
        peer("pyllrp", "pyllrp_client.py", port=reader.port, task="read_tid") as client,
    ):
        await client.hear(lambda told: told.get("to") == "ENABLE_ROSPEC_Message")
        answers = client.all_of("answer")
        assert len(answers) == 9
        for told in answers:
            assert told["success"], told
            assert told["by"] == told["to"].replace("_Message", "_RESPONSE_Message")
        reader.fake.sense(TagAnswer(1, bytes(range(12)), -50.0, bytes.fromhex(TID)))
        assert await client.hear("tid") == {"what": "tid", "result": 0, "data": TID}
        await client.tell("leave")
        assert (await client.hear("left"))["by"] == "CLOSE_CONNECTION_RESPONSE_Message"


async def test_sllurp_inventories_our_reader_and_sees_the_tags_of_the_world() -> None:
    async with world_reader() as reader, peer("sllurp", "sllurp_client.py", port=reader.port) as client:
        await client.hear("inventorying")
        await until(lambda: len(client.all_of("tag")) >= 10)
        tags = client.all_of("tag")
        assert {(tag["EPC"], tag["AntennaID"]) for tag in tags} <= reader.reads
        assert set(tags[0]) >= ASKED_FOR
        assert "AccessSpecID" not in tags[0], "no AccessSpec, no such field"
        await client.hear("keepalive")
        await client.tell("leave")
        await client.hear("left")


async def test_sllurp_takes_our_capabilities_and_reads_a_tid() -> None:
    async with world_reader(driving=False) as reader, peer("sllurp", "sllurp_client.py", port=reader.port) as client:
        await client.hear("inventorying")
        await client.tell("capabilities")
        told = await client.hear("capabilities")
        assert told["GeneralDeviceCapabilities"]["MaxNumberOfAntennaSupported"] == 4
        await client.tell("read_tid")

        def read(told: dict[str, object]) -> bool:
            return told["what"] == "tag" and "C1G2ReadOpSpecResult" in told

        def answered() -> bool:
            reader.fake.sense(TagAnswer(1, bytes(range(12)), -50.0, bytes.fromhex(TID)))
            return any(map(read, client.said))

        await until(answered)
        result = (await client.hear(read))["C1G2ReadOpSpecResult"]
        assert (result["Result"], result["ReadData"]) == (0, TID)


async def test_sllurp_reads_only_the_tags_that_its_filters_name() -> None:
    config = {"tag_filter_mask": ["e2"]}
    async with (
        world_reader(driving=False) as reader,
        peer("sllurp", "sllurp_client.py", port=reader.port, config=config) as client,
    ):
        await client.hear("inventorying")

        def both_answer() -> bool:
            for first in (0xF0, 0xE2):
                reader.fake.sense(TagAnswer(1, bytes([first]) + bytes(11), -50.0))
            return len(client.all_of("tag")) >= 4

        await until(both_answer)
        assert {tag["EPC"][:2] for tag in client.all_of("tag")} == {"e2"}
