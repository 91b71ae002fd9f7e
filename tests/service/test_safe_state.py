"""What every output is when nobody may go, from the lane's setup; the gate's is never commanded on the way out."""

from __future__ import annotations

from dataclasses import replace

from lanecontrol.announcements import LaneType
from lanecontrol.lane.setup import (
    Beacon,
    Gate,
    LaneSetup,
    LaneSignal,
    Point,
    Scanner,
    ScannerInputs,
    ScannerOutputs,
    Signal,
    Zone,
)
from lanecontrol.safe_state import Part, last_words, safe_outputs

PLAIN = LaneSetup("SYS", "07", LaneType.FAST, (Zone("booth", 0, 4),), "booth", ())


def full() -> LaneSetup:
    inputs = ScannerInputs(**{name: Point("io3", name) for name in ScannerInputs.__slots__})
    outputs = ScannerOutputs(**{name: Point("io3", name) for name in ScannerOutputs.__slots__})
    return replace(
        PLAIN,
        signal=Signal("io1", "green", "red"),
        gate=Gate("io1", "gate_open", "opened", "closed"),
        lane_signal=LaneSignal("io2", "arrow", "yellow_x", "red_x"),
        beacon=Beacon("io2", "beacon"),
        scanner=Scanner("scanner", inputs, outputs),
    )


def test_the_safe_state_is_red_no_gate_command_no_request_and_the_beacon_on() -> None:
    on = {output.point: output.on for output in safe_outputs(full())}
    assert {point for point, value in on.items() if value} == {"red", "red_x", "beacon", "driver_stop"}
    assert set(on) == {"green", "red", "arrow", "yellow_x", "red_x", "beacon", "gate_open", *ScannerOutputs.__slots__}


def test_lamps_come_first_and_the_scanner_last() -> None:
    parts = [output.part for output in safe_outputs(full())]
    assert parts == sorted(parts)
    assert parts[0] is Part.LAMP
    assert parts[-1] is Part.SCANNER


def test_on_the_way_out_each_module_is_commanded_once_and_the_gate_not_at_all() -> None:
    words = last_words(full())
    assert list(words) == ["io1", "io2", "io3"]
    assert dict(words["io1"].points) == {"green": False, "red": True}
    assert dict(words["io2"].points)["red_x"] is True
    assert dict(words["io3"].points)["scan_request"] is False


def test_a_lane_without_equipment_has_nothing_to_say() -> None:
    assert last_words(PLAIN) == {}
