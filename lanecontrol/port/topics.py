"""The port's topics: which there are, their QoS, who keeps what, and which class may overtake or be dropped.

Everything that publishes or subscribes takes its topic names from a `LaneAddress`; `TOPICS` and `CLASSES` are the
contract as data, and docs/reference/topics.md is written from them (`python -m lanecontrol.port.topics`). Nothing here
does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanecontrol.announcements import TOPIC_CLASS, Announcement

_LEVEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_level(text: str) -> bool:
    """Whether `text` can be one level of a topic of ours: no separators, no wildcards, at most 64 characters."""
    return _LEVEL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class LaneAddress:
    """Where a lane publishes. A simulated lane has a tree of its own, so that nobody takes it for a real one.

    Raises ValueError for a port or lane name that cannot be a topic level.
    """

    port: str
    lane: str
    simulated: bool = False

    def __post_init__(self) -> None:
        for name in (self.port, self.lane):
            if not is_level(name):
                raise ValueError(f"{name!r} cannot be part of a topic; use letters, digits, _ . or -")

    @property
    def root(self) -> str:
        """`poe/<port>/lane/<lane>`: also the `source` of every event."""
        return f"{'sim/' if self.simulated else ''}poe/{self.port}/lane/{self.lane}"

    @property
    def status(self) -> str:
        return f"{self.root}/status"

    def device(self, device: str) -> str:
        return f"{self.root}/device/{device}"

    def event(self, topic_class: str) -> str:
        return f"{self.root}/event/{topic_class}"

    def command(self, verb: str) -> str:
        return f"{self.root}/cmd/{verb}"

    def reply(self, client: str) -> str:
        return f"{self.root}/reply/{client}"

    def receipt(self, consumer: str) -> str:
        return f"{self.root}/receipt/{consumer}"

    def evidence(self, picture: str) -> str:
        return f"{self.root}/evidence/{picture}"

    def ask(self, kind: str) -> str:
        return f"{self.root}/ask/{kind}"

    def answer(self, kind: str) -> str:
        return f"{self.root}/answer/{kind}"

    def notice(self, kind: str) -> str:
        """What concerns every lane of the port: no lane's own tree."""
        return f"{self.root.partition('/lane/')[0]}/notice/{kind}"

    def neighbour(self, lane: str) -> str:
        """Where `lane` of this port shows its cards to the others: no lane's own tree."""
        return f"{self.root.partition('/lane/')[0]}/neighbour/{lane}/cards"


class Drop(StrEnum):
    """What happens to a class when the store reaches its bound."""

    NEVER = "never"
    OLDEST_FIRST = "oldest_first"
    """Oldest first, and a gap record is left."""


@dataclass(frozen=True, slots=True)
class ClassPolicy:
    """One event class. `overtake`: its live events go before its own backlog after an outage. `share`: what part of the
    store its undelivered events may take before they are the first to go, where they may be dropped at all."""

    name: str
    meaning: str
    overtake: bool
    drop: Drop
    share: float = 1.0


CLASSES: dict[str, ClassPolicy] = {
    policy.name: policy
    for policy in (
        ClassPolicy("passage", "a vehicle's way through the lane", False, Drop.NEVER),
        ClassPolicy("reading", "tags and plates as they are seen", False, Drop.OLDEST_FIRST, 0.3),
        ClassPolicy("evidence", "pictures that are on the lane's disk", False, Drop.OLDEST_FIRST, 0.1),
        ClassPolicy("radiation", "one portal occupancy", False, Drop.NEVER),
        ClassPolicy("alarm", "an alarm raised, acknowledged, ended", True, Drop.NEVER),
        ClassPolicy("disposition", "an officer's decision", False, Drop.NEVER),
        ClassPolicy("equipment", "signal, gate, loops and commands to them", False, Drop.OLDEST_FIRST, 0.15),
        ClassPolicy("scanner", "the scanner's permissive and its scans", False, Drop.NEVER),
        ClassPolicy("lookout", "answers about lookouts: for the officer's authorised view alone", True, Drop.NEVER),
        ClassPolicy("lane", "the life of the lane", False, Drop.NEVER),
        ClassPolicy("device", "devices coming, going, failing", False, Drop.OLDEST_FIRST, 0.05),
        ClassPolicy("audit", "who asked for what, and what came of it", False, Drop.NEVER),
        ClassPolicy("store", "the ledger's chain, and what it had to give up", False, Drop.NEVER),
        ClassPolicy("telemetry", "figures about the software itself", True, Drop.OLDEST_FIRST, 0.05),
    )
}
"""Every event class and its policy."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the topic table. `name` is below the lane's root; `payload` names the document it carries."""

    name: str
    direction: str
    qos: int
    retained: bool
    payload: str
    meaning: str


TO_PORT = "lane to port"
TO_LANE = "port to lane"

