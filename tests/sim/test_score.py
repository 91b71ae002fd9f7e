"""The score: each error in a little hand-made history is counted once, in its own place, and nowhere else."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from lanecontrol import forms
from lanecontrol.announcements import (
    TOPIC_CLASS,
    AlarmKind,
    AlarmRaised,
    Announcement,
    BoundOccupancy,
    BoundPlate,
    BoundTag,
    LaneType,
    OccupancyRecorded,
    PassageClosed,
    PassageEnd,
    Quality,
    ReadingOrphaned,
    Referral,
    TagKind,
)
from lanecontrol.clock import Instant
from lanecontrol.identifier import Identifier
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.topics import LaneAddress
from sim.received import Received
from sim.score import Run, rates, score, score_recording
from sim.score_file import Score
from sim.world.truth import Fate, OccupancyTruth, Truth, VehicleTruth

ZERO_UTC_S = 1_700_000_000.0
ADDRESS = LaneAddress("SYS", "07", simulated=True)
RUN = Run(seed=7, utc_at_zero_s=ZERO_UTC_S)


# --- a little history ------------------------------------------------------------------------------------------------


def vehicle(number: int, at_s: float, until_s: float, **changes: Any) -> VehicleTruth:
    """A car that was at the booth from `at_s` to `until_s`, with one card."""
    made = VehicleTruth(
        number=number,
        kind="car",
        length_m=4.5,
        conduct="ordinary",
        plates=("9ABC123",),
        jurisdiction="US-CA",
        persons=1,
        tags=(card(number),),
        cards=1,
        gamma_source=False,
        neutron_source=False,
        entered_s=at_s - 20.0,
        booth_entered_s=at_s,
        booth_left_s=until_s,
        left_s=until_s + 5.0,
        fate=Fate.THROUGH,
        unreleased=False,
    )
    return dataclasses.replace(made, **changes)


def withdrawn(number: int, entered_s: float, left_s: float) -> VehicleTruth:
    return vehicle(
        number,
        0.0,
        0.0,
        entered_s=entered_s,
        left_s=left_s,
        booth_entered_s=None,
        booth_left_s=None,
        fate=Fate.WITHDRAWN,
    )


def card(number: int) -> str:
    return f"f000000001{number:014x}"


def truth(*vehicles: VehicleTruth, occupancies: Iterable[OccupancyTruth] = ()) -> Truth:
    return Truth(7, 1000.0, vehicles, tuple(occupancies), 0)


def occupied(at_s: float, *inside: int, gamma: Iterable[int] = (), neutron: Iterable[int] = ()) -> OccupancyTruth:
    causes, neutron_causes = tuple(gamma), tuple(neutron)
    return OccupancyTruth(at_s, at_s + 5.0, inside, causes, neutron_causes, bool(causes), bool(neutron_causes))


def closed(
    name: str,
    at_s: float | None,
    until_s: float | None,
    *cards: int,
    end: PassageEnd = PassageEnd.COMPLETE,
    ambiguous: bool = False,
    alarms: str = "",
    opened_s: float | None = None,
    closed_s: float | None = None,
) -> PassageClosed:
    """A passage that says it was at the booth then; `alarms` may name gamma and neutron."""
    opened_s = (at_s or 0.0) - 3.0 if opened_s is None else opened_s
    closed_s = (until_s or at_s or 0.0) + 3.0 if closed_s is None else closed_s
    tags = tuple(
        BoundTag(Identifier(card(number)), TagKind.PERSON, 3.0, 5, ZERO_UTC_S, ZERO_UTC_S, ambiguous)
        for number in cards
    )
    return PassageClosed(
        passage=name,
        end=end,
        reason="",
        lane_type=LaneType.SENTRI,
        opened_utc_s=ZERO_UTC_S + opened_s,
        booth_entered_utc_s=None if at_s is None else ZERO_UTC_S + at_s,
        booth_left_utc_s=None if until_s is None else ZERO_UTC_S + until_s,
        closed_utc_s=ZERO_UTC_S + closed_s,
        tags=tags,
        plates=(),
        occupancies=(BoundOccupancy("o1", "gamma" in alarms, "neutron" in alarms),) if alarms else (),
        findings=(),
        referral=Referral.NONE,
        disposition=None,
        occupants=None,
        quality=Quality.GOOD,
        rules_hash="",
    )


def raised(at_s: float, kind: AlarmKind = AlarmKind.GAMMA, occupancy: str = "o1") -> AlarmRaised:
    return AlarmRaised(f"a{at_s}", kind, "rpm1", ZERO_UTC_S + at_s, (), occupancy)


def recorded(name: str) -> OccupancyRecorded:
    return OccupancyRecorded(
        name, "rpm1", 0, 1, (), (), False, 0, None, "", False, 0, False, None, 1, False, False, False, ()
    )


def orphan(number: int, what: str = "tag") -> ReadingOrphaned:
    return ReadingOrphaned(what, Identifier(card(number)), "rfid1", "booth", 3, 0.0, 1.0, False, "")


def published(*announcements: Announcement, address: LaneAddress = ADDRESS, epoch: int = 1) -> list[Received]:
    """As they arrive at a subscriber, through the port's own JSON."""
    return [
        Received(
            address.event(TOPIC_CLASS[type(one)]),
            json.loads(event_bytes(one, epoch=epoch, seq=seq, instant=Instant(0.0, ZERO_UTC_S), source_lane=address)),
        )
        for seq, one in enumerate(announcements, 1)
    ]


