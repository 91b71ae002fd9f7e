"""Questions to the port: nothing waits, what is late is unknown, and what is unknown weighs by the mode."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import OFFICER, SUPERVISOR, refused
from questions_bench import PLATE, AskingBench, asking, number

from lanecontrol.announcements import CardSuspected, DegradedChanged, LaneType, ReadingOrphaned, Referral
from lanecontrol.commands import DONE, DrillDegraded, OpenLane, ServeType
from lanecontrol.events import Answered, CardElsewhere, DeviceChanged, DeviceState, Started
from lanecontrol.forms import from_json, to_json
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import ShowCards
from lanecontrol.lane.state import LaneState
from lanecontrol.questions import MAX_ROUNDS, AskKind, Cargo, Enrolments, Hit, NumberFact, Respondent, Standing


@pytest.fixture
def lane() -> AskingBench:
    return AskingBench().started()


def modes(lane: AskingBench) -> list[tuple[bool, bool]]:
    return [(told.active, told.drill) for told in lane.told(DegradedChanged)]


def unknown(lane: AskingBench) -> list[str]:
    """What the port's answers, or their absence, come to."""
    return [finding.code for finding in lane.assessment.findings if finding.source == "port"]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_a_vehicle_is_asked_about_with_all_that_was_read(lane: AskingBench) -> None:
    passage = lane.comes(1, 2)
    kinds = [ask.question.kind for ask in lane.asked]
    assert kinds[:2] == [AskKind.ENROLMENT, AskKind.LOOKOUT]
    last = lane.asked[-1].question
    assert (last.passage, set(last.cards), last.plates) == (passage, {number(1), number(2)}, (PLATE,))


def test_nothing_waits_for_an_answer(lane: AskingBench) -> None:
    lane.delay_s = 1.2
    lane.comes(1)
    first = lane.revisions[0]
    assert first.at_utc_s < lane.asked[0].deadline_utc_s
    assert not [f for f in first.findings if f.source == "port"]


def test_an_answer_that_says_something_new_revises_the_assessment(lane: AskingBench) -> None:
    lane.delay_s = 0.7
    facts = (NumberFact(number(1), Standing.VALID, ("NEXUS",), (PLATE,)), NumberFact(PLATE, Standing.VALID))
    lane.facts = Enrolments(facts)
    lane.comes(1)
    assert lane.codes == ["enrolment.wrong_programme"]
    assert lane.assessment.revision >= 2


def test_the_same_is_not_asked_twice(lane: AskingBench) -> None:
    lane.comes(1)
    before = len(lane.asked)
    lane.read_for(20, 1)
    assert len(lane.asked) == before


def test_a_vehicle_is_asked_about_a_few_times_at_most_and_what_is_left_is_unknown(lane: AskingBench) -> None:
    lane.comes(1)
    for more in range(2, 10):
        assert unknown(lane) == []
        lane.read_for(3, *range(1, more))
    lane.read_for(3, *range(1, 12))
    assert len([a for a in lane.asked if a.question.kind is AskKind.LOOKOUT]) == MAX_ROUNDS
    assert unknown(lane) == ["enrolment.unknown", "lookout.unchecked"]


def test_of_a_number_that_an_answer_leaves_out_nothing_is_known(lane: AskingBench) -> None:
    lane.facts = Enrolments()
    lane.comes(1)
    assert lane.codes == ["enrolment.unknown"]


def test_of_a_number_of_which_two_things_are_said_nothing_is_known(lane: AskingBench) -> None:
    good, bad = NumberFact(number(1), Standing.VALID, ("SENTRI",), (PLATE,)), NumberFact(number(1), Standing.REVOKED)
    lane.facts = Enrolments((bad, good, NumberFact(PLATE, Standing.VALID)))
    lane.comes(1)
    assert lane.codes == ["enrolment.unknown"]


