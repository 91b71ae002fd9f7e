"""Our driver and our fake reader, written apart from each other: they must agree on both versions of LLRP."""

from __future__ import annotations

import pytest
from driver_bench import Notebook, session_of
from peer_bench import until, world_reader

from drivers.rfid_llrp import LlrpReader
from lanecontrol.errors import ProtocolViolation
from lanecontrol.events import DeviceFault, InputChanged, TagRead
from lanecontrol.links import LinkOpener
from sim.readings import Contact, TagAnswer

EPC, TID = bytes.fromhex("f0000000000000000000beef00"), bytes.fromhex("e28011602000000000000001")


@pytest.mark.parametrize(
    ("spoken_by_reader", "asked_for", "version_bits"),
    [("1.0.1", "auto", 1), ("1.0.1", "1.0.1", 1), ("1.1", "auto", 2), ("1.1", "1.0.1", 1), ("1.1", "1.1", 2)],
)
async def test_driver_and_fake_settle_on_a_version_and_read_tags_inputs_and_faults(
    spoken_by_reader: str, asked_for: str, version_bits: int
) -> None:
    async with world_reader(driving=False, version=spoken_by_reader, gpi={"loop": 2}) as reader:
        config = LlrpReader.Config.model_validate(
            {
                "id": "rfid1",
                "url": f"tcp://127.0.0.1:{reader.port}",
                "version": asked_for,
                "read_tid": True,
                "gpi": {2: "loop"},
            }
        )
        notebook = Notebook()
        async with session_of(LlrpReader(config, LinkOpener().for_device("rfid1")), notebook) as bench:
            await until(lambda: bool(notebook.identities) or bench.session.done())
            assert not bench.session.done(), await bench.failure()
            client = reader.fake._client
            assert client is not None
            assert client._versions.current == version_bits
            reader.fake.sense(TagAnswer(2, EPC, -51.0, TID))
            reader.fake.sense(Contact("loop", on=True))
            reader.fake.set_antenna(3, connected=False)
            await until(lambda: any(fault.code == "antenna_3" and fault.active for fault in notebook.of(DeviceFault)))
            (read,) = notebook.of(TagRead)
            assert (read.epc.clear, read.tid.clear, read.antenna) == (EPC.hex(), TID.hex(), 2)
            assert notebook.of(InputChanged)[-1] == InputChanged("loop", True)
            assert notebook.doubts == []


async def test_a_driver_that_insists_on_1_1_is_told_that_the_reader_has_it_not() -> None:
    async with world_reader(driving=False) as reader:
        url = f"tcp://127.0.0.1:{reader.port}"
        config = LlrpReader.Config.model_validate({"id": "rfid1", "url": url, "version": "1.1"})
        async with session_of(LlrpReader(config, LinkOpener().for_device("rfid1")), Notebook()) as bench:
            failure = await bench.failure(within_s=30)
            assert isinstance(failure, ProtocolViolation)
            assert "110" in str(failure)
