"""The JSON of orders and of their replies, at the edge: what `cmd/<verb>` takes and what comes back.

`port.orders` reads requests with this, `port.central` writes them, and the schemas are made from it. Authority is not
decided here: a well-formed order may still be refused by the lane.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lanecontrol.clock import utc_text
from lanecontrol.commands import (
    AbortScan,
    Acknowledge,
    Actor,
    CheckPortal,
    ConfirmDriverOut,
    ConfirmScan,
    Dispose,
    Disposition,
    EnableEquipment,
    EnableScanner,
    EndOverride,
    NextVehicle,
    Outcome,
    Override,
    OverridePart,
    Request,
    ResetScanner,
    Result,
    Role,
    ScanVehicle,
    SetOccupants,
)
from lanecontrol.port.order_base import CommandPayload, Name, Text
from lanecontrol.port.order_life import LIFE

BODY_LIMIT_BYTES = 16 * 1024
"""A request body above this is refused unread: the longest sensible one is a hundredth of it."""


class DispositionCommand(CommandPayload):
    """An officer decides about a passage. Only this releases a vehicle."""

    verb = "disposition"
    passage: Name
    """The passage decided about."""
    disposition: Disposition
    """The decision."""
    reasons: Annotated[tuple[Text, ...], Field(max_length=32)] = ()
    """Reasons, as codes or words."""
    justification: Text = ""
    """Why, where the decision contradicts a mandatory referral."""

    def request(self) -> Request:
        return Dispose(self.passage, self.disposition, self.reasons, self.justification)


class OccupantsCommand(CommandPayload):
    """The number of people the officer counted."""

    verb = "occupants"
    passage: Name
    """The passage counted."""
    count: Annotated[int, Field(ge=0, le=200)]
    """People in the vehicle; a bus holds under two hundred."""
    minors: Annotated[int, Field(ge=0, le=200)] = 0
    """How many of them are too young to need a card where only adults do."""

    def request(self) -> Request:
        return SetOccupants(self.passage, self.count, self.minors)


class AcknowledgeCommand(CommandPayload):
    """Silence an alarm."""

    verb = "acknowledge"
    alarm: Name
    """The alarm's id."""

    def request(self) -> Request:
        return Acknowledge(self.alarm)


class NextCommand(CommandPayload):
    """Another vehicle is at the booth."""

    verb = "next"

    def request(self) -> Request:
        return NextVehicle()


class ScanCommand(CommandPayload):
    """Have a vehicle scanned, its driver out of it. The order's key is the scan's identity."""

    verb = "scan"
    passage: Name
    """The vehicle's passage."""
    reason: Text = ""
    """Why."""
    valid_s: Annotated[float, Field(gt=0, le=900, allow_inf_nan=False)] = 300.0
    """The order stands for so long, at most a quarter of an hour."""

    def request(self) -> Request:
        return ScanVehicle(self.passage, self.reason, self.valid_s)


class ConfirmScanCommand(CommandPayload):
    """A second person agrees to a scan, where the site asks for two."""

    verb = "scan-confirm"
    scan: Name
    """Key of the order to scan."""

    def request(self) -> Request:
        return ConfirmScan(self.scan)


class DriverOutCommand(CommandPayload):
    """Everybody is out of the vehicle and clear of the scanned part."""

    verb = "driver-out"
    scan: Name
    """Key of the order to scan."""

    def request(self) -> Request:
        return ConfirmDriverOut(self.scan)


class AbortScanCommand(CommandPayload):
    """Withdraw the scan request at once."""

    verb = "scan-abort"
    withdraws = True
    reason: Text = ""
    """Why."""

    def request(self) -> Request:
        return AbortScan(self.reason)


class EnableScannerCommand(CommandPayload):
    """Put the scanner into use after a start."""

    verb = "scanner-enable"

    def request(self) -> Request:
        return EnableScanner()


class ResetScannerCommand(CommandPayload):
    """After an abort by an interlock, or a fault: it may be ordered anew."""

    verb = "scanner-reset"

    def request(self) -> Request:
        return ResetScanner()


class OverrideCommand(CommandPayload):
    """Set a part of the equipment aside by hand, for a while and with a reason."""

    verb = "override"
    part: OverridePart
    """Which part, and towards what."""
    reason: Annotated[str, StringConstraints(min_length=3, max_length=500)]
    """Why. Shown wherever the override shows."""
    for_s: Annotated[float, Field(gt=0, le=28_800, allow_inf_nan=False)]
    """For how long: a shift at most."""
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    """Which one, where there are several: a loop's name."""

    def request(self) -> Request:
        return Override(self.part, self.reason, self.for_s, self.name)


class EndOverrideCommand(CommandPayload):
    """Back to normal before an override's time is over."""

    verb = "override-end"
    part: OverridePart
    """Which part."""
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    """Which one, where there are several."""

    def request(self) -> Request:
        return EndOverride(self.part, self.name)


