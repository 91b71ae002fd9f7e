"""The fake LLRP reader against hostile bytes, captures of a real reader and session vectors."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from fake_bench import virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from llrp_client import (
    EPC,
    EVENTS_ON,
    HOLD,
    OTHER_EPC,
    TID,
    accessspec,
    attached,
    fake_reader,
    reader,
    report_spec,
    rospec,
)

from lanecontrol.errors import LinkLost
from sim.readings import Contact
from sim.rfid_llrp_wire import Framer

# --- hostile and recorded bytes --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=6))
def test_no_bytes_make_the_framer_raise_or_keep_more_than_a_message(pieces: list[bytes]) -> None:
    framer = Framer(100)
    for data in pieces:
        framer.feed(data)
        assert len(framer._buffer) <= 100 + 200


KINDS = st.sampled_from([1, 2, 3, 20, 21, 22, 23, 24, 25, 26, 40, 41, 42, 43, 44, 46, 60, 64, 72, 100, 7])
BODIES = st.binary(max_size=40) | st.sampled_from([rospec(), accessspec(), b"\0" + EVENTS_ON + HOLD, b"\0\0\0\0"])


@settings(max_examples=150, deadline=None)
@given(messages=st.lists(st.tuples(KINDS, BODIES, st.integers(0, 60), st.binary(max_size=4)), max_size=6))
def test_every_request_gets_its_answer_whatever_is_in_it(messages: list[tuple[int, bytes, int, bytes]]) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            for number, (kind, body, at, noise) in enumerate(messages):
                data = body[:at] + noise + body[at + len(noise) :]
                await rfid.link.write(struct.pack(">HII", 1 << 10 | kind, 10 + len(data), 9000 + number) + data)
                rfid.tag(tid=TID)
                answers = [frame for frame in await rfid.got() if frame[1] == 9000 + number]
                assert len(answers) == (kind not in (64, 72, 100))

    check()


@pytest.mark.data
def test_captured_sessions_of_a_real_reader_do_not_upset_the_fake(shared_data: Path) -> None:
    """Every kind of message and parameter there is, also those that only a reader sends."""

    @virtual
    async def check() -> None:
        for name in ("dx101_a.bin", "dx101_b.bin", "dx101_e.bin"):
            async with reader() as rfid:
                for at in range(0, len(raw := (shared_data / "llrp" / "dx101" / name).read_bytes()), 4096):
                    with suppress(LinkLost):
                        await rfid.link.write(raw[at : at + 4096])
                assert await rfid.got()

    check()


# --- vectors ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def vectors(shared_data: Path) -> dict[str, str]:
    """Name to hex of the session vectors, each of which two other LLRP libraries agree on."""
    lines = (shared_data / "llrp" / "session_vectors.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {name: code for _, name, code in rows}


@pytest.mark.data
def test_a_whole_session_matches_the_vectors_byte_for_byte(vectors: dict[str, str]) -> None:
    def named(start: str) -> bytes:
        found = [code for name, code in vectors.items() if name.startswith(start)]
        return bytes.fromhex(vectors.get(start) or found[0])

    @virtual
    async def check() -> None:
        fake = fake_reader(gpi={"loop": 1})
        fake._last_id = 6  # the vectors count what the reader sends unasked from 7
        async with attached(fake) as rfid:

            async def read() -> bytes:
                async with asyncio.timeout(5):
                    return await rfid.link.read()

            assert await read() == named("READER_EVENT_NOTIFICATION connection accepted")
            for question, answer in (
                ("GET_READER_CAPABILITIES all", "GET_READER_CAPABILITIES_RESPONSE full"),
                ("SET_READER_CONFIG events", "SET_READER_CONFIG_RESPONSE ok"),
                ("SET_READER_CONFIG keepalive", "SET_READER_CONFIG_RESPONSE ok"),
                ("DELETE_ROSPEC 0", "DELETE_ROSPEC_RESPONSE ok"),
                ("ADD_ROSPEC 1", "ADD_ROSPEC_RESPONSE ok"),
                ("ENABLE_ROSPEC 1", "ENABLE_ROSPEC_RESPONSE ok"),
            ):
                await rfid.link.write(named(question))
                assert await read() == named(answer)
            await rfid.link.write(named("START_ROSPEC 1"))
            started = named("READER_EVENT_NOTIFICATION ROSpec 1 started")
            assert await read() == started + named("START_ROSPEC_RESPONSE ok")
            for name, epc in (
                ("RO_ACCESS_REPORT EPC-96", EPC),
                ("RO_ACCESS_REPORT EPCData 128 bit", EPC[:1] + bytes(4) + EPC[1:]),
            ):
                fake._last_id = 6
                rfid.tag(1, epc, -51)
                assert await read() == named(name)
            fake.sense(Contact("loop", on=True))
            assert await read() == named("READER_EVENT_NOTIFICATION GPI port 1 high")
            fake.set_antenna(2, connected=False)
            assert await read() == named("READER_EVENT_NOTIFICATION antenna 2 disconnected")
            fake.raise_exception("PA hot")
            assert await read() == named("READER_EVENT_NOTIFICATION reader exception 'PA hot'")
            await asyncio.sleep(5)
            assert await read() == named("KEEPALIVE")
            await rfid.link.write(named("KEEPALIVE_ACK"))
            await rfid.link.write(named("CLOSE_CONNECTION"))
            assert await read() == named("CLOSE_CONNECTION_RESPONSE ok")

    check()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("RO_ACCESS_REPORT EPC-96 + TID read ok", [(1, EPC, TID, -51)]),
        ("RO_ACCESS_REPORT EPC-96 + TID no response from tag", [(1, EPC, b"", -51)]),
        ("RO_ACCESS_REPORT two tags, antennas 1 and 2", [(1, EPC, b"", -51), (2, OTHER_EPC, b"", -68)]),
    ],
)
def test_reports_of_two_tags_and_of_tids_match_the_vectors(
    vectors: dict[str, str], name: str, tags: list[tuple[int, bytes, bytes, int]]
) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            if "TID" in name:
                for vector in ("ADD_ACCESSSPEC 1 read TID bank 2 words 0..5 [one encoder]", "ENABLE_ACCESSSPEC 1"):
                    await rfid.link.write(bytes.fromhex(vectors[vector]))
                assert [kind for kind, *_ in await rfid.got()] == [50, 52]
            await rfid.begin(rospec(report=report_spec(2, len(tags), 0x17C0)))
            rfid.fake._last_id = 6
            for antenna, epc, tid, rssi_dbm in tags:
                rfid.tag(antenna, epc, rssi_dbm, tid)
            assert await rfid.link.read() == bytes.fromhex(vectors[name])

    check()


@pytest.mark.data
def test_refusals_match_the_vectors(vectors: dict[str, str]) -> None:
    @virtual
    async def check() -> None:
        fake = fake_reader()
        async with attached(fake), attached(fake) as second:
            taken = await second.link.read()
            assert taken.hex() == vectors["READER_EVENT_NOTIFICATION refused, client already connected"]

    check()
