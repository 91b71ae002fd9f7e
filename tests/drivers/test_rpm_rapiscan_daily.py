"""The daily file: every line as it came with the moment it came, one file a day, and a bad disk stops nothing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from driver_bench import Notebook, in_session
from hypothesis import given
from hypothesis import strategies as st

from drivers import rpm_rapiscan_daily as daily
from drivers.rpm_rapiscan import RapiscanConfig, RapiscanPortal
from drivers.rpm_rapiscan_codec import LineCodec
from drivers.rpm_rapiscan_daily import DailyFile, Form, stamped
from drivers.rpm_rapiscan_keep import Keep, prune
from lanecontrol.clock import AnchoredClock
from lanecontrol.events import DeviceFault
from lanecontrol.framing import Doubt
from lanecontrol.links import Link

TIJUANA = ZoneInfo("America/Tijuana")
VACANT = b"NB,000003,000000,000002,000000\r\nGB,000382,000381,000426,000367\r\n"
MORNING_S = datetime(2016, 5, 31, 16, 30, 0, 899_000, UTC).timestamp()


def text(form: Form, day: str = "2016-05-31") -> bytes:
    return form.path(day).read_bytes()


def line_counts(folder: Path) -> dict[str, int]:
    return {path.name: path.read_bytes().count(b"\n") for path in folder.iterdir()}


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "short", "stamp"),
    [
        (TIJUANA, False, b"2016-05-31 09:30:00.899 -07"),
        (TIJUANA, True, b"09-30-00.899"),
        (ZoneInfo("Asia/Kolkata"), False, b"2016-05-31 22:00:00.899 +05:30"),
        (UTC, False, b"2016-05-31 16:30:00.899 +00"),
    ],
)
def test_a_line_is_followed_by_the_local_moment_in_the_recorders_form(zone: Any, short: bool, stamp: bytes) -> None:
    form = Form(Path("/"), "rpm1", zone, short)
    rows = b"GX,1," + stamp + b"\r\n" + b"***," + stamp + b"\r\n"
    assert stamped([b"GX,1", b"***"], MORNING_S, form) == ("2016-05-31", rows)


def test_without_a_zone_the_machines_own_is_taken() -> None:
    day, rows = stamped([b"GX"], MORNING_S, Form(Path("/"), "rpm1"))
    local = datetime.fromtimestamp(MORNING_S, UTC).astimezone()
    assert day == f"{local:%Y-%m-%d}"
    assert rows.startswith(f"GX,{local:%Y-%m-%d %H:%M:%S}.899 ".encode())


async def written(form: Form, *pieces: tuple[float, bytes]) -> DailyFile:
    file = DailyFile(form)
    for utc_s, data in pieces:
        file.take(data, utc_s)
    await file.close()
    return file


async def test_lines_are_written_as_they_came_bad_ones_too(tmp_path: Path) -> None:
    form = Form(tmp_path / "made" / "on the way", "rpm1", TIJUANA, short=True)
    raw = b"GS,000077\r\n\r\nh\xe9llo\x00\r\r\nGX,000017,006683,000000,000000\nunfinished"
    file = await written(form, (MORNING_S, raw[:20]), (MORNING_S + 0.05, raw[20:]))
    assert text(form) == (
        b"GS,000077,09-30-00.899\r\n,09-30-00.899\r\n"
        b"h\xe9llo\x00\r,09-30-00.949\r\nGX,000017,006683,000000,000000,09-30-00.949\r\n"
    )
    assert file.trouble == ""


async def test_a_line_without_end_is_cut_to_256_bytes(tmp_path: Path) -> None:
    form = Form(tmp_path, "rpm1", TIJUANA, short=True)
    await written(form, (MORNING_S, b"x" * 5000 + b"\r\nGX\r\n"))
    assert text(form) == b"x" * 256 + b",09-30-00.899\r\nGX,09-30-00.899\r\n"


async def test_a_new_file_begins_at_local_midnight_also_when_summer_time_ends(tmp_path: Path) -> None:
    form = Form(tmp_path, "rpm1", TIJUANA)
    midnight = datetime(2016, 11, 6, 0, 0, tzinfo=TIJUANA)
    next_midnight = datetime(2016, 11, 7, 0, 0, tzinfo=TIJUANA)
    assert next_midnight.timestamp() - midnight.timestamp() == timedelta(hours=25).total_seconds()
    moments = (midnight.timestamp() - 0.001, midnight.timestamp(), next_midnight.timestamp() - 0.001)
    await written(form, *((at, b"GX\r\n") for at in (*moments, next_midnight.timestamp())))
    assert line_counts(tmp_path) == {
        "rpm1_2016-11-05.csv": 1,
        "rpm1_2016-11-06.csv": 2,
        "rpm1_2016-11-07.csv": 1,
    }
    assert text(form, "2016-11-06").endswith(b"2016-11-06 23:59:59.999 -08\r\n")


async def test_a_file_goes_on_where_it_was_and_a_torn_end_is_mended(tmp_path: Path) -> None:
    form = Form(tmp_path, "rpm1", TIJUANA, short=True)
    await written(form, (MORNING_S, b"GX\r\n"))
    with form.path("2016-05-31").open("ab") as file:
        file.write(b"GS,0000")
    await written(form, (MORNING_S, b"GX\r\n"))
    assert text(form) == b"GX,09-30-00.899\r\nGS,0000\r\nGX,09-30-00.899\r\n"


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [VACANT, b"GS,000077,000077,000067,000069\r\n", b"SG1,1,2,05,10,07.5,P\n", b"***\r\n", b"\r\n"]
        ),
        st.binary(max_size=40),
    ),
    max_size=20,
)


@given(pieces, st.sampled_from([False, True]))
def test_a_file_read_back_has_the_events_of_the_wire(data: list[bytes], short: bool) -> None:
    stream = b"".join(data)
    file = DailyFile(Form(Path("/"), "rpm1", TIJUANA, short))
    lines = [frame.raw if isinstance(frame, Doubt) else frame for frame in file._framer.feed(stream)]
    rows = stamped(lines, MORNING_S, file._form)[1] if lines else b""
    live = [event for event in LineCodec().feed(stream) if not isinstance(event, Doubt)]
    assert list(RapiscanPortal.decode(rows, {})) == live


# --- in session ------------------------------------------------------------------------------------------------------


async def _until(condition: Callable[[], object]) -> None:
    """The thread writes in real time, whatever the loop's clock says."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(1)
        await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.005)
    pytest.fail("it never came to that")


