"""Whose is this card or plate? Votes now, a decision when the vehicle has left the booth.

Every counted read speaks for the passages that were within the sensor's reach at that moment, by place and signal
strength. A read at a moment when a passage was *not* within reach speaks against it, and so does standing in front of
the antenna without being read. So a card that goes on being read after the leader has left belongs to the follower,
however strongly it was read before; and a card is decided only a few seconds after its vehicle has left.

Called by the reader events in `lane.step`, by `lane.plates` for what cameras say, and by `lane.passages` when a passage
closes.
"""

from __future__ import annotations

from dataclasses import replace as with_doubt

from lanecontrol.announcements import (
    BoundPicture,
    BoundPlate,
    BoundTag,
    CardSuspected,
    ReadingOrphaned,
    TagKind,
    TagSighted,
)
from lanecontrol.events import TagRead
from lanecontrol.identifier import Identifier
from lanecontrol.lane import plate_roles
from lanecontrol.lane.plan import NOWHERE
from lanecontrol.lane.record import maker, replace
from lanecontrol.lane.rules.table import rules_of
from lanecontrol.lane.same_plate import plate_key, same_plate
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Assembly, Habits, Passage, Reading, Seen, Vote, What
from lanecontrol.lane.turn import EARLY_S, Turn
from lanecontrol.lane.votes import QUEUE_WEIGHT, claim, heard, learnt, strength, value, voted

_assembly, _reading = maker(Assembly), maker(Reading)
_TAG, _PLATE = What.TAG, What.PLATE

ONE_VOTE_S = 0.9
"""One vote per tag and place in this time; readers repeat a tag about once a second (tracking rules)."""
COUNTED_AGAIN_S = ONE_VOTE_S - EARLY_S
SWEEP_S = 5.0
"""A silent reading that an open passage may still claim is looked at again this often."""
ALIKE = 2.0
"""One card more than there are people: one of those that are worth up to so many times as much is another vehicle's."""
ALONE_READS = 3
"""A card that was read so often, and never while a vehicle was within reach, is in no vehicle (rules for cards)."""
BUSY_LIMITS = 4.0
"""In a lane with vehicles a reading waits so many times as long before it is told as nobody's: in a queue, whoever was
read by reflection half a minute ago may be three vehicles from the booth."""
MAX_NUMBER = 128
MAX_PICTURES = 16
"""Of one vehicle, in the record of its passage."""


# --- a read comes in -------------------------------------------------------------------------------------------------


def tag_read(t: Turn, read: TagRead) -> bool:
    """Take in a tag. Answers whether it may change what is known about the vehicle at the booth."""
    if not 0 < len(read.epc) <= MAX_NUMBER:
        return False
    place, zone = _antenna(t, read.antenna)
    rssi = read.rssi_dbm
    if rssi is not None and not -200.0 < rssi < 100.0:
        rssi = None
    if read.late:
        _held_back(t, read, zone, rssi)
        return False
    now_s, assembly = t.now_s, t.assembly
    at = find(t, _TAG, read.epc)
    before = assembly.readings[at] if at >= 0 else None
    if before is None:
        kind = tag_kind(t.setup, read.epc)
        seen = Seen(What.TAG, read.epc, kind, t.given.source, zone, now_s, t.utc_s, _short(read.tid))
        reading = Reading(seen, 0, 0, now_s, t.utc_s, now_s)
    else:
        reading = before
    seen, tids_differ = reading.seen, reading.tids_differ
    if read.tid is not None:
        if seen.tid is None:
            seen = replace(seen, tid=_short(read.tid))
        tids_differ = tids_differ or seen.tid not in (None, read.tid)
    sighted, announce = sighted_now(t, reading.sighted, zone)
    if announce:
        t.tell(TagSighted(seen.number, seen.kind, t.given.source, zone, read.antenna, t.utc_s, rssi))
    counted, counted_s, votes, habits = reading.counted, reading.counted_s, reading.votes, assembly.habits
    counts = place != NOWHERE and (counted == 0 or now_s - counted_s >= COUNTED_AGAIN_S)
    if counts:
        level = strength(rssi)
        counted, counted_s, votes = counted + 1, now_s, voted(t, reading, place, level)
        if rssi is not None:
            habits = heard(habits, level)
    owner = reading.owner
    after = _reading(
        seen,
        reading.reads + 1,
        counted,
        now_s,
        t.utc_s,
        counted_s,
        votes,
        sighted,
        reading.confidence,
        owner,
        reading.shared,
        reading.late_reads + 1 if owner else reading.late_reads,
        tids_differ,
    )
    keep(t, at, after, habits)
    return before is None or tids_differ is not reading.tids_differ or (counts and counted == 2)


