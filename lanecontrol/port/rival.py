"""Whether another daemon works under this lane's name, and which of the two has to leave.

Two booths with one lane file would throw each other out of the broker for ever: brokers of MQTT 3.1.1, and some of 5,
close the older connection without a word. Each run names itself in the retained status; whoever finds another run's
there, newer than its own, knows. The one that was started later leaves and comes back when the other is gone. Pure;
used by the session.
"""

from __future__ import annotations

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.port.payloads import LaneStatus, StatusDocument


class Rivals:
    """What one run knows of others under its name."""

    def __init__(self, run: str, since_utc_s: float) -> None:
        self.run = run
        self.since_utc_s = since_utc_s
        self.yields = 0
        """How often in a row this run left the place to another one."""
        self._published = self._had_published = False
        self._before: StatusDocument | None = None

    def connected(self) -> None:
        """A connection begins: what stands retained comes in soon."""
        self._had_published = self._published

    def published(self) -> None:
        """Our own status stands at the broker now: what the next connection finds there of another one is newer."""
        self._published = True

    def is_ours(self, payload: bytes) -> bool:
        """Whether the place is ours, with this status found retained when we connected."""
        found = _status(payload)
        if found is None or found.run in ("", self.run):
            return True
        if not self._had_published:
            self._before = found  # of the run before this one
            return True
        before = self._before
        if before is not None and found.run == before.run and found.at_utc_s <= before.at_utc_s:
            return True  # a broker that forgot what came after it
        return (self.since_utc_s, self.run) < (found.run_since_utc_s, found.run)

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
