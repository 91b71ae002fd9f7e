"""Manual overrides: who may set them, how loud they are, what they do and what not, and that every one of them ends."""

from __future__ import annotations

import math

import pytest
from equipped_bench import EquippedLane, equipped
from lane_bench import OFFICER, SUPERVISOR, LaneBench, refused

from lanecontrol.announcements import (
    AlarmKind,
    DispositionRecorded,
    OverridePhase,
    OverrideTold,
    PassageEnd,
    Quality,
    QualityChanged,
)
from lanecontrol.commands import (
    DONE,
    Actor,
    DeclareEmergency,
    Disposition,
    EndOverride,
    NextVehicle,
    Outcome,
    Override,
    OverridePart,
    ResetLane,
    Result,
    Role,
    WriteOutputs,
)
from lanecontrol.events import CommandEnded, DeviceChanged, DeviceState, Started, StoreChanged
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import still_granted

TECHNICIAN = Actor("technician-1", Role.TECHNICIAN)
CENTRAL = Actor("port", Role.CENTRAL)
PARTS = tuple(part for part in OverridePart if part is not OverridePart.YELLOW_X)  # that is for maintenance


@pytest.fixture
def lane() -> EquippedLane:
    return EquippedLane().started()


def override(part: OverridePart, for_s: float = 1200.0, reason: str = "a good reason") -> Override:
    return Override(part, reason, for_s, "exit" if part is OverridePart.LOOP_OUT else "")


def told(lane: LaneBench) -> list[tuple[OverridePart, OverridePhase]]:
    return [(row.part, row.phase) for row in lane.told(OverrideTold)]


def stands(lane: LaneBench) -> set[OverridePart]:
    return {row.part for row in lane.state.equipment.overrides if row.ended_s is None}


# --- who may, and with what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "actor", "may"),
    [
        (OverridePart.GATE_OPEN, SUPERVISOR, True),
        (OverridePart.GATE_OPEN, OFFICER, False),
        (OverridePart.GATE_OPEN, TECHNICIAN, False),
        (OverridePart.GATE_OPEN, CENTRAL, False),
        (OverridePart.GATE_HELD, TECHNICIAN, True),
        (OverridePart.GATE_HELD, OFFICER, False),
        (OverridePart.LOOP_OUT, TECHNICIAN, True),
        (OverridePart.LOOP_OUT, OFFICER, False),
        (OverridePart.SIGNAL_RED, OFFICER, True),
        (OverridePart.SIGNAL_RED, CENTRAL, True),
    ],
)
def test_who_may_set_what(lane: EquippedLane, part: OverridePart, actor: Actor, may: bool) -> None:
    outcome = lane.order(override(part), actor)
    assert (outcome == DONE) is may
    assert bool(stands(lane)) is may


def test_in_an_emergency_an_officer_may_open_the_gate_and_it_stays_red(lane: EquippedLane) -> None:
    lane.order(DeclareEmergency("smoke"))
    assert lane.order(override(OverridePart.GATE_OPEN), OFFICER) == DONE
    assert lane.gate and lane.red and not lane.green
    assert "only officer or supervisor" in refused(lane.order(override(OverridePart.GATE_OPEN), TECHNICIAN))


@pytest.mark.parametrize("for_s", [0.0, -5.0, math.nan, math.inf, 28_801.0])
def test_an_override_has_to_end(lane: EquippedLane, for_s: float) -> None:
    assert "has to end" in refused(lane.order(override(OverridePart.SIGNAL_RED, for_s), SUPERVISOR))


def test_an_override_needs_a_reason_and_a_part_that_is_there(lane: EquippedLane) -> None:
    assert "reason" in refused(lane.order(override(OverridePart.SIGNAL_RED, reason="  x "), SUPERVISOR))
    assert "no loop" in refused(lane.order(Override(OverridePart.LOOP_OUT, "stuck", 60.0, "nowhere"), SUPERVISOR))
    assert "without a name" in refused(lane.order(Override(OverridePart.GATE_HELD, "work", 60.0, "exit"), SUPERVISOR))
    bare = LaneBench(equipped(gate=None)).started()
    assert "has none" in refused(bare.order(override(OverridePart.GATE_OPEN), SUPERVISOR))
    assert "no such override" in refused(lane.order(EndOverride(OverridePart.GATE_OPEN), SUPERVISOR))


