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
from lanecontrol.commands import (
    DONE,
    Actor,
    Dispose,
    Disposition,
    DrillDegraded,
    NextVehicle,
    Outcome,
    Result,
    Role,
    SetOccupants,
)
from lanecontrol.events import DeviceChanged, DeviceState, PictureTaken, StoreChanged, Tick
from lanecontrol.lane import record
from lanecontrol.lane.effects import Answer, Ask, Drive, Effect, Publish, ShowCards
from lanecontrol.lane.lookouts import NOT_AGAINST
from lanecontrol.lane.setup import BoothButton, Questions
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.topics import LaneAddress
from lanecontrol.questions import AskKind, Hit, Question, Respondent

ARMED = Hit(PLATE, "stolen vehicle", armed=True)


# --- silence ---------------------------------------------------------------------------------------------------------


class Watched(AskingBench):
    """Keeps what a bystander could see, hear, time or read: everything with its moment but the class `lookout`.

    What a lane answers to a disposition that it refuses because of a lookout is for the officer alone.
    """

    def __init__(self, **changes: Any) -> None:
        super().__init__(asking(**changes))
        self.seen: list[tuple[float, str]] = []
        self.seq = 0
        self.numbered = True
        self.lookout_delay_s: float | None = None
        self.refused_for_hits: list[int] = []
        self.skips: frozenset[int] = frozenset()
        """Dispositions that nobody gives this time, by their number."""
        self.dispositions = 0

    def delay_of(self, question: Question) -> float:
        late = self.lookout_delay_s if question.kind is AskKind.LOOKOUT else None
        return self.delay_s if late is None else late

    def give(self, source: str, event: Any) -> tuple[Effect, ...]:
        at_s, before = self.now_s, len(self.seen)
        effects = super().give(source, event)
        now = [(at_s, shown) for effect in effects if (shown := self._as_seen(effect, at_s))]
        self.seen[before:before] = now  # answers that came at once were given within
        return effects

    def _as_seen(self, effect: Effect, at_s: float) -> str:
        match effect:
            case Publish(told):
                self.seq += self.numbered
                if TOPIC_CLASS[type(told)] == "lookout":
                    return ""
                at, lane = Instant(at_s, 1.8e9 + at_s), LaneAddress("SYS", "07", simulated=True)
                return event_bytes(told, epoch=1, seq=self.seq, instant=at, source_lane=lane).decode()
            case Answer(_, Outcome(reason=reason)) if reason == NOT_AGAINST:
                return ""
            case Drive() | Ask() | ShowCards() | Answer():
                return repr(effect)

    def decides(self, disposition: Disposition, actor: Actor, words: str) -> None:
        """The officer gives an order, unless it is one that is left out."""
        self.dispositions += 1
        if self.dispositions in self.skips:
            self.give("lane", Tick())
            self._orders += 1  # the bench names orders by their number
            return
        key = f"disposition-{self.dispositions}"
        outcome = self.order(Dispose(self.at_booth, disposition, justification=words), actor, key=key)
        if outcome.reason == NOT_AGAINST:
            self.refused_for_hits.append(self.dispositions)

    def timers(self) -> float | None:
        return deadline(self.state)


STORIES = st.lists(
    st.one_of(
        st.tuples(st.just("car"), st.lists(st.integers(1, 4), max_size=3)),
        st.tuples(st.just("occupants"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0.2, 1.0, 4.0, 30.0])),
        st.tuples(st.just("broker"), st.booleans()),
        st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("snapshot"), st.booleans()),
        st.tuples(st.just("central"), st.booleans()),
        st.tuples(st.just("drill"), st.sampled_from([0.0, 20.0])),
        st.tuples(st.just("picture"), st.integers(1, 3)),
        st.tuples(
            st.just("decides"),
            st.tuples(
                st.sampled_from([Disposition.RELEASED, Disposition.REFER_SECONDARY, Disposition.VOID]),
                st.sampled_from([OFFICER, SUPERVISOR]),
                st.sampled_from(["", "because"]),
            ),
        ),
        st.tuples(st.just("leaves"), st.none()),
        st.tuples(st.just("restart"), st.booleans()),
        st.tuples(st.just("next"), st.none()),
        st.tuples(st.just("lost"), st.none()),
    ),
    max_size=8,
)


def play(lane: Watched, story: list[tuple[str, Any]]) -> None:
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
            case "drill":
                lane.order(DrillDegraded(how), SUPERVISOR)
            case "picture":
                lane.give("lpr1", PictureTaken(f"sha256:{how}", f"t{how}", "front"))
            case "decides" if lane.at_booth:
                lane.decides(*how)
            case "leaves":
                lane.leaves()
            case "next":
                lane.order(NextVehicle())
            case "lost":
                lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "cable"))
                lane.wait(70.0)
                lane.give("io1", DeviceChanged(DeviceState.ONLINE, "cable"))
                for name in ("approach", "booth", "exit"):
                    lane.loop(name, name == "booth")
            case "restart":
                lane.started(cold=how, boot="boot-2")


