"""What is asked for: commands to devices, orders from people, and how each of them ended.

A command never waits: it runs now or is refused. An order is what somebody with a name and a role asks of the lane;
the lane may turn it into commands. Nothing here is ever queued, repeated or retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from lanecontrol.byname import ByName

# --- commands to devices ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteOutputs:
    """Set named outputs of an I/O module, together in one deed as far as the module can."""

    points: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class ClearWatchdog:
    """Clear the module's tripped watchdog flag, so that outputs can be driven again."""


@dataclass(frozen=True, slots=True)
class TakePicture:
    """Take pictures now of what stands before the camera; `reason` in plain words."""

    reason: str = ""


Command = WriteOutputs | ClearWatchdog | TakePicture


class Result(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Cancelled or timed out: it may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command or an order ended, and why if it was not done."""

    result: Result
    reason: str = ""


DONE = Outcome(Result.DONE)


def refused(why: str) -> Outcome:
    """Not carried out, for this reason."""
    return Outcome(Result.REFUSED, why)


# --- orders from people ----------------------------------------------------------------------------------------------


class Role(StrEnum):
    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    TECHNICIAN = "technician"
    CENTRAL = "central"


class Disposition(StrEnum):
    """What an officer decides about a vehicle. Only this releases it from the booth."""

    RELEASED = "RELEASED"
    REFER_SECONDARY = "REFER_SECONDARY"
    REFER_SCANNER = "REFER_SCANNER"
    REFER_AGRICULTURE = "REFER_AGRICULTURE"
    TURN_BACK = "TURN_BACK"
    DETAINED = "DETAINED"
    ABSCONDED = "ABSCONDED"
    LANE_PASS_UNINSPECTED = "LANE_PASS_UNINSPECTED"
    VOID = "VOID"


@dataclass(frozen=True, slots=True)
class Dispose:
    """The disposition of one passage; `justification` where it contradicts a mandatory referral."""

    passage: str
    disposition: Disposition
    reasons: tuple[str, ...] = ()
    justification: str = ""


@dataclass(frozen=True, slots=True)
class SetOccupants:
    """How many people the officer counted in the vehicle of this passage."""

    passage: str
    count: int
    minors: int = 0
    """How many of them are too young to need a card where only adults do."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Silence an alarm. Its row stays until the state behind it is normal."""

    alarm: str


@dataclass(frozen=True, slots=True)
class OpenLane:
    """Open the lane for traffic."""


@dataclass(frozen=True, slots=True)
class CloseLane:
    """Close the lane: no further vehicle is called in; those inside are finished."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class SignOn:
    """Whoever gives this order is the officer on duty at the booth from now on. Opening the lane says the same."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """Nobody is on duty at the booth any more; the lane has to be closed or suspended before."""


@dataclass(frozen=True, slots=True)
class SuspendLane:
    """A halt: nobody new is admitted, whoever is inside is finished. Opening or closing the lane ends it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Maintain:
    """Take the closed, empty lane into maintenance. Only there may outputs be tried out."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndMaintenance:
    """Back from maintenance to closed."""


@dataclass(frozen=True, slots=True)
class ServeType:
    """Have the closed, empty lane serve another of the types (`SENTRI` ...) that its file allows."""

    lane_type: str


@dataclass(frozen=True, slots=True)
class Resume:
    """The port comes back after a shutdown, and is at this stage now; an empty one is back to normal."""

    stage: str


@dataclass(frozen=True, slots=True)
class ResetLane:
    """After an emergency or a fault: back to closed, by a supervisor."""


@dataclass(frozen=True, slots=True)
class DeclareEmergency:
    """Red everywhere, at once."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class NextVehicle:
    """The officer says that another vehicle is at the booth: the way out of manual correlation."""


@dataclass(frozen=True, slots=True)
class ScanVehicle:
    """Have the vehicle of this passage scanned, its driver out of it. The order stands for `valid_s`, never longer.

    The order's key is the scan's identity. It is never carried out twice, and nothing that aborted is tried again.
    """

    passage: str
    reason: str = ""
    valid_s: float = 300.0


@dataclass(frozen=True, slots=True)
class ConfirmScan:
    """A second person agrees to the scan that was ordered under this key, where the site asks for two."""

    scan: str


@dataclass(frozen=True, slots=True)
class ConfirmDriverOut:
    """The officer has seen the driver, and everybody else, out of the vehicle and clear of the scanned part."""

    scan: str


@dataclass(frozen=True, slots=True)
class AbortScan:
    """Withdraw the scan request at once. Anybody may: it only takes away."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class EnableScanner:
    """Put the scanner into use after a start; it stays out of use until somebody says so."""


@dataclass(frozen=True, slots=True)
class ResetScanner:
    """After an abort by an interlock, or a fault: somebody has looked, and it may be ordered anew."""


class OverridePart(StrEnum):
    """What can be overridden, and towards what. Nothing here can show green or request a scan."""

    GATE_OPEN = "gate_open"
    """Hold the gate open for life safety. A vehicle that leaves so is recorded as not inspected, never as released."""
    GATE_HELD = "gate_held"
    """Do not command the gate at all: somebody works on it."""
    LOOP_OUT = "loop_out"
    """Leave a loop out of account that is stuck or chatters."""
    SIGNAL_RED = "signal_red"
    """Keep the booth signal at stop."""
    YELLOW_X = "yellow_x"
    """Light the overhead signal's yellow X, to see that it burns: in maintenance only."""


@dataclass(frozen=True, slots=True)
class Override:
    """Set a part aside by hand for `for_s`, with a reason. `name` says which one, where there are several (loops)."""

    part: OverridePart
    reason: str
    for_s: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class EndOverride:
    """Back to normal, before the override's time is over."""

    part: OverridePart
    name: str = ""


@dataclass(frozen=True, slots=True)
class EnableEquipment:
    """A supervisor accepts the equipment's changed configuration: until then gate and scanner are not commanded."""


@dataclass(frozen=True, slots=True)
class CheckPortal:
    """Somebody will hold a source to a portal, with no vehicle in the lane: it has to alarm within `within_s`."""

    portal: str
    source: str
    gamma: bool = True
    neutron: bool = False
    within_s: float = 120.0


@dataclass(frozen=True, slots=True)
class DrillDegraded:
    """Work as if central were silent, for `for_s`; 0 ends a drill. Lookouts are asked of central all the same."""

    for_s: float
    reason: str = ""


Request = (
    Dispose
    | SetOccupants
    | Acknowledge
    | OpenLane
    | CloseLane
    | SignOn
    | SignOff
    | SuspendLane
    | Maintain
    | EndMaintenance
    | ServeType
    | Resume
    | ResetLane
    | DeclareEmergency
    | NextVehicle
    | ScanVehicle
    | ConfirmScan
    | ConfirmDriverOut
    | AbortScan
    | EnableScanner
    | ResetScanner
    | Override
    | EndOverride
    | EnableEquipment
    | CheckPortal
    | DrillDegraded
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and in which role. `simulated` marks the simulator's automatic officer for good."""

    name: str
    role: Role
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A request by somebody: `key` is its idempotency key, `deadline_utc_s` the moment after which it is refused."""

    key: str
    actor: Actor
    request: Annotated[Request, ByName()]
    deadline_utc_s: float
    digest: str = ""
    """Names the message that it came in, so that a repeat is told from another order under the same key."""