def test_a_vehicle_that_the_port_does_not_know_is_unknown_where_it_has_to_be_enrolled(lane: AskingBench) -> None:
    lane.facts = Enrolments((NumberFact(number(1), Standing.VALID, ("SENTRI",), (PLATE,)),))
    lane.comes(1)
    assert lane.codes == ["enrolment.unknown"]


@pytest.mark.parametrize("degraded", [False, True])
def test_a_vehicle_of_which_nothing_was_read_is_unknown(degraded: bool) -> None:
    lane = AskingBench(replace(asking(LaneType.STANDARD), cameras=())).started()
    lane.reach(there=not degraded)
    lane.wait(4.0)
    lane.arrives()
    assert lane.asked == []
    assert lane.codes == ["lookout.unchecked"]
    assert lane.assessment.referral is (Referral.RECOMMENDED if degraded else Referral.OFFICER_CONFIRMS)


def test_a_vehicle_that_turns_away_before_the_booth_is_not_unknown(lane: AskingBench) -> None:
    lane.through_portal()
    lane.to_approach()
    lane.loop("approach", False)
    lane.wait(20.0)
    assert not {"enrolment.unknown", "lookout.unchecked"} & {finding.code for finding in lane.closed[-1].findings}


def test_a_lane_that_asks_nothing_asks_nothing() -> None:
    lane = AskingBench(replace(asking(), questions=None)).started()
    lane.comes(1)
    assert lane.asked == []


def test_a_lane_whose_type_needs_no_enrolment_asks_for_lookouts_alone() -> None:
    lane = AskingBench(asking(LaneType.STANDARD)).started()
    lane.comes(1)
    assert {ask.question.kind for ask in lane.asked} == {AskKind.LOOKOUT}


# --- no answer -------------------------------------------------------------------------------------------------------


def test_without_an_answer_by_the_deadline_it_is_unknown_and_the_officer_confirms(lane: AskingBench) -> None:
    lane.silent = {Respondent.CENTRAL, Respondent.SNAPSHOT}
    lane.comes(1)
    assert {"enrolment.unknown", "lookout.unchecked"} <= set(lane.codes)
    assert lane.assessment.referral is Referral.OFFICER_CONFIRMS


def test_the_snapshot_is_asked_when_central_is_silent(lane: AskingBench) -> None:
    lane.silent = {Respondent.CENTRAL}
    lane.comes(1)
    assert Respondent.SNAPSHOT in {ask.of for ask in lane.asked}
    assert lane.codes == []
    assert lane.lookouts[-1].by == "snapshot"


def test_an_answer_to_no_question_and_a_late_one_are_nothing(lane: AskingBench) -> None:
    lane.delay_s = 5.0
    lane.comes(1)
    before = lane.state.inquiry.dossiers
    lane.wait(10.0)
    lane.give("port", Answered("07-q999999", Respondent.CENTRAL, Enrolments()))
    assert [d.facts for d in lane.state.inquiry.dossiers] == [d.facts for d in before] == [()]


def test_an_answer_of_another_kind_leaves_the_question_open(lane: AskingBench) -> None:
    lane.delay_s = 60.0
    lane.comes(1)
    lane.wait(0.0)
    asked = [a for a in lane.state.inquiry.asked if a.of is Respondent.CENTRAL]
    for one in asked:
        other = Enrolments() if one.question.kind is AskKind.LOOKOUT else lane.answer_to(lane.asked[1].question)
        lane.give("port", Answered(one.question.id, Respondent.CENTRAL, other))
    assert [a for a in lane.state.inquiry.asked if a.of is Respondent.CENTRAL] == asked


# --- central and snapshot say different things -----------------------------------------------------------------------


def then_silent(lane: AskingBench) -> None:
    """Central has answered; about what is read now it is silent, and the snapshot speaks."""
    lane.silent = {Respondent.CENTRAL}
    lane.read_for(4, 1, 2)
    assert lane.asked[-1].of is Respondent.SNAPSHOT


