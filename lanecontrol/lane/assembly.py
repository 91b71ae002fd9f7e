"""Whose is this card or plate? Votes now, a decision when the vehicle has left the booth.

Every counted read speaks for the passages that were within the sensor's reach at that moment, by place and signal
strength. A read at a moment when a passage was *not* within reach speaks against it, and so does standing in front of
the antenna without being read. So a card that goes on being read after the leader has left belongs to the follower,
however strongly it was read before; and a card is decided only a few seconds after its vehicle has left.

Called by the reader and camera events in `lane.step` and by `lane.passages` when a passage closes.
"""

from __future__ import annotations

import hashlib
from math import exp

from lanecontrol.announcements import (
    BoundPlate,
    BoundTag,
    PlateSighted,
    ReadingOrphaned,
    TagKind,
    TagSighted,
)
from lanecontrol.events import PlateRead, TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane.plan import BEFORE, NOWHERE
from lanecontrol.lane.record import replace
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Assembly, Passage, Reading, Seen, Vote, What
from lanecontrol.lane.turn import EARLY_S, Turn

ONE_VOTE_S = 0.9
"""One vote per tag and place in this time; readers repeat a tag about once a second (tracking rules)."""
LINGER_S = 1.0
"""A card may still answer this long after its vehicle has left the booth loop: the field ends behind it."""
STRAY_POWER = 4
"""The part of the counted reads at which the passage was within reach, to this power: a card that is read as often
without its supposed vehicle is worth a sixteenth, one stray read in ten hardly matters."""
ONE_READ_S = 1.1
"""A card that lies in the field is counted about this often."""
ROW_S = 2.4
"""Counted reads no further apart than this are in a row: one in between may have been missed."""
THIN, FULL = 0.45, 0.7
"""Read at less than the first part of the times one would expect, a card is not in this vehicle; from the second on
it plainly may be. Reads from the wrong zone come to about a tenth. A row of four says the same: it was shown and put
away again."""
UNREAD_FREE_S = 1.5
UNREAD_SCALE_S = 3.0
UNREAD_LEAST = 0.05
"""Standing at the booth unread costs exp(-t/3 s) beyond the first 1.5 s, but never more than a factor of 20: a card
may have been put away."""
QUEUE_WEIGHT = 0.3
SWEEP_S = 5.0
"""A silent reading that an open passage may still claim is looked at again this often."""
MAX_NUMBER = 128


# --- a read comes in -------------------------------------------------------------------------------------------------


def tag_read(t: Turn, read: TagRead) -> bool:
    """Take in a tag. Answers whether it may change what is known about the vehicle at the booth."""
    if not 0 < len(read.epc) <= MAX_NUMBER:
        return False
    place, zone = _antenna(t, read.antenna)
    rssi = read.rssi_dbm if read.rssi_dbm is not None and -200.0 < read.rssi_dbm < 100.0 else None
    at = _find(t, What.TAG, read.epc)
    before = t.assembly.readings[at] if at >= 0 else None
    if before is None:
        kind = tag_kind(t.setup, read.epc)
        seen = Seen(What.TAG, read.epc, kind, t.given.source, zone, t.now_s, t.utc_s, _short(read.tid))
        reading = Reading(seen, 0, 0, t.now_s, t.utc_s, t.now_s)
    else:
        reading = before
    seen = reading.seen
    if read.tid is not None and seen.tid is None:
        seen = replace(seen, tid=_short(read.tid))
    sighted, announce = _sighted(t, reading.sighted, zone)
    if announce:
        t.tell(TagSighted(seen.number, seen.kind, t.given.source, zone, read.antenna, t.utc_s, rssi))
    counts = place != NOWHERE and (reading.counted == 0 or t.now_s - reading.counted_s >= ONE_VOTE_S - EARLY_S)
    votes = _voted(t, reading, place, strength(rssi)) if counts else reading.votes
    after = Reading(
        seen,
        reading.reads + 1,
        reading.counted + counts,
        t.now_s,
        t.utc_s,
        t.now_s if counts else reading.counted_s,
        votes,
        sighted,
        reading.confidence,
        reading.owner,
        reading.shared,
        reading.late_reads + (1 if reading.owner else 0),
        reading.tids_differ or (read.tid is not None and seen.tid not in (None, read.tid)),
    )
    _keep(t, at, after)
    return before is None or after.tids_differ is not reading.tids_differ or (counts and after.counted == 2)


