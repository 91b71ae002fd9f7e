"""What every order carries, and the kinds of text in it: shared by the requests of all verbs.

Used by `port.order_payloads`, `port.order_life` and by other messages with the same parts. Nothing here decides.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from lanecontrol.commands import Actor, Order, Request, Role

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Level = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Text = Annotated[str, StringConstraints(max_length=1000)]


def _utc_s(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time of day without a time zone; write one like 2026-01-31T12:00:00Z")
    return moment.timestamp()


UtcSeconds = Annotated[
    float,
    BeforeValidator(_utc_s, json_schema_input_type=str | float),
    Field(allow_inf_nan=False),
]


class By(BaseModel):
    """Who asks, and in which role."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Name
    """The person's or system's name, as it shall stand in the record."""
    role: Role
    """In which role. The lane decides what a role may ask for."""
    simulated: bool = False
    """The simulator's automatic officer. Refused by a real lane."""

    def actor(self) -> Actor:
        """The same in the lane's words."""
        return Actor(self.name, self.role, self.simulated)


class CommandPayload(BaseModel):
    """What every order carries."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    verb: ClassVar[str]

    key: Annotated[str, StringConstraints(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
    """Idempotency key: never used twice by anybody. A repeated key is refused."""
    by: By
    """Who asks."""
    lane: Level
    """The lane this is meant for; another lane refuses it."""
    deadline: UtcSeconds
    """After this moment the order is refused: RFC 3339, or UTC seconds since 1970."""
    issued: UtcSeconds | None = None
    """When it was given, by the sender's clock: RFC 3339, or UTC seconds since 1970. Of two orders of one person about
    one thing the older is refused when it comes after the newer; where it is left out, nobody can tell."""
    client: Level | None = None
    """Where there is no response topic (MQTT 3.1.1), the reply goes to `reply/<client>`."""

    withdraws: ClassVar[bool] = False
    """It only takes away: it is never too late for that."""

    @classmethod
    def own_fields(cls) -> dict[str, bool]:
        """The fields of the verb beside those that every order carries, and whether each must be given."""
        return {
            name: field.is_required()
            for name, field in cls.model_fields.items()
            if name not in CommandPayload.model_fields
        }

    @abstractmethod
    def request(self) -> Request:
        """What is asked for, in the lane's words."""

    @property
    def concern(self) -> str:
        """What it is about: a passage, a scan, an alarm; empty for the lane as such."""
        for name in ("passage", "scan", "alarm"):
            if about := getattr(self, name, ""):
                return f"{name} {about}"
        return ""

    def order(self) -> Order:
        """The order in the lane's words."""
        return Order(self.key, self.by.actor(), self.request(), self.deadline)
