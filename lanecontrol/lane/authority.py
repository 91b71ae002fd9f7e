"""Which role may ask what of a lane: one table for all of it, with the reason where it does not go without saying.

Pure. `lane.orders` asks here before anything is carried out, for the booth's button too, and where a role matters once
more further on (a mandatory referral, a stage of resumption, a scan that the port orders); `port.notices` asks about
divert notices. What else has to hold (the lane's life, a vehicle at the booth) is said where an order is carried out.
It never looks at who somebody is: that whoever says "supervisor" is one is for the port to see to.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements import LaneLife
from lanecontrol.commands import (
    AbortScan,
    Acknowledge,
    CheckPortal,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    Dispose,
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
    Resume,
    Role,
    ScanVehicle,
    ServeType,
    SetOccupants,
    SignOff,
    SignOn,
    SuspendLane,
)

ANYBODY = frozenset(Role)
SUPERVISOR = frozenset({Role.SUPERVISOR})
DECIDERS = frozenset({Role.OFFICER, Role.SUPERVISOR})
"""Those at the booth, who answer for the vehicles."""
OPERATORS = DECIDERS | {Role.CENTRAL}
MENDERS = frozenset({Role.TECHNICIAN, Role.SUPERVISOR})
RULERS = frozenset({Role.SUPERVISOR, Role.CENTRAL})
"""Those who answer for the port as a whole."""
AT_THE_LANE = DECIDERS | MENDERS


@dataclass(frozen=True, slots=True)
class Right:
    """Who may ask for something; what everybody else is told; and why just these, where that is not obvious."""

    roles: frozenset[Role]
    refusal: str = ""
    why: str = ""


ORDERS: dict[type[Request], Right] = {
    # --- vehicles ---
    Dispose: Right(DECIDERS, "only an officer or a supervisor decides about a vehicle"),
    SetOccupants: Right(DECIDERS, "only an officer or a supervisor counts occupants"),
    NextVehicle: Right(DECIDERS, "only an officer or a supervisor calls the next vehicle"),
    Acknowledge: Right(
        DECIDERS,
        "only an officer or a supervisor acknowledges an alarm",
        "an alarm is about a vehicle, and who silences it has to see to that",
    ),
    # --- the lane's life ---
    OpenLane: Right(
        DECIDERS,
        "only an officer or a supervisor opens the lane",
        "whoever opens it is on duty there; central is not at the booth",
    ),
    CloseLane: Right(
        OPERATORS,
        "a technician may not close the lane",
        "it only takes away, so that central may too; a technician does not run traffic",
    ),
    SuspendLane: Right(OPERATORS, "a technician may not suspend the lane", "as closing"),
    SignOn: Right(DECIDERS, "only an officer or a supervisor is on duty at the booth"),
    SignOff: Right(DECIDERS, "only an officer or a supervisor is on duty at the booth"),
    ServeType: Right(
        RULERS,
        "only a supervisor or central changes the lane's type",
        "which lanes a port has for whom is decided for the port as a whole",
    ),
    Resume: Right(RULERS, "only a supervisor or central orders a stage", "as the lane's type"),
    Maintain: Right(MENDERS, "only a technician or a supervisor takes the lane into maintenance"),
    EndMaintenance: Right(MENDERS, "only a technician or a supervisor ends maintenance"),
    DeclareEmergency: Right(ANYBODY, why="it only takes away, and must never wait for the right person"),
    ResetLane: Right(SUPERVISOR, "only a supervisor resets the lane", "somebody answers for its being safe again"),
    DrillDegraded: Right(RULERS, "only a supervisor or central drills degraded mode"),
    # --- the scanner ---
    ScanVehicle: Right(
        OPERATORS,
        "only an officer, a supervisor or the port orders a scan",
        "the port may order one, but cannot see the driver: see NEEDS_SECOND",
    ),
    ConfirmScan: Right(
        DECIDERS, "only an officer or a supervisor at the lane confirms this", "it takes somebody who sees the vehicle"
    ),
    ConfirmDriverOut: Right(
        DECIDERS, "only an officer or a supervisor at the lane confirms this", "it takes somebody who sees the driver"
    ),
    AbortScan: Right(ANYBODY, why="it only takes away, and must never wait for the right person"),
    EnableScanner: Right(DECIDERS, "only an officer or a supervisor at the lane enables the scanner"),
    ResetScanner: Right(
        DECIDERS,
        "only an officer or a supervisor at the lane resets the scanner",
        "it says that somebody has looked; not a technician, who does not answer for people near the beam",
    ),
    # --- equipment ---
    EnableEquipment: Right(
        SUPERVISOR,
        "only supervisor may do that",
        "not a technician: whoever changes the equipment does not accept the change",
    ),
    CheckPortal: Right(
        AT_THE_LANE, "a source check needs somebody at the lane", "somebody holds a source to the portal"
    ),
}
"""Every kind of order but overrides, which go by what is overridden."""

SETTING: dict[OverridePart, frozenset[Role]] = {
    OverridePart.GATE_OPEN: SUPERVISOR,  # a vehicle leaves without having been inspected
    OverridePart.GATE_HELD: MENDERS,
    OverridePart.LOOP_OUT: MENDERS,
    OverridePart.SIGNAL_RED: ANYBODY,  # it only takes away
    OverridePart.YELLOW_X: MENDERS,
}
ENDING: dict[OverridePart, frozenset[Role]] = {
    OverridePart.GATE_OPEN: DECIDERS,  # the way back to normal is no privilege
    OverridePart.GATE_HELD: MENDERS,  # somebody may have their hands in the gate: whoever mends knows
    OverridePart.LOOP_OUT: MENDERS,
    OverridePart.SIGNAL_RED: AT_THE_LANE,  # central does not see what it was set for
    OverridePart.YELLOW_X: MENDERS,
}
SETTING_IN: dict[tuple[OverridePart, LaneLife], frozenset[Role]] = {
    (OverridePart.GATE_OPEN, LaneLife.EMERGENCY): DECIDERS,  # somebody has to get out, and cannot wait
    (OverridePart.GATE_OPEN, LaneLife.MAINTENANCE): MENDERS,  # it is tried out: there is no vehicle in the lane
}
"""In these lives others than in `SETTING`."""
ENDING_IN: dict[tuple[OverridePart, LaneLife], frozenset[Role]] = {
    (OverridePart.GATE_OPEN, LaneLife.MAINTENANCE): AT_THE_LANE,  # whoever tries it out lowers it again
}
"""In these lives others than in `ENDING`."""

# --- where a role matters once an order is heard ---------------------------------------------------------------------

AGAINST_REFERRAL = SUPERVISOR
"""Who may give, with a justification, a disposition that contradicts a mandatory referral, or a lookout."""
DECIDING_ANEW = SUPERVISOR
"""Who may take back a disposition that keeps the vehicle here. One that lets it go is void with its permission."""
OPENING_AT_ANY_STAGE = SUPERVISOR
"""Who may open a lane whose type is not to open yet at this stage of a resumption."""
NEEDS_SECOND = frozenset({Role.CENTRAL})
"""Whose order to scan needs somebody else at the lane to confirm it, whatever the site asks for."""
DIVERTING = Right(RULERS, "only a supervisor or central diverts traffic", "a notice is for all lanes of a port")


def refusal(role: Role, request: Request, life: LaneLife) -> str:
    """Why this role may not ask for this in this life of the lane; empty when it may."""
    right = right_to(request, life)
    return "" if role in right.roles else right.refusal


def right_to(request: Request, life: LaneLife) -> Right:
    """Who may ask for this in this life of the lane."""
    match request:
        case Override(part):
            return _by_part(SETTING_IN.get((part, life), SETTING[part]))
        case EndOverride(part):
            return _by_part(ENDING_IN.get((part, life), ENDING[part]))
        case _:
            return ORDERS[type(request)]


def _by_part(roles: frozenset[Role]) -> Right:
    return Right(roles, f"only {' or '.join(sorted(roles))} may do that")