def _held_back(t: Turn, read: TagRead, zone: str, rssi: float | None) -> None:
    kind = tag_kind(t.setup, read.epc)
    if late_read(t, What.TAG, read.epc, kind, zone):
        clock_s = read.reader_utc_s
        t.tell(
            TagSighted(
                read.epc,
                kind,
                t.given.source,
                zone,
                read.antenna,
                t.utc_s,
                rssi,
                late=True,
                device_utc_s=clock_s if clock_s is not None and 0.0 <= clock_s < 1e12 else None,
            )
        )


def late_read(t: Turn, what: What, number: Identifier, kind: TagKind, zone: str) -> bool:
    """Count a read that its device had held back: it is nobody's, and is told as such in the end.

    Answers whether it is to be announced now.
    """
    at = find(t, what, number, late=True)
    if at >= 0:
        reading = t.assembly.readings[at]
    else:
        seen = Seen(what, number, kind, t.given.source, zone, t.now_s, t.utc_s, late=True)
        reading = Reading(seen, 0, 0, t.now_s, t.utc_s, t.now_s)
    sighted, announce = sighted_now(t, reading.sighted, zone)
    keep(t, at, replace(reading, reads=reading.reads + 1, last_s=t.now_s, last_utc_s=t.utc_s, sighted=sighted))
    return announce


def tag_kind(setup: LaneSetup, number: str) -> TagKind:
    """The kind of a tag by the site's table: the longest matching prefix, in hex."""
    best, kind = -1, TagKind.UNKNOWN
    for rule in setup.tag_rules:
        if len(rule.prefix) > best and number.startswith(rule.prefix):
            best, kind = len(rule.prefix), rule.kind
    return kind


def _short(tid: Identifier | None) -> Identifier | None:
    return tid if tid is None or len(tid) <= MAX_NUMBER else None


def _antenna(t: Turn, number: int) -> tuple[int, str]:
    source = t.given.source
    for antenna, place in zip(t.setup.antennas, t.plan.antenna_place):  # noqa: B905  its keyword costs as much again
        if antenna.number == number and antenna.device == source:
            return place, antenna.zone
    return NOWHERE, ""


def find(t: Turn, what: What, number: Identifier, *, late: bool = False) -> int:
    """Where the reading of this number, on no track, stands in the list; -1 when it is new."""
    readings, plate = t.assembly.readings, what is _PLATE
    for at in range(len(readings) - 1, -1, -1):  # what is read now has hardly been in the list for long
        seen = readings[at].seen
        if seen.number != number and not (plate and same_plate(t.setup, seen.number, number)):
            continue
        if seen.what is what and seen.late is late and not seen.track:
            return at
    return -1


def sighted_now(
    t: Turn, sighted: tuple[tuple[str, float], ...], zone: str
) -> tuple[tuple[tuple[str, float], ...], bool]:
    """When this number was last announced from each zone, and whether it is to be announced now."""
    for name, last_s in sighted:
        if name == zone:
            if t.now_s - last_s < t.setup.limits.sighting_every_s - EARLY_S:
                return sighted, False
            break
    others = [row for row in sighted if row[0] != zone]
    return (*others, (zone, t.now_s))[-8:], True


