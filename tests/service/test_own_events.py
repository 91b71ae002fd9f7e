"""What the daemon says of its own work, in the log and to the lane."""

from __future__ import annotations

from structlog import get_logger
from structlog.testing import capture_logs

from lanecontrol.announcements import Announcement
from lanecontrol.clock import LoopClock
from lanecontrol.events import CentralChanged, DeviceFault, Event
from lanecontrol.own_events import OwnEvents


class Told:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.port: list[Announcement] = []
        self.own = OwnEvents(get_logger(), LoopClock(), self.port.append, lambda _, event: self.events.append(event))


def test_the_log_says_that_the_broker_is_lost_and_that_it_is_back() -> None:
    told = Told()
    changes = [CentralChanged(True, "connected to mqtt://b:1"), CentralChanged(False, "mqtt://b:1: read: closed")]
    with capture_logs() as log:
        for change in (*changes, changes[0]):
            told.own.from_port("port", change)
    assert [(line["event"], line["log_level"], line["reason"]) for line in log] == [
        ("broker reached", "info", "connected to mqtt://b:1"),
        ("broker unreachable", "warning", "mqtt://b:1: read: closed"),
        ("broker reached", "info", "connected to mqtt://b:1"),
    ]
    assert told.events == [*changes, changes[0]]


def test_the_log_says_in_words_that_pictures_are_not_kept_and_that_they_are_again() -> None:
    told = Told()
    with capture_logs() as log:
        for why in ("", "No space left on device", ""):
            told.own.picture_trouble("not_kept", why)
    assert [line["event"] for line in log] == ["pictures are not kept", "pictures are kept again"]
    assert [(fault.code, fault.active) for fault in told.events if isinstance(fault, DeviceFault)] == [
        ("pictures_not_kept", False),
        ("pictures_not_kept", True),
        ("pictures_not_kept", False),
    ]


def test_the_log_says_that_the_flight_recorder_records_again() -> None:
    told = Told()
    with capture_logs() as log:
        told.own.recorder_trouble("recording failed: No space left on device")
        told.own.recorder_trouble("")
    assert [(line["log_level"], line["reason"]) for line in log] == [
        ("error", "recording failed: No space left on device"),
        ("info", "recording again"),
    ]
