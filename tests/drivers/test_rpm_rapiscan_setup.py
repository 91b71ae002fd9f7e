"""A portal's setup: what differs from what was approved, what changed, and when the controller began anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from driver_bench import Notebook, in_session
from hypothesis import given
from hypothesis import strategies as st

from drivers.rpm_rapiscan import RapiscanConfig, RapiscanPortal
from drivers.rpm_rapiscan_codec import read_line
from drivers.rpm_rapiscan_setup import RESTARTED, SetupWatch
from lanecontrol.events import DeviceFault, OccupancyEnded, PortalSetup
from lanecontrol.links import Link
from lanecontrol.radiation_setup import SETUP, named, number

SG1 = "SG1,002000,000100,05,10,04.0,P"
CHANGED = "SG1,002000,000100,05,10,07.5,P"
SG2 = "SG2,1111,0.069,5.060,03,1010,A"


def setup(line: str) -> PortalSetup:
    event = read_line(line)
    assert isinstance(event, PortalSetup)
    return event


def raised(faults: list[DeviceFault]) -> dict[str, str]:
    return {fault.code: fault.detail for fault in faults if fault.active}


def cleared(faults: list[DeviceFault]) -> set[str]:
    return {fault.code for fault in faults if not fault.active}


# --- drift from what was approved ------------------------------------------------------------------------------------


def test_what_differs_from_what_was_approved_is_a_fault_that_names_the_field_and_both_figures() -> None:
    watch = SetupWatch({"n_sigma": 4.0, "intervals": 5, "algorithms": "1010"})
    assert raised(watch.setup(setup(SG1))) == {}
    assert raised(watch.setup(setup(CHANGED)))["setup_n_sigma"] == "n_sigma (SG1): approved 4.0, the portal has 7.5"
    assert watch.setup(setup(CHANGED))[0].code == "setup_changed_sg1", "the drift is told once"
    assert cleared(watch.setup(setup(SG1))) == {"setup_n_sigma"}
    assert raised(watch.setup(setup(SG2.replace("1010", "1000")))) == {
        "setup_algorithms": "algorithms (SG2): approved 1010, the portal has 1000"
    }


def test_a_field_that_cannot_be_read_is_not_as_approved() -> None:
    watch = SetupWatch({"n_sigma": 4.0})
    told = raised(watch.setup(setup(SG1.replace("04.0", "----"))))
    assert told == {"setup_n_sigma": "n_sigma (SG1): approved 4.0, the portal has nothing that can be read"}


def test_the_first_setup_tells_of_every_approved_field_for_an_earlier_process_may_have_left_its_fault() -> None:
    watch = SetupWatch({"n_sigma": 4.0, "detectors": "1111"})
    assert cleared(watch.setup(setup(SG1))) == {"setup_n_sigma", "setup_changed_sg1"}
    assert cleared(watch.setup(setup(SG2))) == {"setup_detectors", "setup_changed_sg2"}
    assert watch.setup(setup(SG1)) == []


def test_a_decimal_stays_what_it_is() -> None:
    assert dict(setup(CHANGED).values)["n_sigma"] == 7.5
    watch = SetupWatch({"n_sigma": 7.0})
    assert "setup_n_sigma" in raised(watch.setup(setup(CHANGED)))


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({"n_sigmas": 4}, "no field 'n_sigmas'"),
        ({"n_sigma": "four"}, "n_sigma cannot be 'four'"),
        ({"algorithms": "sum"}, "algorithms cannot be 'sum'"),
    ],
)
def test_an_approval_that_makes_no_sense_is_refused(given_: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RapiscanConfig.model_validate({"id": "dev", "url": "mem://device", "approved_setup": given_})


def test_an_approval_may_be_written_as_the_file_likes_it() -> None:
    given_ = {"n_sigma": "4", "intervals": "05", "algorithms": 1010, "gamma_high_fault_cps": "002000"}
    config = RapiscanConfig.model_validate({"id": "dev", "url": "mem://device", "approved_setup": given_})
    watch = SetupWatch(config.approved_setup)
    assert raised(watch.setup(setup(SG1)) + watch.setup(setup(SG2))) == {}


@given(st.sampled_from(sorted(SETUP)), st.lists(st.text(max_size=12), max_size=8))
def test_whatever_stands_in_a_setup_line_is_read_as_far_as_it_goes(tag: str, fields: list[str]) -> None:
    values = named(tag, fields)
    assert set(values) <= {name for name, _ in SETUP[tag]}
    watch = SetupWatch({"n_sigma": 4.0})
    watch.setup(PortalSetup(tag, tuple(fields)))
    assert 0.1 <= number(values, "n_sigma", 0.1, 1000, 4.0) <= 1000


# --- changes and restarts --------------------------------------------------------------------------------------------


def test_a_setup_that_changed_is_told_until_it_is_told_once_more_unchanged() -> None:
    watch = SetupWatch({})
    assert raised(watch.setup(setup(SG1))) == {}
    assert raised(watch.setup(setup(CHANGED))) == {"setup_changed_sg1": "SG1: n_sigma was 4.0, is 7.5"}
    assert cleared(watch.setup(setup(CHANGED))) == {"setup_changed_sg1"}


def test_a_change_in_a_field_without_a_name_is_a_change_too() -> None:
    watch = SetupWatch({})
    watch.setup(setup(SG1))
    other = SG1.replace(",P", ",Q")
    told = raised(watch.setup(setup(other)))["setup_changed_sg1"]
    assert told == "SG1: was 002000,000100,05,10,04.0,P, is 002000,000100,05,10,04.0,Q"


def test_a_counter_that_goes_back_is_a_restart_and_its_wrap_is_none() -> None:
    watch = SetupWatch({})
    told = [watch.end(OccupancyEnded(counter)) for counter in (16, 17, None, 1, 2, 999_999, 1)]
    assert [[(fault.code, fault.active) for fault in faults] for faults in told] == [
        [(RESTARTED, False)],
        [],
        [],
        [(RESTARTED, True)],
        [(RESTARTED, False)],
        [],
        [],
    ]
    assert told[3][0].detail.startswith("the occupancy counter went from 17 to 1")


def test_the_setup_is_kept_and_compared_with_by_the_next_process(tmp_path: Path) -> None:
    first = SetupWatch({})
    first.setup(setup(SG1))
    first.save(tmp_path)
    second = SetupWatch({"intervals": 4})
    second.load(tmp_path)
    assert raised(second.remembered()) == {"setup_intervals": "intervals (SG1): approved 4, the portal has 5"}
    assert raised(second.setup(setup(CHANGED))) == {"setup_changed_sg1": "SG1: n_sigma was 4.0, is 7.5"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"SG1": 5}', b'{"SG1": [5]}', b'{"XX": ["1"]}', b"\xff"])
def test_a_kept_setup_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "setup.json").write_bytes(content)
    watch = SetupWatch({})
    watch.load(tmp_path)
    assert raised(watch.setup(setup(SG1))) == {}


# --- in session ------------------------------------------------------------------------------------------------------


def _faults(notebook: Notebook) -> list[tuple[str, str]]:
    return [(fault.code, fault.detail) for fault in notebook.of(DeviceFault) if fault.active]


async def test_drift_change_and_restart_are_reported_by_the_session_and_over_a_restart_of_ours() -> None:
    notebook = Notebook()

    def portal(*lines: str) -> Any:
        async def serve(link: Link) -> None:
            for line in lines:
                await link.write(line.encode() + b"\r\n")
                await asyncio.sleep(1)
            await asyncio.sleep(60)

        return serve

    end = "GX,{:06d},006683,000000,000000"
    settings = {"approved_setup": {"n_sigma": 4.0}}
    async with in_session(RapiscanPortal, portal(SG1, end.format(17), end.format(1)), notebook, **settings):
        await asyncio.sleep(5)
    assert _faults(notebook) == [
        (RESTARTED, "the occupancy counter went from 17 to 1: the controller has restarted, or set it back")
    ]
    assert json.loads((notebook.spool / "setup.json").read_text())["SG1"][4] == "04.0"
    assert (notebook.spool / "setup.json").stat().st_mode & 0o777 == 0o600
    notebook.events.clear()
    async with in_session(RapiscanPortal, portal(end.format(1), CHANGED), notebook, **settings):
        await asyncio.sleep(5)
    assert _faults(notebook) == [
        ("setup_n_sigma", "n_sigma (SG1): approved 4.0, the portal has 7.5"),
        ("setup_changed_sg1", "SG1: n_sigma was 4.0, is 7.5"),
    ]
    notebook.events.clear()
    async with in_session(RapiscanPortal, portal(end.format(2)), notebook, approved_setup={"n_sigma": 7.5}):
        await asyncio.sleep(5)
    assert DeviceFault("setup_n_sigma", "", False) in notebook.events, "what was told last is what is approved now"


async def test_a_folder_that_takes_nothing_does_not_stop_the_session(tmp_path: Path) -> None:
    class Homeless(Notebook):
        @property
        def spool(self) -> Path:
            return tmp_path / "gone"

    async def portal(link: Link) -> None:
        await link.write(SG1.encode() + b"\r\n" + CHANGED.encode() + b"\r\n")
        await asyncio.sleep(60)

    notebook = Homeless()
    async with in_session(RapiscanPortal, portal, notebook, approved_setup={"n_sigma": 7.5}) as (_, bench):
        await asyncio.sleep(5)
        assert not bench.session.done()
    assert [code for code, _ in _faults(notebook)] == ["setup_n_sigma", "setup_changed_sg1"]