def but_for_hits(state: LaneState) -> LaneState:
    """What the lane remembers, and so all that it will do, without what it knows of lookouts."""
    known = tuple(record.replace(dossier, hits=(), refused=()) for dossier in state.inquiry.dossiers)
    unsettled = tuple(record.replace(row, hits=()) for row in state.desk.unsettled)
    desk = record.replace(state.desk, keys=(), unsettled=unsettled)
    return record.replace(state, desk=desk, inquiry=record.replace(state.inquiry, dossiers=known))


def told(
    story: list[tuple[str, Any]], lane_type: LaneType, hits: tuple[Hit, ...], *, delay_s: float = 0.0, **more: Any
) -> Watched:
    lane = Watched(lane_type=lane_type)
    lane.hits, lane.delay_s = hits, delay_s
    for name, value in more.items():
        setattr(lane, name, value)
    lane.started()
    lane.reach(there=True)
    lane.seen.clear()
    play(lane, [("car", [1, 2]), *story])
    return lane


HITS = (ARMED, Hit(number(1)), Hit(number(2), "wanted"), Hit(number(4)))
LANES = st.sampled_from([LaneType.SENTRI, LaneType.FAST, LaneType.STANDARD])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=STORIES, delay_s=st.sampled_from([0.0, 0.3, 1.4, 2.5]), lane_type=LANES)
def test_with_and_without_a_hit_everything_that_others_could_notice_is_the_same(
    story: list[tuple[str, Any]], delay_s: float, lane_type: LaneType
) -> None:
    """A disposition that is refused because of a hit looks as if nobody had given it."""
    hit = told(story, lane_type, HITS, delay_s=delay_s)
    without = told(story, lane_type, (), delay_s=delay_s, skips=frozenset(hit.refused_for_hits))
    assert hit.seen == without.seen
    assert hit.outputs == without.outputs
    assert hit.timers() == without.timers()
    assert but_for_hits(hit.state) == but_for_hits(without.state)
    assert hit.seen


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    story=STORIES.filter(lambda story: not {"central", "broker", "drill", "snapshot"} & {what for what, _ in story}),
    later_s=st.sampled_from([0.1, 0.7, 1.4]),
    lane_type=LANES,
)
def test_when_the_answer_about_lookouts_comes_shows_in_nothing_but_the_numbers_of_events(
    story: list[tuple[str, Any]], later_s: float, lane_type: LaneType
) -> None:
    """Central may take longer for a hit. What was published meanwhile has another number; nothing else differs."""
    skips = frozenset(told(story, lane_type, HITS, delay_s=0.3, lookout_delay_s=later_s).refused_for_hits)
    soon = told(story, lane_type, (), delay_s=0.3, numbered=False, skips=skips)
    late = told(story, lane_type, HITS, delay_s=0.3, lookout_delay_s=later_s, numbered=False)
    assert late.seen == soon.seen


def test_the_comparison_can_fail() -> None:
    """Had the hit been a finding, the assessments would differ; that they are compared is shown by another change."""
    one, other = Watched(), Watched()
    for lane, cards in ((one, (1,)), (other, (2,))):
        lane.started()
        play(lane, [("car", list(cards))])
    assert one.seen != other.seen


def test_the_stories_come_to_refusals_because_of_hits() -> None:
    story = [("decides", (Disposition.RELEASED, OFFICER, "")), ("decides", (Disposition.VOID, SUPERVISOR, ""))]
    assert told(story, LaneType.SENTRI, HITS).refused_for_hits == [1, 2]


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
    before = len(list(wanted.announcements()))
    assert refused(wanted.dispose(disposition=disposition)) == NOT_AGAINST
    assert len(list(wanted.announcements())) == before
    assert not wanted.green


def test_what_was_tried_against_a_lookout_is_told_when_it_is_settled(wanted: AskingBench) -> None:
    wanted.dispose(justification="I know him")
    wanted.wait(3.0)
    wanted.dispose(disposition=Disposition.DETAINED)
    (settled,) = wanted.told(LookoutSettled)
    (tried,) = settled.refused
    assert (tried.disposition, tried.actor, tried.justification) == (Disposition.RELEASED, OFFICER, "I know him")
    assert settled.at_utc_s - tried.at_utc_s == 3.0
    assert [answered.result for answered in wanted.told(OrderAnswered)] == [Result.DONE]


def test_a_release_that_the_gate_forbids_is_refused_for_that_with_and_without_a_hit(wanted: AskingBench) -> None:
    wanted.give("lane", StoreChanged(False, "full"))
    assert "store" in refused(wanted.dispose())
    assert "store" in wanted.told(OrderAnswered)[-1].reason


def test_the_booths_button_against_a_lookout_does_nothing_that_others_could_notice() -> None:
    lane = AskingBench(replace(asking(), booth_button=BoothButton("io1", "button", "officer-12"))).started()
    lane.hits = (ARMED,)
    lane.comes(1)
    before = len(list(lane.announcements()))
    lane.contact("button", True)
    lane.contact("button", False)
    assert len(list(lane.announcements())) == before
    assert not lane.green
    lane.dispose(disposition=Disposition.DETAINED)
    assert len(lane.told(LookoutSettled)[0].refused) == 1


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
