"""The fake LLRP reader and the versions of the protocol: 1.0.1 unless a client of a 1.1 reader sets another."""

from __future__ import annotations

import asyncio
import struct

import pytest
from fake_bench import virtual
from llrp_client import EVENTS_ON, KEEPALIVE_1_S, Reader, attached, fake_reader, reader, rospec

GET, SET = 46, 47
OK = bytes.fromhex("011f000800000000")


async def raw(rfid: Reader, kind: int, version: int, body: bytes = b"") -> bytes:
    """The answer to a message with these version bits, header and all."""
    await rfid.link.write(struct.pack(">HII", version << 10 | kind, 10 + len(body), 0x77) + body)
    async with asyncio.timeout(5):
        return await rfid.link.read()


def head(answer: bytes) -> tuple[int, int]:
    """Version and type of an answer to `raw`."""
    first, length, message_id = struct.unpack_from(">HII", answer)
    assert (length, message_id) == (len(answer), 0x77)
    return first >> 10, first & 0x3FF


def code(answer: bytes) -> int:
    """Status code of an answer that is nothing but a status."""
    assert answer[10:12] == b"\x01\x1f"
    return int.from_bytes(answer[14:16], "big")


@pytest.mark.parametrize("kind", [GET, SET])
@pytest.mark.parametrize("version", [1, 2])
def test_a_1_0_1_reader_knows_no_question_about_versions(kind: int, version: int) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            answer = await raw(rfid, kind, version)
            assert (head(answer), code(answer)) == ((1, 100), 110)
            await rfid.do(1, b"\0")

    check()


@virtual
async def test_a_1_1_reader_begins_with_1_0_1_and_tells_what_else_it_speaks() -> None:
    fake = fake_reader(version="1.1")
    async with attached(fake) as rfid:
        assert (await rfid.link.read())[0] >> 2 == 1, "the connection's first event"
        answer = await raw(rfid, GET, 2)
        assert (head(answer), answer[10:]) == ((2, 56), b"\1\2" + OK)
        await rfid.do(1, b"\0")


@virtual
async def test_after_1_1_was_set_everything_speaks_it_and_1_0_1_is_refused() -> None:
    async with reader(version="1.1", gpi={"loop": 1}) as rfid:
        answer = await raw(rfid, SET, 2, b"\2")
        assert (head(answer), answer[10:]) == ((2, 57), OK)
        assert head(await raw(rfid, 3, 2, b"\0" + EVENTS_ON + KEEPALIVE_1_S)) == (2, 13)
        assert head(await raw(rfid, 20, 2, rospec())) == (2, 30)
        answer = await raw(rfid, GET, 2)
        assert answer[10:12] == b"\2\2", "it speaks 1.1 now"
        rfid.fake.raise_exception("hot")
        assert (await rfid.link.read())[:2] == bytes.fromhex("083f")
        refused = await raw(rfid, 1, 1, b"\0")
        assert (head(refused), code(refused)) == ((2, 100), 110)


@virtual
async def test_the_version_can_be_set_once_and_only_to_one_that_the_reader_speaks() -> None:
    async with reader(version="1.1") as rfid:
        for wanted, status in ((b"\3", 110), (b"\0", 110), (b"", 101), (b"\2\2", 102), (b"\2", 0), (b"\1", 112)):
            answer = await raw(rfid, SET, 2, wanted)
            assert (head(answer), code(answer)) == ((2, 57), status)
        assert head(await raw(rfid, 1, 2, b"\1")) == (2, 11)


@virtual
async def test_setting_1_0_1_leaves_everything_as_it_was() -> None:
    async with reader(version="1.1") as rfid:
        assert code(await raw(rfid, SET, 2, b"\1")) == 0
        await rfid.do(1, b"\0")


@virtual
async def test_the_next_connection_begins_with_1_0_1_again() -> None:
    fake = fake_reader(version="1.1")
    async with attached(fake) as rfid:
        await rfid.got()
        assert code(await raw(rfid, SET, 2, b"\2")) == 0
        assert head(await raw(rfid, 14, 2)) == (2, 4)
    async with attached(fake) as rfid:
        await rfid.got()
        await rfid.do(1, b"\0")


@virtual
async def test_keep_alives_speak_the_version_that_was_set() -> None:
    async with reader(version="1.1") as rfid:
        assert code(await raw(rfid, SET, 2, b"\2")) == 0
        assert head(await raw(rfid, 3, 2, b"\0" + KEEPALIVE_1_S)) == (2, 13)
        await asyncio.sleep(1.001)
        assert (await rfid.link.read())[:2] == bytes.fromhex("083e")


@virtual
async def test_only_a_1_1_reader_tells_its_greatest_sensitivity() -> None:
    for version, there in (("1.0.1", False), ("1.1", True)):
        async with reader(version=version) as rfid:
            _, body = await rfid.ask(1, b"\1")
            assert (bytes.fromhex("016b0006") in body) is there