TOPICS: tuple[Topic, ...] = (
    Topic("status", TO_PORT, 1, True, "status", "`online`, `stopped`, or `lost` (the will)"),
    Topic("device/<id>", TO_PORT, 1, True, "device", "state of a device; empty when it was removed"),
    *(Topic(f"event/{policy.name}", TO_PORT, 1, False, "CloudEvent", policy.meaning) for policy in CLASSES.values()),
    Topic("cmd/<verb>", TO_LANE, 1, False, "command", "an order; a retained one is refused"),
    Topic("reply/<client>", TO_PORT, 1, False, "reply", "how an order ended; also to the order's response topic"),
    Topic("receipt/<consumer>", TO_LANE, 1, True, "receipt", "how far a consumer has received, `epoch` and `seq`"),
    Topic("evidence/<id>", TO_PORT, 1, False, "evidence", "a picture's bytes, a chunk a message; `<id>` is its hash"),
    Topic("ask/<kind>", TO_PORT, 1, False, "question", "a question about a vehicle: `enrolment` or `lookout`"),
    Topic("answer/<kind>", TO_LANE, 1, False, "answer", "the answer to one; a retained or late one is dropped"),
)
"""Every topic below the lane's root."""

BACKLOG_PROPERTY = ("backlog", "true")
"""MQTT 5 user property of an event that was committed before the connection it is sent on came up."""


def class_of(announcement: Announcement) -> str:
    """The event class of an announcement."""
    return TOPIC_CLASS[type(announcement)]


def topics_page() -> str:
    """docs/reference/topics.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield from _HEAD.splitlines()
    yield ""
    yield "| topic | direction | QoS | retained | payload | meaning |"
    yield "|---|---|---|---|---|---|"
    for row in TOPICS:
        kept = "yes" if row.retained else "no"
        yield f"| `{row.name}` | {row.direction} | {row.qos} | {kept} | {row.payload} | {row.meaning} |"
    yield from _CLASSES_HEAD.splitlines()
    yield ""
    yield "| class | events | live overtakes backlog | dropped when the store is full |"
    yield "|---|---|---|---|"
    for policy in CLASSES.values():
        yield _class_row(policy)
    yield from _COMMANDS.splitlines()
    yield ""
    yield "| verb | fields | meaning |"
    yield "|---|---|---|"
    yield from _verb_rows()
    yield from _REPLIES.splitlines()


def _verb_rows() -> Iterator[str]:
    from lanecontrol.port.order_payloads import (
        COMMANDS,
    )  # with pydantic, which whoever only names a topic need not load

    for verb, model in COMMANDS.items():
        fields = ", ".join(f"`{name}`" if must else f"[`{name}`]" for name, must in model.own_fields().items())
        yield f"| `{verb}` | {fields} | {(model.__doc__ or '').splitlines()[0]} |"


def _class_row(policy: ClassPolicy) -> str:
    events = ", ".join(f"`{kind.__name__}`" for kind, name in TOPIC_CLASS.items() if name == policy.name)
    dropped = (
        "never" if policy.drop is Drop.NEVER else f"oldest first, before others above {policy.share:.0%} of the store"
    )
    return f"| `{policy.name}` | {events} | {'yes' if policy.overtake else 'no'} | {dropped} |"


_HEAD = """# Topics and payloads

This page is written from the code (`python -m lanecontrol.port.topics`); the schemas come from
`lanecontrol schema events` and `lanecontrol schema asyncapi`.

A lane publishes below `poe/<port>/lane/<lane>/`, a simulated lane below `sim/poe/<port>/lane/<lane>/`. Everything is
sent at QoS 1.
"""

_CLASSES_HEAD = """
## Events

Every event is a CloudEvent 1.0 in structured JSON. `source` is the lane's root topic; `id` is `<epoch>-<seq>`, and
`source` with `id` is the key to drop repeats by. `epoch` is the generation of the lane's store, `seq` counts the lane's
events without a gap. `timequality` says whether the lane's clock was `synchronised` or `free`; `subject` is the passage
where the event concerns one; `simulated` is there, and true, on simulated lanes only. Fields may be added to a type
without a new version: a consumer ignores what it does not know.

A broker delivers at least once. Order is kept within a class; across classes `seq` restores it. On MQTT 5 an event that
was recorded before the present connection came up carries the user property `backlog` = `true`; its bytes are the same
as ever.
"""

_COMMANDS = """
## Commands