class EnableEquipmentCommand(CommandPayload):
    """Accept the equipment's changed configuration."""

    verb = "enable"

    def request(self) -> Request:
        return EnableEquipment()


class SourceCheckCommand(CommandPayload):
    """Somebody will hold a source to a radiation portal; the lane is closed and empty."""

    verb = "source-check"
    portal: Name
    """The portal's device."""
    source: Name
    """Which source, as its label says."""
    gamma: bool = True
    """It has to raise a gamma alarm."""
    neutron: bool = False
    """It has to raise a neutron alarm."""
    within_s: Annotated[float, Field(ge=10, le=1800, allow_inf_nan=False)] = 120.0
    """In so many seconds."""

    def request(self) -> Request:
        return CheckPortal(self.portal, self.source, self.gamma, self.neutron, self.within_s)


_MODELS: tuple[type[CommandPayload], ...] = (
    DispositionCommand,
    OccupantsCommand,
    AcknowledgeCommand,
    *LIFE,
    NextCommand,
    ScanCommand,
    ConfirmScanCommand,
    DriverOutCommand,
    AbortScanCommand,
    EnableScannerCommand,
    ResetScannerCommand,
    OverrideCommand,
    EndOverrideCommand,
    EnableEquipmentCommand,
    SourceCheckCommand,
)
COMMANDS: dict[str, type[CommandPayload]] = {model.verb: model for model in _MODELS}
"""The request model of every verb."""


class ReplyPayload(BaseModel):
    """How an order ended."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    key: str
    """The order's idempotency key; empty when the request was too broken to have one."""
    result: Result
    """How it ended."""
    reason: str
    """Why, if it was not done."""
    lane: str
    """The lane that answers."""
    repeated: bool = False
    """The order had been answered before: this is that answer once more, and nothing was done again."""


class Refusal(Exception):
    """A request that is no order, and why; with what could be read of it, for the record."""

    def __init__(self, reason: str, *, key: str = "", name: str = "", role: Role | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key
        self.name = name
        self.role = role


def parse_command(verb: str, body: bytes) -> CommandPayload:
    """The request in `body`. Raises Refusal with a reason fit to be told to the sender."""
    model = COMMANDS.get(verb)
    if model is None:
        raise Refusal(f"the verb {_shown(verb)} is unknown; known are {', '.join(COMMANDS)}")
    if len(body) > BODY_LIMIT_BYTES:
        raise Refusal(f"the body has {len(body)} bytes; at most {BODY_LIMIT_BYTES} are read")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(body, error) from None


def _refusal(body: bytes, error: ValidationError) -> Refusal:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    what = f"{_shown(where)}: {first['msg']}" if where else first["msg"]
    claimed = _claimed(body)
    return Refusal(f"malformed: {what}{more}", **claimed)


def _claimed(body: bytes) -> dict[str, Any]:
    """Key, name and role as far as a broken request shows them."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(given, dict):
        return {}
    by = given.get("by")
    by = by if isinstance(by, dict) else {}
    role = by.get("role")
    return {
        "key": _short(given.get("key")),
        "name": _short(by.get("name")),
        "role": Role(role) if isinstance(role, str) and role in Role._value2member_map_ else None,
    }


def _short(value: Any) -> str:
    return "".join(c for c in value[:64] if c.isprintable()) if isinstance(value, str) else ""


def _shown(text: str) -> str:
    return repr(text[:64])


def command_bytes(
    verb: str,
    fields: dict[str, Any],
    *,
    key: str,
    actor: Actor,
    lane: str,
    deadline_utc_s: float,
    issued_utc_s: float | None = None,
    client: str | None = None,
) -> bytes:
    """A request as JSON, checked against its model. Raises Refusal."""
    by: dict[str, Any] = {"name": actor.name, "role": actor.role.value}
    if actor.simulated:
        by["simulated"] = True
    body = {**fields, "key": key, "by": by, "lane": lane, "deadline": utc_text(deadline_utc_s)}
    if issued_utc_s is not None:
        body["issued"] = utc_text(issued_utc_s)
    if client is not None:
        body["client"] = client
    made = json.dumps(body, separators=(",", ":")).encode()
    parse_command(verb, made)
    return made


def reply_bytes(key: str, outcome: Outcome, lane: str, *, repeated: bool = False) -> bytes:
    """A reply as JSON."""
    told = {"key": key, "result": outcome.result.value, "reason": outcome.reason}
    reply = {**told, "lane": lane, "repeated": repeated}
    return json.dumps(reply, separators=(",", ":")).encode()


def parse_reply(body: bytes) -> ReplyPayload | None:
    """The reply in `body`; None when it is none. Never raises."""
    try:
        return ReplyPayload.model_validate_json(body)
    except ValidationError:
        return None
