"""From a portal's counts to occupancies, evidence and alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lane_bench import BACKGROUND, SUPERVISOR, LaneBench, refused, setup

from lanecontrol.announcements import (
    AlarmAcknowledged,
    AlarmEnded,
    AlarmKind,
    AlarmRaised,
    EquipmentFault,
    OccupancyRecorded,
    Referral,
)
from lanecontrol.commands import DONE, Acknowledge, Actor, Disposition, Role
from lanecontrol.events import (
    DeviceChanged,
    DeviceState,
    GammaBackground,
    GammaCounts,
    Level,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
)
from lanecontrol.lane.setup import Portal


def occupancy(lane: LaneBench) -> OccupancyRecorded:
    return lane.told(OccupancyRecorded)[-1]


def test_an_occupancy_carries_the_background_from_before_and_what_was_counted(lane: LaneBench) -> None:
    lane.give("rpm1", PortalSpeed(2.2))
    lane.through_portal()
    record = occupancy(lane)
    assert record.gamma_background_cps == BACKGROUND
    assert record.neutron_background_cps == (4.0, 0.0, 2.7, 0.0)
    assert record.gamma_max_counts == 310
    assert record.neutron_max_counts == 7
    assert record.intervals == 15
    assert record.speed_mps == 2.2
    assert (record.gamma_alarm, record.neutron_alarm, record.incomplete) == (False, False, False)
    assert record.passages == ("07-000001",)


@pytest.mark.parametrize(
    ("background", "window", "sigma", "group"),
    [
        ((380, 383, 403, 361), (481, 386, 525, 318), 4.6831, "SUM"),
        ((375, 379, 417, 368), (424, 441, 470, 356), 4.0424, "VERTICAL_1"),
    ],
)
def test_sigma_follows_the_recorded_vectors(
    lane: LaneBench, background: tuple[int, ...], window: tuple[int, ...], sigma: float, group: str
) -> None:
    lane.give("rpm1", GammaBackground(background))
    for part in range(5):
        counts = tuple(total // 5 + (1 if part < total % 5 else 0) for total in window)
        lane.give("rpm1", GammaCounts(counts, part == 4))
    lane.give("rpm1", OccupancyEnded(1))
    assert occupancy(lane).gamma_max_sigma == pytest.approx(sigma, abs=1e-4)
    assert occupancy(lane).gamma_max_group == group


def test_a_further_portal_at_the_exit_measures_the_vehicle_that_is_there_and_brings_no_new_one() -> None:
    lane = LaneBench(setup(portals=(Portal("rpm1", "portal"), Portal("rpm2", "exit")))).started()
    lane.give("rpm2", DeviceChanged(DeviceState.ONLINE, "connected"))
    lane.arrives(1)
    lane.releases()
    lane.wait(1.0)
    lane.loop("exit", True)
    lane.wait(0.3)
    lane.give("rpm2", GammaCounts((900, 900, 900, 900), True))
    assert [alarm.passages for alarm in lane.told(AlarmRaised)] == [("07-000001",)]
    lane.give("rpm2", OccupancyEnded(1))
    assert (occupancy(lane).portal, occupancy(lane).passages) == ("rpm2", ("07-000001",))
    lane.loop("booth", False)
    lane.loop("exit", False)
    lane.wait(5.0)
    (closed,) = lane.closed
    assert [row.gamma_alarm for row in closed.occupancies] == [False, True]


def test_no_sigma_is_worked_out_before_a_full_window(lane: LaneBench) -> None:
    for _ in range(4):
        lane.give("rpm1", GammaCounts((900, 900, 900, 900), False))
    lane.give("rpm1", OccupancyEnded(1))
    assert occupancy(lane).gamma_max_sigma is None


def test_the_controllers_decision_is_the_alarm_whatever_our_figures_say(lane: LaneBench) -> None:
    lane.give("rpm1", GammaCounts((10, 10, 10, 10), True))
    (alarm,) = lane.told(AlarmRaised)
    assert (alarm.kind, alarm.passages) == (AlarmKind.GAMMA, ("07-000001",))
    lane.give("rpm1", OccupancyEnded(1))
    assert occupancy(lane).gamma_alarm


def test_high_counts_without_the_controllers_alarm_are_evidence_and_no_alarm(lane: LaneBench) -> None:
    for _ in range(8):
        lane.give("rpm1", GammaCounts((300, 300, 300, 300), False))
    lane.give("rpm1", OccupancyEnded(1))
    assert (occupancy(lane).gamma_max_sigma or 0) > 50
    assert lane.told(AlarmRaised) == []


def test_an_alarm_is_raised_once_per_occupancy_and_kind(lane: LaneBench) -> None:
    lane.through_portal(gamma=True, neutron=True)
    assert [alarm.kind for alarm in lane.told(AlarmRaised)] == [AlarmKind.GAMMA, AlarmKind.NEUTRON]


def test_an_alarm_makes_the_referral_mandatory_at_the_booth(lane: LaneBench) -> None:
    lane.arrives(1, neutron=True)
    assert lane.assessment.referral is Referral.MANDATORY
    assert lane.assessment.findings[0].code == "rpm.neutron_alarm"


def test_a_portal_that_falls_silent_while_occupied_closes_the_occupancy_and_keeps_its_alarm(lane: LaneBench) -> None:
    lane.give("rpm1", GammaCounts((170, 170, 170, 170), True))
    lane.wait(9.9)
    assert lane.told(OccupancyRecorded) == []
    lane.wait(0.2)
    assert occupancy(lane).incomplete and occupancy(lane).gamma_alarm


def test_an_old_background_is_told_as_stale_and_used_again(lane: LaneBench) -> None:
    lane.through_portal()
    assert not occupancy(lane).background_stale
    lane.wait(11.0)
    lane.through_portal()
    assert occupancy(lane).background_stale
    assert occupancy(lane).gamma_background_cps == BACKGROUND


def test_background_faults_and_tamper_are_findings(lane: LaneBench) -> None:
    lane.give("rpm1", GammaBackground(BACKGROUND, Level.HIGH))
    lane.give("rpm1", PortalTamper(True))
    lane.arrives(1)
    assert occupancy(lane).background_fault and occupancy(lane).tamper
    assert "rpm.fault" in {finding.code for finding in lane.assessment.findings}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (GammaBackground((9000, 9000, 9000, 9000), Level.HIGH), "gamma_background_high"),
        (GammaBackground((1, 1, 1, 1), Level.LOW), "gamma_background_low"),
        (NeutronBackground((90.0, 0.0, 90.0, 0.0), Level.HIGH, exact=True), "neutron_background_high"),
    ],
)
def test_a_background_outside_its_limits_is_a_fault_though_nobody_is_there(
    lane: LaneBench, event: GammaBackground | NeutronBackground, code: str
) -> None:
    for background in (event, event, replace(event, level=Level.NORMAL)):
        lane.give("rpm1", background)
    told = [(fault.equipment, fault.code, fault.active) for fault in lane.told(EquipmentFault)]
    assert told == [("rpm1", code, True), ("rpm1", code, False)]


def test_a_portal_that_is_opened_is_an_alarm_whose_row_stays_until_it_is_closed(lane: LaneBench) -> None:
    lane.give("rpm1", PortalTamper(True))
    lane.give("rpm1", PortalTamper(True))
    (raised,) = lane.told(AlarmRaised)
    assert raised.kind is AlarmKind.PORTAL_TAMPER
    lane.order(Acknowledge(raised.alarm))
    lane.wait(100.0)
    assert lane.told(AlarmEnded) == []
    lane.give("rpm1", PortalTamper(False))
    assert [ended.alarm for ended in lane.told(AlarmEnded)] == [raised.alarm]


def test_a_background_that_lands_between_a_speed_line_and_the_first_count_is_used(lane: LaneBench) -> None:
    lane.give("rpm1", PortalSpeed(2.0))
    lane.give("rpm1", GammaBackground((1, 2, 3, 4)))
    lane.give("rpm1", NeutronCounts((4, 0, 3, 0), False))
    lane.give("rpm1", OccupancyEnded(1))
    assert occupancy(lane).gamma_background_cps == (1, 2, 3, 4)


def test_an_end_without_a_beginning_says_nothing(lane: LaneBench) -> None:
    lane.give("rpm1", OccupancyEnded(None))
    assert lane.told(OccupancyRecorded) == []


def test_a_neutron_line_right_behind_the_end_begins_nothing_but_its_alarm_counts(lane: LaneBench) -> None:
    lane.through_portal()
    lane.wait(0.1)
    lane.give("rpm1", NeutronCounts((4, 0, 3, 0), False))
    assert len(lane.told(OccupancyRecorded)) == 1
    assert lane.state.radiation[0].occupancy is None
    lane.give("rpm1", NeutronCounts((40, 0, 30, 0), True))
    assert lane.told(AlarmRaised)[0].passages == ("07-000001",)


def test_the_portals_own_setup_overrides_the_lane_file(lane: LaneBench) -> None:
    lane.give("rpm1", PortalSetup("SG1", ("003000", "000100", "10", "15", "07.5", "P")))
    portal = lane.state.radiation[0]
    assert (portal.intervals, portal.n_sigma) == (10, 7.5)
    assert portal.hold_in_s == pytest.approx(3.0)
    lane.give("rpm1", PortalSetup("SG1", ("x", "y", "nan", "-1", "inf", "P")))
    assert lane.state.radiation[0].intervals == 10


def test_an_acknowledged_alarm_stays_until_the_state_behind_it_is_normal(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    (alarm,) = lane.told(AlarmRaised)
    assert lane.order(Acknowledge(alarm.alarm)) == DONE
    assert lane.told(AlarmAcknowledged)[0].actor.name == "officer-12"
    assert lane.told(AlarmEnded) == []
    lane.dispose(disposition=Disposition.REFER_SECONDARY)
    assert [ended.alarm for ended in lane.told(AlarmEnded)] == [alarm.alarm]


def test_a_disposition_answers_for_the_alarm_as_well(lane: LaneBench) -> None:
    lane.arrives(1, gamma=True)
    lane.dispose(disposition=Disposition.REFER_SECONDARY)
    assert len(lane.told(AlarmEnded)) == 1
    assert lane.told(AlarmAcknowledged) == []


def test_the_alarm_of_a_car_that_backed_out_waits_for_an_acknowledgement(lane: LaneBench) -> None:
    lane.through_portal(gamma=True)
    lane.to_approach()
    lane.loop("approach", False)
    lane.wait(5.0)
    assert len(lane.closed) == 1
    assert lane.told(AlarmEnded) == []
    (alarm,) = lane.told(AlarmRaised)
    assert "officer" in refused(lane.order(Acknowledge(alarm.alarm), Actor("tech", Role.TECHNICIAN)))
    assert lane.order(Acknowledge(alarm.alarm), SUPERVISOR) == DONE
    assert len(lane.told(AlarmEnded)) == 1


def test_a_portal_beside_the_booth_measures_whoever_stands_there() -> None:
    lane = LaneBench(setup(portals=(Portal("rpm1", "booth"),))).started()
    lane.to_approach()
    lane.to_booth()
    lane.through_portal(gamma=True)
    lane.wait(3.0)
    assert lane.assessment.passage == "07-000001"
    assert lane.assessment.occupancies[0].gamma_alarm


def test_a_silent_portal_is_noticed_also_where_nobody_was_seen() -> None:
    lane = LaneBench(setup(portals=(Portal("rpm1", "booth"),))).started()
    lane.give("rpm1", GammaCounts((80, 80, 80, 80), False))
    lane.wait(10.1)
    assert occupancy(lane).incomplete
    assert occupancy(lane).passages == ()


def test_recorded_lines_give_the_occupancies_and_alarms_of_the_recording(shared_data: Path) -> None:
    for name, alarms in (("eyamamoto_S2-C0-NONE.csv", 0), ("eyamamoto_S2-C3-NORM2.csv", 25)):
        lane = LaneBench().started()
        for at_s, event in recorded(shared_data / "rpm" / name):
            lane.wait(max(0.0, 200.0 + at_s - lane.now_s))
            lane.give("rpm1", event)
        assert len(lane.told(OccupancyRecorded)) == 25
        assert sum(record.gamma_alarm for record in lane.told(OccupancyRecorded)) == alarms
        assert len(lane.told(AlarmRaised)) == alarms


def recorded(
    path: Path,
) -> Iterator[tuple[float, GammaCounts | NeutronCounts | GammaBackground | NeutronBackground | OccupancyEnded]]:
    """The lines of a recording that count, with seconds since its beginning."""
    first_s: float | None = None
    for line in path.read_text().splitlines():
        tag, *rest = line.split(",")
        if tag not in ("GB", "GS", "GA", "NB", "NS", "NA", "GX"):
            continue
        hours, minutes, seconds = rest[-1].split()[1].split(":")
        at_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        first_s = at_s if first_s is None else first_s
        numbers = tuple(int(field) for field in rest[:4])
        match tag:
            case "GB":
                yield at_s - first_s, GammaBackground(numbers)
            case "NB":
                yield at_s - first_s, NeutronBackground(tuple(float(number) for number in numbers))
            case "GS" | "GA":
                yield at_s - first_s, GammaCounts(numbers, tag == "GA")
            case "NS" | "NA":
                yield at_s - first_s, NeutronCounts(numbers, tag == "NA")
            case _:
                yield at_s - first_s, OccupancyEnded(numbers[0])


def test_behind_a_dead_exit_loop_the_further_portal_measures_whoever_has_left_the_booth() -> None:
    lane = LaneBench(setup(portals=(Portal("rpm1", "portal"), Portal("rpm2", "exit")))).started()
    leader = lane.arrives(1)
    lane.through_portal()
    lane.to_approach()
    lane.releases()
    lane.wait(1.0)
    lane.loop("booth", False)
    lane.wait(0.5)
    lane.give("rpm2", GammaCounts((900, 900, 900, 900), True))
    assert [alarm.passages for alarm in lane.told(AlarmRaised)] == [(leader,)]


def test_a_portal_that_sees_a_vehicle_before_its_loop_measures_the_next_one() -> None:
    lane = LaneBench(setup(portals=(Portal("rpm1", "portal"), Portal("rpm2", "booth")))).started()
    lane.through_portal()
    lane.to_approach()
    lane.wait(0.5)
    lane.give("rpm2", GammaCounts((900, 900, 900, 900), True))
    assert [alarm.passages for alarm in lane.told(AlarmRaised)] == [("07-000001",)]