`cmd/<verb>` takes JSON: `key` (idempotency key, 8 to 64 characters), `by` (`name`, `role`), `lane` (must be this
lane's), `deadline` (RFC 3339, or UTC seconds since 1970; at most ten minutes ahead), `issued` (optional, the same: when
it was given, so that an order which a later one of the same person about the same thing has overtaken is refused),
`client` (optional, names the topic `reply/<client>`), and the fields of the verb, those in brackets if wanted. Their
types and limits are in `lanecontrol schema documents`. Which role may give which order is for the lane to say: its
refusal does.
"""

_REPLIES = """
The reply is `{"key", "result", "reason", "lane", "repeated"}` with `result` one of `done`, `refused`, `failed`,
`unknown`. A `reason` beside `done` tells what an order did not do: a vehicle's disposition in a lane that lets nobody
go is on record only. It goes to the response topic with the correlation data of the request, or to `reply/<client>`.
A response topic inside the lane's own tree must be below its `reply/`. Retained, late, malformed or foreign commands
are refused with a reason, and so is a key that was used for another one; they never wait. The very same message once
more, also after a restart of the lane, gets the answer of the first one with `repeated` true; nothing is done again,
and while the first one is in hand there is one answer for both. All of it is on record in the class `audit`.

## Questions

A lane whose file has `questions` asks about each vehicle: JSON on `ask/enrolment` and `ask/lookout` with `id`, `kind`,
`lane`, `lane_type`, `direction`, `passage`, `deadline` and the numbers read (`cards`, `transponders`, `plates`), in
clear. The answer goes to the response topic with the correlation data of the question, which is `answer/<kind>`, as
JSON: `id`, `kind`, `lane`, and for enrolments `facts` (`number`, `standing`, `programmes`, `vehicles`) and `cargo`
(`manifest`, `seal`, `user_fee`, `hazmat`), for lookouts `hits` (`number`, `why`, `armed`). Questions carry an expiry:
one that cannot be answered before its deadline need not be answered. An answer is taken once, in time, if its question
is open; of a number that was not asked about nothing is believed, and one that was asked about and is left out of
`facts`, or of which two things are said, is unknown. A lookout is always asked about and always to be answered, with
empty `hits` where there is none: always in the same time, and filled up with blanks to the same length.

What came of lookouts is told in the class `lookout` alone. Who may not know of them must not be allowed to read
`event/lookout`; everything else of a lane is the same with a hit and without, up to the disposition.

## Neighbours

Below `poe/<port>/neighbour/<lane>/cards` the lanes of a port show each other which cards their passages have: `lane`
and `cards` (`hash`, `score`). A hash is HMAC-SHA-256, cut to 8 bytes, under a key of the day made of the lane file's
`privacy: {hash_key}`; lanes that do not share one cannot compare. These messages are never retained, expire after a
minute and are no events.

## Notices

`poe/<port>/notice/divert` is for all lanes of a port at once: traffic is sent elsewhere. JSON with `key`, `port`,
`active`, `reason`, `to` (where it is sent), `lanes` (which lanes are meant; all of them if it is left out), `by` (as in
commands; only a supervisor or central), `issued` and `until` (RFC 3339, or UTC seconds since 1970; at most 24 hours
apart). While it stands a lane admits nobody new and does not open; whoever is inside is finished. It ends with a notice
that is not `active`, and by itself at `until`. Of several, the one issued last counts. It may be retained, with an
expiry: then a lane that was away hears of it, and one whose time is over is not heeded. Where the lane's clock is not
synchronised a retained one is heeded only if the broker says by its expiry that it still holds. Each lane tells what it
makes of it by `DivertChanged`; `lanecontrol divert` sends one.

## Receipts

A broker that has acknowledged an event may still lose it. Where the lane file names a `consumer`, an event leaves the
lane's store only when that consumer's receipt covers it: a retained message on `receipt/<consumer>`, JSON with `epoch`,
`seq` and `missing` (optional: spans `[first, last]`, at most 1000). It says that the consumer has, for good, every
event of that epoch up to `seq` but for those missing, which are sent again at once. What no receipt covers for
`receipt_patience_s` is sent again too. Each epoch has receipts of its own: a consumer that hears events of another
epoch than its last receipt's writes one for each. A receipt for events that were never recorded frees nothing, and is
counted.

## Pictures

`EvidenceStored` tells that a picture is on the lane's disk: its reference (`sha256:` and the hash of its bytes), size
and media type. Where the lane file says `evidence: {publish: mqtt}`, its bytes follow below `evidence/`, when no event
waits to be sent: JSON with `reference`, `source` (the lane), `media_type`, `size_bytes`, `index` of `count` pieces,
`offset`, and the piece itself in base64 (`data`, at most 256 KiB of the picture). A consumer puts each piece at its
offset; a piece may come twice, and after a restart of the lane in other sizes. When all bytes are there, their SHA-256
must be the reference. `lanecontrol.port.evidence_in` does this; so does `lanecontrol watch --pictures DIR`. With
`publish: http` each picture is put under `<url>/<hash>` instead. What the port will never get is told by
`EvidenceUndeliverable`.
"""


if __name__ == "__main__":
    import sys

    sys.stdout.write(topics_page())