async def test_a_session_writes_what_it_hears_and_the_last_lines_when_it_ends(tmp_path: Path) -> None:
    async def portal(link: Link) -> None:
        for _ in range(3):
            await link.write(VACANT[:40])
            await link.write(VACANT[40:])
            await asyncio.sleep(5)
        await asyncio.sleep(60)

    notebook = Notebook(clock=AnchoredClock(MORNING_S))
    settings = {"daily_file": str(tmp_path), "daily_file_zone": "America/Tijuana"}
    async with in_session(RapiscanPortal, portal, notebook, **settings):
        await asyncio.sleep(14)
    raw = (tmp_path / "dev_2016-05-31.csv").read_bytes()
    assert raw.splitlines()[1] == b"GB,000382,000381,000426,000367,2016-05-31 09:30:00.899 -07"
    assert raw.count(b"\r\n") == 6
    assert list(RapiscanPortal.decode(raw, {})) == [e for e in notebook.events if not isinstance(e, DeviceFault)]


async def test_lines_reach_the_file_while_the_session_goes_on(tmp_path: Path) -> None:
    async def portal(link: Link) -> None:
        await link.write(VACANT)
        await asyncio.sleep(3600)

    notebook = Notebook(clock=AnchoredClock(MORNING_S))
    settings = {"daily_file": str(tmp_path), "silence_timeout_s": 600}
    async with in_session(RapiscanPortal, portal, notebook, **settings) as (_, bench):
        await asyncio.sleep(1)
        await _until(lambda: list(line_counts(tmp_path).values()) == [2])
        assert not bench.session.done()


