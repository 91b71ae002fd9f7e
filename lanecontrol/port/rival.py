"""Whether another daemon works under this lane's name, and which of the two has to leave.

Two booths with one lane file would throw each other out of the broker for ever: brokers of MQTT 3.1.1, and some of 5,
close the older connection without a word. Each run names itself in the retained status, and takes a turn above the one
that it found there when it first came; whoever later finds another run's there, newer than its own, knows. The one with
the higher turn, which came later, leaves and comes back when the other is gone. No clock is asked: those of two booths
need not agree, and one without a battery begins in 1970. Pure; used by the session.
"""

from __future__ import annotations

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.port.payloads import LaneStatus, StatusDocument

UNKNOWN = -1


class Rivals:
    """What one run knows of others under its name."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.turn = 0
        """Above that of every run that stood there when this one came."""
        self.serial = 0
        """How many statuses this run has published."""
        self.yields = 0
        """How often in a row this run left the place to another one."""
        self._had_published = False
        self._before: StatusDocument | None = None

    @property
    def told_turn(self) -> int:
        """The turn to be told: what a first connection says, and its will, is said before anything was found there."""
        return self.turn if self.serial else UNKNOWN

    def connected(self) -> None:
        """A connection begins: what stands retained comes in soon."""
        self._had_published = self.serial > 0

    def published(self) -> None:
        """Our own status stands at the broker now: what the next connection finds there of another one is newer."""
        self.serial += 1

    def is_ours(self, payload: bytes) -> bool:
        """Whether the place is ours, with this status found retained when we connected."""
        found = _status(payload)
        if found is None or found.run in ("", self.run):
            return True
        if not self._had_published:
            self._before = found  # of the run before this one
            self.turn = max(found.turn, 0) + 1
            return True
        if found.state is LaneStatus.STOPPED:
            return True
        before = self._before
        if before is not None and found.run == before.run and found.serial <= before.serial:
            return True  # a broker that forgot what came after it
        # On its first connection it came after us: ours stood there.
        return found.turn == UNKNOWN or (self.turn, self.run) < (found.turn, found.run)

    def is_free(self, payload: bytes) -> bool:
        """Whether nobody else is there, with this status found retained by somebody who only looks."""
        found = _status(payload)
        return found is None or found.run in ("", self.run) or found.state is not LaneStatus.ONLINE


def _status(payload: bytes) -> StatusDocument | None:
    """Whoever may publish there may publish anything."""
    try:
        return forms.from_json(StatusDocument, payload)
    except ValidationError:
        return None
