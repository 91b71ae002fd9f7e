"""The fake LLRP reader's select filters: which tags take part in an inventory."""

from __future__ import annotations

import struct

import pytest
from fake_bench import virtual
from llrp_client import EPC, TID, aispec, reader, report_spec, rospec, tlv

A, B, C = (bytes.fromhex(f"{first}000000000000000000beef") for first in ("a1", "a2", "b1"))
EPC_STARTS = 0x20


def select(mask: str, action: int | None = None, bank: int = 1, pointer: int = EPC_STARTS) -> bytes:
    size = -(-len(mask) // 8)
    bits = struct.pack(">H", len(mask)) + int("0" + mask.ljust(8 * size, "0"), 2).to_bytes(size, "big")
    what = tlv(332, struct.pack(">BH", bank << 6, pointer), bits)
    return tlv(331, b"\0", what, b"" if action is None else tlv(334, bytes((action,))))


def filtered(*filters: bytes, antenna: int = 0, state_aware: bool = False) -> bytes:
    command = tlv(330, b"\x80" if state_aware else b"\0", *filters)
    inventory = tlv(186, struct.pack(">HB", 1, 1), tlv(222, struct.pack(">H", antenna), command))
    return rospec(specs=(aispec(inventory=inventory),), report=report_spec(content=0))


STARTS_A, STARTS_A1, STARTS_B = "1010", "10100001", "1011"


@pytest.mark.parametrize(
    ("filters", "read"),
    [
        ((), {A, B, C}),
        ((select(STARTS_A),), {A, B}),
        ((select(STARTS_A, 0),), {A, B}),
        ((select(STARTS_A, 1),), {A, B}),
        ((select(STARTS_A, 2),), {A, B}),
        ((select(STARTS_A, 3),), {C}),
        ((select(STARTS_A, 4),), {C}),
        ((select(STARTS_A, 5),), {C}),
        ((select(STARTS_A1), select(STARTS_B)), {A, C}),
        ((select(STARTS_A, 0), select(STARTS_A1, 3)), {B}),
        ((select(STARTS_A1, 0), select(STARTS_B, 1)), {A, C}),
        ((select("", 0),), {A, B, C}),
        ((select("1110", bank=2, pointer=0),), {A, B, C}),
        ((select("1111", bank=2, pointer=0),), set()),
        ((select(STARTS_A, bank=3, pointer=0),), set()),
    ],
)
def test_only_tags_that_the_filters_leave_selected_are_read(filters: tuple[bytes, ...], read: set[bytes]) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            await rfid.begin(filtered(*filters))
            for epc in (A, B, C):
                rfid.tag(epc=epc, tid=TID)
            assert {bytes.fromhex(report[2:26]) for report in await rfid.reports()} == read

    check()


@virtual
async def test_a_filter_of_one_antenna_leaves_the_others_alone() -> None:
    async with reader() as rfid:
        await rfid.begin(filtered(select(STARTS_B), antenna=2))
        for antenna in (1, 2):
            rfid.tag(antenna, epc=EPC)
        assert len(await rfid.reports()) == 1


@pytest.mark.parametrize(
    ("spec", "parameter", "inner"),
    [
        (filtered(select("1"), select("1"), select("1")), 330, 205),
        (filtered(state_aware=True), 330, 201),
        (filtered(select("1", 6)), 334, 201),
        (filtered(tlv(331, b"\0")), 331, 203),
    ],
)
def test_filters_that_the_reader_has_not_are_refused(spec: bytes, parameter: int, inner: int) -> None:
    @virtual
    async def check() -> None:
        async with reader() as rfid:
            _, answer = await rfid.ask(20, spec)
            assert answer[-4:] == struct.pack(">HH", parameter, inner)

    check()
