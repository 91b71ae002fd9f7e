"""A loop that goes on has its zone's cameras take pictures; what is read in them, however late, is that vehicle's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import LaneBench, setup

from lanecontrol.announcements import PassageAssessed, PlateSighted, ReadingOrphaned
from lanecontrol.commands import TakePicture
from lanecontrol.events import DeviceChanged, DeviceState, PictureTaken, PlateRead, PlateUnread
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.setup import Camera

SHA = "sha256:"


@pytest.fixture
def lane() -> LaneBench:
    """A camera on the approach and one at the booth that wait for their loop, one on the approach that does not."""
    cameras = (
        Camera("cam1", "approach", trigger=True),
        Camera("cam2", "booth", trigger=True),
        Camera("cam3", "approach"),
    )
    lane = LaneBench(replace(setup(), cameras=cameras))
    lane.started()
    for camera in cameras:
        lane.give(camera.device, DeviceChanged(DeviceState.ONLINE, "connected"))
    return lane


def asked(lane: LaneBench) -> list[tuple[str, str]]:
    """Which cameras were asked for pictures so far, and why."""
    drives = [effect for effect in lane.effects if isinstance(effect, Drive)]
    return [(one.device, one.command.reason) for one in drives if isinstance(one.command, TakePicture)]


def taken(lane: LaneBench, track: str) -> None:
    """The camera on the approach tells its first picture."""
    lane.give("cam1", PictureTaken(f"{SHA}{track}", track, "frame"))


def read(lane: LaneBench, text: str, track: str) -> None:
    """The worker has read the pictures of a track, by now."""
    lane.give("cam1", PlateRead(Identifier(text), 0.95, "US-CA", track, f"{SHA}{track}", afterwards=True))


def plates(told: PassageAssessed) -> list[str]:
    return [found.text.clear for found in told.plates if not found.ambiguous]


def leave(lane: LaneBench) -> None:
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()


def test_a_loop_that_goes_on_asks_the_cameras_of_its_zone_and_no_others(lane: LaneBench) -> None:
    lane.through_portal()
    assert asked(lane) == []
    lane.to_approach()
    assert asked(lane) == [("cam1", "approach is on")]
    lane.to_booth()
    assert asked(lane)[1:] == [("cam2", "booth is on")], "and nothing when the approach goes off"


def test_a_camera_that_is_away_is_not_asked(lane: LaneBench) -> None:
    lane.give("cam1", DeviceChanged(DeviceState.OFFLINE, "no picture for 5 s"))
    lane.through_portal()
    lane.to_approach()
    assert asked(lane) == []


def test_asking_for_pictures_grants_nothing(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    assert lane.drives(grants=True) == []


def test_two_vehicles_close_together_get_their_own_plates_when_reading_is_slow(lane: LaneBench) -> None:
    """Both have been pictured before the first is read, and the second is read first."""
    lane.through_portal()
    lane.to_approach()
    taken(lane, "1")
    lane.to_booth()
    lane.through_portal()
    lane.to_approach()
    taken(lane, "2")
    assert [device for device, _ in asked(lane)] == ["cam1", "cam2", "cam1"]
    read(lane, "4XYZ999", "2")
    read(lane, "7ABC123", "1")
    lane.wait(3.0)
    assert plates(lane.assessment) == ["7ABC123"]
    leave(lane)
    lane.to_booth()
    lane.wait(3.0)
    assert plates(lane.assessment) == ["4XYZ999"]
    leave(lane)
    assert [[plate.text.clear for plate in closed.plates] for closed in lane.closed] == [["7ABC123"], ["4XYZ999"]]


def test_a_plate_that_is_read_while_the_vehicle_stands_at_the_booth_is_assessed_again(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    taken(lane, "1")
    lane.to_booth()
    lane.wait(3.0)
    assert plates(lane.assessment) == []
    read(lane, "7ABC123", "1")
    assert plates(lane.assessment) == ["7ABC123"]
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}1"]


def test_a_plate_that_is_read_when_its_vehicle_has_left_names_that_passage_and_is_nobody_elses(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    taken(lane, "1")
    lane.to_booth()
    lane.wait(3.0)
    lane.through_portal()
    lane.to_approach()
    taken(lane, "2")
    leave(lane)
    read(lane, "7ABC123", "1")
    (told,) = lane.told(PlateSighted)
    assert told.passage == lane.closed[0].passage
    lane.to_booth()
    lane.wait(3.0)
    assert plates(lane.assessment) == []
    read(lane, "4XYZ999", "2")
    assert plates(lane.assessment) == ["4XYZ999"]
    leave(lane)
    lane.wait(60.0)
    assert [one.number.clear for one in lane.told(ReadingOrphaned)] in ([], ["7ABC123"])


def test_a_vehicle_that_could_not_be_read_keeps_its_picture_and_takes_nobody_elses_plate(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    taken(lane, "1")
    lane.to_booth()
    lane.through_portal()
    lane.to_approach()
    taken(lane, "2")
    lane.give("cam1", PlateUnread("not read within 5 s; the worker was killed", "1", f"{SHA}1", afterwards=True))
    read(lane, "4XYZ999", "2")
    lane.wait(3.0)
    assert plates(lane.assessment) == []
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}1"]
    leave(lane)
    lane.to_booth()
    lane.wait(3.0)
    assert plates(lane.assessment) == ["4XYZ999"]


def test_both_cameras_reading_one_plate_bind_it_once(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    taken(lane, "1")
    lane.to_booth()
    lane.give("cam2", PictureTaken(f"{SHA}booth", "9", "frame"))
    read(lane, "7ABC123", "1")
    lane.give("cam2", PlateRead(Identifier("7ABC123"), 0.9, "US-CA", "9", f"{SHA}booth", afterwards=True))
    lane.wait(3.0)
    assert plates(lane.assessment) == ["7ABC123"]
