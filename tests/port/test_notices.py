"""Notices to all lanes of a port: heeded while they hold, from whoever may send them, and never when out of date."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.announcements import OrderRejected
from lanecontrol.clock import Instant
from lanecontrol.commands import Actor, Role
from lanecontrol.events import DivertHeard, Event
from lanecontrol.port.notices import Notices, notice_bytes
from lanecontrol.port.session import heard_by
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Received

ADDRESS = LaneAddress("SYS", "07")
TOPIC = "poe/SYS/notice/divert"
NOW = 1.8e9
CHIEF = Actor("watch commander", Role.SUPERVISOR)


class Desk:
    """A lane's ear, and what came through it."""

    def __init__(self, *, synchronised: bool = True, now_utc_s: float = NOW) -> None:
        self.heard: list[DivertHeard] = []
        self.rejected: list[OrderRejected] = []
        self.instant = Instant(50.0, now_utc_s, synchronised)
        self.notices = Notices(ADDRESS, clock=self, emit=self._emit, rejected=self.rejected.append)

    def now(self) -> Instant:
        return self.instant

    def _emit(self, source: str, event: Event) -> None:
        assert source == "port"
        assert isinstance(event, DivertHeard)
        self.heard.append(event)

    def take(self, body: bytes, *, retained: bool = False, expiry_s: int | None = None) -> Desk:
        self.notices.take(Received(TOPIC, body, 1, retained, False, expiry_s=expiry_s))
        return self


def notice(**changes: Any) -> bytes:
    body = json.loads(
        notice_bytes(
            "n-1",
            "SYS",
            active=True,
            actor=CHIEF,
            issued_utc_s=NOW - 5,
            until_utc_s=NOW + 3600,
            reason="flood",
            to="OTM",
        )
    )
    return json.dumps({**body, **changes}).encode()


def test_every_lane_of_the_port_listens_to_one_topic() -> None:
    assert heard_by(Desk().notices, TOPIC)
    assert not heard_by(Desk().notices, "poe/ELSEWHERE/notice/divert")
    assert LaneAddress("SYS", "07", simulated=True).notice("divert") == f"sim/{TOPIC}"


def test_a_notice_reaches_the_lane_with_its_end() -> None:
    (event,) = Desk().take(notice()).heard
    assert event == DivertHeard("n-1", True, "flood", "OTM", CHIEF, NOW - 5, NOW + 3600)


def test_a_retained_notice_is_heard_by_a_lane_that_was_away_while_it_holds() -> None:
    assert Desk().take(notice(), retained=True).heard
    late = Desk(now_utc_s=NOW + 3601).take(notice(), retained=True)
    assert not late.heard
    assert not late.rejected  # nobody's fault, and the same with every connection


def test_a_notice_for_some_lanes_leaves_the_others_alone() -> None:
    assert Desk().take(notice(lanes=["06", "07"])).heard
    assert not Desk().take(notice(lanes=["06"])).heard


def test_without_a_synchronised_clock_a_retained_notice_needs_the_brokers_word_that_it_holds() -> None:

    def astray() -> Desk:
        return Desk(synchronised=False, now_utc_s=1e9)

    assert not astray().take(notice(), retained=True).heard
    (event,) = astray().take(notice(), retained=True, expiry_s=600).heard
    assert event.until_utc_s == 1e9 + 600
    (event,) = astray().take(notice()).heard
    assert event.until_utc_s == 1e9 + 3605


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"port": "OTM"}, "foreign"),
        ({"by": {"name": "x", "role": "officer"}}, "only a supervisor"),
        ({"by": {"name": "x", "role": "central", "simulated": True}}, "simulated"),
        ({"until": NOW - 10}, "ends after"),
        ({"until": NOW + 90_000}, "a day later"),
        ({"issued": NOW - 100, "until": NOW - 1}, "late"),
        ({"issued": NOW + 500}, "future"),
        ({"active": "perhaps"}, "malformed"),
        ({"more": 1}, "malformed"),
    ],
)
def test_what_is_not_heeded_is_recorded_with_the_reason(changes: dict[str, Any], why: str) -> None:
    desk = Desk().take(notice(**changes))
    assert not desk.heard
    assert why in desk.rejected[0].reason


def test_a_flood_of_bad_notices_does_not_fill_the_record() -> None:
    desk = Desk()
    for _ in range(100):
        desk.take(b"{}")
    assert desk.notices.refused == 100
    assert len(desk.rejected) == 1


def test_a_cleared_topic_says_nothing() -> None:
    desk = Desk().take(b"", retained=True)
    assert not desk.heard
    assert not desk.notices.refused


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(body: bytes) -> None:
    Desk().take(body)


def test_a_notice_without_an_end_in_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="24 hours"):
        notice_bytes("n", "SYS", active=True, actor=CHIEF, issued_utc_s=NOW, until_utc_s=NOW + 90_000)
