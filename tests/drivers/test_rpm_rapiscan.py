"""The portal's lines become typed events; bad lines are doubts, silence is noticed, stored captures are counted."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from driver_bench import Notebook, in_session
from hypothesis import given
from hypothesis import strategies as st

from drivers.rpm_rapiscan import RapiscanPortal
from drivers.rpm_rapiscan_codec import LINE_LIMIT, LineCodec, read_line
from lanecontrol.errors import LinkLost
from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    Identity,
    Level,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalExtra,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
)
from lanecontrol.framing import Doubt
from lanecontrol.links import Link

LINES: list[tuple[str, Any]] = [
    ("GB,000382,000381,000426,000367", GammaBackground((382, 381, 426, 367))),
    ("GH,000382,000381,000426,000367", GammaBackground((382, 381, 426, 367), Level.HIGH)),
    ("GL,000002,000001,000006,000007", GammaBackground((2, 1, 6, 7), Level.LOW)),
    ("NB,000003,000000,000002,000000", NeutronBackground((3.0, 0.0, 2.0, 0.0))),
    ("NH,000030,000000,000020,000000", NeutronBackground((30.0, 0.0, 20.0, 0.0), Level.HIGH)),
    (
        "NB1,3.58333373,0.00000000,2.65000033,0.00000000",
        NeutronBackground((3.58333373, 0.0, 2.65000033, 0.0), exact=True),
    ),
    ("GS,000077,000077,000067,000069", GammaCounts((77, 77, 67, 69), alarm=False)),
    ("GA,000369,000091,000374,000093", GammaCounts((369, 91, 374, 93), alarm=True)),
    ("NS,000005,000000,000006,000000", NeutronCounts((5, 0, 6, 0), alarm=False)),
    ("NA,000050,000000,000060,000000", NeutronCounts((50, 0, 60, 0), alarm=True)),
    ("SP,0.0023,99.999,160.93,000000", PortalSpeed(None)),
    ("SP,0.0000,00.000,000.00,000000", PortalSpeed(None)),
    ("GX,000017,006683,000000,000000", OccupancyEnded(17, 6.683)),
    ("TT,000000,000000,000000,000000", PortalTamper(active=True)),
    ("TC,111111,111111,111111,111111", PortalTamper(active=False)),
    ("TT", PortalTamper(active=True)),
    (
        "SG1,002000,000100,05,10,07.5,P",
        PortalSetup(
            "SG1",
            ("002000", "000100", "05", "10", "07.5", "P"),
            (
                ("gamma_high_fault_cps", 2000),
                ("gamma_low_fault_cps", 100),
                ("intervals", 5),
                ("hold_in_intervals", 10),
                ("n_sigma", 7.5),
            ),
        ),
    ),
    (
        "SG2,1111,0.069,5.060,03,1010,A",
        PortalSetup(
            "SG2",
            ("1111", "0.069", "5.060", "03", "1010", "A"),
            (
                ("detectors", "1111"),
                ("gamma_master_lower_v", 0.069),
                ("gamma_master_upper_v", 5.06),
                ("relay", 3),
                ("algorithms", "1010"),
                ("program", "A"),
            ),
        ),
    ),
    (
        "SG3,0.069,5.060,020,000,1.2.3",
        PortalSetup(
            "SG3",
            ("0.069", "5.060", "020", "000", "1.2.3"),
            (
                ("gamma_slave_lower_v", 0.069),
                ("gamma_slave_upper_v", 5.06),
                ("gamma_background_s", 20.0),
                ("background_sigma", 0.0),
                ("firmware", "1.2.3"),
            ),
        ),
    ),
    (
        "SN1,000100,03,0047,0500,03,120",
        PortalSetup(
            "SN1",
            ("000100", "03", "0047", "0500", "03", "120"),
            (
                ("neutron_high_fault_cps", 100),
                ("neutron_intervals", 3),
                ("neutron_alpha_1e6", 47.0),
                ("neutron_zmax", 500.0),
                ("sequential_intervals", 3),
                ("neutron_background_s", 120.0),
            ),
        ),
    ),
    (
        "SN2,0.500,5.060,0.501,5.061,PP",
        PortalSetup(
            "SN2",
            ("0.500", "5.060", "0.501", "5.061", "PP"),
            (
                ("neutron_master_lower_v", 0.5),
                ("neutron_master_upper_v", 5.06),
                ("neutron_slave_lower_v", 0.501),
                ("neutron_slave_upper_v", 5.061),
            ),
        ),
    ),
    (
        "SG1,9,high,,10,7.25,P,more",
        PortalSetup(
            "SG1",
            ("9", "high", "", "10", "7.25", "P", "more"),
            (("gamma_high_fault_cps", 9), ("hold_in_intervals", 10), ("n_sigma", 7.25)),
        ),
    ),
    (
        "NC,-5.56666610,0.63818818",
        PortalExtra(
            "NC",
            ("-5.56666610", "0.63818818"),
            (("background_excess_cps", -5.5666661), ("log_likelihood_ratio", 0.63818818)),
        ),
    ),
    (
        "NX,9.50437640,-0.99599343",
        PortalExtra("NX", ("9.50437640", "-0.99599343"), (("upper_limit", 9.5043764), ("lower_limit", -0.99599343))),
    ),
    (
        "NZ,-3.24434947,-3.24434947",
        PortalExtra("NZ", ("-3.24434947", "-3.24434947"), (("score", -3.24434947), ("score_repeated", -3.24434947))),
    ),
    (
        "AS,000088,000110,000070,000045",
        PortalExtra(
            "AS",
            ("000088", "000110", "000070", "000045"),
            (
                ("window_1_counts", 88.0),
                ("window_2_counts", 110.0),
                ("window_3_counts", 70.0),
                ("window_4_counts", 45.0),
            ),
        ),
    ),
    ("NC,1", PortalExtra("NC", ("1",))),
    ("AA,000001,000001,000001,11111A", PortalExtra("AA", ("000001", "000001", "000001", "11111A"))),
    ("RW,000000,000000,000000,000000", PortalExtra("RW", ("000000",) * 4)),
    (
        "AX,  0.2758, -0.1417, -1.4988,  0.4574,  0.8690",
        PortalExtra("AX", ("  0.2758", " -0.1417", " -1.4988", "  0.4574", "  0.8690")),
    ),
    ("ZZ9,anything,1.0", PortalExtra("ZZ9", ("anything", "1.0"))),
    ("GS,001023,001024,099999,000000", GammaCounts((1023, 1024, 99_999, 0), alarm=False)),
]

BAD_LINES = [
    "",
    "GS",
    "GS,000077",
    "GS,000077,000077,000067,00006",
    "GS,000077,000077,000067,000069,",
    "GS,******,000077,000067,000069",
    "GS,00x077,000077,000067,000069",
    "GS, 00077,000077,000067,000069",
    "GS,+00077,000077,000067,000069",
    "GS,0_0077,000077,000067,000069",
    "GX,000017",
    "GS,000077,000077,000067,,000069",
    "NB1,3.5,0.0,2.6",
    "NB1,***,0.0,2.6,0.0",
    "SP,0.1336,05.103,008.21",
    "SG1,002000,000100",
    "TT,***",
    "hello",
    "x,1",
    "\x00\x01\x02",
    "GS,000077,000077,000067,000069 \xff",
    "GS,000077,000077,000067,00\u00b269",
    "GS,0000077,00077,000067,000069",
    "GX,",
]


@pytest.mark.parametrize(("line", "event"), LINES, ids=[line for line, _ in LINES])
def test_each_line_of_the_protocol_becomes_its_event(line: str, event: Any) -> None:
    assert LineCodec().feed(line.encode() + b"\r\n") == [event]
    assert LineCodec().feed(line.encode() + b"\n") == [event], "a bare LF ends a line too"


def test_speed_is_metres_per_second() -> None:
    event = read_line("SP,0.1336,05.103,008.21,000000")
    assert isinstance(event, PortalSpeed)
    assert event.speed_mps == pytest.approx(2.2813, abs=1e-4)


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_malformed_line_is_a_doubt_with_its_bytes_and_the_next_line_is_read(line: str) -> None:
    raw = line.encode("latin-1")
    first, second = LineCodec().feed(raw + b"\r\nGS,000077,000077,000067,000069\r\n")
    assert isinstance(first, Doubt)
    assert first.raw == raw
    assert second == GammaCounts((77, 77, 67, 69), alarm=False)


def test_an_endless_line_is_one_doubt_and_does_not_grow() -> None:
    codec = LineCodec()
    found = [item for _ in range(1000) for item in codec.feed(b"GS," * 100)]
    found += codec.feed(b"\nGS,000077,000077,000067,000069\n")
    assert [type(item) for item in found] == [Doubt, GammaCounts]
    assert isinstance(found[0], Doubt)
    assert len(found[0].raw) <= LINE_LIMIT


noise = st.binary(max_size=400)
stream = st.lists(
    st.one_of(
        st.sampled_from([line.encode("latin-1") + b"\r\n" for line, _ in LINES]),
        st.sampled_from([line.encode("latin-1") + b"\n" for line in BAD_LINES]),
        noise,
    ),
    max_size=30,
).map(b"".join)


@given(stream, st.lists(st.integers(0, 2000), max_size=12))
def test_wherever_the_bytes_are_split_the_events_are_the_same(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    codec = LineCodec()
    pieces = [item for start, end in itertools.pairwise(edges) for item in codec.feed(data[start:end])]
    assert pieces == LineCodec().feed(data)


def test_a_long_run_of_bytes_takes_time_in_proportion_and_memory_for_one_line() -> None:
    framer = LineCodec()
    pieces = (b"GS,000077," * 50, b"\n", b"***\r\n" * 100)
    doubts = sum(len(framer.feed(piece)) for _ in range(300) for piece in pieces)
    assert doubts == 300 * 101
    assert framer.pending <= LINE_LIMIT


@given(st.sampled_from(LINES), st.data())
def test_a_damaged_line_is_read_or_doubted_and_never_raises(case: tuple[str, Any], data: st.DataObject) -> None:
    raw = bytearray(case[0].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    *_, last = LineCodec().feed(bytes(raw) + b"\nGS,000077,000077,000067,000069\n")
    assert last == GammaCounts((77, 77, 67, 69), alarm=False)


# --- session ---------------------------------------------------------------------------------------------------------

VACANT = b"NB,000003,000000,000002,000000\r\nGB,000382,000381,000426,000367\r\n"


async def test_the_first_good_line_brings_the_portal_online_and_is_reported() -> None:
    async def portal(link: Link) -> None:
        await link.write(b"***\r\n" + VACANT)
        await asyncio.sleep(60)

    async with in_session(RapiscanPortal, portal) as (_, bench):
        await asyncio.sleep(1)
        assert bench.notebook.identities == [Identity()]
        assert [type(event) for event in bench.notebook.events] == [NeutronBackground, GammaBackground]
        assert [raw for raw, _ in bench.notebook.doubts] == [b"***"]


async def test_the_firmware_is_told_when_a_setup_line_names_it() -> None:
    async def portal(link: Link) -> None:
        await link.write(VACANT + b"SG3,0.069,5.060,020,000,1.2.3\r\n")
        await asyncio.sleep(60)

    async with in_session(RapiscanPortal, portal) as (_, bench):
        await asyncio.sleep(1)
        assert bench.notebook.identities == [Identity(), Identity(firmware="1.2.3")]


async def test_a_portal_that_goes_quiet_is_noticed_within_12_s() -> None:
    async def portal(link: Link) -> None:
        await asyncio.sleep(5)
        await link.write(VACANT)
        await asyncio.sleep(600)

    async with in_session(RapiscanPortal, portal) as (_, bench):
        failure = await bench.failure()
        assert isinstance(failure, LinkLost)
        assert bench.notebook.clock.now().mono_s == pytest.approx(17.0, abs=0.1)


async def test_a_portal_that_only_sends_nonsense_counts_as_quiet_and_never_as_online() -> None:
    async def portal(link: Link) -> None:
        for _ in range(600):
            await link.write(b"#\r\n")
            await asyncio.sleep(1)

    async with in_session(RapiscanPortal, portal) as (_, bench):
        assert isinstance(await bench.failure(), LinkLost)
        assert bench.notebook.identities == []
        assert len(bench.notebook.doubts) == 12


async def test_the_driver_never_sends_a_byte() -> None:
    heard = []

    async def portal(link: Link) -> None:
        await link.write(VACANT)
        heard.append(await link.read())

    async with in_session(RapiscanPortal, portal, Notebook()):
        await asyncio.sleep(5)
    assert heard == []