def scored(real: Truth, *announcements: Announcement) -> Score:
    return score({ADDRESS.root: real}, published(*announcements), RUN)


def errors(result: Score) -> dict[str, int]:
    """Every error figure that is not 0."""
    passages, readings, alarms, events = result.passages, result.readings, result.alarms, result.events
    figures = {
        "merged": passages.merged,
        "split": passages.split,
        "missed": passages.missed,
        "phantom": passages.phantom,
        "order_errors": passages.order_errors,
        "misassigned": readings.misassigned,
        "orphan": readings.orphan,
        "ambiguous": readings.ambiguous,
        "alarms_missed": alarms.missed,
        "alarms_false": alarms.false,
        "extra_vehicles": alarms.extra_vehicles,
        "lost": events.lost,
        "duplicated": events.duplicated,
        "differing": events.differing,
        "out_of_order": events.out_of_order,
    }
    return {name: value for name, value in figures.items() if value}


TWO = truth(vehicle(1, 10, 20), vehicle(2, 21, 30))


# --- passages --------------------------------------------------------------------------------------------------------


def test_plates_are_bound_misread_or_another_vehicles() -> None:
    def plate(text: str, *, ambiguous: bool = False) -> BoundPlate:
        return BoundPlate(Identifier(text), 0.9, 1.0, "US-CA", ambiguous)

    first = dataclasses.replace(
        closed("07-000001", 10.0, 20.0), plates=(plate("FRONT1"), plate("REAR1"), plate("REAR7"), plate("FRONT2"))
    )
    second = dataclasses.replace(closed("07-000002", 30.0, 40.0), plates=(plate("FRONT2", ambiguous=True),))
    lost = dataclasses.replace(orphan(1, "plate"), number=Identifier("REAR2"))
    real = truth(vehicle(1, 10.0, 20.0, plates=("FRONT1", "REAR1")), vehicle(2, 30.0, 40.0, plates=("FRONT2", "REAR2")))
    plates = scored(real, first, second, lost).plates
    assert (plates.bound, plates.misread, plates.misassigned) == (2, 1, 1)
    assert (plates.ambiguous, plates.orphan) == (1, 1)


def test_a_faultless_run_has_no_errors() -> None:
    result = scored(TWO, closed("p1", 10.2, 20.1, 1), closed("p2", 21.1, 30.2, 2))
    assert errors(result) == {}
    assert (result.vehicles, result.passages.complete, result.readings.bound) == (2, 2, 2)


