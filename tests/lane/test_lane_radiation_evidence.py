"""What the lane works out from a portal's counts by itself, and what becomes of it: evidence and findings, no alarm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import BACKGROUND, LaneBench, setup

from lanecontrol.announcements import AlarmRaised, Finding, OccupancyRecorded, PassageAssessed, Referral
from lanecontrol.events import (
    GammaBackground,
    GammaCounts,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalSetup,
    PortalSpeed,
)
from lanecontrol.lane.setup import Zone
from lanecontrol.radiation_statistics import limits

QUIET = (76, 76, 85, 73)
"""A fifth of a second of the background."""


def measured(
    lane: LaneBench, counts: tuple[int, ...], *, alarm: bool = False, intervals: int = 12
) -> OccupancyRecorded:
    """A vehicle goes through the portal with these counts."""
    for _ in range(intervals):
        lane.give("rpm1", GammaCounts(counts, alarm))
        lane.wait(0.2)
    lane.give("rpm1", OccupancyEnded(1))
    return lane.told(OccupancyRecorded)[-1]


def findings(lane: LaneBench) -> dict[str, Finding]:
    """Those at the booth."""
    lane.to_approach()
    lane.to_booth()
    lane.read_for(4, 1)
    return {finding.code: finding for finding in lane.told(PassageAssessed)[-1].findings}


def test_counts_that_should_have_been_an_alarm_are_a_finding_with_the_portal_as_its_source(lane: LaneBench) -> None:
    record = measured(lane, (170, 180, 190, 160))
    assert record.gamma_disagreements == 8
    assert not record.gamma_alarm
    finding = findings(lane)["rpm.alarm_missing"]
    assert (finding.source, finding.referral) == ("portal", Referral.RECOMMENDED)
    assert lane.told(AlarmRaised) == []


def test_an_alarm_that_the_counts_do_not_show_is_told_as_that_and_stays_mandatory(lane: LaneBench) -> None:
    measured(lane, QUIET, alarm=True)
    found = findings(lane)
    assert found["rpm.alarm_unconfirmed"].referral is Referral.NONE
    assert found["rpm.gamma_alarm"].referral is Referral.MANDATORY


def test_where_both_agree_nothing_is_said(lane: LaneBench) -> None:
    measured(lane, QUIET)
    assert not findings(lane)


@pytest.mark.parametrize(
    ("mask", "horizontal", "group"),
    [
        ("1000", ((0, 2), (1, 3)), "SUM"),
        ("0010", ((0, 2), (1, 3)), "VERTICAL_1"),
        ("0100", ((0, 2), (1, 3)), "HORIZONTAL_2"),
        ("0100", ((0, 1), (2, 3)), "HORIZONTAL_1"),
        ("0001", ((0, 2), (1, 3)), "SINGLE_2"),
    ],
)
def test_our_decision_goes_by_the_groups_that_the_portal_and_the_site_name(
    mask: str, horizontal: tuple[tuple[int, int], tuple[int, int]], group: str
) -> None:
    site = setup()
    lane = LaneBench(replace(site, portals=(replace(site.portals[0], horizontal=horizontal),))).started()
    lane.give("rpm1", PortalSetup("SG2", ("1111", "0.068", "5.065", "03", mask, "A")))
    record = measured(lane, (76, 140, 85, 73))
    assert record.gamma_max_group == group
    assert record.gamma_max_sigma is not None
    assert record.gamma_max_sigma > 4.0


def test_neutrons_are_tested_second_by_second_and_what_the_portal_leaves_out_is_a_finding(lane: LaneBench) -> None:
    for _ in range(3):
        lane.give("rpm1", NeutronCounts((30, 0, 28, 0), False))
        lane.wait(1.0)
    lane.give("rpm1", OccupancyEnded(1))
    record = lane.told(OccupancyRecorded)[-1]
    assert record.neutron_max_score is not None
    assert record.neutron_max_score > record.neutron_score_limit == pytest.approx(limits()[0], abs=1e-4)
    assert "rpm.alarm_missing" in findings(lane)


def test_how_much_background_the_vehicle_kept_off_and_its_speed_are_recorded(lane: LaneBench) -> None:
    lane.give("rpm1", PortalSpeed(2.5))
    record = measured(lane, (38, 38, 43, 37))
    assert record.speed_mps == 2.5
    assert record.gamma_suppression == pytest.approx(0.5, abs=0.01)


def test_an_alarm_with_another_vehicle_within_three_metres_of_the_portal_says_so() -> None:
    zones = (Zone("portal", 8, 10), Zone("approach", 12, 14), Zone("booth", 25, 29), Zone("exit", 33, 35))
    lane = LaneBench(replace(setup(), zones=zones)).started()
    measured(lane, QUIET)
    lane.loop("approach", True)
    lane.wait(3.0)
    record = measured(lane, (170, 180, 190, 160), alarm=True)
    assert record.crowded
    notes = [note for passage in lane.state.tracking.passages for note in passage.portal_notes]
    assert "rpm.buffer_zone_occupied" in notes


def test_occupancies_that_run_into_one_another_use_the_background_from_before_the_first(lane: LaneBench) -> None:
    lane.give("rpm1", GammaBackground(BACKGROUND))
    first = measured(lane, QUIET)
    second = measured(lane, (170, 180, 190, 160))
    assert second.gamma_background_cps == first.gamma_background_cps == BACKGROUND
    assert second.occupancy != first.occupancy
    assert second.gamma_max_sigma is not None


def test_no_background_gives_no_figures_and_no_finding_of_ours() -> None:
    lane = LaneBench(setup())
    lane.started()
    fresh = replace(lane.state.radiation[0].background, gamma_cps=(), gamma_s=None)
    lane.state = replace(lane.state, radiation=(replace(lane.state.radiation[0], background=fresh),))
    record = measured(lane, (170, 180, 190, 160))
    assert record.gamma_max_sigma is None
    assert record.background_stale


def test_the_exact_neutron_background_is_not_replaced_by_the_truncated_line_behind_it(lane: LaneBench) -> None:
    lane.give("rpm1", NeutronBackground((3.99, 0.0, 2.69, 0.0), exact=True))
    lane.wait(0.1)
    lane.give("rpm1", NeutronBackground((3.0, 0.0, 2.0, 0.0)))
    assert lane.state.radiation[0].background.neutron_cps == (3.99, 0.0, 2.69, 0.0)
