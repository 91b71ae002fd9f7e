"""Plates and pictures: one track is one car, the last word counts, and what was held back speaks for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import LaneBench, card, setup

from lanecontrol.announcements import (
    BoundPicture,
    PassageAssessed,
    PlateNotRead,
    PlateSighted,
    ReadingOrphaned,
    TagSighted,
    VehiclePictured,
)
from lanecontrol.events import (
    Heading,
    PictureTaken,
    PlateCandidate,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
    TagRead,
)
from lanecontrol.forms import from_json, to_json
from lanecontrol.identifier import Identifier
from lanecontrol.lane.setup import Camera
from lanecontrol.lane.state import LaneState

SHA = "sha256:"


@pytest.fixture
def lane() -> LaneBench:
    """A lane with a camera at the portal and one at the booth."""
    cameras = (Camera("cam1", "portal"), Camera("cam2", "booth"))
    return LaneBench(replace(setup(), cameras=cameras)).started()


def plate(text: str, track: str = "1", picture: str = "", confidence: float = 0.9, *, late: bool = False) -> PlateRead:
    return PlateRead(Identifier(text), confidence, "US-CA", track, picture, late=late)


def to_booth(lane: LaneBench) -> None:
    lane.to_approach()
    lane.to_booth()
    lane.wait(3.0)


def leave(lane: LaneBench) -> None:
    lane.releases()
    lane.leaves()
    lane.gate_goes_down()


def plates(told: PassageAssessed) -> list[str]:
    return [found.text.clear for found in told.plates]


# --- corrections -----------------------------------------------------------------------------------------------------


def test_a_later_read_of_the_same_track_replaces_the_earlier_one(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128", confidence=0.8))
    lane.give("cam1", plate("7ABC123", confidence=0.7))
    to_booth(lane)
    (found,) = lane.assessment.plates
    assert (found.text.clear, found.confidence, found.jurisdiction) == ("7ABC123", 0.7, "US-CA")
    assert [text.clear for text in found.corrected] == ["7ABC128"]
    assert not found.ambiguous


def test_a_correction_is_an_event_of_its_own_that_names_what_it_replaces(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128"))
    lane.give("cam1", plate("7ABC123"))
    lane.give("cam1", plate("7ABC123"))
    told = lane.told(PlateSighted)
    assert [(one.text.clear, one.replaces.clear) for one in told] == [("7ABC128", ""), ("7ABC123", "7ABC128")]
    assert {one.track for one in told} == {"1"}


def test_a_correction_while_the_vehicle_stands_at_the_booth_is_assessed_again(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128"))
    to_booth(lane)
    lane.give("cam1", plate("7ABC123"))
    first, second = lane.told(PassageAssessed)
    assert (plates(first), plates(second)) == (["7ABC128"], ["7ABC123"])
    assert second.revision == first.revision + 1


def test_a_correction_after_the_vehicle_has_left_names_its_passage_and_is_nobody_elses(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128"))
    to_booth(lane)
    leave(lane)
    (closed,) = lane.closed
    lane.give("cam1", plate("7ABC123"))
    last = lane.told(PlateSighted)[-1]
    assert (last.text.clear, last.replaces.clear, last.passage) == ("7ABC123", "7ABC128", closed.passage)
    lane.through_portal()
    to_booth(lane)
    assert plates(lane.assessment) == []
    lane.wait(60.0)
    assert [(one.number.clear, one.late) for one in lane.told(ReadingOrphaned)] == [("7ABC123", True)]


def test_the_same_track_of_another_camera_is_another_car(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    lane.to_approach()
    lane.to_booth()
    lane.give("cam2", plate("4XYZ999"))
    lane.wait(3.0)
    assert sorted(plates(lane.assessment)) == ["4XYZ999", "7ABC123"]
    assert all(not found.corrected for found in lane.assessment.plates)


def test_one_plate_that_two_cameras_read_is_bound_once(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123", confidence=0.6))
    lane.to_approach()
    lane.to_booth()
    lane.give("cam2", plate("7ABC123", track="9", confidence=0.95))
    lane.wait(3.0)
    (found,) = lane.assessment.plates
    assert (found.text.clear, found.confidence) == ("7ABC123", 0.95)


def test_what_is_read_later_from_a_picture_goes_to_the_car_that_was_there_when_it_was_taken(lane: LaneBench) -> None:
    """Reading takes a second or two on a small box: by then another vehicle may stand before the camera."""
    lane.through_portal()
    lane.give("cam1", PictureTaken(f"{SHA}a", "1", "frame"))
    to_booth(lane)
    lane.through_portal()
    lane.give("cam1", PictureTaken(f"{SHA}b", "2", "frame"))
    lane.give("cam1", replace(plate("7ABC123", picture=f"{SHA}a"), afterwards=True))
    lane.give("cam1", PlateUnread("too dark", "2", f"{SHA}b", afterwards=True))
    assert plates(lane.assessment) == ["7ABC123"]
    leave(lane)
    to_booth(lane)
    assert plates(lane.assessment) == []
    assert [found.picture for found in lane.assessment.pictures] == [f"{SHA}b"]


def test_what_is_read_from_pictures_that_nobody_told_of_counts_where_the_car_is_now(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", replace(plate("7ABC123"), afterwards=True))
    to_booth(lane)
    assert plates(lane.assessment) == ["7ABC123"]


def test_when_a_track_has_ended_its_name_may_be_another_cars(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    lane.give("cam1", PlateTrackEnded("1"))
    to_booth(lane)
    lane.through_portal()
    lane.give("cam1", plate("4XYZ999"))
    assert lane.told(PlateSighted)[-1].replaces.clear == ""
    assert plates(lane.assessment) == ["7ABC123"]
    leave(lane)
    to_booth(lane)
    assert plates(lane.assessment) == ["4XYZ999"]


def test_the_end_of_a_track_that_nobody_knows_changes_nothing(lane: LaneBench) -> None:
    before = lane.state.assembly
    lane.give("cam1", PlateTrackEnded("77"))
    lane.give("cam1", PlateTrackEnded(""))
    assert lane.state.assembly == before


def test_what_a_camera_says_besides_the_plate_is_told(lane: LaneBench) -> None:
    candidates = (PlateCandidate(Identifier("7ABC128"), 0.3), PlateCandidate(Identifier("X"), float("nan")))
    lane.give(
        "cam1",
        PlateRead(
            Identifier("7ABC123"),
            0.9,
            "US-CA",
            "1",
            f"{SHA}a",
            Identifier("7 ABC 123"),
            candidates,
            Heading.BACKWARD,
            (1, 2, 30, 10),
            "axis 4",
            1.7e9,
        ),
    )
    (told,) = lane.told(PlateSighted)
    assert told.raw.clear == "7 ABC 123"
    assert [one.text.clear for one in told.candidates] == ["7ABC128"]
    assert (told.heading, told.box, told.engine) == (Heading.BACKWARD, (1, 2, 30, 10), "axis 4")
    assert (told.picture, told.device_utc_s, told.late) == (f"{SHA}a", 1.7e9, False)


# --- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_of_a_track_go_to_the_passage_that_gets_its_plate(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", PictureTaken(f"{SHA}first", "1", "frame"))  # before anything was read
    lane.give("cam1", plate("7ABC123", picture=f"{SHA}read"))
    lane.give("cam1", PictureTaken(f"{SHA}more", "1", "vehicle"))
    lane.give("cam1", PictureTaken(f"{SHA}more", "1", "vehicle"))
    to_booth(lane)
    number = Identifier("7ABC123")
    bound = (
        BoundPicture(f"{SHA}first", "frame", "cam1", number),
        BoundPicture(f"{SHA}read", "", "cam1", number),
        BoundPicture(f"{SHA}more", "vehicle", "cam1", number),
    )
    assert lane.assessment.pictures == bound
    leave(lane)
    assert lane.closed[0].pictures == bound
    told = [(one.picture, one.view, one.zone, one.track) for one in lane.told(VehiclePictured)]
    assert told == [(f"{SHA}first", "frame", "portal", "1"), (f"{SHA}more", "vehicle", "portal", "1")]


def test_pictures_of_the_next_vehicle_are_its_own(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123", picture=f"{SHA}one"))
    to_booth(lane)
    lane.through_portal()
    lane.give("cam1", plate("4XYZ999", "2", f"{SHA}two"))
    leave(lane)
    to_booth(lane)
    assert [one.picture for one in lane.closed[0].pictures] == [f"{SHA}one"]
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}two"]


def test_a_picture_of_a_vehicle_that_has_left_names_its_passage(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    to_booth(lane)
    leave(lane)
    lane.give("cam1", PictureTaken(f"{SHA}last", "1", "frame"))
    assert lane.told(VehiclePictured)[0].passage == lane.closed[0].passage


def test_the_first_picture_of_the_vehicle_at_the_booth_is_told_with_a_new_assessment(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    to_booth(lane)
    for number in range(5):
        lane.give("cam1", PictureTaken(f"{SHA}{number}", "1"))
    assert len(lane.told(PassageAssessed)) == 2
    assert len(lane.assessment.pictures) == 1


def test_pictures_of_one_vehicle_are_bounded(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    for number in range(100):
        lane.give("cam1", PictureTaken(f"{SHA}{number}", "1"))
    to_booth(lane)
    assert len(lane.assessment.pictures) == 8
    assert len(lane.told(VehiclePictured)) == 100


# --- unread ----------------------------------------------------------------------------------------------------------


def test_an_unread_plate_is_told_with_its_picture_which_goes_to_the_vehicle(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", PlateUnread("dirt", "1", f"{SHA}dirt"))
    to_booth(lane)
    (told,) = lane.told(PlateNotRead)
    assert (told.why, told.device, told.zone, told.track, told.picture) == ("dirt", "cam1", "portal", "1", f"{SHA}dirt")
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}dirt"]
    assert lane.assessment.plates == ()
    assert "plate.unread" in {finding.code for finding in lane.assessment.findings}
    leave(lane)
    lane.wait(60.0)
    assert lane.told(ReadingOrphaned) == []


def test_a_plate_that_is_read_in_the_end_is_no_correction_of_nothing(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", PlateUnread("blur", "1", f"{SHA}blur"))
    lane.give("cam1", plate("7ABC123", picture=f"{SHA}sharp"))
    to_booth(lane)
    (found,) = lane.assessment.plates
    assert (found.text.clear, found.corrected) == ("7ABC123", ())
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}blur", f"{SHA}sharp"]


def test_unread_cars_without_a_track_are_not_taken_for_one(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", PlateUnread("dirt", "", f"{SHA}one"))
    to_booth(lane)
    lane.through_portal()
    lane.give("cam1", PlateUnread("dirt", "", f"{SHA}two"))
    assert [one.picture for one in lane.assessment.pictures] == [f"{SHA}one"]
    assert [one.track for one in lane.told(PlateNotRead)] == ["", ""]


# --- late ------------------------------------------------------------------------------------------------------------


def test_a_late_plate_is_told_and_marked_and_never_the_plate_of_the_vehicle_at_the_booth(lane: LaneBench) -> None:
    lane.through_portal()
    to_booth(lane)
    for _ in range(5):
        lane.give("cam2", plate("7ABC123", late=True))
        lane.wait(1.0)
    assert [one.late for one in lane.told(PlateSighted)] == [True, True]
    assert plates(lane.assessment) == []
    leave(lane)
    assert lane.closed[0].plates == ()
    lane.wait(60.0)
    (orphan,) = lane.told(ReadingOrphaned)
    assert (orphan.number.clear, orphan.reads, orphan.late) == ("7ABC123", 5, True)
    assert orphan.why == "the device had held it back"


def test_a_late_plate_does_not_replace_what_was_read_in_time(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC123"))
    lane.give("cam1", plate("7ABC128", late=True))
    to_booth(lane)
    assert plates(lane.assessment) == ["7ABC123"]


def test_late_tags_are_told_and_marked_and_speak_for_nobody(lane: LaneBench) -> None:
    lane.through_portal()
    to_booth(lane)
    read = TagRead(1, Identifier(card(9)), -50.0, reader_utc_s=1.7e9, late=True)
    for _ in range(10):
        lane.give("rfid1", read)
        lane.wait(0.5)
    told = [(one.late, one.device_utc_s) for one in lane.told(TagSighted)]
    assert told == [(True, 1.7e9), (True, 1.7e9)]
    assert lane.assessment.tags == ()
    leave(lane)
    assert lane.closed[0].tags == ()
    lane.wait(60.0)
    (orphan,) = lane.told(ReadingOrphaned)
    assert (orphan.number.clear, orphan.reads, orphan.late, orphan.what) == (card(9), 10, True, "tag")


def test_late_reads_of_a_card_do_not_touch_what_it_says_in_time(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    for _ in range(4):
        lane.read(1)
        lane.give("rfid1", TagRead(1, Identifier(card(1)), -50.0, late=True))
        lane.wait(1.0)
    (tag,) = lane.assessment.tags
    assert (tag.epc.clear, tag.ambiguous) == (card(1), False)
    leave(lane)
    lane.wait(60.0)
    assert [one.reads for one in lane.told(ReadingOrphaned)] == [4]


def test_a_flood_of_late_reads_does_not_push_out_what_is_here(lane: LaneBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    lane.read_for(2, 1)
    for number in range(200):
        lane.give("rfid1", TagRead(1, Identifier(card(1000 + number)), -50.0, late=True))
    lane.read_for(2, 1)
    assert [tag.epc.clear for tag in lane.assessment.tags] == [card(1)]


# --- over a restart --------------------------------------------------------------------------------------------------


def test_tracks_corrections_and_pictures_live_through_a_checkpoint(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128", picture=f"{SHA}one"))
    lane.give("cam1", plate("7ABC123"))
    assert from_json(LaneState, to_json(lane.state)) == lane.state


def test_no_number_shows_in_the_state(lane: LaneBench) -> None:
    lane.through_portal()
    lane.give("cam1", plate("7ABC128"))
    lane.give("cam1", plate("7ABC123"))
    assert "7ABC12" not in repr(lane.state)
    assert "7ABC12" not in repr(lane.told(PlateSighted))
