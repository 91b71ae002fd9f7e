"""The fake portal: exact lines, in the right order, to every client; and the playback of recordings."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import Any

import pytest
from fake_bench import client_of, lost, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.readings import (
    Contact,
    GammaInterval,
    NeutronSecond,
    OccupancyOver,
    Reading,
    Tamper,
    Vacant,
)
from sim.rpm_rapiscan import FakePortal, NeutronTest, PortalConfig, speed_line
from sim.rpm_rapiscan_recording import RecordedOccupancy, RecordingConfig, RecordingPortal, parse_recording

VACANT = Vacant((380.4, 383.0, 403.0, 361.0), (3.99166703, 0.0, 2.69166684, 0.0))
TAGS_OF_WINDOWS = ("AB1", "AR", "AS")
OCCUPIED_TAGS = (b"GS", b"GA", b"NS", b"NA")


async def lines_for(fake: FakePortal, *readings: Reading) -> list[str]:
    async with client_of(fake.serve) as client:
        for reading in readings:
            fake.sense(reading)
        return (await received(client)).decode("ascii").split("\r\n")[:-1]


def portal(**settings: Any) -> FakePortal:
    return FakePortal(PortalConfig(**settings), act=lambda deed: None)


def tags(lines: list[str]) -> list[str]:
    return [line.split(",")[0] for line in lines]


# --- lines -----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_vacant_block_of_newer_firmware_has_the_recorded_order_and_the_setup_only_after_the_start() -> None:
    lines = await lines_for(portal(), VACANT, VACANT)
    first, second = lines[:10], lines[10:]
    assert tags(first) == ["NC", "NX", "NB", "NB1", "SG1", "SG2", "SG3", "SN1", "SN2", "GB"]
    assert tags(second) == ["NC", "NX", "NB", "NB1", "GB"]
    assert second == [
        "NC,-5.71666613,0.61807953",
        "NX,9.50437640,-0.99599343",
        "NB,000003,000000,000002,000000",
        "NB1,3.99166703,0.00000000,2.69166684,0.00000000",
        "GB,000380,000383,000403,000361",
    ]


@virtual
async def test_older_firmware_sends_the_two_backgrounds_only() -> None:
    lines = await lines_for(portal(extended=False), VACANT, VACANT)
    assert tags(lines[-2:]) == ["NB", "GB"]


@virtual
async def test_the_setup_block_carries_the_settings_in_the_manuals_widths() -> None:
    config = {"gamma_high_fault_cps": 12345, "gamma_low_fault_cps": 60, "n_sigma": 7.5, "hold_in": 8}
    lines = await lines_for(portal(**config), VACANT)
    widths = {
        "SG1": r"SG1,012345,000060,05,08,07\.5,P",
        "SG2": r"SG2,1111,\d\.\d{3},\d\.\d{3},\d\d,1010,[AT]",
        "SG3": r"SG3,\d\.\d{3},\d\.\d{3},\d{3},\d{3},1\.10\.1",
        "SN1": r"SN1,\d{6},03,\d{4},\d{4},\d\d,\d{3}",
        "SN2": r"SN2,\d\.\d{3},\d\.\d{3},\d\.\d{3},\d\.\d{3},PP",
    }
    setup = {line.split(",")[0]: line for line in lines[4:9]}
    for tag, pattern in widths.items():
        assert re.fullmatch(pattern, setup[tag]), setup[tag]


@virtual
async def test_the_setup_block_comes_again_after_24_hours_and_never_on_connecting() -> None:
    fake = portal()
    assert "SG1" in tags(await lines_for(fake, VACANT))
    await asyncio.sleep(24 * 3600 - 60)
    assert "SG1" not in tags(await lines_for(fake, VACANT))
    await asyncio.sleep(60)
    assert "SG1" in tags(await lines_for(fake, VACANT))


@virtual
async def test_a_restart_drops_the_clients_and_brings_the_setup_block_again() -> None:
    fake = portal()
    async with client_of(fake.serve) as client:
        fake.sense(VACANT)
        await received(client)
        fake.restart()
        assert await lost(client)
    assert "SN2" in tags(await lines_for(fake, VACANT))


@virtual
async def test_after_a_restart_settings_may_have_changed_and_occupancies_are_counted_from_one() -> None:
    fake = portal()
    before = await lines_for(fake, VACANT, OccupancyOver(16, 6.683), OccupancyOver(17, 6.683))
    fake.restart(n_sigma=7.5)
    after = await lines_for(fake, VACANT, OccupancyOver(18, 6.683))
    sigma = [line.split(",")[5] for line in before + after if line.startswith("SG1")]
    assert sigma == ["04.0", "07.5"]
    counters = [line.split(",")[1] for line in before + after if line.startswith("GX")]
    assert counters == ["000016", "000017", "000001"]


@virtual
async def test_the_newest_firmware_tells_of_energy_windows_too() -> None:
    fake = portal(energy_windows=True)
    await lines_for(fake, VACANT)
    lines = await lines_for(fake, VACANT, GammaInterval((77, 77, 67, 69), alarm=False))
    assert tags(lines) == ["NC", "NX", "NB", "NB1", "GB", "RW", "AC", "AB1", "AR", "GS", "AS"]
    windows, shares, counts = (
        next(row.split(",")[1:] for row in lines if row.startswith(tag)) for tag in TAGS_OF_WINDOWS
    )
    total = sum(map(float, windows))
    assert total == pytest.approx(380.4 + 383 + 403 + 361)
    assert [f"{float(window) / total:.4f}" for window in windows] == shares
    assert sum(map(int, counts)) == 77 + 77 + 67 + 69
    assert {len(field) for field in counts} == {6}


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [((300.0,) * 4, "GB"), ((20_001.0, 300.0, 300.0, 300.0), "GH"), ((300.0, 300.0, 49.0, 300.0), "GL")],
)
def test_gamma_background_beyond_a_fault_limit_has_its_own_tag(gamma: tuple[float, ...], expected: str) -> None:
    @virtual
    async def check() -> None:
        assert tags(await lines_for(portal(), Vacant(gamma, (3.0, 0.0, 3.0, 0.0))))[-1] == expected

    check()


@virtual
async def test_a_detector_that_is_off_line_raises_no_low_fault() -> None:
    lines = await lines_for(portal(detectors="1101"), Vacant((300.0, 300.0, 0.0, 300.0), (1.0,)))
    assert lines[-1] == "GB,000300,000300,000000,000300"


@virtual
async def test_neutron_background_above_its_limit_is_nh_and_there_is_no_nl() -> None:
    assert "NH" in tags(await lines_for(portal(), Vacant((300.0,) * 4, (101.0, 0.0, 0.0, 0.0))))
    lines = await lines_for(portal(), Vacant((300.0,) * 4, (0.0, 0.0, 0.0, 0.0)))
    assert "NB,000000,000000,000000,000000" in lines
    assert "NC" not in tags(lines), "no test is possible against a background of zero"


@virtual
async def test_occupied_lines_carry_counts_and_the_controllers_own_decision() -> None:
    lines = await lines_for(
        portal(extended=False),
        NeutronSecond((2, 0, 2, 0), alarm=False),
        NeutronSecond((9, 0, 8, 0), alarm=True),
        GammaInterval((77, 77, 67, 69), alarm=False),
        GammaInterval((138, 70, 177, 1_000_000), alarm=True),
        OccupancyOver(1_000_017, 6.68333),
        OccupancyOver(17, 6.68333),
        Tamper(active=True),
        Tamper(active=False),
        Contact("loop", on=True),
    )
    assert lines == [
        "NS,000002,000000,000002,000000",
        "NA,000009,000000,000008,000000",
        "GS,000077,000077,000067,000069",
        "GA,000138,000070,000177,999999",
        "GX,999999,006683,000000,000000",
        "GX,000017,006683,000000,000000",
        "TT,000000,000000,000000,000000",
        "TC,000001,000001,000001,000001",
    ]


@pytest.mark.parametrize(
    ("seconds_per_foot", "expected"),
    [
        (0.1336, b"SP,0.1336,05.103,008.21,000000\r\n"),
        (0.0370, b"SP,0.0370,18.428,029.66,000000\r\n"),
        (0.0070, b"SP,0.0070,97.403,156.75,000000\r\n"),
        (0.0001, b"SP,0.0001,99.999,160.93,000000\r\n"),
        (99.0, b"SP,9.9999,00.068,000.11,000000\r\n"),
        (math.inf, b"SP,0.0000,99.999,160.93,000000\r\n"),
    ],
)
def test_a_speed_line_saturates_and_follows_from_its_rounded_time(seconds_per_foot: float, expected: bytes) -> None:
    assert speed_line(0.3048 / seconds_per_foot) == expected


@virtual
async def test_the_neutron_score_is_sent_before_its_count_and_starts_over_after_a_low_one() -> None:
    lines = await lines_for(portal(), VACANT, *[NeutronSecond((2, 0, 2, 0), alarm=False)] * 2)
    assert tags(lines[-4:]) == ["NZ", "NS", "NZ", "NS"]
    for text in (lines[-4], lines[-2]):
        _, z, again = text.split(",")
        assert z == again
        assert float(z) == pytest.approx(-3.24434947, abs=2e-5)


@virtual
async def test_the_neutron_score_starts_over_at_the_end_of_an_occupancy_also_without_a_background_between() -> None:
    high = NeutronSecond((9, 0, 9, 0), alarm=False)
    lines = await lines_for(portal(), VACANT, high, OccupancyOver(1, 6.0), high, high)
    first, second, third = [float(line.split(",")[1]) for line in lines if line.startswith("NZ")]
    assert first == second
    assert third == pytest.approx(2 * second)


# --- clients ---------------------------------------------------------------------------------------------------------


@virtual
async def test_several_clients_get_the_same_lines() -> None:
    fake = portal()
    async with client_of(fake.serve) as one, client_of(fake.serve) as other:
        fake.sense(VACANT)
        assert await received(one) == await received(other) != b""


@virtual
async def test_a_client_that_does_not_read_is_dropped_and_the_others_lose_nothing() -> None:
    fake = portal(outbox_bytes=5_000)
    async with client_of(fake.serve) as deaf, client_of(fake.serve) as other:
        heard = b""
        for _ in range(4_000):
            fake.sense(GammaInterval((77, 77, 67, 69), alarm=False))
            heard += await received(other, 0.001)
        assert heard.count(b"\r\n") == 4_000
        await received(deaf)
        assert await lost(deaf)


@settings(max_examples=50, deadline=None)
@given(junk=st.lists(st.binary(min_size=1, max_size=200), max_size=5))
def test_nothing_a_client_sends_disturbs_the_portal(junk: list[bytes]) -> None:
    @virtual
    async def check() -> None:
        fake = portal(extended=False)
        async with client_of(fake.serve) as client:
            for data in junk:
                await client.write(data)
            fake.sense(GammaInterval((1, 2, 3, 4), alarm=False))
            assert await received(client) == b"GS,000001,000002,000003,000004\r\n"

    check()


# --- against recordings ----------------------------------------------------------------------------------------------


def recorded(shared_data: Path) -> list[bytes]:
    names = ("eyamamoto_S2-C0-NONE.csv", "eyamamoto_S2-C3-NORM2.csv")
    return [data for name in names for _, data in parse_recording((shared_data / "rpm" / name).read_bytes()).lines]


@pytest.mark.data
def test_every_recorded_speed_line_follows_from_its_own_time(shared_data: Path) -> None:
    speeds = [data for data in recorded(shared_data) if data.startswith(b"SP")]
    assert len(speeds) == 247
    for data in speeds:
        seconds_per_foot = float(data.split(b",")[1])
        assert speed_line(0.3048 / seconds_per_foot if seconds_per_foot else 0.0) == data


@pytest.mark.data
def test_the_neutron_test_reproduces_every_recorded_score(shared_data: Path) -> None:
    """Rapiscan's own NZ values, from the NB1 and NS lines around them; where 5 x background is whole, either side."""
    tests: list[NeutronTest] = []
    scores: list[float] = []
    checked = 0
    for data in recorded(shared_data):
        tag, *fields = data.strip().split(b",")
        match tag:
            case b"NB1":
                background = sum(map(float, fields))
                nudges = {math.floor(5 * background + nudge) for nudge in (-1e-4, 0.0, 1e-4)}
                tests = [_test_of(background, fifths) for fifths in nudges]
            case b"GX":
                for test in tests:
                    test.restart()
            case b"NZ":
                scores.append(float(fields[0]))
            case b"NS" if scores:
                steps = [test.step(sum(map(int, fields))) for test in tests]
                score = scores.pop()
                assert any(abs(step - score) < 2e-5 for step in steps), (score, steps)
                checked += 1
            case _:
                pass
    assert checked == 587


