"""The fake M6e module, operation by operation: each has its answer, and a command that came damaged has none."""

from __future__ import annotations

import asyncio

import pytest
from fake_bench import client_of, received, virtual

from sim.readings import TagAnswer
from sim.rfid_mercury import FakeMercury
from sim.rfid_mercury_settings import MercuryConfig
from sim.rfid_mercury_wire import answer, crc

EPC = bytes.fromhex("f0000000000000000000beef")
START = "2f0000012200000507221000 1b00fa0fff"
TAG_EVERY_S = 0.05


def command(op_and_data: str) -> bytes:
    content = bytes.fromhex(op_and_data)
    body = bytes((len(content) - 1,)) + content
    return b"\xff" + body + crc(body).to_bytes(2, "big")


SETUP = tuple(map(command, ("9701", "930005", "910201010202")))

OPERATIONS = [
    ("03", 20), ("04", 20), ("060001c200", 0), ("0c", 1), ("2210001301f40fff", 7), ("28 01f4 02 00000000 06", 12),
    ("2a", 0), (START, 1), ("2f000002", 1), ("6100", 2), ("6102", 5), ("6105", 9), ("910101", 0), ("910201010202", 0),
    ("6200", 3), ("6201", 7), ("920a8c", 0), ("6400", 3), ("940a8c", 0), ("63", 2), ("930005", 0), ("6601", 13),
    ("960201", 0), ("67", 1), ("970d", 0), ("68", 1), ("9801", 0), ("6a010c", 3), ("9a010c01", 0), ("6c019f41", 3),
    ("70", 2), ("71", 3), ("72", 1),
]  # fmt: skip
"""Every operation of the protocol's tables that reads or sets, and how many bytes of data answer it."""


@pytest.mark.parametrize(("request_hex", "size"), OPERATIONS)
def test_every_operation_of_the_protocol_is_answered_with_success(request_hex: str, size: int) -> None:
    @virtual
    async def check() -> None:
        module = FakeMercury(MercuryConfig(gpo={"lamp": 2}), lambda deed: None)
        async with client_of(module.serve) as link:
            for each in SETUP:
                await link.write(each)
                await received(link)
            await link.write(command(request_hex))
            for _ in range(3):
                await asyncio.sleep(TAG_EVERY_S)
                module.sense(TagAnswer(1, EPC, -51.0, bytes(range(12))))
            async with asyncio.timeout(5):
                data = await link.read()
            assert data[1:5] == bytes((size, bytes.fromhex(request_hex)[0], 0, 0))

    check()


@virtual
async def test_the_buffer_is_fetched_after_a_search() -> None:
    module = FakeMercury(MercuryConfig(), lambda deed: None)
    async with client_of(module.serve) as link:
        for each in (*SETUP, command("2210001301f40fff")):
            await link.write(each)
            await asyncio.sleep(TAG_EVERY_S)
            module.sense(TagAnswer(1, EPC, -51.0))
        await received(link, quiet_s=2)
        await link.write(command("290fff00"))
        assert EPC in await received(link)


@pytest.mark.parametrize("at", range(1, 6))
def test_a_command_with_a_wrong_checksum_has_no_answer_and_the_next_one_has(at: int) -> None:
    """Whichever byte was damaged on the way: a module that cannot trust a command says nothing."""
    good = command("9702")
    damaged = bytearray(good)
    damaged[at] ^= 0x04

    @virtual
    async def check() -> None:
        module = FakeMercury(MercuryConfig(regions=(1, 2, 3)), lambda deed: None)
        async with client_of(module.serve) as link:
            await link.write(bytes(damaged))
            assert await received(link, quiet_s=0.2) == b""
            await link.write(command("67"))
            assert await received(link) == answer(0x67, 0, b"\0"), "the region is as it was"
            await link.write(good)
            assert await received(link) == answer(0x97)

    check()


@virtual
async def test_damage_while_it_streams_stops_nothing() -> None:
    module = FakeMercury(MercuryConfig(), lambda deed: None)
    async with client_of(module.serve) as link:
        for each in (*SETUP, command(START)):
            await link.write(each)
            await received(link)
        stop = bytearray(command("2f000002"))
        stop[-1] ^= 1
        await link.write(bytes(stop))
        await asyncio.sleep(0.2)
        module.sense(TagAnswer(1, EPC, -51.0))
        assert EPC in await received(link)
        await link.write(command("2f000002"))
        assert (await received(link)).endswith(answer(0x2F, 0, b"\2"))
