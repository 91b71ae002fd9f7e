"""The port's JSON: announcements as CloudEvents 1.0, the retained documents, and events read back.

The ledger stores what `event_bytes` made and the relay sends exactly those bytes, so a repeat is byte-identical. This
module must never read a clock or change what an announcement says. Card numbers and plates stand here in clear: the
port is entitled to them, a log is not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, get_args

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.announcements import TOPIC_CLASS, Announcement, DeviceStateChanged
from lanecontrol.clock import Instant
from lanecontrol.commands import OverridePart
from lanecontrol.port.topics import LaneAddress

CONTENT_TYPE = "application/cloudevents+json"
"""CloudEvents JSON format 1.0, structured mode."""
JSON = "application/json"
SILENT_CLASS = "lookout"
SILENT_STEP_BYTES = 2048
"""Events about lookouts are filled up with blanks to a multiple of this, on the wire and on disk: that there is a hit
must not show in how long they are, sealed or not."""


def _type_name(kind: type[Announcement]) -> str:
    return f"lanecontrol.{re.sub(r'(?<!^)(?=[A-Z])', '_', kind.__name__).lower()}.v1"


EVENT_TYPES: dict[type[Announcement], str] = {kind: _type_name(kind) for kind in get_args(Announcement)}
"""The CloudEvents `type` of each announcement."""
ANNOUNCEMENTS: dict[str, type[Announcement]] = {name: kind for kind, name in EVENT_TYPES.items()}
"""The announcement behind each CloudEvents `type`."""


class TimeQuality(StrEnum):
    """Whether the clock that stamped an event was disciplined."""

    SYNCHRONISED = "synchronised"
    FREE = "free"


def subject_of(announcement: Announcement) -> str:
    """The passage that an announcement is about; empty where there is none, or more than one."""
    passage: str = getattr(announcement, "passage", "")
    candidates: tuple[str, ...] = getattr(announcement, "passages", ())
    return passage or (candidates[0] if len(candidates) == 1 else "")


def event_bytes(
    announcement: Announcement, *, epoch: int, seq: int, instant: Instant, source_lane: LaneAddress
) -> bytes:
    """The event as it goes over the wire: compact JSON, always the same key order, so equal input gives equal bytes.

    `epoch` and `seq` are the ledger's, `instant` the moment of the decision.
    """
    subject = subject_of(announcement)
    about = f'"subject":{json.dumps(subject)},' if subject else ""
    simulated = '"simulated":true,' if source_lane.simulated else ""
    quality = TimeQuality.SYNCHRONISED if instant.synchronised else TimeQuality.FREE
    head = (
        f'{{"specversion":"1.0","id":"{epoch}-{seq}","source":"{source_lane.root}",'
        f'"type":"{EVENT_TYPES[type(announcement)]}",{about}"time":"{instant.iso()}",'
        f'"datacontenttype":"application/json","epoch":{epoch},"seq":{seq},"timequality":"{quality}",{simulated}"data":'
    )
    body = b"%b%b" % (head.encode(), forms.to_json(announcement))
    if TOPIC_CLASS[type(announcement)] == SILENT_CLASS:
        body += b" " * (-(len(body) + 1) % SILENT_STEP_BYTES)
    return body + b"}"


# --- events read back ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortEvent:
    """An event as a consumer at the port sees it. `data` is the announcement as plain JSON values."""

    type: str
    source: str
    epoch: int
    seq: int
    utc_s: float
    quality: TimeQuality
    subject: str = ""
    simulated: bool = False
    data: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}"

    def announcement(self) -> Announcement | None:
        """The announcement in it; None for a type or a form that this version does not know."""
        kind = ANNOUNCEMENTS.get(self.type)
        if kind is None:
            return None
        try:
            return forms.from_plain(kind, self.data)
        except ValidationError:
            return None


def parse_event(raw: bytes) -> PortEvent | None:
    """The event in `raw`; None when it is none of ours. Never raises."""
    try:
        body = json.loads(raw)
        if body["specversion"] != "1.0" or body["id"] != f"{body['epoch']}-{body['seq']}":
            return None
        return PortEvent(
            type=_text(body["type"]),
            source=_text(body["source"]),
            epoch=_whole(body["epoch"]),
            seq=_whole(body["seq"]),
            utc_s=datetime.fromisoformat(body["time"]).timestamp(),
            quality=TimeQuality(body["timequality"]),
            subject=_text(body.get("subject", "")),
            simulated=body.get("simulated", False) is True,
            data=_object(body["data"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


# --- retained documents ----------------------------------------------------------------------------------------------


class LaneStatus(StrEnum):
    """Whether the lane's software is connected to the port."""

    ONLINE = "online"
    STOPPED = "stopped"
    """Stopped on purpose."""
    LOST = "lost"
    """The broker's word, from the will: the connection ended without a goodbye."""


@dataclass(frozen=True, slots=True)
class Overridden:
    """Part of the equipment that is set aside by hand now."""

    override: str
    part: OverridePart
    name: str
    """Which one, where there are several: a loop's name."""
    reason: str
    until_utc_s: float
    """It ends by itself then, if nobody ends it before."""


@dataclass(frozen=True, slots=True)
class StatusDocument:
    """What stands retained on `status`: the birth, the goodbye, and, as the will, the loss of the lane."""

    state: LaneStatus
    epoch: int
    """Generation of the lane's store."""
    versions: dict[str, str]
    """Versions of the software, by name."""
    config_hash: str
    simulated: bool
    at_utc_s: float
    """When this was written; in a will, when the connection was made."""
    run: str = ""
    """Names this run of the software: two under one lane's name know each other by it."""
    run_since_utc_s: float = 0.0
    """When this run began."""
    turn: int = 0
    """Above that of each run that stood here when this one came: of two, the one with the lower has the place. -1
    while that is not known yet, and in the will of a first connection."""
    serial: int = 0
    """How many statuses this run had published before."""
    store_fault: str = ""
    """Why the lane's disk takes no events now; empty while it does. Until then nothing new is told elsewhere, since
    what is not on disk is not sent."""
    overrides: tuple[Overridden, ...] = ()
    """Every override that stands, for whoever comes to look only now."""


@dataclass(frozen=True, slots=True)
class DeviceDocument:
    """What stands retained on `device/<id>`."""

    state: DeviceStateChanged
    simulated: bool
    epoch: int


def device_bytes(changed: DeviceStateChanged, *, epoch: int, simulated: bool) -> bytes:
    """The retained document of a device."""
    return forms.to_json(DeviceDocument(changed, simulated, epoch))