def _test_of(background: float, fifths: int) -> NeutronTest:
    """The test as if 5 x background were just in this whole number."""
    from sim.rpm_rapiscan import NEUTRON_STEP

    return NeutronTest(background, NEUTRON_STEP[fifths] / 5, 3)


@pytest.mark.data
@pytest.mark.parametrize(("name", "alarms"), [("eyamamoto_S2-C0-NONE.csv", 0), ("eyamamoto_S2-C3-NORM2.csv", 25)])
def test_a_recording_is_repeated_byte_for_byte_at_its_pace(shared_data: Path, name: str, alarms: int) -> None:
    file = shared_data / "rpm" / name

    @virtual
    async def check() -> None:
        fake = RecordingPortal(RecordingConfig(file=file), act=lambda deed: None)
        occupancies = fake.recording.occupancies
        assert len(occupancies) == 25
        assert sum(each.gamma_alarm for each in occupancies) == alarms
        assert not any(each.neutron_alarm for each in occupancies)
        assert all(10 < each.end_s - each.start_s < 12.5 for each in occupancies)
        began_s = asyncio.get_running_loop().time()
        async with client_of(fake.serve) as client:
            sent = await received(client, quiet_s=10.0)
            assert fake.done.is_set()
            assert asyncio.get_running_loop().time() - began_s == pytest.approx(fake.duration_s + 10, abs=0.1)
        rows = file.read_bytes().splitlines()
        assert sent == b"".join(row.rsplit(b",", 1)[0] + b"\r\n" for row in rows)
        assert not re.search(rb"20\d\d-", sent), "the recorder's stamp is not on the wire"

    check()