def test_nobody_opens_a_gate_that_somebody_works_on(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.GATE_HELD), TECHNICIAN)
    assert "works on the gate" in refused(lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR))
    lane.order(EndOverride(OverridePart.GATE_HELD), TECHNICIAN)
    lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR)
    assert "life safety" in refused(lane.order(override(OverridePart.GATE_HELD), TECHNICIAN))


def test_a_gate_is_not_opened_by_a_module_that_is_away_nor_without_a_record(lane: EquippedLane) -> None:
    lane.give("lane", StoreChanged(False, "disk full"))
    assert "store" in refused(lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR))
    lane.give("lane", StoreChanged(True, ""))
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    assert "not online" in refused(lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR))


# --- loud ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_every_override_is_told_when_set_again_and_again_and_when_it_ends_by_itself(
    lane: EquippedLane, part: OverridePart
) -> None:
    assert lane.order(override(part, 1500.0), SUPERVISOR) == DONE
    assert lane.beacon
    lane.wait(1501.0)
    phases = [OverridePhase.SET, OverridePhase.STANDS, OverridePhase.STANDS, OverridePhase.ENDED]
    assert told(lane) == [(part, phase) for phase in phases]
    left_s = [row.left_s for row in lane.told(OverrideTold)]
    assert left_s == sorted(left_s, reverse=True) and left_s[-1] == 0.0
    assert {row.reason for row in lane.told(OverrideTold)} == {"a good reason"}
    assert not stands(lane)


def test_an_override_is_ended_by_hand_before_its_time(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.SIGNAL_RED), OFFICER)
    assert "only" in refused(lane.order(EndOverride(OverridePart.SIGNAL_RED), CENTRAL))
    assert lane.order(EndOverride(OverridePart.SIGNAL_RED), OFFICER) == DONE
    assert lane.told(OverrideTold)[-1].why == "ended by officer"
    assert not lane.beacon


def test_a_second_order_replaces_the_first(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.SIGNAL_RED, 60.0), OFFICER)
    lane.order(override(OverridePart.SIGNAL_RED, 30.0), OFFICER)
    assert [phase for _, phase in told(lane)] == [OverridePhase.SET, OverridePhase.ENDED, OverridePhase.SET]
    lane.wait(31.0)
    assert not stands(lane)


@pytest.mark.parametrize("part", [OverridePart.SIGNAL_RED, OverridePart.GATE_HELD, OverridePart.LOOP_OUT])
def test_an_override_shows_in_the_assessment_and_in_the_record_of_every_vehicle_under_it(
    lane: EquippedLane, part: OverridePart
) -> None:
    lane.order(override(part), SUPERVISOR)
    lane.arrives(1)
    assert "equipment.override" in [finding.code for finding in lane.assessment.findings]
    lane.order(EndOverride(part, "exit" if part is OverridePart.LOOP_OUT else ""), SUPERVISOR)
    lane.wait(1.0)
    lane.releases()
    lane.leaves()
    (finding,) = [finding for finding in lane.closed[0].findings if finding.code == "equipment.override"]
    assert part.value in finding.detail
    lane.gate_goes_down()
    lane.arrives(2)
    assert "equipment.override" not in [finding.code for finding in lane.assessment.findings]


