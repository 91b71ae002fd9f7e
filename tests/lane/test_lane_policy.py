"""Findings and recommended referrals by lane type; rules as data with a hash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lane_bench import card, setup

from lanecontrol.announcements import (
    BoundOccupancy,
    BoundPlate,
    BoundTag,
    Finding,
    LaneType,
    Quality,
    Referral,
    Severity,
    TagKind,
)
from lanecontrol.identifier import Identifier
from lanecontrol.lane.policy import WEIGHT, Known, findings, referral, rules_hash
from lanecontrol.lane.setup import Camera, LaneSetup, Questions, TagRule

CLEAN = Known(
    tags=(BoundTag(Identifier(card(1)), TagKind.PERSON, 3.0, 4, 0.0, 1.0),),
    plates=(),
    occupancies=(BoundOccupancy("r1", False, False),),
    occupants=None,
    portal_notes=(),
    tids_differ=False,
    quality=Quality.GOOD,
)


def codes(known: Known, lane_setup: LaneSetup | None = None) -> list[str]:
    return [finding.code for finding in findings(lane_setup or setup(), known)]


def persons(*numbers: int) -> tuple[BoundTag, ...]:
    return tuple(BoundTag(Identifier(card(number)), TagKind.PERSON, 3.0, 4, 0.0, 1.0) for number in numbers)


def test_a_clean_car_has_no_findings_and_no_referral() -> None:
    assert findings(setup(), CLEAN) == ()
    assert referral(()) is Referral.NONE


@pytest.mark.parametrize(
    ("changes", "code", "recommended"),
    [
        ({"occupancies": (BoundOccupancy("r1", True, False),)}, "rpm.gamma_alarm", Referral.MANDATORY),
        ({"occupancies": (BoundOccupancy("r1", False, True),)}, "rpm.neutron_alarm", Referral.MANDATORY),
        ({"occupancies": ()}, "rpm.no_measurement", Referral.RECOMMENDED),
        ({"portal_notes": ("rpm.fault",)}, "rpm.fault", Referral.RECOMMENDED),
        ({"portal_notes": ("rpm.alarm_missing",)}, "rpm.alarm_missing", Referral.RECOMMENDED),
        ({"portal_notes": ("rpm.alarm_unconfirmed",)}, "rpm.alarm_unconfirmed", Referral.NONE),
        ({"tags": ()}, "card.missing_for_occupants", Referral.RECOMMENDED),
        ({"occupants": 2}, "card.missing_for_occupants", Referral.RECOMMENDED),
        ({"tids_differ": True}, "card.clone_suspect", Referral.RECOMMENDED),
        ({"quality": Quality.DEGRADED}, "correlation.degraded", Referral.OFFICER_CONFIRMS),
    ],
)
def test_each_rule_gives_its_finding(changes: dict[str, Any], code: str, recommended: Referral) -> None:
    found = findings(setup(), replace(CLEAN, **changes))
    assert [finding.code for finding in found] == [code]
    assert referral(found) is recommended


def test_findings_are_ranked_the_gravest_first() -> None:
    known = replace(CLEAN, occupancies=(BoundOccupancy("r1", True, True, True),), tags=(), quality=Quality.DEGRADED)
    assert codes(known) == [
        "rpm.neutron_alarm",
        "rpm.gamma_alarm",
        "card.missing_for_occupants",
        "passage.ambiguous",
        "correlation.degraded",
    ]


@pytest.mark.parametrize(
    ("lane_type", "occupants", "cards", "missing"),
    [
        (LaneType.SENTRI, 3, 3, False),
        (LaneType.SENTRI, 3, 2, True),
        (LaneType.NEXUS, 2, 1, True),
        (LaneType.READY, 2, 1, True),
        (LaneType.FAST, 3, 1, False),
        (LaneType.FAST, 1, 0, True),
        (LaneType.STANDARD, 4, 0, False),
        (LaneType.COMMERCIAL, 1, 0, False),
        (LaneType.EMPTY, 1, 0, False),
        (LaneType.BUS, 30, 0, False),
    ],
)
def test_who_needs_a_card_depends_on_the_lane(lane_type: LaneType, occupants: int, cards: int, missing: bool) -> None:
    known = replace(CLEAN, occupants=occupants, tags=persons(*range(cards)))
    found = codes(known, setup(lane_type=lane_type))
    assert ("card.missing_for_occupants" in found) is missing


def test_only_persons_cards_count_as_persons() -> None:
    transponder = replace(persons(1)[0], kind=TagKind.VEHICLE)
    assert codes(replace(CLEAN, tags=(transponder,))) == ["card.missing_for_occupants"]
    unknown = replace(persons(2)[0], kind=TagKind.UNKNOWN)
    assert codes(replace(CLEAN, tags=(*persons(1), unknown))) == ["card.unknown_class"]


def test_a_plate_is_missed_only_where_a_camera_is_configured() -> None:
    with_camera = replace(setup(), cameras=(Camera("cam1", "portal"),))
    assert codes(CLEAN, with_camera) == ["plate.unread"]
    plate = BoundPlate(Identifier("7ABC123"), 0.9, 1.0)
    assert codes(replace(CLEAN, plates=(plate,)), with_camera) == []


def test_a_simulators_card_on_a_real_lane_is_a_finding() -> None:
    assert codes(CLEAN, replace(setup(), simulated=False)) == ["card.simulated"]


def test_the_hash_follows_the_rules_and_the_sites_table() -> None:
    one = rules_hash(setup())
    assert one == rules_hash(setup())
    assert one != rules_hash(setup(lane_type=LaneType.READY))
    assert one != rules_hash(replace(setup(), tag_rules=(TagRule("e2", TagKind.PERSON),)))
    assert one != rules_hash(replace(setup(), direction="outbound"))
    assert one != rules_hash(replace(setup(), questions=Questions()))
    named = rules_hash(replace(setup(), rules_hash="0123"))
    assert named != rules_hash(replace(setup(), rules_hash="4567"))


def test_nothing_in_the_rules_admits_anybody() -> None:
    """What recommends nothing only informs: the strongest recommendation of all findings counts."""
    assert all(weight is Severity.INFO for weight, recommended in WEIGHT.values() if recommended is Referral.NONE)
    found = [Finding("a", Severity.INFO, Referral.NONE, ""), Finding("b", Severity.HIGH, Referral.MANDATORY, "")]
    assert referral(tuple(found)) is Referral.MANDATORY