RECORDING = b"""\
GB,000380,000383,000403,000361,2016-05-31 23:59:50.000 -07\r
SP,0.1336,05.103,008.21,000000,2016-05-31 23:59:54.000 -07\r
NS,000002,000000,000002,000000,2016-05-31 23:59:55.000 -07\r
GA,000077,000077,000067,000069,2016-06-01 00:00:05.500 -07\r
\r
GX,000017,006683,000000,000000,2016-06-01 00:00:06.000 -07\r
NA,000002,000000,000002,000000,2016-06-01 00:00:10.000 -07\r
no stamp at all
"""


def test_the_truth_of_a_recording_is_its_occupancies_also_over_midnight_and_an_unfinished_one() -> None:
    recording = parse_recording(RECORDING)
    assert recording.occupancies == (
        RecordedOccupancy(5.0, 16.0, gamma_alarm=True, neutron_alarm=False),
        RecordedOccupancy(20.0, 20.0, gamma_alarm=False, neutron_alarm=True),
    )
    assert recording.duration_s == 20.0
    assert recording.lines[-1] == (20.0, b"no stamp at all\r\n")


def test_the_short_stamp_of_other_recorders_is_taken_off_too() -> None:
    recording = parse_recording(b"GB,000380,000383,000403,000361,10-59-59.500\nGS,1,2,3,4,11-00-00.000\n")
    assert recording.lines == ((0.0, b"GB,000380,000383,000403,000361\r\n"), (0.5, b"GS,1,2,3,4\r\n"))


@virtual
async def test_a_recording_can_be_played_faster(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("recording") / "portal.csv"
    file.write_bytes(RECORDING)
    fake = RecordingPortal(RecordingConfig(file=file, speed=4), act=lambda deed: None)
    assert fake.duration_s == 5.0
    loop = asyncio.get_running_loop()
    async with client_of(fake.serve) as client:
        async with asyncio.timeout(6):
            await fake.done.wait()
        assert fake.started_s is not None
        assert loop.time() - fake.started_s == pytest.approx(5.0)
        fake.sense(VACANT)  # the world has no say
        assert (await received(client)).count(b"\r\n") == 7


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=400) | st.text("0123456789-: .,GSXNA\n", max_size=200).map(str.encode))
def test_no_file_makes_the_reader_of_recordings_raise(raw: bytes) -> None:
    recording = parse_recording(raw)
    assert all(b"\n" not in data[:-2] for _, data in recording.lines)
    assert [at_s for at_s, _ in recording.lines] == sorted(at_s for at_s, _ in recording.lines)