def plate_read(t: Turn, read: PlateRead) -> bool:
    """Take in a plate. Answers whether it may change what is known about the vehicle at the booth."""
    if not 0 < len(read.text) <= MAX_NUMBER:
        return False
    confidence = read.confidence if 0.0 <= read.confidence <= 1.0 else 0.0
    place, zone = _camera(t)
    jurisdiction, picture = read.jurisdiction[:16], read.picture[:256]
    at = _find(t, What.PLATE, read.text)
    before = t.assembly.readings[at] if at >= 0 else None
    reading = before
    if reading is None:
        seen = Seen(What.PLATE, read.text, TagKind.UNKNOWN, t.given.source, zone, t.now_s, t.utc_s, None, jurisdiction)
        reading = Reading(seen, 0, 0, t.now_s, t.utc_s, t.now_s)
    sighted, announce = _sighted(t, reading.sighted, zone)
    if announce:
        t.tell(PlateSighted(read.text, confidence, t.given.source, zone, t.utc_s, jurisdiction, picture))
    after = replace(
        reading,
        reads=reading.reads + 1,
        counted=reading.counted + (place != NOWHERE),
        last_s=t.now_s,
        last_utc_s=t.utc_s,
        counted_s=t.now_s,
        votes=_voted(t, reading, place, max(0.2, confidence)) if place != NOWHERE else reading.votes,
        sighted=sighted,
        confidence=max(reading.confidence, confidence),
        late_reads=reading.late_reads + (1 if reading.owner else 0),
    )
    _keep(t, at, after)
    return before is None


def tag_kind(setup: LaneSetup, number: str) -> TagKind:
    """The kind of a tag by the site's table: the longest matching prefix, in hex."""
    best, kind = -1, TagKind.UNKNOWN
    for rule in setup.tag_rules:
        if len(rule.prefix) > best and number.startswith(rule.prefix):
            best, kind = len(rule.prefix), rule.kind
    return kind


def strength(rssi_dbm: float | None) -> float:
    """Signal strength as a weight: -75 dBm and less is 0.2, -45 dBm and more is 1; unknown is in between."""
    if rssi_dbm is None:
        return 0.6
    return min(1.0, max(0.2, 0.2 + 0.8 * (rssi_dbm + 75.0) / 30.0))


def _short(tid: Identifier | None) -> Identifier | None:
    return tid if tid is None or len(tid) <= MAX_NUMBER else None


def _antenna(t: Turn, number: int) -> tuple[int, str]:
    source = t.given.source
    for index, antenna in enumerate(t.setup.antennas):
        if antenna.number == number and antenna.device == source:
            return t.plan.antenna_place[index], antenna.zone
    return NOWHERE, ""


def _camera(t: Turn) -> tuple[int, str]:
    for index, camera in enumerate(t.setup.cameras):
        if camera.device == t.given.source:
            return t.plan.camera_place[index], camera.zone
    return NOWHERE, ""


def _find(t: Turn, what: What, number: Identifier) -> int:
    """Where the reading of this number stands in the list; -1 when it is new."""
    for at, reading in enumerate(t.assembly.readings):
        if reading.seen.number == number and reading.seen.what is what:
            return at
    return -1


def _sighted(t: Turn, sighted: tuple[tuple[str, float], ...], zone: str) -> tuple[tuple[tuple[str, float], ...], bool]:
    """When this number was last announced from each zone, and whether it is to be announced now."""
    for name, last_s in sighted:
        if name == zone:
            if t.now_s - last_s < t.setup.limits.sighting_every_s - EARLY_S:
                return sighted, False
            break
    others = tuple(row for row in sighted if row[0] != zone)
    return (*others, (zone, t.now_s))[-8:], True


