"""Events as a subscriber got them at the broker: what goes into the score. Pure; for `sim.score` and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One message of `event/<class>` as the subscriber got it, in the order of arrival.

    `event` is the CloudEvent's JSON: `id` ("<epoch>-<seq>"), `epoch`, `seq`, `type`, `data`. `backlog` marks an event
    that was delivered late on purpose, `redelivery` the broker's DUP flag.
    """

    topic: str
    event: Mapping[str, Any]
    backlog: bool = False
    redelivery: bool = False

    @property
    def lane(self) -> str:
        """The lane's part of the topic, `poe/<port>/lane/<lane>`."""
        return self.topic.rpartition("/event/")[0]

    @property
    def topic_class(self) -> str:
        return self.topic.rpartition("/event/")[2]

    @property
    def name(self) -> str:
        """The event's type without the project's name and the version: `passage_closed`."""
        parts = str(self.event.get("type", "")).split(".")
        return parts[1] if len(parts) == 3 else ""

    @property
    def number(self) -> tuple[int, int]:
        """Epoch and sequence number, from the id."""
        epoch, _, seq = str(self.event["id"]).partition("-")
        return int(epoch), int(seq)


def named(received: Iterable[Received], name: str) -> list[Received]:
    """The events of one type, by its short name."""
    return [one for one in received if one.name == name]