def test_the_snapshot_does_not_make_good_what_central_has_called_bad(lane: AskingBench) -> None:
    lane.facts = Enrolments((NumberFact(number(1), Standing.REVOKED), NumberFact(PLATE, Standing.VALID)))
    lane.comes(1)
    lane.facts = None
    then_silent(lane)
    assert "enrolment.person_not_valid" in lane.codes


def test_the_snapshot_knows_no_cargo_and_takes_none_back() -> None:
    lane = AskingBench(asking(LaneType.COMMERCIAL)).started()
    lane.facts = Enrolments((), Cargo(hazmat=True))
    lane.comes(1)
    lane.facts = Enrolments()
    then_silent(lane)
    assert lane.codes == ["cargo.hazmat"]


def test_a_second_answer_without_cargo_leaves_it_as_it_was() -> None:
    lane = AskingBench(asking(LaneType.COMMERCIAL)).started()
    lane.facts = Enrolments((), Cargo(manifest=False, hazmat=True))
    lane.comes(1)
    lane.facts = Enrolments()
    lane.read_for(4, 1, 2)
    assert lane.state.inquiry.dossiers[0].cargo == Cargo(manifest=False, hazmat=True)


def test_the_snapshot_takes_no_hit_back_and_central_may(lane: AskingBench) -> None:
    lane.hits = (Hit(PLATE, "stolen"),)
    lane.comes(1)
    lane.hits = (Hit(number(2), "wanted"),)
    then_silent(lane)
    assert {hit.number for hit in lane.lookouts[-1].hits} == {PLATE, number(2)}
    lane.silent = {Respondent.SNAPSHOT}
    lane.hits = ()
    lane.read_for(4, 1, 2, 3)
    assert lane.lookouts[-1].hits == ()


# --- degraded mode ---------------------------------------------------------------------------------------------------