def test_one_passage_over_two_vehicles_is_merged_once() -> None:
    assert errors(scored(TWO, closed("p1", 10, 30, 1, 2))) == {"merged": 1}


def test_two_passages_for_one_vehicle_are_split_once() -> None:
    result = scored(truth(vehicle(1, 10, 20)), closed("p1", 10, 14, 1), closed("p2", 15, 20))
    assert errors(result) == {"split": 1}


def test_a_vehicle_without_a_passage_is_missed_once() -> None:
    assert errors(scored(TWO, closed("p1", 10, 20, 1))) == {"missed": 1}


def test_a_passage_without_a_vehicle_is_a_phantom() -> None:
    result = scored(TWO, closed("p1", 10, 20, 1), closed("p2", 21, 30, 2), closed("p3", 50, 52))
    assert errors(result) == {"phantom": 1}


def test_a_small_overlap_at_the_edges_is_nobodys_error() -> None:
    close_behind = truth(vehicle(1, 10, 20), vehicle(2, 19.2, 22))
    assert errors(scored(close_behind, closed("p1", 10, 19.6, 1), closed("p2", 19.6, 22.2, 2))) == {}


def test_a_vehicle_that_backed_out_is_withdrawn_and_not_missed() -> None:
    real = truth(withdrawn(1, 0, 15), vehicle(2, 21, 30))
    without = scored(real, closed("p2", 21, 30, 2))
    assert errors(without) == {}
    gone = closed("p1", None, None, 1, end=PassageEnd.WITHDRAWN, opened_s=8, closed_s=14)
    result = scored(real, gone, closed("p2", 21, 30, 2))
    assert errors(result) == {}
    assert (result.passages.withdrawn, result.passages.complete, result.readings.bound) == (1, 1, 2)


def test_a_passage_wrongly_withdrawn_leaves_its_vehicle_missed() -> None:
    gone = closed("p1", None, None, end=PassageEnd.WITHDRAWN, opened_s=8, closed_s=14)
    assert errors(scored(truth(vehicle(1, 10, 20)), gone)) == {"missed": 1}


def test_an_interrupted_passage_and_the_one_after_it_are_no_split() -> None:
    cut = closed("p1", 10, None, 1, end=PassageEnd.INTERRUPTED, closed_s=14)
    result = scored(truth(vehicle(1, 10, 20)), cut, closed("p2", 15, 20))
    assert errors(result) == {}
    assert (result.passages.interrupted, result.passages.complete) == (1, 1)


def test_a_passage_interrupted_before_the_booth_excuses_one_vehicle_and_no_more() -> None:
    cut = closed("p1", None, None, end=PassageEnd.INTERRUPTED, opened_s=5, closed_s=9)
    assert errors(scored(TWO, cut, closed("p2", 21, 30, 2))) == {}
    assert errors(scored(TWO, cut)) == {"missed": 1}


def test_an_unreleased_passage_is_counted_as_such() -> None:
    runner = truth(vehicle(1, 10, 12, unreleased=True))
    alarm = AlarmRaised("a1", AlarmKind.UNRELEASED_DEPARTURE, "io1", ZERO_UTC_S + 12, ("p1",))
    result = scored(runner, alarm, closed("p1", 10, 12, 1, end=PassageEnd.UNRELEASED))
    assert errors(result) == {}
    assert (result.passages.unreleased, result.departures.true, result.departures.raised) == (1, 1, 1)
    assert result.alarms.raised == 0


def test_passages_closed_in_the_wrong_order_are_one_order_error() -> None:
    assert errors(scored(TWO, closed("p2", 21, 30, 2), closed("p1", 10, 20, 1))) == {"order_errors": 1}


def test_a_vehicle_still_in_the_lane_at_the_end_is_not_missed() -> None:
    waiting = vehicle(2, 21, 30, booth_left_s=None, left_s=None, fate=Fate.INSIDE)
    assert errors(scored(truth(vehicle(1, 10, 20), waiting), closed("p1", 10, 20, 1))) == {}