def test_an_override_set_while_a_vehicle_stands_at_the_booth_shows_in_its_assessment(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.order(override(OverridePart.SIGNAL_RED), OFFICER)
    lane.wait(2.5)
    assert "equipment.override" in [finding.code for finding in lane.assessment.findings]


# --- the gate held open ----------------------------------------------------------------------------------------------


def test_who_leaves_through_a_gate_held_open_is_recorded_as_not_inspected_and_never_as_released(
    lane: EquippedLane,
) -> None:
    lane.arrives(1)
    lane.order(override(OverridePart.GATE_OPEN, reason="ambulance behind"), SUPERVISOR)
    assert lane.gate and lane.red and not lane.green
    lane.gate_goes_up()
    lane.leaves()
    lane.wait(10.0)
    (record,) = lane.closed
    assert record.end is PassageEnd.COMPLETE
    assert record.disposition is not None
    assert record.disposition.disposition is Disposition.LANE_PASS_UNINSPECTED
    assert record.disposition.actor == SUPERVISOR and record.disposition.reasons == ("ambulance behind",)
    assert "equipment.override" in [finding.code for finding in record.findings]
    assert [r.by.disposition for r in lane.told(DispositionRecorded)] == [Disposition.LANE_PASS_UNINSPECTED]
    assert AlarmKind.UNRELEASED_DEPARTURE not in lane.alarms()


def test_nobody_is_released_while_the_gate_is_held_open(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.dispose()
    lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR)
    assert lane.state.desk.permission is None and lane.red
    assert "held open" in refused(lane.dispose())


def test_the_gate_held_open_is_a_grant_that_stands_as_long_as_the_override(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR)
    (grant,) = [effect for effect in lane.last if isinstance(effect, Drive) and effect.grants]
    assert grant.command == WriteOutputs((("gate_open", True),))
    assert still_granted(lane.state, grant.command_id)
    lane.order(EndOverride(OverridePart.GATE_OPEN), SUPERVISOR)
    assert not still_granted(lane.state, grant.command_id)


def test_a_gate_held_open_comes_down_by_itself_when_the_time_is_over_but_not_on_anything(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.GATE_OPEN, 60.0), SUPERVISOR)
    lane.gate_goes_up()
    lane.contact("beam", True)
    lane.wait(60.0)
    assert lane.gate is True
    lane.contact("beam", False)
    lane.wait(1.1)
    assert lane.gate is False


def test_a_gate_that_was_not_opened_is_not_held_open(lane: EquippedLane) -> None:
    lane.carries_out = False
    lane.order(override(OverridePart.GATE_OPEN), SUPERVISOR)
    (grant,) = [effect for effect in lane.last if isinstance(effect, Drive) and effect.grants]
    lane.carries_out = True
    lane.give("io1", CommandEnded(grant.command_id, Outcome(Result.FAILED, "refused by the module")))
    assert not stands(lane)
    assert "refused by the module" in lane.told(OverrideTold)[-1].why


# --- the gate that somebody works on, the signal kept red ------------------------------------------------------------


def test_a_gate_that_somebody_works_on_is_not_commanded_at_all(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.releases()
    lane.order(override(OverridePart.GATE_HELD), TECHNICIAN)
    before = len(lane.effects)
    lane.leaves()
    lane.give("io1", DeviceChanged(DeviceState.OFFLINE, "timeout"))
    lane.give("io1", DeviceChanged(DeviceState.ONLINE, "connected"))
    lane.wait(30.0)
    commanded = [e.command for e in lane.effects[before:] if isinstance(e, Drive)]
    assert not any("gate_open" in dict(c.points) for c in commanded if isinstance(c, WriteOutputs))
    for contact in ("loop_approach", "loop_booth", "loop_exit", "beam", "emergency", "gate_fault", "gate_opened"):
        lane.contact(contact, False)
    lane.contact("gate_closed", True)
    lane.order(EndOverride(OverridePart.GATE_HELD), TECHNICIAN)
    lane.wait(2.0)
    assert lane.gate is False


def test_a_signal_kept_red_withdraws_and_refuses_and_its_end_shows_no_green(lane: EquippedLane) -> None:
    lane.arrives(1)
    lane.dispose()
    lane.order(override(OverridePart.SIGNAL_RED, 30.0), OFFICER)
    assert lane.red and not lane.green
    assert "kept at stop" in refused(lane.dispose())
    lane.wait(31.0)
    assert lane.red and not lane.green
    assert lane.dispose() == DONE


# --- loops left out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loop", "quality"), [("approach", Quality.DEGRADED), ("booth", Quality.MANUAL)])
def test_a_loop_left_out_is_a_doubt_with_its_reason(lane: EquippedLane, loop: str, quality: Quality) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "stuck", 60.0, loop), TECHNICIAN)
    assert lane.state.desk.quality is quality
    assert f"loop_out {loop}" in lane.told(QualityChanged)[0].why
    lane.wait(61.0)
    assert lane.told(QualityChanged)[-1].quality is Quality.GOOD


def test_a_loop_that_is_stuck_and_left_out_makes_no_vehicles(lane: EquippedLane) -> None:
    lane.loop("approach", True)
    lane.wait(1.0)
    lane.order(Override(OverridePart.LOOP_OUT, "stuck", 3600.0, "approach"), TECHNICIAN)
    lane.wait(60.0)
    assert [record.end for record in lane.closed] == [PassageEnd.INTERRUPTED]
    lane.through_portal()
    lane.wait(2.0)
    lane.loop("booth", True)
    lane.read_for(4, 1)
    lane.releases()
    lane.leaves()
    assert [record.end for record in lane.closed] == [PassageEnd.INTERRUPTED, PassageEnd.COMPLETE]