def _faults(notebook: Notebook, code: str = "daily_file") -> list[tuple[bool, str]]:
    faults = [fault for fault in notebook.of(DeviceFault) if fault.code == code]
    return [(fault.active, fault.detail) for fault in faults]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_full_disk_is_a_fault_that_stops_nothing_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "RETRY_S", 0.05)
    path = tmp_path / "dev_2016-05-31.csv"
    path.symlink_to("/dev/full")
    go_on = asyncio.Event()

    async def portal(link: Link) -> None:
        await link.write(VACANT)
        while not go_on.is_set():
            await asyncio.sleep(5)
            await link.write(VACANT)
        await asyncio.sleep(60)

    notebook = Notebook(clock=AnchoredClock(MORNING_S))
    settings = {"daily_file": str(tmp_path), "daily_file_zone": "America/Tijuana"}
    async with in_session(RapiscanPortal, portal, notebook, **settings) as (_, bench):
        await _until(lambda: any(active for active, _ in _faults(notebook)))
        assert _faults(notebook)[-1] == (True, "the daily file: No space left on device")
        assert not bench.session.done()
        path.unlink()
        await _until(lambda: not _faults(notebook)[-1][0])
        go_on.set()
    # Nothing was lost meanwhile: it all waited in memory.
    assert path.read_bytes().count(b"GB,") == len([e for e in notebook.events if type(e).__name__ == "GammaBackground"])


async def test_lines_for_which_there_is_no_room_are_counted_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "QUEUE_BYTES", 100)
    (tmp_path / "file").touch()
    file = DailyFile(Form(tmp_path / "file", "rpm1", TIJUANA))
    for _ in range(10):
        file.take(VACANT, MORNING_S)
    await file.close()
    assert file.trouble.endswith("; 20 lines are left out")


async def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = Form(tmp_path, "rpm1", TIJUANA, short=True)
    await written(form, (MORNING_S, b"GX\r\n"))
    whole, write = text(form), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]) if len(data) > 9 else _no_space())
    file = await written(form, (MORNING_S, VACANT))
    assert file.trouble == "the daily file: No space left on device"
    monkeypatch.undo()
    assert text(form) == whole


def _no_space() -> int:
    raise OSError(28, "No space left on device")


async def test_a_disk_that_hangs_does_not_keep_a_session_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()
    monkeypatch.setattr(daily, "STOP_S", 0.05)
    monkeypatch.setattr(os, "fsync", lambda file: hang.wait(30))
    file = DailyFile(Form(tmp_path, "rpm1", TIJUANA))
    file.take(VACANT, MORNING_S)
    await file.close()
    assert file._thread is not None
    assert file._thread.is_alive()
    hang.set()
    await asyncio.get_running_loop().run_in_executor(None, file._thread.join, 10)
    assert not file._thread.is_alive()


# --- what stays ------------------------------------------------------------------------------------------------------

DAYS = tuple(f"2016-05-{day:02d}" for day in range(20, 32))
TODAY = DAYS[-1]


def filled(folder: Path, *days: str, size: int = 1000, name: str = "rpm1") -> None:
    for day in days:
        (folder / f"{name}_{day}.csv").write_bytes(b"x" * size)


def days_left(folder: Path) -> list[str]:
    return sorted(path.name.removeprefix("rpm1_").removesuffix(".csv") for path in folder.iterdir())


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (Keep(35, 10**9), DAYS),
        (Keep(12, 12_000), DAYS),
        (Keep(3, 10**9), DAYS[-3:]),
        (Keep(1, 10**9), DAYS[-1:]),
        (Keep(35, 11_999), DAYS[1:]),
        (Keep(35, 4500), DAYS[-4:]),
        (Keep(2, 4500), DAYS[-2:]),
        (Keep(35, 1), DAYS[-1:]),
    ],
)
def test_the_newest_files_stay_so_many_and_so_much_of_them(tmp_path: Path, keep: Keep, left: tuple[str, ...]) -> None:
    filled(tmp_path, *DAYS)
    assert prune(tmp_path, "rpm1", keep, f"rpm1_{TODAY}.csv") == ""
    assert days_left(tmp_path) == list(left)


