"""The scanner's part of the score: what the lane published of its scans, held against the world's beams.

Called by `sim.score`. Only what a subscriber received and what really happened go in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.received import Received, named
from sim.score_file import Scans
from sim.world.truth import BeamTruth, Truth

MEANT = frozenset({"operator", "lane", "order_expired", "passage_ended"})
"""Causes with which somebody ended a scan on purpose, or let it end."""
NEAR_S = 2.0
"""A beam belongs to the scan whose time, with so much to spare, it falls into."""


def score_scans(truth: Truth, events: Sequence[Received], utc_at_zero_s: float) -> Scans:
    """The scans of one lane, from its events, each once."""
    changes, records = (
        [one.event["data"] for one in named(events, name)] for name in ("scanner_changed", "scan_recorded")
    )
    found = Scans(
        ordered=len({change["scan"] for change in changes if change["state"] == "armed"}),
        beams=len(truth.beams),
        shutter_late=sum(beam.overran for beam in truth.beams),
        people_in_beam=truth.people_in_beam,
        beam_without_request=truth.beam_without_request,
    )
    ends = [record["end"] for record in records]
    for name in ("completed", "aborted", "cancelled", "faulted"):
        setattr(found, name, ends.count(name))
    found.interrupted = ends.count("scan_interrupted")
    found.false_aborts_told = sum(bool(record["false_abort"]) for record in records)
    found.false_aborts = sum(_for_nothing(beam, beam.started_s + utc_at_zero_s, records) for beam in truth.beams)
    return found


def _for_nothing(beam: BeamTruth, at_utc_s: float, records: Iterable[Mapping[str, Any]]) -> bool:
    """The lane took it back although nothing was the matter with the scanner and nobody had asked for that."""
    if beam.ended_by not in ("withdrawn", "abort") or beam.befallen:
        return False
    mine = (r for r in records if r["ordered_utc_s"] - NEAR_S <= at_utc_s <= r["ended_utc_s"] + NEAR_S)
    return not any(record["cause"] in MEANT for record in mine)