def keep(t: Turn, at: int, after: Reading, habits: Habits | None = None) -> None:
    """Put a reading into its place in the list; -1 for a new one. `habits`: those of the lane from now on."""
    readings = t.assembly.readings
    if at >= 0:
        kept = list(readings)
        kept[at] = after
        readings = tuple(kept)
    else:
        if len(readings) >= max(1, t.setup.limits.max_tags):
            readings = _make_room(t, readings)
        readings = (*readings, after)
    sweep_s = t.assembly.sweep_s
    if sweep_s is None:
        sweep_s = after.last_s + t.setup.limits.orphan_after_s
    t.assembly = _assembly(readings, sweep_s, t.assembly.habits if habits is None else habits)


def _make_room(t: Turn, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Drop the reading that was silent longest; those that are nobody's, or taken by a passage, first."""
    oldest = min(readings, key=lambda r: (not (r.owner or r.shared or r.seen.late), r.last_s))
    _let_go(t, oldest, "the list of readings is full")
    return tuple(r for r in readings if r is not oldest)


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
    return (*reading.votes, Vote(name, QUEUE_WEIGHT, 1, 0, reading.counted_s, reading.counted_s))[-16:]


def heard_since(t: Turn, passage: Passage, moment_s: float) -> bool:
    """Whether something that `passage` may claim was read since then: its vehicle must still be near."""
    return any(
        reading.counted_s >= moment_s and not reading.owner and claim(t, reading, passage.id) is not None
        for reading in t.assembly.readings
    )


# --- whose is it? ----------------------------------------------------------------------------------------------------


def bound(t: Turn, passage: Passage) -> tuple[tuple[BoundTag, ...], tuple[BoundPlate, ...]]:
    """What `passage` may claim at this moment, the strongest first."""
    tags: list[BoundTag] = []
    plates: list[BoundPlate] = []
    for reading in t.assembly.readings:
        if reading.owner == passage.id or not reading.votes:
            continue
        claimed = claim(t, reading, passage.id)
        if claimed is None:
            continue
        worth, ambiguous = round(claimed[0], 4), claimed[1]
        seen = reading.seen
        if seen.what is _TAG:
            tags.append(
                BoundTag(seen.number, seen.kind, worth, reading.reads, seen.first_utc_s, reading.last_utc_s, ambiguous)
            )
        elif seen.number:
            plates.append(
                BoundPlate(
                    seen.number,
                    reading.confidence,
                    worth,
                    seen.jurisdiction,
                    ambiguous,
                    reading.corrected,
                    plate_roles.seen_by(t.setup, seen.device),
                )
            )
    tags.sort(key=lambda tag: -tag.score)
    trailers = rules_of(t.lane_type, t.setup.direction).trailers
    return _doubted(passage, tags), plate_roles.merged(
        plates, lambda plate: plate_key(t.setup, plate.text), trailers=trailers
    )


def _doubted(passage: Passage, tags: list[BoundTag]) -> tuple[BoundTag, ...]:
    """More persons' cards than the officer counted persons: two vehicles side by side, perhaps.

    Whose the surplus is nobody can tell; only cards far stronger than the surplus are above suspicion.
    """
    cards = [tag for tag in tags if tag.kind is TagKind.PERSON and not tag.ambiguous]
    if passage.occupants is None or len(cards) <= passage.occupants:
        return tuple(tags)
    suspect = ALIKE * max(0.0, cards[passage.occupants].score)
    return tuple(with_doubt(tag, ambiguous=True) if tag in cards and tag.score <= suspect else tag for tag in tags)


def pictured(t: Turn, passage: Passage) -> tuple[BoundPicture, ...]:
    """The pictures on the tracks that `passage` may claim at this moment."""
    found: list[BoundPicture] = []
    for reading in t.assembly.readings:
        if reading.pictures and reading.owner != passage.id:
            claimed = claim(t, reading, passage.id)
            if claimed is not None:
                seen = reading.seen
                found += [
                    BoundPicture(picture.reference, picture.view, seen.device, seen.number, claimed[1])
                    for picture in reading.pictures
                ]
    return tuple(found[:MAX_PICTURES])


def decide(t: Turn, passage: Passage) -> tuple[tuple[BoundTag, ...], tuple[BoundPlate, ...]]:
    """The last word for a passage that closes: what it takes with it, and who is out of the running."""
    tags, plates = bound(t, passage)
    unsure = frozenset(tag.epc for tag in tags if tag.ambiguous)
    t.assembly = replace(
        t.assembly,
        habits=learnt(t, passage),
        readings=tuple(_decided(t, r, passage, unsure) for r in t.assembly.readings),
    )
    return tags, plates


def _decided(t: Turn, reading: Reading, passage: Passage, unsure: frozenset[Identifier]) -> Reading:
    claimed = claim(t, reading, passage.id) if reading.owner != passage.id else None
    if claimed is None:
        return _settled(t, reading, passage)
    if claimed[1] or reading.seen.number in unsure:
        return replace(reading, shared=True, late_reads=0)
    # Later reads start again from nothing: they are late ones, or another vehicle's.
    return replace(reading, owner=passage.id, votes=(), counted=0)


def _settled(t: Turn, reading: Reading, passage: Passage) -> Reading:
    """A reading that `passage` could not claim: what spoke for it stays as it is worth now, against the others."""
    vote = next((v for v in reading.votes if v.passage == passage.id), None)
    if vote is None:
        return reading
    others = tuple(v for v in reading.votes if v is not vote)
    worth = value(t, reading, vote, passage)
    if worth <= 0.0 and others:
        return replace(reading, votes=others)
    # The last vote stays, whatever it is worth: it tells that the card was not read in an empty lane.
    return replace(reading, votes=(*others, Vote(passage.id, worth, reading.counted)))


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
        if not t.due(reading.last_s + limit_s) or _contested(t, reading) or _may_still_come(t, reading):
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


def _may_still_come(t: Turn, reading: Reading) -> bool:
    """Nobody's yet, in a lane that has not been empty since: it may be in one of those that wait."""
    if not reading.counted or reading.owner or reading.seen.late or _alone(reading):
        return False
    waited_s = BUSY_LIMITS * t.setup.limits.orphan_after_s
    return bool(t.live()) and not t.due(reading.last_s + waited_s)


def _alone(reading: Reading) -> bool:
    """Read again and again, and never while a vehicle was within reach: it is in none of them."""
    return not reading.votes and reading.counted >= ALONE_READS


def _let_go(t: Turn, reading: Reading, why: str) -> None:
    seen, late = reading.seen, bool(reading.owner)
    if seen.late:
        _orphaned(t, reading, reading.reads, late=True, why="the device had held it back")
    elif late and reading.late_reads:
        _orphaned(t, reading, reading.late_reads, late=True, why="read after its passage had closed")
    elif not late and not reading.shared:
        _orphaned(t, reading, reading.reads, late=False, why=why)
        if seen.kind is TagKind.PERSON and _alone(reading):
            t.tell(CardSuspected(seen.number, "read while no vehicle was there", "", "", True, t.utc_s))


def _orphaned(t: Turn, reading: Reading, reads: int, *, late: bool, why: str) -> None:
    seen = reading.seen
    if seen.number:  # what was never read has been told as that
        t.tell(
            ReadingOrphaned(
                what=seen.what.value,
                number=seen.number,
                device=seen.device,
                zone=seen.zone,
                reads=reads,
                first_read_utc_s=seen.first_utc_s,
                last_read_utc_s=reading.last_utc_s,
                late=late,
                why=why,
            )
        )
