"""Which orders were answered lately, from the ledger: so that a repeat finds its answer after a restart too.

Asked once by the composition root, before the port can be heard; runs on the ledger's reading thread. Only reads.
"""

from __future__ import annotations

from lanecontrol.announcements import OrderAnswered
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.records import Position
from lanecontrol.port.payloads import EVENT_TYPES, parse_event

_KIND = EVENT_TYPES[OrderAnswered]
_STEP = 500
LOOKED_THROUGH = 20_000
"""Rows at the most: ten minutes of a lane that tells thirty events a second."""


def answered_since(reader: Reader, oldest_utc_s: float) -> list[OrderAnswered]:
    """The orders answered since a moment, oldest first. Raises StorageError."""
    found: list[OrderAnswered] = []
    end = reader.last_position()
    first = max(end - LOOKED_THROUGH, 0)
    while end > first:
        start = max(end - _STEP, first)
        rows = [row for row in reader.rows(Position(start), _STEP) if row.position <= end]
        bodies = [row.body for row in rows if row.kind == _KIND and row.time_utc_s >= oldest_utc_s]
        found = [*filter(None, map(_answer, bodies)), *found]
        if rows and rows[0].time_utc_s < oldest_utc_s:
            break
        end = Position(start)
    return found


def _answer(body: bytes | None) -> OrderAnswered | None:
    """Erased, or sealed with a key that is gone: nothing is known of it."""
    event = parse_event(body) if body is not None else None
    announcement = event.announcement() if event is not None else None
    return announcement if isinstance(announcement, OrderAnswered) else None
