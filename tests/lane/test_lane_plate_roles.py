"""Which end of a vehicle a plate is on, and whose it then is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import LaneBench, setup

from lanecontrol.announcements import LaneType, PassageClosed, PlateRole
from lanecontrol.events import PlateRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane.setup import Camera, Sees

FRONT, REAR = "7ABC123", "TR4 567"


def lane_of(lane_type: LaneType) -> LaneBench:
    cameras = (
        Camera("cam1", "booth", sees=Sees.FRONT),
        Camera("cam2", "booth", sees=Sees.REAR),
        Camera("cam3", "booth"),
    )
    return LaneBench(replace(setup(), lane_type=lane_type, cameras=cameras)).started()


def roles(lane_type: LaneType, *reads: tuple[str, str]) -> dict[str, PlateRole]:
    """What a vehicle's passage says of the plates that these cameras read at the booth."""
    lane = lane_of(lane_type)
    lane.to_approach()
    lane.to_booth()
    for _ in range(3):
        for device, text in reads:
            lane.give(device, PlateRead(Identifier(text), 0.95, "US-AZ", f"{device} sees it"))
        lane.wait(1.0)
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()
    lane.wait(10.0)
    (closed,) = lane.told(PassageClosed)
    return {plate.text.clear: plate.role for plate in closed.plates}


@pytest.mark.parametrize("lane_type", [LaneType.FAST, LaneType.COMMERCIAL, LaneType.EMPTY])
def test_where_trailers_come_the_plate_in_front_is_the_tractors_and_another_behind_the_trailers(
    lane_type: LaneType,
) -> None:
    assert roles(lane_type, ("cam1", FRONT), ("cam2", REAR)) == {FRONT: PlateRole.TRACTOR, REAR: PlateRole.TRAILER}


def test_a_truck_without_a_trailer_carries_one_number() -> None:
    assert roles(LaneType.COMMERCIAL, ("cam1", FRONT), ("cam2", FRONT)) == {FRONT: PlateRole.TRACTOR}


def test_a_plate_behind_with_nothing_read_in_front_is_not_called_the_trailers() -> None:
    assert roles(LaneType.COMMERCIAL, ("cam2", REAR)) == {REAR: PlateRole.REAR}


def test_where_cars_go_a_plate_is_in_front_or_behind_and_at_both_ends_it_counts_as_in_front() -> None:
    assert roles(LaneType.SENTRI, ("cam1", FRONT)) == {FRONT: PlateRole.FRONT}
    assert roles(LaneType.SENTRI, ("cam2", REAR)) == {REAR: PlateRole.REAR}
    assert roles(LaneType.SENTRI, ("cam2", FRONT), ("cam1", FRONT)) == {FRONT: PlateRole.FRONT}


def test_a_camera_of_which_the_site_says_nothing_tells_no_end() -> None:
    assert roles(LaneType.COMMERCIAL, ("cam3", FRONT)) == {FRONT: PlateRole.UNKNOWN}
