"""Whatever bytes a client sends, a fake raises nothing but LinkLost, keeps little, and serves the next client."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from fake_bench import client_of, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.errors import LinkLost
from lanecontrol.links import Handler
from sim.broker import MemoryBroker
from sim.io_modbus import FakeModule, ModuleConfig
from sim.rfid_llrp import FakeReader
from sim.rfid_llrp_settings import ReaderConfig
from sim.rpm_rapiscan import FakePortal, PortalConfig


def portal() -> Handler:
    return FakePortal(PortalConfig(), lambda deed: None).serve


def module() -> Handler:
    return FakeModule(ModuleConfig(), lambda deed: None).serve


def wago() -> Handler:
    config = {"readback_base": 0x200, "watchdog": {"kind": "wago"}}
    return FakeModule(ModuleConfig.model_validate(config), lambda deed: None).serve


def adam() -> Handler:
    config = {"inputs": {"area": "coils"}, "outputs": {"base": 16}, "watchdog": {"kind": "adam"}}
    return FakeModule(ModuleConfig.model_validate(config), lambda deed: None).serve


def reader() -> Handler:
    return FakeReader(ReaderConfig(), lambda deed: None).serve


def broker() -> Handler:
    return MemoryBroker().serve


# What each must still do for the next client: a request, and how the answer begins.
SERVICES = [
    pytest.param(portal, b"", b"", id="portal"),
    pytest.param(module, bytes.fromhex("00010000000601020000 0001"), bytes.fromhex("000100000004010201"), id="module"),
    pytest.param(wago, bytes.fromhex("00010000000601020000 0001"), bytes.fromhex("000100000004010201"), id="wago"),
    pytest.param(adam, bytes.fromhex("00010000000601010000 0001"), bytes.fromhex("000100000004010101"), id="adam"),
    pytest.param(reader, bytes.fromhex("04010000000b0000000100"), bytes.fromhex("043f00000020"), id="reader"),
    pytest.param(broker, bytes.fromhex("100e00044d5154540502000000000161"), bytes.fromhex("20"), id="broker"),
]
HEADS = [b"", b"\0\1\0\0\0\6\1", b"\0\1\0\0\0\xf0\1", b"\4\x14\0\0\0\x30\0\0\0\1", b"\x10\x0e\0\4MQTT\5\2\0\0\0\0\1a"]


@pytest.mark.parametrize(("service", "request_bytes", "answer"), SERVICES)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=80)), max_size=6))
def test_the_next_client_is_served(
    service: Callable[[], Handler], request_bytes: bytes, answer: bytes, pieces: list[bytes]
) -> None:
    @virtual
    async def check() -> None:
        serve = service()
        async with client_of(serve) as hostile:
            for data in pieces:
                try:
                    await hostile.write(data)
                except LinkLost:
                    break
                await received(hostile)
        async with client_of(serve) as client:
            if request_bytes:
                await client.write(request_bytes)
            assert (await received(client)).startswith(answer)

    check()


@pytest.mark.parametrize(("service", "request_bytes", "answer"), SERVICES)
def test_a_flood_does_not_make_it_grow(service: Callable[[], Handler], request_bytes: bytes, answer: bytes) -> None:
    """Four MiB that never make a whole message, in 64 KiB pieces, and then as many small ones."""

    @virtual
    async def check() -> None:
        serve = service()
        tracemalloc.start()
        try:
            for piece in (b"\x32\xff\xff\x3f" + b"\0" * 65532, b"\0\1\0\0\0\6\1\2\0\0\0\1"):
                async with client_of(serve) as hostile:
                    for _ in range(64):
                        try:
                            await hostile.write(piece)
                        except LinkLost:
                            break
                        await received(hostile, quiet_s=0.0001)
                    size, _peak = tracemalloc.get_traced_memory()
                    assert size < 4 * 1024 * 1024
        finally:
            tracemalloc.stop()

    check()