# --- readings --------------------------------------------------------------------------------------------------------


def test_a_card_bound_to_the_wrong_vehicle_is_misassigned_once() -> None:
    result = scored(TWO, closed("p1", 10, 20, 1, 2), closed("p2", 21, 30))
    assert errors(result) == {"misassigned": 1}
    assert result.readings.bound == 1


def test_a_card_of_the_neighbour_lane_bound_to_a_vehicle_is_misassigned() -> None:
    assert errors(scored(TWO, closed("p1", 10, 20, 1, 99), closed("p2", 21, 30, 2))) == {"misassigned": 1}


def test_an_ambiguous_card_counts_as_that_and_nothing_else() -> None:
    result = scored(TWO, closed("p1", 10, 20, 2, ambiguous=True), closed("p2", 21, 30, 2))
    assert errors(result) == {"ambiguous": 1}
    assert result.readings.bound == 1


def test_an_orphan_of_this_lane_is_an_error_and_one_from_next_door_is_right() -> None:
    passages = (closed("p1", 10, 20), closed("p2", 21, 30, 2))
    assert errors(scored(TWO, *passages, orphan(1))) == {"orphan": 1}
    foreign = scored(TWO, *passages, orphan(99))
    assert (errors(foreign), foreign.readings.foreign) == ({}, 1)
    assert errors(scored(TWO, *passages, orphan(1, "plate"))) == {}


# --- alarms ----------------------------------------------------------------------------------------------------------

HOT = truth(vehicle(1, 20, 30, gamma_source=True), vehicle(2, 31, 40), occupancies=[occupied(5, 1, gamma=[1])])
HOT_PASSAGES = (closed("p1", 20, 30, 1, alarms="gamma"), closed("p2", 31, 40, 2))


def test_a_true_alarm_raised_and_attached_is_right() -> None:
    result = scored(HOT, raised(8), *HOT_PASSAGES)
    assert errors(result) == {}
    assert (result.alarms.true, result.alarms.raised) == (1, 1)


def test_an_alarm_that_was_not_raised_is_missed_once() -> None:
    assert errors(scored(HOT, *HOT_PASSAGES)) == {"alarms_missed": 1}


def test_an_alarm_raised_but_on_no_passage_of_its_vehicle_is_missed_once() -> None:
    assert errors(scored(HOT, raised(8), closed("p1", 20, 30, 1), HOT_PASSAGES[1])) == {"alarms_missed": 1}


def test_an_alarm_without_a_cause_is_false() -> None:
    assert errors(scored(HOT, raised(8), raised(60), *HOT_PASSAGES)) == {"alarms_false": 1}


def test_the_same_alarm_raised_twice_is_false_once() -> None:
    assert errors(scored(HOT, raised(8), raised(9), *HOT_PASSAGES)) == {"alarms_false": 1}


def test_an_alarm_of_the_other_kind_is_no_answer_to_this_one() -> None:
    result = scored(HOT, raised(8, AlarmKind.NEUTRON), *HOT_PASSAGES)
    assert errors(result) == {"alarms_missed": 1, "alarms_false": 1}


def test_an_alarm_on_a_second_vehicle_too_is_an_extra_vehicle() -> None:
    both = (closed("p1", 20, 30, 1, alarms="gamma"), closed("p2", 31, 40, 2, alarms="gamma"))
    assert errors(scored(HOT, raised(8), *both)) == {"extra_vehicles": 1}


def test_gamma_and_neutron_in_one_occupancy_are_two_alarms() -> None:
    real = truth(
        vehicle(1, 20, 30, gamma_source=True, neutron_source=True), occupancies=[occupied(5, 1, gamma=[1], neutron=[1])]
    )
    passage = closed("p1", 20, 30, 1, alarms="gamma neutron")
    result = scored(real, raised(8), raised(8.5, AlarmKind.NEUTRON), passage)
    assert (errors(result), result.alarms.true) == ({}, 2)


