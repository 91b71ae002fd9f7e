"""Who may ask what of a lane: the whole table, and that the lane goes by it."""

from __future__ import annotations

from typing import get_args

import pytest
from scanner_bench import ScannerBench

from lanecontrol.announcements import LaneLife
from lanecontrol.commands import (
    AbortScan,
    Acknowledge,
    Actor,
    CheckPortal,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    Dispose,
    Disposition,
    DrillDegraded,
    EnableEquipment,
    EnableScanner,
    EndMaintenance,
    EndOverride,
    Maintain,
    NextVehicle,
    OpenLane,
    Override,
    OverridePart,
    Request,
    ResetLane,
    ResetScanner,
    Result,
    Resume,
    Role,
    ScanVehicle,
    ServeType,
    SetOccupants,
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.lane import authority
from lanecontrol.lane.authority import refusal, right_to

OFF, SUP, TEC, CEN = Role.OFFICER, Role.SUPERVISOR, Role.TECHNICIAN, Role.CENTRAL
PART = OverridePart

REQUESTS: tuple[tuple[Request, set[Role]], ...] = (
    (Dispose("07-000001", Disposition.RELEASED), {OFF, SUP}),
    (SetOccupants("07-000001", 2), {OFF, SUP}),
    (NextVehicle(), {OFF, SUP}),
    (Acknowledge("07-a1"), {OFF, SUP}),
    (OpenLane(), {OFF, SUP}),
    (CloseLane(), {OFF, SUP, CEN}),
    (SuspendLane(), {OFF, SUP, CEN}),
    (SignOn(), {OFF, SUP}),
    (SignOff(), {OFF, SUP}),
    (ServeType("READY"), {SUP, CEN}),
    (Resume("all"), {SUP, CEN}),
    (Maintain(), {SUP, TEC}),
    (EndMaintenance(), {SUP, TEC}),
    (DeclareEmergency(), {OFF, SUP, TEC, CEN}),
    (ResetLane(), {SUP}),
    (DrillDegraded(60.0), {SUP, CEN}),
    (ScanVehicle("07-000001", "alarm"), {OFF, SUP, CEN}),
    (ConfirmScan("k"), {OFF, SUP}),
    (ConfirmDriverOut("k"), {OFF, SUP}),
    (AbortScan(), {OFF, SUP, TEC, CEN}),
    (EnableScanner(), {OFF, SUP}),
    (ResetScanner(), {OFF, SUP}),
    (EnableEquipment(), {SUP}),
    (CheckPortal("rpm1", "Cs-137 4711"), {OFF, SUP, TEC}),
    (Override(PART.GATE_OPEN, "somebody has to get out", 60.0), {SUP}),
    (Override(PART.GATE_HELD, "work on the gate", 60.0), {SUP, TEC}),
    (Override(PART.LOOP_OUT, "it chatters", 60.0, "booth"), {SUP, TEC}),
    (Override(PART.SIGNAL_RED, "nobody is to go", 60.0), {OFF, SUP, TEC, CEN}),
    (Override(PART.YELLOW_X, "to see it", 60.0), {SUP, TEC}),
    (EndOverride(PART.GATE_OPEN), {OFF, SUP}),
    (EndOverride(PART.GATE_HELD), {SUP, TEC}),
    (EndOverride(PART.LOOP_OUT, "booth"), {SUP, TEC}),
    (EndOverride(PART.SIGNAL_RED), {OFF, SUP, TEC}),
    (EndOverride(PART.YELLOW_X), {SUP, TEC}),
)
IN_THIS_LIFE: dict[tuple[type[Request], OverridePart | None, LaneLife], set[Role]] = {
    (Override, PART.GATE_OPEN, LaneLife.EMERGENCY): {OFF, SUP},
    (Override, PART.GATE_OPEN, LaneLife.MAINTENANCE): {SUP, TEC},
    (EndOverride, PART.GATE_OPEN, LaneLife.MAINTENANCE): {OFF, SUP, TEC},
}


def _name(request: Request) -> str:
    part = f" {request.part.value}" if isinstance(request, Override | EndOverride) else ""
    return f"{type(request).__name__}{part}"


def test_every_kind_of_request_has_an_entry() -> None:
    assert {*authority.ORDERS, Override, EndOverride} == set(get_args(Request))
    assert set(authority.SETTING) == set(authority.ENDING) == set(PART)


def test_every_kind_of_request_is_in_the_table_below() -> None:
    assert {type(request) for request, _ in REQUESTS} == set(get_args(Request))
    assert {(type(r), r.part) for r, _ in REQUESTS if isinstance(r, Override | EndOverride)} == {
        (kind, part) for kind in (Override, EndOverride) for part in PART
    }


@pytest.mark.parametrize(("request_", "roles"), REQUESTS, ids=[_name(request) for request, _ in REQUESTS])
def test_who_may_ask_for_it_in_any_life(request_: Request, roles: set[Role]) -> None:
    for life in LaneLife:
        part = request_.part if isinstance(request_, Override | EndOverride) else None
        assert right_to(request_, life).roles == IN_THIS_LIFE.get((type(request_), part, life), roles), life


def test_whoever_may_not_is_told_why() -> None:
    for request, _ in REQUESTS:
        for life in LaneLife:
            may = right_to(request, life).roles
            assert {role for role in Role if not refusal(role, request, life)} == may


def test_words_and_roles_go_together() -> None:
    """Whoever is named in a refusal may; whoever may and is a person is named, or the others are."""
    for right in (*authority.ORDERS.values(), authority.DIVERTING):
        if right.refusal.startswith("only"):
            named = {role for role in Role if role.value in right.refusal.replace("the port", "central")}
            assert named == right.roles, right.refusal


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("request_", [request for request, _ in REQUESTS], ids=_name)
def test_the_lane_refuses_those_and_nobody_else_for_their_role(request_: Request, role: Role) -> None:
    lane = ScannerBench().started()
    why = refusal(role, request_, lane.state.desk.life)
    outcome = lane.order(request_, Actor("J. Rivera", role))
    assert (outcome.reason == why) if why else (outcome.reason not in _refusals()), outcome
    assert outcome.result is Result.REFUSED or not why


def _refusals() -> set[str]:
    return {right.refusal for right in authority.ORDERS.values()} - {""}
