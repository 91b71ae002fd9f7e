"""The requests about the lane's life: opening, closing, suspension, maintenance, type, resumption, emergency, drill.

Used by `port.order_payloads`, which lists the requests of all verbs. Authority is not decided here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from lanecontrol.announcements import LaneType
from lanecontrol.commands import (
    CloseLane,
    DeclareEmergency,
    DrillDegraded,
    EndMaintenance,
    Maintain,
    OpenLane,
    Request,
    ResetLane,
    Resume,
    ServeType,
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.port.order_base import CommandPayload, Text


class OpenCommand(CommandPayload):
    """Open the lane for traffic."""

    verb = "open"

    def request(self) -> Request:
        return OpenLane()


class CloseCommand(CommandPayload):
    """Close the lane; vehicles inside are finished."""

    verb = "close"
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return CloseLane(self.reason)


class SignOnCommand(CommandPayload):
    """Whoever gives this is the officer on duty at the booth."""

    verb = "sign-on"

    def request(self) -> Request:
        return SignOn()


class SignOffCommand(CommandPayload):
    """Nobody is on duty at the booth any more."""

    verb = "sign-off"

    def request(self) -> Request:
        return SignOff()


class SuspendCommand(CommandPayload):
    """A halt for a while: nobody new, those inside are finished. Opening or closing the lane ends it."""

    verb = "suspend"
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return SuspendLane(self.reason)


class MaintenanceCommand(CommandPayload):
    """Take the closed, empty lane into maintenance."""

    verb = "maintenance"
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return Maintain(self.reason)


class EndMaintenanceCommand(CommandPayload):
    """Back from maintenance to closed."""

    verb = "maintenance-end"

    def request(self) -> Request:
        return EndMaintenance()


class LaneTypeCommand(CommandPayload):
    """Have the closed, empty lane serve another type."""

    verb = "lane-type"
    type: LaneType
    """One of those that the lane file allows."""

    def request(self) -> Request:
        return ServeType(self.type.value)


class ResumptionCommand(CommandPayload):
    """The port comes back after a shutdown, stage by stage."""

    verb = "resumption"
    stage: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """The stage that it is at now, as the lane file names it."""

    def request(self) -> Request:
        return Resume(self.stage)


class EndResumptionCommand(CommandPayload):
    """The port is back to normal: every lane may open."""

    verb = "resumption-end"

    def request(self) -> Request:
        return Resume("")


class ResetCommand(CommandPayload):
    """Back to closed after an emergency or a fault."""

    verb = "reset"

    def request(self) -> Request:
        return ResetLane()


class EmergencyCommand(CommandPayload):
    """Red everywhere, at once."""

    verb = "emergency"
    withdraws = True
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return DeclareEmergency(self.reason)


class DegradedDrillCommand(CommandPayload):
    """Drill degraded mode: the lane works for a while as if the port's central system were silent."""

    verb = "degraded-drill"
    for_s: Annotated[float, Field(ge=0, le=14_400, allow_inf_nan=False)]
    """For how long; 0 ends a drill."""
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return DrillDegraded(self.for_s, self.reason)


LIFE: tuple[type[CommandPayload], ...] = (
    OpenCommand,
    CloseCommand,
    SignOnCommand,
    SignOffCommand,
    SuspendCommand,
    MaintenanceCommand,
    EndMaintenanceCommand,
    LaneTypeCommand,
    ResumptionCommand,
    EndResumptionCommand,
    ResetCommand,
    EmergencyCommand,
    DegradedDrillCommand,
)
"""Each of them."""