def test_an_alarm_by_chance_stands_rightly_on_anybody_who_was_inside() -> None:
    real = truth(vehicle(1, 20, 30), vehicle(2, 31, 40), occupancies=[occupied(5, 1, 2, gamma=[1, 2])])
    for carriers in (("gamma", ""), ("", "gamma"), ("gamma", "gamma")):
        passages = [
            closed(f"p{n}", at, at + 9, n, alarms=a) for n, at, a in zip((1, 2), (20, 31), carriers, strict=True)
        ]
        assert errors(scored(real, raised(8), *passages)) == {}


def test_the_alarm_of_a_vehicle_that_turned_away_needs_no_passage() -> None:
    real = truth(dataclasses.replace(withdrawn(1, 0, 15), gamma_source=True), occupancies=[occupied(5, 1, gamma=[1])])
    assert errors(scored(real, raised(8))) == {}


# --- delivery --------------------------------------------------------------------------------------------------------

STREAM = published(closed("p1", 10, 20, 1), closed("p2", 21, 30, 2), recorded("o1"), recorded("o2"))


def delivered(received: list[Received], run: Run = RUN) -> dict[str, int]:
    return errors(score({ADDRESS.root: TWO}, received, run))


def test_a_gap_in_the_numbers_is_a_lost_event() -> None:
    assert delivered([*STREAM[:2], STREAM[3]]) == {"lost": 1}


def test_events_lost_at_the_end_show_by_what_the_ledger_recorded() -> None:
    assert delivered(STREAM, dataclasses.replace(RUN, recorded=6)) == {"lost": 2}
    assert delivered([*STREAM[:2], STREAM[3]], dataclasses.replace(RUN, recorded=4)) == {"lost": 1}


def test_a_new_epoch_starts_its_own_count() -> None:
    assert delivered([*STREAM, *published(recorded("o3"), recorded("o4"), epoch=2)]) == {}


def test_a_second_receipt_is_duplicated_and_scored_once() -> None:
    again = dataclasses.replace(STREAM[0], redelivery=True)
    assert delivered([*STREAM, again]) == {"duplicated": 1}
    assert score({ADDRESS.root: TWO}, [*STREAM, again], RUN).passages.complete == 2


def test_a_duplicate_with_other_content_is_told_apart() -> None:
    other = Received(STREAM[2].topic, {**STREAM[2].event, "time": "1970-01-01T00:00:00Z"})
    assert delivered([*STREAM, other]) == {"duplicated": 1, "differing": 1}


def test_an_event_after_a_later_one_of_its_class_is_out_of_order() -> None:
    assert delivered([STREAM[1], STREAM[0], *STREAM[2:]]) == {"out_of_order": 1}


def test_classes_backlog_and_redeliveries_do_not_count_as_out_of_order() -> None:
    assert delivered([*STREAM[2:], *STREAM[:2]]) == {}
    late, again = dataclasses.replace(STREAM[0], backlog=True), dataclasses.replace(STREAM[0], redelivery=True)
    assert delivered([STREAM[1], late, *STREAM[2:]]) == {}
    assert delivered([STREAM[1], again, *STREAM[2:]]) == {}


def test_latencies_are_nearest_rank_percentiles() -> None:
    run = dataclasses.replace(RUN, decision_ms=[float(n) for n in range(1, 101)], delivery_ms=[5.0])
    result = score({ADDRESS.root: TWO}, STREAM, run)
    assert (result.latency_ms.decision.p50, result.latency_ms.decision.p99) == (50.0, 99.0)
    assert (result.latency_ms.delivery.p50, result.latency_ms.delivery.p99) == (5.0, 5.0)


# --- several lanes, recordings, the file -----------------------------------------------------------------------------


def test_lanes_are_scored_apart_and_added_up() -> None:
    other = LaneAddress("SYS", "08", simulated=True)
    events = [*STREAM, *published(closed("p1", 10, 20, 1), address=other)]
    result = score({ADDRESS.root: TWO, other.root: TWO}, events, RUN)
    assert (result.lanes, result.vehicles, result.passages.complete) == (2, 4, 3)
    assert errors(result) == {"missed": 1}


