"""Our `rfid.llrp` driver with readers that others wrote: one made of npm's llrpjs, and llrpkit's emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from driver_bench import Notebook, session_of
from peer_bench import Peer, peer, until

from drivers.rfid_llrp import LlrpReader
from lanecontrol.events import DeviceFault, InputChanged, TagRead
from lanecontrol.links import LinkOpener

pytestmark = pytest.mark.slow

EPC, LONG_EPC = "f0000000000000000000beef", "0f000000000000000000cafe00000000"
TAGS = [[EPC, [1], -51.0], [LONG_EPC, [2], -60.0]]


@asynccontextmanager
async def driving(reader: Peer, **settings: Any) -> AsyncIterator[Notebook]:
    """The driver in session with a reader; online."""
    port = (await reader.hear("serving"))["port"]
    config = {"id": "rfid1", "url": f"tcp://127.0.0.1:{port}", "keepalive_s": 0.5, "gpi": {2: "loop"}, **settings}
    notebook = Notebook()
    driver = LlrpReader(LlrpReader.Config.model_validate(config), LinkOpener().for_device("rfid1"))
    async with session_of(driver, notebook) as bench:
        await until(lambda: bool(notebook.identities) or bench.session.done())
        assert not bench.session.done(), await bench.failure()
        yield notebook
        assert not bench.session.done(), await bench.failure()


def asked(reader: Peer) -> list[str]:
    return [told["by"] for told in reader.all_of("asked")]


def seen(notebook: Notebook) -> set[tuple[str, int]]:
    return {(read.epc.clear, read.antenna) for read in notebook.of(TagRead)}


async def test_our_driver_holds_a_whole_session_with_a_reader_made_of_llrpjs() -> None:
    async with peer("node", "llrpjs_reader.js") as reader:
        async with driving(reader, version="1.0.1") as notebook:
            assert (notebook.identities[0].model, notebook.identities[0].firmware) == ("7", "js-1")
            await reader.tell("report", tags=[[EPC, 1, -51], [LONG_EPC, 2, -60]])
            await until(lambda: len(notebook.of(TagRead)) == 2)
            assert seen(notebook) == {(EPC, 1), (LONG_EPC, 2)}
            assert [read.rssi_dbm for read in notebook.of(TagRead)] == [-51.0, -60.0]
            await reader.tell("gpi", port=2, high=True)
            await reader.tell("antenna", antenna=2, connected=False)
            await reader.tell("exception", text="PA hot")
            await until(lambda: DeviceFault("reader_exception", "PA hot", True) in notebook.events)
            assert notebook.of(InputChanged) == [InputChanged("loop", False), InputChanged("loop", True)]
            assert any(fault.code == "antenna_2" and fault.active for fault in notebook.of(DeviceFault))
            await reader.hear("ack")
            assert notebook.doubts == []
        await reader.hear("gone")
        assert asked(reader)[-2:] == ["DISABLE_ROSPEC", "CLOSE_CONNECTION"]
        assert reader.all_of("error") == []


async def test_llrpjs_understands_every_field_of_our_requests() -> None:
    async with peer("node", "llrpjs_reader.js") as reader:
        async with driving(reader, version="1.0.1", antennas=[1, 2], read_tid=True):
            said = {told["by"]: told["data"] for told in reader.all_of("asked")}
        spec = said["ADD_ROSPEC"]["ROSpec"]
        assert spec["AISpec"]["AntennaIDs"] == [1, 2]
        assert spec["AISpec"]["InventoryParameterSpec"]["ProtocolID"] == "EPCGlobalClass1Gen2"
        assert spec["ROReportSpec"]["ROReportTrigger"] == "Upon_N_Tags_Or_End_Of_ROSpec"
        assert said["SET_READER_CONFIG"]["KeepaliveSpec"] == {
            "KeepaliveTriggerType": "Periodic",
            "PeriodicTriggerValue": 500,
        }
        assert said["SET_READER_CONFIG"]["EventsAndReports"] == {"HoldEventsAndReportsUponReconnect": 1}
        command = said["ADD_ACCESSSPEC"]["AccessSpec"]["AccessCommand"]
        assert command["C1G2Read"]["MB"] == 2, "the TID bank, and no other operation"
        assert set(command) == {"C1G2TagSpec", "C1G2Read"}


async def test_our_driver_reads_the_tags_of_llrpkits_emulator_in_spite_of_its_defects() -> None:
    async with peer("llrpkit", "llrpkit_reader.py", tags=TAGS) as reader:
        async with driving(reader) as notebook:
            assert notebook.identities[0].firmware.startswith("llrpkit-emu")
            await until(lambda: seen(notebook) == {(EPC, 1), (LONG_EPC, 2)})
            await reader.tell("gpi", port=2, high=True)
            await reader.tell("antenna", antenna=2, connected=False)
            await until(lambda: any(fault.code == "antenna_2" and fault.active for fault in notebook.of(DeviceFault)))
            assert InputChanged("loop", True) in notebook.events
            await until(lambda: asked(reader).count("KEEPALIVE_ACK") >= 2)
        await until(lambda: asked(reader)[-1:] == ["CLOSE_CONNECTION"])


async def test_our_driver_gets_tids_from_llrpkits_emulator() -> None:
    async with (
        peer("llrpkit", "llrpkit_reader.py", tags=TAGS[:1]) as reader,
        driving(reader, read_tid=True) as notebook,
    ):
        await until(lambda: any(read.tid is not None for read in notebook.of(TagRead)))
        assert "ADD_ACCESSSPEC" in asked(reader)