def _keep(t: Turn, at: int, after: Reading) -> None:
    readings = t.assembly.readings
    if at >= 0:
        readings = (*readings[:at], after, *readings[at + 1 :])
    else:
        if len(readings) >= max(1, t.setup.limits.max_tags):
            readings = _make_room(t, readings)
        readings = (*readings, after)
    sweep_s = t.assembly.sweep_s
    if sweep_s is None:
        sweep_s = after.last_s + t.setup.limits.orphan_after_s
    t.assembly = Assembly(readings, sweep_s)


def _make_room(t: Turn, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Drop the reading that was silent longest; those already taken by a passage first."""
    oldest = min(readings, key=lambda r: (not (r.owner or r.shared), r.last_s))
    _let_go(t, oldest, "the list of readings is full")
    return tuple(r for r in readings if r is not oldest)


# --- votes -----------------------------------------------------------------------------------------------------------


def _voted(t: Turn, reading: Reading, place: int, level: float) -> tuple[Vote, ...]:
    """The votes after one more counted read at `place`."""
    found: list[Vote] = []
    rest = list(reading.votes)
    in_a_row = t.now_s - reading.counted_s <= ROW_S
    first_queued = True
    booth = t.plan.booth
    for passage in t.tracking.passages:
        queued = passage.head == BEFORE
        weight = _weight(t, passage, place, level, first_queued)
        first_queued = first_queued and not queued
        if weight is None:
            continue
        vote = next((v for v in rest if v.passage == passage.id), None)
        here = passage.tail <= booth <= passage.head
        if vote is None:
            found.append(Vote(passage.id, weight, 1, int(here)))
        else:
            rest.remove(vote)
            row = vote.row + 1 if in_a_row else 1
            longest = max(row, vote.longest_row)
            found.append(Vote(passage.id, vote.score + weight, vote.reads + 1, vote.at_booth + here, row, longest))
    return (*rest, *found)[-16:]


def _weight(t: Turn, passage: Passage, place: int, level: float, first_queued: bool) -> float | None:
    """How much a read of this strength at `place` speaks for `passage`; None when it is out of reach.

    The one standing right behind is read more weakly, so for it a weak read speaks louder than a strong one.
    """
    if passage.head == BEFORE:
        return _weight_in_queue(t, passage, place, level, first_queued)
    if passage.gone_s is not None or passage.tail > place or passage.booth_left_s is not None:
        left_s = passage.booth_left_s if place == t.plan.booth else passage.gone_s
        near = place >= 0 and left_s is not None and t.now_s - left_s <= LINGER_S
        return QUEUE_WEIGHT * level if near else None
    if passage.head >= place:
        return level
    if passage.head == place - 1:
        return 0.6 * (1.1 - level)
    return None


def _weight_in_queue(t: Turn, passage: Passage, place: int, level: float, first: bool) -> float | None:
    if place == BEFORE:
        return level if passage is t.tracking.passages[-1] else QUEUE_WEIGHT * level
    if not first:
        return None
    # On the way to the first loop: within reach of what looks there; further on it neither helps nor harms.
    return QUEUE_WEIGHT * level if place == 0 else 0.0


def arrived(t: Turn, passage: Passage) -> None:
    """`passage` took its first loop: reads of the guard time before belong to it as well (tracking rules)."""
    since_s = t.now_s - t.setup.limits.read_guard_s
    readings = tuple(
        replace(r, votes=_credited(r, passage.id)) if not r.owner and r.counted_s >= since_s and r.counted else r
        for r in t.assembly.readings
    )
    t.assembly = replace(t.assembly, readings=readings)


def _credited(reading: Reading, name: str) -> tuple[Vote, ...]:
    if any(v.passage == name for v in reading.votes):
        return reading.votes
    return (*reading.votes, Vote(name, QUEUE_WEIGHT, 1))[-16:]


def heard_since(t: Turn, passage: Passage, moment_s: float) -> bool:
    """Whether something that `passage` may claim was read since then: its vehicle must still be near."""
    return any(
        reading.counted_s >= moment_s and not reading.owner and claim(t, reading, passage.id) is not None
        for reading in t.assembly.readings
    )


# --- whose is it? ----------------------------------------------------------------------------------------------------


def value(t: Turn, reading: Reading, vote: Vote, passage: Passage | None) -> float:
    """How strongly this reading belongs to the passage of `vote`, all things considered.

    Of a passage that has closed (None) the score was settled then; only what was read since speaks against it.
    """
    score = vote.score
    if vote.reads < reading.counted:
        score *= (vote.reads / reading.counted) ** STRAY_POWER
    if passage is None or passage.booth_s is None or score == 0.0 or reading.seen.what is What.PLATE:
        return score
    until_s = passage.booth_left_s if passage.booth_left_s is not None else t.now_s
    stay_s = max(0.0, until_s - passage.booth_s)
    unread_s = max(0.0, reading.seen.first_s - passage.booth_s) + max(0.0, until_s - reading.last_s)
    unread_s = min(stay_s, unread_s) - UNREAD_FREE_S
    if unread_s > 0:
        score *= max(UNREAD_LEAST, exp(-unread_s / UNREAD_SCALE_S))
    density = _dense(t, vote, passage)
    return score * (density if passage.booth_left_s is not None else max(UNREAD_LEAST, density))


def _dense(t: Turn, vote: Vote, passage: Passage) -> float:
    """0 to 1: whether a card of this vehicle would have been read as often as this."""
    if passage.booth_s is None:
        return 1.0
    until_s = passage.booth_left_s if passage.booth_left_s is not None else t.now_s
    since_s = passage.reached_s if passage.reached_s is not None else passage.booth_s
    shown = min(1.0, max(0, vote.longest_row - 2) / 2)
    at_booth = _density(vote.at_booth, max(0.0, until_s - passage.booth_s))
    return max(shown, at_booth, _density(vote.reads, max(0.0, until_s - since_s)))


def _density(reads: int, during_s: float) -> float:
    """0 to 1: whether so many counted reads in this time are what a card in the field would give."""
    part = (reads + 1) / (during_s / ONE_READ_S + 1)
    return min(1.0, max(0.0, (part - THIN) / (FULL - THIN)))


def claim(t: Turn, reading: Reading, name: str) -> tuple[float, bool] | None:
    """Whether passage `name` may claim this reading: its value and whether that is ambiguous; None when it may not."""
    mine, others, reads, thin = 0.0, 0.0, 0, False
    tag = reading.seen.what is What.TAG
    for vote in reading.votes:
        passage = t.passage(vote.passage)
        worth = value(t, reading, vote, passage)
        if vote.passage == name:
            mine, reads = worth, vote.reads
            thin = tag and passage is not None and _dense(t, vote, passage) == 0.0
        else:
            others = max(others, worth)
    limits = t.setup.limits
    if mine <= 0.0 or mine * limits.decision_margin < others:
        return None
    if reading.owner:
        # Its passage has closed with it; only plain evidence makes it this vehicle's as well, and never surely.
        return (mine, True) if reads > limits.decision_votes else None
    needed = limits.decision_votes if tag and others > 0.0 else 1
    return mine, thin or mine < others * limits.decision_margin or reads < needed


def bound(t: Turn, passage: Passage) -> tuple[tuple[BoundTag, ...], tuple[BoundPlate, ...]]:
    """What `passage` may claim at this moment, the strongest first."""
    tags: list[BoundTag] = []
    plates: list[BoundPlate] = []
    for reading in t.assembly.readings:
        if reading.owner == passage.id:
            continue
        claimed = claim(t, reading, passage.id)
        if claimed is None:
            continue
        worth, ambiguous = round(claimed[0], 4), claimed[1]
        seen = reading.seen
        if seen.what is What.TAG:
            tags.append(
                BoundTag(seen.number, seen.kind, worth, reading.reads, seen.first_utc_s, reading.last_utc_s, ambiguous)
            )
        else:
            plates.append(BoundPlate(seen.number, reading.confidence, worth, seen.jurisdiction, ambiguous))
    tags.sort(key=lambda tag: -tag.score)
    plates.sort(key=lambda plate: -plate.score)
    return tuple(tags), tuple(plates)


def decide(t: Turn, passage: Passage) -> tuple[tuple[BoundTag, ...], tuple[BoundPlate, ...]]:
    """The last word for a passage that closes: what it takes with it, and who is out of the running."""
    tags, plates = bound(t, passage)
    sure = {tag.epc for tag in tags if not tag.ambiguous} | {plate.text for plate in plates if not plate.ambiguous}
    unsure = {tag.epc for tag in tags if tag.ambiguous} | {plate.text for plate in plates if plate.ambiguous}
    readings: list[Reading] = []
    for reading in t.assembly.readings:
        number = reading.seen.number
        if number in sure and not reading.owner:
            # Later reads start again from nothing: they are late ones, or another vehicle's.
            readings.append(replace(reading, owner=passage.id, votes=(), counted=0))
        elif number in unsure:
            readings.append(replace(reading, shared=True, late_reads=0))
        else:
            readings.append(_settled(t, reading, passage))
    t.assembly = replace(t.assembly, readings=tuple(readings))
    return tags, plates


def _settled(t: Turn, reading: Reading, passage: Passage) -> Reading:
    """A reading that `passage` could not claim: what spoke for it stays as it is worth now, against the others."""
    vote = next((v for v in reading.votes if v.passage == passage.id), None)
    if vote is None:
        return reading
    others = tuple(v for v in reading.votes if v is not vote)
    worth = value(t, reading, vote, passage)
    return replace(reading, votes=(*others, Vote(passage.id, worth, reading.counted)) if worth > 0.0 else others)


def tids_differ(t: Turn, tags: tuple[BoundTag, ...]) -> bool:
    """Whether one of these numbers answered with two different chips."""
    numbers = {tag.epc for tag in tags}
    return any(r.tids_differ and r.seen.number in numbers for r in t.assembly.readings)


# --- nobody's --------------------------------------------------------------------------------------------------------


def sweep(t: Turn) -> None:
    """Let go of readings that were silent for long; publish those that no passage claimed."""
    limit_s = t.setup.limits.orphan_after_s
    kept: list[Reading] = []
    for reading in t.assembly.readings:
        if not t.due(reading.last_s + limit_s) or _contested(t, reading):
            kept.append(reading)
        else:
            _let_go(t, reading, "no passage could claim it")
    following = min((_next_look_s(t, r.last_s + limit_s) for r in kept), default=None)
    t.assembly = replace(t.assembly, readings=tuple(kept), sweep_s=following)


def _next_look_s(t: Turn, due_s: float) -> float:
    """When a reading kept is to be looked at: when it is due, or again after a while if it was due already."""
    return t.now_s + SWEEP_S if t.due(due_s) else due_s


def _contested(t: Turn, reading: Reading) -> bool:
    """Whether a passage that is still open may claim it."""
    return any(t.passage(vote.passage) is not None for vote in reading.votes)


def _let_go(t: Turn, reading: Reading, why: str) -> None:
    late = bool(reading.owner)
    if (late and not reading.late_reads) or (not late and reading.shared):
        return
    seen = reading.seen
    t.tell(
        ReadingOrphaned(
            what=seen.what.value,
            number=seen.number,
            device=seen.device,
            zone=seen.zone,
            reads=reading.late_reads if late else reading.reads,
            first_read_utc_s=seen.first_utc_s,
            last_read_utc_s=reading.last_utc_s,
            late=late,
            why="read after its passage had closed" if late else why,
        )
    )


def mark(text: str) -> str:
    """A short mark by which a text is recognised again, without showing it."""
    clear = text.clear if isinstance(text, Identifier) else text
    return hashlib.sha256(clear.encode("utf-8", "surrogatepass")).hexdigest()[:16]