def test_a_recording_is_scored_by_its_own_occupancies_in_order() -> None:
    flags = [(False, False), (True, False), (True, True)]
    heard = [recorded(f"o{n}") for n in range(3)]
    alarms = [raised(1, occupancy="o1"), raised(2, occupancy="o2"), raised(2, AlarmKind.NEUTRON, "o2")]
    right = score_recording(flags, published(*heard, *alarms), RUN)
    assert errors(right) == {}
    assert (right.alarms.true, right.alarms.raised, right.radiation.occupancies) == (3, 3, 3)
    wrong = score_recording(flags, published(*heard, raised(0, occupancy="o0"), *alarms[1:]), RUN)
    assert errors(wrong) == {"alarms_missed": 1, "alarms_false": 1}


CONTRACT: Mapping[str, Any] = {
    "seed": 7,
    "lanes": 1,
    "vehicles": 50,
    "lane_s": 0.0,
    "wall_s": 0.0,
    "passages": dict.fromkeys(("complete", "interrupted", "withdrawn", "merged", "split", "missed", "order_errors"), 0),
    "readings": dict.fromkeys(("bound", "misassigned", "orphan", "ambiguous"), 0),
    "radiation": {"occupancies": 0},
    "alarms": dict.fromkeys(("true", "raised", "missed", "false", "extra_vehicles"), 0),
    "events": dict.fromkeys(("recorded", "acknowledged", "lost", "duplicated", "out_of_order"), 0),
    "latency_ms": {"decision": {"p50": 0, "p99": 0}, "delivery": {"p50": 0, "p99": 0}},
}


def missing_keys(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str = "") -> list[str]:
    missing = []
    for key, value in wanted.items():
        if key not in found:
            missing.append(path + key)
        elif isinstance(value, Mapping):
            missing += missing_keys(value, found[key], f"{path}{key}.")
    return missing


def test_the_score_file_has_every_key_of_the_contract() -> None:
    file = json.loads(json.dumps(scored(TWO).to_plain()))
    assert missing_keys(CONTRACT, file) == []
    assert all(
        isinstance(value, int)
        for section in ("passages", "readings", "alarms", "events")
        for value in file[section].values()
    )


def test_rates_are_per_thousand_and_percent() -> None:
    result = scored(TWO, closed("p1", 10, 20, 1, 2), orphan(1))
    assert rates(result) == pytest.approx(
        {
            "passage_errors_per_1000_vehicles": 500.0,
            "misassigned_per_1000_readings": 1000 / 3,
            "ambiguous_or_orphan_percent": 100 / 3,
            "extra_alarms_per_1000_vehicles": 0.0,
        }
    )


def test_every_key_of_the_score_file_is_defined_in_its_reference_page(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "reference" / "score.md").read_text(encoding="utf-8")
    for section, value in scored(TWO).to_plain().items():
        if not isinstance(value, dict):
            assert f"`{section}`" in page
        for key in value if isinstance(value, dict) else ():
            assert f"`{section}.{key}`" in page or (f"`{section}." in page and f"`.{key}`" in page), f"{section}.{key}"


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_changes_nothing_but_the_delivery_figures(seed: int) -> None:
    shuffled = published(raised(8), *HOT_PASSAGES)
    random.Random(seed).shuffle(shuffled)
    result = score({ADDRESS.root: HOT}, shuffled, RUN)
    assert set(errors(result)) <= {"out_of_order"}


def test_events_read_back_by_the_announcement_model_mean_the_same() -> None:
    """The score reads plain JSON; this keeps its field names and the announcements' together."""
    event = published(closed("p1", 10, 20, 1, alarms="gamma"))[0].event
    again = forms.from_plain(PassageClosed, event["data"])
    assert again.tags[0].epc.clear == card(1)
    assert again.occupancies[0].gamma_alarm
