"""Whatever happens to the daemon, in every state of the lane: the outputs are safe within the module's watchdog time.

Seen by pymodbus at the fake module, not told by us. One daemon goes through all states; every disturbance is done where
something was granted and in one other state at least, and every state is disturbed. `./lane bench failsafe` does each
in each, and prints the times.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from failsafe_matrix import (
    STATES,
    BrokerLoss,
    DeviceLoss,
    FullDisk,
    Kill,
    NoDisk,
    Plan,
    Seen,
    Stall,
    Stop,
    all_seen,
    small_disk,
)
from failsafe_rig import Rig, rig
from failsafe_scanner import SCANNER_STATES, ScannerRig
from failsafe_watch import SAFE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals and disks of Linux"),
]

IN_EVERY_STATE: Plan = {
    "closed": [DeviceLoss],
    "opening": [Stop],
    "open, idle": [Stall],
    "vehicle at booth": [BrokerLoss],
    "permission granted": [Stop, Stall, DeviceLoss, BrokerLoss, Kill],
    "vehicle under the arm": [Kill],
    "closing, one released": [Stop],
    "emergency": [Stall],
}
WHERE_SOMETHING_IS_GRANTED: Plan = {"permission granted": [FullDisk], "vehicle under the arm": [FullDisk]}
IN_EVERY_STATE_OF_A_SCAN: Plan = {
    "scanner armed": [Stop],
    "scanner warning": [Stall],
    "scan requested": [DeviceLoss],
    "scanning": [Kill],
}


async def test_the_outputs_are_safe_within_the_modules_watchdog_time_in_every_state(tmp_path: Path) -> None:
    assert list(IN_EVERY_STATE) == list(STATES)
    seen = await all_seen(partial(made, tmp_path, count()), IN_EVERY_STATE)
    assert wrong(seen) == {}
    granted = [each for each in seen if each.state == "permission granted"]
    assert all("signal_green" in each.unsafe_before for each in granted), "there was something to lose"
    assert all(each.tripped and each.after == SAFE for each in seen if each.disturbance != BrokerLoss.name)
    assert all(each.after["signal_green"] for each in granted if each.disturbance == BrokerLoss.name), "it stands"


async def test_a_full_disk_withdraws_within_the_modules_watchdog_time(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk") as store:
            seen = await all_seen(partial(made, tmp_path, count(), store=store), WHERE_SOMETHING_IS_GRANTED)
    except NoDisk:
        pytest.skip("a small tmpfs cannot be mounted here")
    assert wrong(seen) == {}
    assert all(each.unsafe_before and not each.after["signal_green"] for each in seen), "there was something to lose"


async def test_a_scan_is_neither_requested_nor_armed_within_the_modules_watchdog_time(tmp_path: Path) -> None:
    """From the order to the beam."""
    assert list(IN_EVERY_STATE_OF_A_SCAN) == list(SCANNER_STATES)
    seen = await all_seen(partial(made, tmp_path, count(), kind=ScannerRig), IN_EVERY_STATE_OF_A_SCAN, SCANNER_STATES)
    assert wrong(seen) == {}
    assert all("scan_arm" in each.unsafe_before for each in seen), "there was something to lose"
    assert [each.state for each in seen if "scan_request" in each.unsafe_before] == ["scan requested", "scanning"]
    assert all(each.tripped and not each.after["scan_request"] and not each.after["scan_arm"] for each in seen)


def made(
    folder: Path, number: count[int], *, store: Path | None = None, kind: type[Rig] = Rig
) -> AbstractAsyncContextManager[Rig]:
    """A lane of its own, with nothing kept from another one."""
    own = f"lane{next(number)}"
    (folder / own).mkdir()
    return rig(folder / own, None if store is None else store / own, kind)


def wrong(seen: list[Seen]) -> dict[tuple[str, str], str]:
    return {(each.disturbance, each.state): each.wrong for each in seen if each.wrong}