def test_without_the_booth_loop_the_officer_says_who_is_there(lane: EquippedLane) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "dead", 3600.0, "booth"), TECHNICIAN)
    lane.through_portal()
    lane.to_approach()
    lane.wait(2.0)
    lane.loop("approach", False)
    assert lane.order(NextVehicle()) == DONE
    assert lane.dispose() == DONE
    lane.gate_goes_up()
    lane.leaves()
    assert lane.closed[-1].end is PassageEnd.COMPLETE


@pytest.mark.parametrize("loop", ["booth", "exit"])
def test_a_loop_of_the_gates_that_is_left_out_counts_as_occupied_for_its_arm(lane: EquippedLane, loop: str) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "dead", 3600.0, loop), TECHNICIAN)
    lane.arrives(1)
    if loop == "booth":
        lane.order(NextVehicle())
    lane.releases()
    lane.leaves()
    lane.wait(300.0)
    assert lane.gate is True
    lane.order(EndOverride(OverridePart.LOOP_OUT, loop), TECHNICIAN)
    lane.wait(5.0)
    assert lane.gate is False


def test_a_loop_that_counts_again_and_is_on_has_a_vehicle(lane: EquippedLane) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "dead", 60.0, "booth"), TECHNICIAN)
    lane.loop("booth", True)
    lane.wait(5.0)
    assert lane.state.tracking.passages == ()
    lane.wait(60.0)
    assert len(lane.state.tracking.passages) == 1


# --- restart ---------------------------------------------------------------------------------------------------------


def restart(lane: EquippedLane, away_s: float) -> None:
    lane.wait(0.1)
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.now_s += away_s
    lane.started(cold=False)


@pytest.mark.parametrize("part", PARTS)
def test_an_override_goes_on_over_a_restart_for_what_is_left_of_its_time_and_no_longer(
    lane: EquippedLane, part: OverridePart
) -> None:
    lane.order(override(part, 100.0), SUPERVISOR)
    restart(lane, 30.0)
    assert stands(lane) == {part}
    assert told(lane)[-1] == (part, OverridePhase.STANDS)
    lane.wait(100.0 - 30.0 - 8.0)
    assert stands(lane) == {part}
    lane.wait(8.0)
    assert not stands(lane)


def test_an_override_whose_time_ran_out_meanwhile_is_over(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.GATE_OPEN, 100.0), SUPERVISOR)
    restart(lane, 200.0)
    assert not stands(lane)
    assert lane.gate is False


def test_a_restart_opens_nothing_that_was_held_open_and_tells_if_it_is_not(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.GATE_OPEN, 600.0), SUPERVISOR)
    lane.gate_goes_up()
    grants = len(lane.drives(grants=True))
    lane.outputs["gate_open"] = False
    restart(lane, 5.0)
    opened = [d for d in lane.drives(grants=True)[grants:] if "gate_open" in dict(getattr(d.command, "points", ()))]
    assert opened == []
    lane.wait(8.0)
    assert ("travel", True) in lane.faults("gate")


def test_a_loop_left_out_is_out_after_a_restart_too(lane: EquippedLane) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "stuck", 3600.0, "exit"), TECHNICIAN)
    restart(lane, 5.0)
    lane.loop("exit", True)
    lane.wait(3.0)
    assert lane.state.tracking.passages == ()


def test_a_loop_that_is_no_longer_there_is_not_left_out(lane: EquippedLane) -> None:
    lane.order(Override(OverridePart.LOOP_OUT, "stuck", 3600.0, "exit"), TECHNICIAN)
    lane.setup = equipped(loops=lane.setup.loops[:2])
    lane.give("lane", Started(False, "boot-1"))
    assert not stands(lane)


def test_an_emergency_and_its_reset_leave_overrides_standing(lane: EquippedLane) -> None:
    lane.order(override(OverridePart.SIGNAL_RED), SUPERVISOR)
    lane.order(DeclareEmergency())
    lane.order(ResetLane(), SUPERVISOR)
    assert stands(lane) == {OverridePart.SIGNAL_RED}
