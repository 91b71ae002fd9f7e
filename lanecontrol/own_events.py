"""What the daemon tells of its own work, to the log and to the port: the broker, pictures, refused events, backlogs,
the store.

Made by the composition root; called by the parts that these things happen to. The lane itself learns of them only
where it has to decide differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lanecontrol.announcements import (
    TOPIC_CLASS,
    Announcement,
    BacklogDrained,
    BacklogDraining,
    EventUndeliverable,
    EvidenceUndeliverable,
    StoreSalvaged,
)
from lanecontrol.clock import Clock
from lanecontrol.events import CentralChanged, DeviceFault, Event
from lanecontrol.ledger.records import OpenReport
from lanecontrol.port.outbox import DeadLetter
from lanecontrol.supervisor import Emit

_TEXT = 200


class OwnEvents:
    """Of one lane's daemon. `tell` records an announcement, `emit` gives the lane an event."""

    def __init__(self, log: Any, clock: Clock, tell: Callable[[Announcement], None], emit: Emit) -> None:
        self._log = log
        self._clock = clock
        self._tell = tell
        self._emit = emit
        self._in_trouble: set[str] = set()

    def recorder_trouble(self, why: str) -> None:
        """The flight recorder cannot write; with empty words, it does again."""
        if why:
            self._log.error("flight recorder", reason=why)
        else:
            self._log.info("flight recorder", reason="recording again")

    def from_port(self, source: str, event: Event) -> None:
        """What the port's session tells the lane. The log says of the broker what the lane is told: changes only."""
        match event:
            case CentralChanged(reachable=True):
                self._log.info("broker reached", reason=event.reason)
            case CentralChanged():
                self._log.warning("broker unreachable", reason=event.reason)
        self._emit(source, event)

    def picture_trouble(self, what: str, why: str) -> None:
        """Pictures are `not_kept`, or `not_sent`; or they are again."""
        well = f"pictures are {what.removeprefix('not_')}"
        if why:
            self._log.error(f"pictures are {what.replace('_', ' ')}", reason=why)
            self._in_trouble.add(what)
        elif what in self._in_trouble:
            self._log.info(f"{well} again")
            self._in_trouble.remove(what)
        self._emit("evidence", DeviceFault(f"pictures_{what}", why or well, active=bool(why)))

    def picture_given_up(self, reference: str, why: str) -> None:
        self._log.error("picture undeliverable", reference=reference, reason=why)
        self._tell(EvidenceUndeliverable(reference, why, self._utc_s))

    def dead_letter(self, letter: DeadLetter) -> None:
        """An event was refused for good. One that tells of such is not told of: that would never be done."""
        self._log.error("event refused by the broker", id=f"{letter.epoch}-{letter.seq}", reason=letter.why)
        if letter.topic_class != TOPIC_CLASS[EventUndeliverable]:
            numbers = letter.topic_class, letter.epoch, letter.seq, letter.code
            self._tell(EventUndeliverable(*numbers, letter.why, self._utc_s))

    def backlog(self, per_s: float, waiting: int, took_s: float | None) -> None:
        """What piled up during an outage is on its way, or through."""
        if took_s is None:
            self._log.info("backlog", waiting=waiting)
            self._tell(BacklogDraining(waiting, per_s, self._utc_s))
        else:
            self._log.info("backlog delivered", count=waiting, took_s=round(took_s, 1))
            self._tell(BacklogDrained(waiting, took_s, self._utc_s))

    def store_opened(self, report: OpenReport, epoch: int) -> None:
        """What opening the store found."""
        if report.moved:
            self._log.warning("store comes from another box", epoch=epoch)
        if report.quarantined:
            self._log.error("store quarantined", files=report.quarantined, salvaged=report.salvaged, why=report.reason)
            lost = sum(loss.last_seq - loss.first_seq + 1 for loss in report.lost)
            self._tell(StoreSalvaged(report.salvaged, report.bodies_lost, lost, report.reason[:_TEXT], self._utc_s))

    @property
    def _utc_s(self) -> float:
        return self._clock.now().utc_s
