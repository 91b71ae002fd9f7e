"""Lookouts: known to the officer, binding for the disposition, and noticed by nobody else until then."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_bench import OFFICER, SUPERVISOR, refused
from questions_bench import PLATE, AskingBench, asking, number

from lanecontrol.announcements import (
    TOPIC_CLASS,
    DispositionRecorded,
    LaneType,
    LookoutSettled,
    OrderAnswered,
    PassageAssessed,
    PassageClosed,
    Referral,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Actor, Dispose, Disposition, Role, SetOccupants
from lanecontrol.lane import record
from lanecontrol.lane.effects import Answer, Ask, Drive, Effect, Publish, ShowCards
from lanecontrol.lane.lookouts import NOT_AGAINST, ON_RECORD
from lanecontrol.lane.setup import Questions
from lanecontrol.lane.state import LaneState
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.topics import LaneAddress
from lanecontrol.questions import Hit, Respondent

ARMED = Hit(PLATE, "stolen vehicle", armed=True)


# --- silence ---------------------------------------------------------------------------------------------------------


class Watched(AskingBench):
    """Keeps what a bystander could see, hear, time or read: everything with its moment but the class `lookout`."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(asking(**changes))
        self.seen: list[tuple[float, str]] = []
        self.seq = 0

    def give(self, source: str, event: Any) -> tuple[Effect, ...]:
        at_s = self.now_s
        effects = super().give(source, event)
        self.seen += [(at_s, shown) for effect in effects if (shown := self._as_seen(effect, at_s))]
        return effects

    def _as_seen(self, effect: Effect, at_s: float) -> str:
        match effect:
            case Publish(told):
                self.seq += 1
                if TOPIC_CLASS[type(told)] == "lookout":
                    return ""
                at, lane = Instant(at_s, 1.8e9 + at_s), LaneAddress("SYS", "07", simulated=True)
                return event_bytes(told, epoch=1, seq=self.seq, instant=at, source_lane=lane).decode()
            case Drive() | Ask() | ShowCards():
                return repr(effect)
            case Answer():
                return repr(effect)


STORIES = st.lists(
    st.one_of(
        st.tuples(st.just("car"), st.lists(st.integers(1, 4), max_size=3)),
        st.tuples(st.just("occupants"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0.2, 1.0, 4.0, 30.0])),
        st.tuples(st.just("broker"), st.booleans()),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("snapshot"), st.booleans()),
        st.tuples(st.just("central"), st.booleans()),
    ),
    max_size=8,
)


def play(lane: Watched, story: list[tuple[str, Any]]) -> None:
    """What happens before anybody decides about the vehicle."""
    for what, how in story:
        match what:
            case "car":
                lane.comes(*how)
            case "occupants" if lane.at_booth:
                lane.order(SetOccupants(lane.at_booth, how))
            case "wait":
                lane.wait(how)
            case "broker":
                lane.reach(there=how)
            case "read":
                lane.read_for(2, how)
            case "snapshot":
                lane.silent ^= {Respondent.SNAPSHOT} if how else set()
            case "central":
                lane.silent ^= {Respondent.CENTRAL} if how else set()


def but_for_hits(state: LaneState) -> LaneState:
    """What the lane remembers, and so all that it will do, without what it knows of lookouts."""
    known = tuple(record.replace(dossier, hits=()) for dossier in state.inquiry.dossiers)
    return record.replace(state, inquiry=record.replace(state.inquiry, dossiers=known))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=STORIES, delay_s=st.sampled_from([0.0, 0.3, 1.4, 2.5]), lanes=st.sampled_from(["SENTRI", "FAST"]))
def test_with_and_without_a_hit_everything_that_others_could_notice_is_the_same(
    story: list[tuple[str, Any]], delay_s: float, lanes: str
) -> None:
    seen = []
    for hits in ((), (ARMED, Hit(number(1)), Hit(number(2), "wanted"), Hit(number(4)))):
        lane = Watched(lane_type=LaneType(lanes))
        lane.hits, lane.delay_s = hits, delay_s
        lane.started()
        lane.reach(there=True)
        lane.seen.clear()
        play(lane, [("car", [1, 2]), *story])
        seen.append((lane.seen, but_for_hits(lane.state)))
    without, with_hit = seen
    assert without == with_hit
    assert without[0]


def test_the_comparison_can_fail() -> None:
    """Had the hit been a finding, the assessments would differ; that they are compared is shown by another change."""
    one, other = Watched(), Watched()
    for lane, cards in ((one, (1,)), (other, (2,))):
        lane.started()
        play(lane, [("car", list(cards))])
    assert one.seen != other.seen


def test_a_hit_is_in_no_assessment_and_in_no_record_that_others_read() -> None:
    lane = AskingBench().started()
    lane.hits = (ARMED,)
    lane.comes(1)
    assert lane.dispose(disposition=Disposition.REFER_SECONDARY) == DONE
    lane.gate_goes_up()
    lane.leaves()
    others = [told for told in lane.announcements() if TOPIC_CLASS[type(told)] != "lookout"]
    assert not any("lookout" in repr(told) or "stolen" in repr(told) for told in others)
    assert {type(told) for told in others} >= {PassageAssessed, DispositionRecorded, PassageClosed}


