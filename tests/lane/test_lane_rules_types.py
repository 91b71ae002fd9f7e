"""The table of lane types: one test a row, inbound and outbound, and what the port's answers come to in each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lane_bench import card, setup

from lanecontrol.announcements import (
    BoundOccupancy,
    BoundPlate,
    BoundTag,
    LaneType,
    Quality,
    Referral,
    Severity,
    TagKind,
)
from lanecontrol.identifier import Identifier
from lanecontrol.lane.policy import Known, findings, referral
from lanecontrol.lane.rules.table import INBOUND, OUTBOUND, LaneRules, Who, rules_of
from lanecontrol.lane.rules.weights import DEGRADED, SILENT, WEIGHT
from lanecontrol.lane.setup import LaneSetup, Questions
from lanecontrol.lane.state import Dossier
from lanecontrol.questions import Cargo, NumberFact, Standing

PLATE, TRAILER, OTHER = Identifier("7ABC123"), Identifier("44XY9Z"), Identifier("QRS9987")
PERSON, VEHICLE = Identifier(card(1)), Identifier("f000000002" + 14 * "0")
GOOD_CARGO = Cargo(manifest=True, seal=True, user_fee=True)

ROWS = [
    (LaneType.SENTRI, LaneRules(Who.EVERYBODY, frozenset({"SENTRI"}), vehicle=True, card_with_plate=True)),
    (LaneType.NEXUS, LaneRules(Who.EVERYBODY, frozenset({"NEXUS", "SENTRI"}))),
    (
        LaneType.FAST,
        LaneRules(
            Who.DRIVER,
            frozenset({"FAST"}),
            transponder=True,
            user_fee=True,
            manifest=True,
            seal=True,
            hazmat=True,
            trailers=True,
        ),
    ),
    (LaneType.READY, LaneRules(Who.ADULTS)),
    (LaneType.STANDARD, LaneRules()),
    (LaneType.COMMERCIAL, LaneRules(hazmat=True, trailers=True)),
    (LaneType.EMPTY, LaneRules(hazmat=True, empty=True, trailers=True)),
    (LaneType.BUS, LaneRules()),
]


@pytest.mark.parametrize(("lane_type", "row"), ROWS, ids=[lane_type.value for lane_type, _ in ROWS])
def test_inbound_each_type_asks_for_what_its_programme_says(lane_type: LaneType, row: LaneRules) -> None:
    assert rules_of(lane_type, "inbound") == row


def test_every_type_has_a_row_both_ways() -> None:
    assert set(INBOUND) == set(OUTBOUND) == set(LaneType) == {lane_type for lane_type, _ in ROWS}


@pytest.mark.parametrize("lane_type", [t for t in LaneType if t not in (LaneType.NEXUS, LaneType.FAST)])
def test_outbound_most_types_ask_for_the_same(lane_type: LaneType) -> None:
    assert rules_of(lane_type, "outbound") == rules_of(lane_type, "inbound")


def test_outbound_nobody_asks_for_papers_of_goods_that_arrive() -> None:
    row = rules_of(LaneType.FAST, "outbound")
    assert (row.manifest, row.seal, row.user_fee) == (False, False, False)
    assert (row.cards, row.transponder, row.hazmat) == (Who.DRIVER, True, True)


def test_a_site_may_name_other_programmes_where_the_type_has_any() -> None:
    assert rules_of(LaneType.NEXUS, "inbound", ("NEXUS",)).programmes == {"NEXUS"}
    assert rules_of(LaneType.STANDARD, "inbound", ("NEXUS",)).programmes == frozenset()


# --- what follows from answers ---------------------------------------------------------------------------------------


def lane_of(lane_type: LaneType, **changes: Any) -> LaneSetup:
    return replace(setup(lane_type=lane_type), questions=Questions(), **changes)


def fact(number: Identifier, *programmes: str, standing: Standing = Standing.VALID) -> NumberFact:
    return NumberFact(number, standing, programmes, (PLATE,) if number != PLATE else ())


def tag(number: Identifier, kind: TagKind) -> BoundTag:
    return BoundTag(number, kind, 3.0, 4, 0.0, 1.0)


def plate(text: Identifier, **changes: Any) -> BoundPlate:
    return replace(BoundPlate(text, 0.9, 2.0), **changes)


def known(programme: str, **changes: Any) -> Known:
    """A vehicle with one person, a transponder, one plate, and nothing the matter."""
    facts = (fact(PERSON, programme), fact(VEHICLE, programme), fact(PLATE, programme))
    whole = Known(
        tags=(tag(PERSON, TagKind.PERSON), tag(VEHICLE, TagKind.VEHICLE)),
        plates=(plate(PLATE),),
        occupancies=(BoundOccupancy("r1", False, False),),
        occupants=1,
        portal_notes=(),
        tids_differ=False,
        quality=Quality.GOOD,
        dossier=Dossier("p", facts=facts, cargo=GOOD_CARGO),
    )
    return replace(whole, **changes)


def told(*facts: NumberFact, cargo: Cargo | None = GOOD_CARGO, **changes: Any) -> Dossier:
    return Dossier("p", facts=facts, cargo=cargo, **changes)


def codes(lane: LaneSetup, what: Known) -> list[str]:
    return [finding.code for finding in findings(lane, what)]


@pytest.mark.parametrize("lane_type", list(LaneType))
def test_whoever_is_enrolled_with_everything_in_order_has_no_findings(lane_type: LaneType) -> None:
    programme = lane_type.value if lane_type in (LaneType.SENTRI, LaneType.NEXUS, LaneType.FAST) else ""
    assert codes(lane_of(lane_type), known(programme, scanned=True)) == []


def test_that_a_truck_is_empty_is_confirmed_by_the_officer_or_a_scan_in_lanes_for_empty_ones_alone() -> None:
    assert codes(lane_of(LaneType.EMPTY), known("")) == ["cargo.empty_unconfirmed"]
    assert referral(findings(lane_of(LaneType.EMPTY), known(""))) is Referral.OFFICER_CONFIRMS
    assert codes(lane_of(LaneType.COMMERCIAL), known("")) == []


@pytest.mark.parametrize(
    ("lane_type", "minors", "missing"),
    [(LaneType.READY, 1, True), (LaneType.READY, 2, False), (LaneType.SENTRI, 2, True)],
)
def test_minors_need_no_card_where_only_adults_do(lane_type: LaneType, minors: int, missing: bool) -> None:
    found = codes(lane_of(lane_type), known(lane_type.value, occupants=3, minors=minors))
    assert ("card.missing_for_occupants" in found) is missing


@pytest.mark.parametrize(
    ("lane_type", "direction", "programme", "allowed"),
    [
        (LaneType.SENTRI, "inbound", "SENTRI", True),
        (LaneType.SENTRI, "inbound", "NEXUS", False),
        (LaneType.NEXUS, "inbound", "NEXUS", True),
        (LaneType.NEXUS, "inbound", "SENTRI", True),
        (LaneType.NEXUS, "outbound", "SENTRI", False),
        (LaneType.NEXUS, "outbound", "NEXUS", True),
        (LaneType.FAST, "inbound", "SENTRI", False),
        (LaneType.READY, "inbound", "", True),
        (LaneType.STANDARD, "inbound", "", True),
        (LaneType.BUS, "inbound", "", True),
    ],
)
def test_sentri_members_may_use_nexus_lanes_into_the_country_and_not_the_reverse(
    lane_type: LaneType, direction: str, programme: str, allowed: bool
) -> None:
    found = codes(lane_of(lane_type, direction=direction), known(programme))
    assert ("enrolment.wrong_programme" not in found) is allowed


@pytest.mark.parametrize("standing", [Standing.EXPIRED, Standing.REVOKED, Standing.NOT_ENROLLED])
def test_one_bad_card_is_not_made_up_for_by_a_good_one(standing: Standing) -> None:
    second = Identifier(card(2))
    what = known("SENTRI", tags=(tag(PERSON, TagKind.PERSON), tag(second, TagKind.PERSON)), occupants=2)
    facts = (fact(PERSON, "SENTRI"), fact(second, standing=standing), fact(PLATE, "SENTRI"))
    assert codes(lane_of(LaneType.SENTRI), replace(what, dossier=told(*facts))) == ["enrolment.person_not_valid"]


def test_a_vehicle_that_is_not_enrolled_is_found_where_it_has_to_be() -> None:
    facts = (fact(PERSON, "SENTRI"), fact(PLATE, standing=Standing.NOT_ENROLLED))
    for lane_type, expected in ((LaneType.SENTRI, True), (LaneType.NEXUS, False)):
        found = codes(lane_of(lane_type), known("", dossier=told(*facts)))
        assert ("enrolment.vehicle_not_valid" in found) is expected


def test_a_vehicle_that_nobody_in_it_is_enrolled_with_is_found_in_sentri_lanes() -> None:
    what = known("SENTRI", plates=(plate(OTHER),), dossier=told(fact(PERSON, "SENTRI"), fact(OTHER, "SENTRI")))
    assert codes(lane_of(LaneType.SENTRI), what) == ["card.plate_mismatch"]
    assert codes(lane_of(LaneType.NEXUS), what) == []


def test_letter_and_digit_count_as_the_same_where_the_site_says_so() -> None:
    read = Identifier("7ABCO23")
    facts = (NumberFact(PERSON, Standing.VALID, ("SENTRI",), (Identifier("7ABC023"),)), fact(read, "SENTRI"))
    what = known("SENTRI", plates=(plate(read),), dossier=told(*facts))
    assert codes(lane_of(LaneType.SENTRI), what) == ["card.plate_mismatch"]
    assert codes(lane_of(LaneType.SENTRI, o_is_zero=True), what) == []


@pytest.mark.parametrize(
    ("cargo", "code"),
    [
        (replace(GOOD_CARGO, manifest=False), "manifest.missing"),
        (replace(GOOD_CARGO, seal=False), "seal.missing"),
        (replace(GOOD_CARGO, user_fee=False), "transponder.user_fee_unpaid"),
        (replace(GOOD_CARGO, hazmat=True), "cargo.hazmat"),
        (replace(GOOD_CARGO, manifest=None), "cargo.unknown"),
    ],
)
def test_what_the_port_knows_of_the_load_is_found_in_fast_lanes(cargo: Cargo, code: str) -> None:
    facts = (fact(PERSON, "FAST"), fact(VEHICLE, "FAST"), fact(PLATE, "FAST"))
    assert codes(lane_of(LaneType.FAST), known("FAST", dossier=told(*facts, cargo=cargo))) == [code]
    in_sentri = codes(lane_of(LaneType.SENTRI), known("SENTRI", dossier=told(cargo=cargo)))
    assert in_sentri == []


def test_a_truck_without_a_transponder_is_found_in_fast_lanes_alone() -> None:
    what = known("FAST", tags=(tag(PERSON, TagKind.PERSON),))
    assert "transponder.missing" in codes(lane_of(LaneType.FAST), what)
    assert "transponder.missing" not in codes(lane_of(LaneType.COMMERCIAL), what)


def test_a_transponder_of_another_truck_is_found() -> None:
    what = known("FAST", plates=(plate(OTHER),), dossier=told(fact(PERSON, "FAST"), fact(VEHICLE, "FAST")))
    assert codes(lane_of(LaneType.FAST), what) == ["transponder.plate_mismatch"]


@pytest.mark.parametrize(
    ("lane_type", "plates", "mismatch"),
    [
        (LaneType.SENTRI, (PLATE, OTHER), True),
        (LaneType.SENTRI, (PLATE, Identifier("7A8C123")), False),  # one plate, a character of it misread
        (LaneType.FAST, (PLATE, TRAILER), False),  # tractor and trailer
        (LaneType.FAST, (PLATE, TRAILER, OTHER), True),
        (LaneType.COMMERCIAL, (PLATE, TRAILER), False),
        (LaneType.EMPTY, (PLATE, TRAILER), False),
        (LaneType.BUS, (PLATE, OTHER), True),
    ],
)
def test_different_plates_front_and_rear_are_legitimate_with_a_trailer(
    lane_type: LaneType, plates: tuple[Identifier, ...], mismatch: bool
) -> None:
    what = known("", plates=tuple(map(plate, plates)), dossier=None)
    assert ("plate.front_rear_mismatch" in codes(lane_of(lane_type), what)) is mismatch


def test_a_plate_that_may_be_another_vehicles_or_was_hardly_read_says_nothing_about_a_mismatch() -> None:
    for doubtful in (plate(OTHER, ambiguous=True), plate(OTHER, confidence=0.4)):
        what = known("", plates=(plate(PLATE), doubtful), dossier=None)
        assert "plate.front_rear_mismatch" not in codes(lane_of(LaneType.SENTRI), what)


@pytest.mark.parametrize(("cards", "found"), [(3, False), (4, True)])
def test_more_cards_than_people_and_two_to_spare_are_a_finding(cards: int, found: bool) -> None:
    tags = tuple(tag(Identifier(card(n)), TagKind.PERSON) for n in range(cards))
    assert ("card.too_many" in codes(lane_of(LaneType.STANDARD), known("", tags=tags, dossier=None))) is found


# --- unknown, by the mode --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degraded", "recommended"), [(False, Referral.OFFICER_CONFIRMS), (True, Referral.RECOMMENDED)]
)
@pytest.mark.parametrize(
    "dossier",
    [
        Dossier("p", unknown=True),
        Dossier("p", unchecked=True),
        told(fact(PERSON, standing=Standing.UNKNOWN), fact(PLATE, "SENTRI")),
    ],
)
def test_what_is_unknown_is_confirmed_by_the_officer_or_in_degraded_mode_referred(
    dossier: Dossier, degraded: bool, recommended: Referral
) -> None:
    found = findings(lane_of(LaneType.SENTRI), known("SENTRI", dossier=dossier, degraded=degraded))
    assert referral(found) is recommended


def test_a_question_under_way_is_no_finding() -> None:
    assert codes(lane_of(LaneType.SENTRI), known("SENTRI", dossier=Dossier("p", rounds=1), degraded=True)) == []


def test_degraded_mode_only_tightens() -> None:
    ranks = list(Referral)
    assert all(ranks.index(DEGRADED[code][1]) > ranks.index(WEIGHT[code][1]) for code in DEGRADED)


def test_a_lookout_is_no_finding_that_anybody_may_see() -> None:
    assert set(SILENT) == {"lookout.hit"}
    assert not set(SILENT) & set(WEIGHT)
    assert SILENT["lookout.hit"] == (Severity.CRITICAL, Referral.MANDATORY)