def test_degraded_mode_begins_seconds_after_central_is_lost_and_ends_when_it_is_back(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.reach(there=False)
    lane.wait(2.9)
    assert modes(lane) == []
    lane.wait(0.2)
    assert modes(lane) == [(True, False)]
    lane.reach(there=True)
    assert modes(lane) == [(True, False), (False, False)]


def test_a_short_loss_of_central_degrades_nothing(lane: AskingBench) -> None:
    lane.reach(there=False)
    lane.wait(1.0)
    lane.reach(there=True)
    lane.wait(10.0)
    assert modes(lane) == []


def test_in_degraded_mode_what_is_unknown_is_referred(lane: AskingBench) -> None:
    lane.reach(there=False)
    lane.wait(4.0)
    lane.comes(1)
    assert lane.assessment.referral is Referral.RECOMMENDED
    assert all(ask.of is Respondent.SNAPSHOT for ask in lane.asked)


def test_in_degraded_mode_what_the_snapshot_knows_is_good(lane: AskingBench) -> None:
    lane.reach(there=False)
    lane.wait(4.0)
    lane.silent = set()
    lane.comes(1)
    assert lane.assessment.referral is Referral.NONE


def test_central_that_answers_nothing_is_lost_too_and_its_next_answer_brings_it_back(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.silent = {Respondent.CENTRAL, Respondent.SNAPSHOT}
    lane.comes(1)
    lane.read_for(4, 1, 2)
    assert modes(lane) == [(True, False)]
    lane.silent = {Respondent.SNAPSHOT}
    lane.read_for(4, 1, 2, 3)
    assert modes(lane) == [(True, False), (False, False)]


# --- drill -----------------------------------------------------------------------------------------------------------


def test_a_drill_is_for_supervisors_and_ends_by_itself(lane: AskingBench) -> None:
    lane.reach(there=True)
    assert "supervisor or central" in refused(lane.order(DrillDegraded(60.0), OFFICER))
    assert "hours" in refused(lane.order(DrillDegraded(1e6), SUPERVISOR))
    assert lane.order(DrillDegraded(60.0, "monthly"), SUPERVISOR) == DONE
    lane.wait(59.0)
    assert modes(lane) == [(True, True)]
    lane.wait(2.0)
    assert modes(lane) == [(True, True), (False, False)]


def test_a_drill_can_be_ended_early_and_only_if_there_is_one(lane: AskingBench) -> None:
    lane.reach(there=True)
    assert "no drill" in refused(lane.order(DrillDegraded(0.0), SUPERVISOR))
    lane.order(DrillDegraded(60.0), SUPERVISOR)
    assert lane.order(DrillDegraded(0.0), SUPERVISOR) == DONE
    assert modes(lane) == [(True, True), (False, False)]


def test_a_drill_hides_no_lookout(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.order(DrillDegraded(600.0), SUPERVISOR)
    lane.comes(1)
    asked = {(ask.question.kind, ask.of) for ask in lane.asked}
    assert (AskKind.LOOKOUT, Respondent.CENTRAL) in asked
    assert (AskKind.ENROLMENT, Respondent.CENTRAL) not in asked


def test_central_that_is_really_lost_during_a_drill_keeps_the_mode(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.order(DrillDegraded(60.0), SUPERVISOR)
    lane.reach(there=False)
    lane.wait(2.9)
    assert modes(lane) == [(True, True)]
    lane.wait(0.2)
    assert modes(lane) == [(True, True), (True, False)]  # it is told that this is no drill any more
    lane.wait(70.0)
    assert modes(lane) == [(True, True), (True, False)]
    lane.reach(there=True)
    assert modes(lane)[2:] == [(False, False)]


def test_central_that_goes_just_before_a_drill_ends_keeps_the_mode(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.order(DrillDegraded(60.0), SUPERVISOR)
    lane.wait(59.0)
    lane.reach(there=False)
    lane.wait(2.0)
    assert lane.state.inquiry.degraded == "central is away"


def test_a_lane_in_degraded_mode_is_not_drilled(lane: AskingBench) -> None:
    lane.reach(there=False)
    lane.wait(4.0)
    assert "no drill" in refused(lane.order(DrillDegraded(60.0), SUPERVISOR))
    lane.reach(there=True)
    assert modes(lane) == [(True, False), (False, False)]


def test_a_lane_asks_as_what_it_serves() -> None:
    lane = AskingBench(replace(asking(), other_types=(LaneType.FAST,), opens_at_start=False)).started()
    lane.order(ServeType("FAST"), SUPERVISOR)
    lane.order(OpenLane())
    lane.comes(1)
    assert {ask.question.lane_type for ask in lane.asked} == {"FAST"}
    assert "transponder.missing" in {found.code for found in lane.assessment.findings}


def test_a_lane_that_asks_nothing_degrades_too() -> None:
    lane = AskingBench(replace(AskingBench().setup, questions=None)).started()
    lane.reach(there=False)
    lane.wait(3.1)
    assert modes(lane) == [(True, False)]


def test_a_drill_goes_on_over_a_restart_and_ends_in_time(lane: AskingBench) -> None:
    lane.reach(there=True)
    lane.order(DrillDegraded(60.0), SUPERVISOR)
    lane.wait(10.0)
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.started(cold=False)
    assert lane.state.inquiry.degraded == "drill"
    lane.wait(60.0)
    assert modes(lane) == [(True, True), (False, False)]


# --- the lane's own state --------------------------------------------------------------------------------------------


def test_what_is_asked_survives_a_checkpoint_and_is_asked_again_after_a_restart(lane: AskingBench) -> None:
    lane.delay_s = 60.0
    lane.comes(1)
    assert from_json(LaneState, to_json(lane.state)) == lane.state
    before = len(lane.asked)
    lane.give("lane", Started(False, "boot-1"))
    assert lane.state.inquiry.asked == ()
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    lane.loop("booth", True)
    lane.read_for(4, 1)
    assert len(lane.asked) > before


def test_nothing_is_kept_of_a_passage_that_has_closed(lane: AskingBench) -> None:
    lane.comes(1)
    lane.releases()
    lane.leaves()
    lane.wait(10.0)
    assert not lane.state.inquiry.dossiers
    assert not lane.state.inquiry.asked
    assert lane.state.inquiry.wake_s is None


# --- cards in other lanes --------------------------------------------------------------------------------------------


def test_the_other_lanes_are_shown_the_cards_of_persons(lane: AskingBench) -> None:
    passage = lane.comes(1)
    shown = [effect for effect in lane.effects if isinstance(effect, ShowCards)]
    assert shown[-1].passage == passage
    assert [card for card, _ in shown[-1].cards] == [number(1)]


def test_a_card_in_a_far_lane_within_a_minute_may_be_a_copy(lane: AskingBench) -> None:
    passage = lane.comes(1)
    lane.give("neighbours", CardElsewhere(number(1), "12", 3.0, 20.0))
    assert lane.codes == ["card.clone_suspect"]
    (told,) = lane.told(CardSuspected)
    assert (told.passage, told.lane, told.kept) == (passage, "12", True)


@pytest.mark.parametrize("apart_s", [60.1, -1.0, float("nan")])
def test_a_card_in_a_far_lane_at_another_time_is_nothing(lane: AskingBench, apart_s: float) -> None:
    lane.comes(1)
    lane.give("neighbours", CardElsewhere(number(1), "12", 3.0, apart_s))
    assert lane.codes == []


@pytest.mark.parametrize(("theirs", "kept"), [(500.0, False), (0.1, True)])
def test_between_lanes_side_by_side_the_better_score_wins(theirs: float, kept: bool) -> None:
    lane = AskingBench(asking(adjacent=("06", "08"))).started()
    passage = lane.comes(1, 2)
    lane.give("neighbours", CardElsewhere(number(2), "08", theirs, 1.0))
    assert (number(2) in {tag.epc for tag in lane.assessment.tags}) is kept
    (told,) = lane.told(CardSuspected)
    assert (told.passage, told.kept) == (passage, kept)
    lane.dispose()
    lane.gate_goes_up()
    lane.leaves()
    assert (number(2) in {tag.epc for tag in lane.closed[-1].tags}) is kept
    assert "card.clone_suspect" not in {finding.code for finding in lane.closed[-1].findings}


def test_a_card_that_is_read_again_and_again_while_no_vehicle_is_there_is_told(lane: AskingBench) -> None:
    lane.read_for(4, 7)
    lane.wait(60.0)
    (told,) = lane.told(CardSuspected)
    assert (told.epc, told.passage, told.why) == (number(7), "", "read while no vehicle was there")


def test_a_card_that_is_read_now_and_then_while_another_vehicle_stands_there_is_no_suspect(lane: AskingBench) -> None:
    lane.comes(1)
    for _ in range(4):
        lane.read(7, -60.0)
        lane.wait(8.0)
    lane.dispose()
    lane.gate_goes_up()
    lane.leaves()
    lane.wait(130.0)
    (told,) = lane.told(ReadingOrphaned)
    assert told.number == number(7)
    assert lane.told(CardSuspected) == []


def test_a_card_that_passes_by_once_is_no_suspect(lane: AskingBench) -> None:
    lane.read_for(1, 7)
    lane.wait(60.0)
    assert lane.told(CardSuspected) == []


def test_a_card_that_no_vehicle_here_has_is_nobodys(lane: AskingBench) -> None:
    lane.comes(1)
    lane.give("neighbours", CardElsewhere(Identifier("f0"), "12", 3.0, 2.0))
    assert lane.told(CardSuspected) == []


def test_hazardous_cargo_is_told_and_released_by_nobody() -> None:
    lane = AskingBench(asking(LaneType.COMMERCIAL)).started()
    lane.facts = Enrolments((), Cargo(hazmat=True))
    lane.comes(1)
    assert lane.codes == ["cargo.hazmat"]
    assert lane.assessment.referral is Referral.OFFICER_CONFIRMS