def test_the_file_that_is_being_written_stays_though_a_clock_was_set_back(tmp_path: Path) -> None:
    filled(tmp_path, "1970-01-01", *DAYS)
    assert prune(tmp_path, "rpm1", Keep(3), "rpm1_1970-01-01.csv") == ""
    assert days_left(tmp_path) == ["1970-01-01", *DAYS[-2:]]


def test_a_clock_that_is_years_ahead_costs_one_old_file_and_not_all_of_them(tmp_path: Path) -> None:
    filled(tmp_path, "2099-01-01", *DAYS)
    assert prune(tmp_path, "rpm1", Keep(12), "rpm1_2099-01-01.csv") == ""
    assert days_left(tmp_path) == [*DAYS[1:], "2099-01-01"]


def test_what_is_no_daily_file_of_this_portal_stays(tmp_path: Path) -> None:
    others = ("rpm1_2016-05-20.csv.bak", "rpm1_notes.csv", "rpm11_2016-05-20.csv", "xrpm1_2016-05-20.csv", "rpm1_.csv")
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / "rpm1_2016-05-01.csv").mkdir()
    (tmp_path / "rpm1_2016-05-02.csv").symlink_to(tmp_path / "rpm1_notes.csv")
    filled(tmp_path, *DAYS)
    assert prune(tmp_path, "rpm1", Keep(1), f"rpm1_{TODAY}.csv") == ""
    stays = {*others, "rpm1_2016-05-01.csv", "rpm1_2016-05-02.csv", f"rpm1_{TODAY}.csv"}
    assert {path.name for path in tmp_path.iterdir()} == stays


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert prune(tmp_path / "gone", "rpm1", Keep(), "x") == "the folder cannot be read: No such file or directory"


async def test_a_new_day_removes_what_is_too_old(tmp_path: Path) -> None:
    filled(tmp_path, *DAYS[:-1])
    form = Form(tmp_path, "rpm1", TIJUANA, keep=Keep(3))
    file = await written(form, (MORNING_S, VACANT))
    assert (file.trouble, file.overfull) == ("", "")
    assert days_left(tmp_path) == list(DAYS[-3:])
    await written(form, (MORNING_S + 86_400.0, VACANT))
    assert days_left(tmp_path) == [*DAYS[-2:], "2016-06-01"]


async def test_a_disk_that_refuses_deletion_is_a_fault_that_stops_nothing_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "PRUNE_EVERY_S", 0.0)
    whole, refused = Path.unlink, {"dev_2016-05-20.csv", "dev_2016-05-22.csv"}

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name in refused:
            raise PermissionError(1, "Operation not permitted")
        whole(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    filled(tmp_path, *DAYS[:-1], name="dev")

    async def portal(link: Link) -> None:
        while True:
            await link.write(VACANT)
            await asyncio.sleep(5)

    notebook = Notebook(clock=AnchoredClock(MORNING_S))
    settings = {"daily_file": str(tmp_path), "daily_file_zone": "America/Tijuana", "daily_file_keep_days": 2}
    async with in_session(RapiscanPortal, portal, notebook, **settings) as (_, bench):
        await _until(lambda: any(active for active, _ in _faults(notebook, "daily_file_overfull")))
        told = "the daily file: 2 old files cannot be removed: Operation not permitted"
        assert _faults(notebook, "daily_file_overfull")[-1] == (True, told)
        # The others have gone, today's is written, and the portal is read.
        assert set(line_counts(tmp_path)) == {*refused, "dev_2016-05-30.csv", "dev_2016-05-31.csv"}
        assert not bench.session.done()
        assert not any(active for active, _ in _faults(notebook))
        refused.clear()
        await _until(lambda: not _faults(notebook, "daily_file_overfull")[-1][0])
    assert set(line_counts(tmp_path)) == {"dev_2016-05-30.csv", "dev_2016-05-31.csv"}


@pytest.mark.parametrize(
    "settings", [{"daily_file": "here"}, {"daily_file_zone": "Mars/Olympus"}, {"daily_file_zone": "../x"}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"full path|no time zone"):
        RapiscanConfig.model_validate({"id": "dev", "url": "mem://device", **settings})