def test_the_officers_view_gets_the_hit_with_the_flag_for_armed() -> None:
    lane = AskingBench().started()
    lane.hits = (ARMED,)
    passage = lane.comes(1)
    (told,) = lane.lookouts[:1]
    assert (told.passage, told.hits, told.referral, told.by) == (passage, (ARMED,), Referral.MANDATORY, "central")


def test_a_vehicle_without_a_hit_is_told_of_just_as_often() -> None:
    counts = []
    for hits in ((), (ARMED,)):
        lane = AskingBench().started()
        lane.hits = hits
        lane.comes(1)
        lane.dispose(disposition=Disposition.REFER_SECONDARY)
        counts.append((len(lane.lookouts), len(lane.told(LookoutSettled))))
    assert counts[0] == counts[1]
    assert counts[0][0] >= 1
    assert counts[0][1] == 1


# --- the disposition -------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted() -> AskingBench:
    """A vehicle with a hit, and nothing else the matter, stands at the booth."""
    lane = AskingBench().started()
    lane.hits = (ARMED,)
    lane.comes(1)
    assert lane.codes == []
    return lane


@pytest.mark.parametrize(
    "disposition",
    [Disposition.RELEASED, Disposition.TURN_BACK, Disposition.LANE_PASS_UNINSPECTED, Disposition.VOID],
)
def test_an_officer_cannot_decide_against_a_lookout_and_is_told_why_in_the_reply_alone(
    wanted: AskingBench, disposition: Disposition
) -> None:
    assert refused(wanted.dispose(disposition=disposition)) == NOT_AGAINST
    recorded = wanted.told(OrderAnswered)[-1]
    assert recorded.reason == ON_RECORD
    assert "lookout" not in recorded.reason
    assert not wanted.green


@pytest.mark.parametrize(
    "disposition",
    [
        Disposition.REFER_SECONDARY,
        Disposition.REFER_SCANNER,
        Disposition.REFER_AGRICULTURE,
        Disposition.DETAINED,
        Disposition.ABSCONDED,
    ],
)
def test_what_does_not_contradict_a_lookout_any_officer_may_decide(
    wanted: AskingBench, disposition: Disposition
) -> None:
    assert wanted.dispose(disposition=disposition) == DONE
    (settled,) = wanted.told(LookoutSettled)
    assert (settled.hits, settled.disposition, settled.actor) == ((ARMED,), disposition, OFFICER)


@pytest.mark.parametrize(("actor", "words"), [(SUPERVISOR, ""), (OFFICER, "I know him"), (SUPERVISOR, "   ")])
def test_a_release_against_a_lookout_needs_a_supervisor_and_a_justification(
    wanted: AskingBench, actor: Actor, words: str
) -> None:
    assert refused(wanted.dispose(actor=actor, justification=words)) == NOT_AGAINST
    assert wanted.dispose(actor=SUPERVISOR, justification="mistaken plate") == DONE


def test_a_lookout_that_comes_after_the_release_withdraws_nothing_and_is_told() -> None:
    lane = AskingBench().started()
    lane.delay_s, lane.hits = 1.0, (ARMED,)
    lane.through_portal()
    lane.to_approach()
    lane.to_booth()
    lane.read_for(2, 1)
    lane.wait(0.3)
    assert lane.dispose() == DONE
    lane.hits = (Hit(number(1), "wanted"),)
    lane.wait(1.0)
    assert lane.green
    assert lane.lookouts[-1].hits == (Hit(number(1), "wanted"),)


def test_a_vehicle_that_leaves_undecided_has_its_lookouts_settled_by_nobody(wanted: AskingBench) -> None:
    wanted.leaves()
    wanted.wait(20.0)
    (settled,) = wanted.told(LookoutSettled)
    assert (settled.hits, settled.disposition, settled.actor) == ((ARMED,), None, None)


def test_hits_on_numbers_that_were_not_asked_about_are_not_believed() -> None:
    lane = AskingBench().started()
    lane.hits, lane.careless = (Hit(number(9)),), True
    lane.comes(1)
    assert lane.lookouts
    assert all(told.hits == () for told in lane.lookouts)


def test_a_lane_that_asks_for_no_lookouts_tells_of_none() -> None:
    lane = AskingBench(replace(asking(), questions=Questions(lookouts=False))).started()
    lane.comes(1)
    lane.dispose(disposition=Disposition.REFER_SECONDARY)
    assert not lane.lookouts
    assert not lane.told(LookoutSettled)


def test_moments_never_run_backwards_in_the_comparison() -> None:
    lane = Watched()
    lane.started()
    play(lane, [("car", [1])])
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(lane.seen))


def test_nobody_but_deciders_learns_of_a_lookout_by_trying(wanted: AskingBench) -> None:
    technician = Actor("tech", Role.TECHNICIAN)
    assert "officer" in refused(wanted.order(Dispose(wanted.at_booth, Disposition.RELEASED), technician))
