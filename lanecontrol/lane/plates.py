"""What cameras say: plates read, corrected, not read, and pictures, each to the car on its track.

A camera names each car that it follows: what it says of one track is about one vehicle, and the last word counts. So a
track is one reading, which votes like a card does (`lane.assembly`), whatever number it has in the meantime; its
pictures go with it to the passage that gets it. What a device had held back speaks for nobody. Called by `lane.step`.
"""

from __future__ import annotations

from lanecontrol.announcements import PlateNotRead, PlateSighted, TagKind, VehiclePictured
from lanecontrol.events import PictureTaken, PlateCandidate, PlateRead, PlateTrackEnded, PlateUnread
from lanecontrol.identifier import Identifier
from lanecontrol.lane.assembly import MAX_NUMBER, find, keep, late_read, sighted_now
from lanecontrol.lane.plan import NOWHERE
from lanecontrol.lane.record import replace
from lanecontrol.lane.same_plate import same_plate
from lanecontrol.lane.state import Picture, Reading, Seen, What
from lanecontrol.lane.texts import MAX_NOTE
from lanecontrol.lane.turn import Turn
from lanecontrol.lane.votes import voted

UNREAD_WEIGHT = 0.2
"""A car that was seen says where it is as well as one that was read with the least confidence."""
_NOBODY = Identifier()
_MAX_TRACK = 64
_MAX_REFERENCE = 256
_MAX_CANDIDATES = 8
_MAX_PICTURES = 8
_MAX_CORRECTED = 8
_MAX_PIXEL = 100_000


def plate_read(t: Turn, read: PlateRead) -> bool:
    """Take in a plate. Answers whether it may change what is known about the vehicle at the booth."""
    if not 0 < len(read.text) <= MAX_NUMBER:
        return False
    confidence = read.confidence if 0.0 <= read.confidence <= 1.0 else 0.0
    place, zone = _camera(t)
    if read.late:
        if late_read(t, What.PLATE, read.text, TagKind.UNKNOWN, zone):
            _tell_plate(t, read, confidence, zone)
        return False
    at, before = _on_track(t, read.track, read.text)
    reading = before if before is not None else _fresh(t, read.text, zone, read.track)
    was = reading.seen.number
    corrects = not same_plate(t.setup, was, read.text)
    sighted, announce = sighted_now(t, reading.sighted, zone)
    if announce or corrects or before is None:
        _tell_plate(t, read, confidence, zone, replaces=was if corrects else _NOBODY, passage=reading.owner)
    seen = replace(reading.seen, number=read.text, jurisdiction=read.jurisdiction[:16] or reading.seen.jurisdiction)
    told_before = read.afterwards and before is not None
    after = replace(
        reading if told_before else _counted(t, reading, place, max(0.2, confidence)),
        seen=seen,
        sighted=sighted,
        confidence=confidence if corrects else max(reading.confidence, confidence),
        pictures=_with(reading.pictures, read.picture, ""),
        shared=reading.shared and not corrects,
        corrected=(*reading.corrected, was)[-_MAX_CORRECTED:] if corrects and was else reading.corrected,
    )
    keep(t, at, after)
    return before is None or corrects


def plate_unread(t: Turn, event: PlateUnread) -> bool:
    """A car without a legible plate: it is told, and its picture goes where the car goes."""
    place, zone = _camera(t)
    why, picture = event.why[:MAX_NOTE], event.picture[:_MAX_REFERENCE]
    if event.late:
        t.tell(PlateNotRead(why, t.given.source, zone, t.utc_s, event.track[:_MAX_TRACK], picture, late=True))
        return False
    at, reading = _seen(t, event.track, zone)
    sighted, announce = sighted_now(t, reading.sighted, zone)
    if announce or not _has(reading, picture):
        t.tell(PlateNotRead(why, t.given.source, zone, t.utc_s, event.track[:_MAX_TRACK], picture))
    after = reading if event.afterwards and at >= 0 else _counted(t, reading, place, UNREAD_WEIGHT)
    keep(t, at, replace(after, sighted=sighted, pictures=_with(reading.pictures, picture, "")))
    return at < 0 and bool(picture)


def picture_taken(t: Turn, event: PictureTaken) -> bool:
    """One more picture of the car on a track; also of one of which nothing else was said yet."""
    reference, view = event.picture[:_MAX_REFERENCE], event.view[:_MAX_TRACK]
    if not reference:
        return False
    place, zone = _camera(t)
    at, reading = _seen(t, event.track, zone)
    if _has(reading, reference):
        return False
    track = event.track[:_MAX_TRACK]
    t.tell(VehiclePictured(reference, view, t.given.source, zone, t.utc_s, track, reading.owner))
    after = reading if at >= 0 else _counted(t, reading, place, UNREAD_WEIGHT)
    keep(t, at, replace(after, pictures=_with(reading.pictures, reference, view)))
    return not reading.pictures


def track_ended(t: Turn, event: PlateTrackEnded) -> None:
    """The camera may give the track's name to another car from now on."""
    at, reading = _on_track(t, event.track, _NOBODY)
    if reading is not None and event.track:
        keep(t, at, replace(reading, seen=replace(reading.seen, track_ended=True)))


# --- readings --------------------------------------------------------------------------------------------------------


def _camera(t: Turn) -> tuple[int, str]:
    for index, camera in enumerate(t.setup.cameras):
        if camera.device == t.given.source:
            return t.plan.camera_place[index], camera.zone
    return NOWHERE, ""


def _on_track(t: Turn, track: str, number: Identifier) -> tuple[int, Reading | None]:
    """The reading of a track, where there is a track, else that of the number; and where it stands in the list."""
    if not track:
        at = find(t, What.PLATE, number) if number else -1
        return at, t.assembly.readings[at] if at >= 0 else None
    name, source = track[:_MAX_TRACK], t.given.source
    for at, reading in enumerate(t.assembly.readings):
        seen = reading.seen
        if seen.track == name and seen.device == source and not seen.track_ended:
            return at, reading
    return -1, None


def _seen(t: Turn, track: str, zone: str) -> tuple[int, Reading]:
    """The reading of a track; without a track, one of its own: nobody can tell what it belongs to."""
    at, reading = _on_track(t, track, _NOBODY)
    return at, reading if reading is not None else _fresh(t, _NOBODY, zone, track or f"at {t.now_s:.3f}")


def _fresh(t: Turn, number: Identifier, zone: str, track: str) -> Reading:
    seen = Seen(
        What.PLATE,
        number,
        TagKind.UNKNOWN,
        t.given.source,
        zone,
        t.now_s,
        t.utc_s,
        track=track[:_MAX_TRACK],
    )
    return Reading(seen, 0, 0, t.now_s, t.utc_s, t.now_s)


def _counted(t: Turn, reading: Reading, place: int, weight: float) -> Reading:
    """After one more sight of this car."""
    counts = place != NOWHERE
    return replace(
        reading,
        reads=reading.reads + 1,
        counted=reading.counted + counts,
        last_s=t.now_s,
        last_utc_s=t.utc_s,
        counted_s=t.now_s,
        votes=voted(t, reading, place, weight) if counts else reading.votes,
        late_reads=reading.late_reads + (1 if reading.owner else 0),
    )


def _has(reading: Reading, reference: str) -> bool:
    return not reference or any(picture.reference == reference for picture in reading.pictures)


def _with(pictures: tuple[Picture, ...], reference: str, view: str) -> tuple[Picture, ...]:
    """The first ones are kept: they show the car as it came."""
    reference = reference[:_MAX_REFERENCE]
    if not reference or len(pictures) >= _MAX_PICTURES or any(p.reference == reference for p in pictures):
        return pictures
    return (*pictures, Picture(reference, view))


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell_plate(
    t: Turn, read: PlateRead, confidence: float, zone: str, *, replaces: Identifier = _NOBODY, passage: str = ""
) -> None:
    clock_s = read.camera_utc_s
    t.tell(
        PlateSighted(
            text=read.text,
            confidence=confidence,
            device=t.given.source,
            zone=zone,
            at_utc_s=t.utc_s,
            jurisdiction=read.jurisdiction[:16],
            picture=read.picture[:_MAX_REFERENCE],
            track=read.track[:_MAX_TRACK],
            replaces=replaces,
            passage=passage,
            raw=read.raw if len(read.raw) <= MAX_NUMBER else _NOBODY,
            candidates=tuple(filter(_sound, read.candidates[:_MAX_CANDIDATES])),
            heading=read.heading,
            box=read.box if read.box is not None and all(0 <= side <= _MAX_PIXEL for side in read.box) else None,
            engine=read.engine[:_MAX_TRACK],
            late=read.late,
            device_utc_s=clock_s if clock_s is not None and 0.0 <= clock_s < 1e12 else None,
        )
    )


def _sound(candidate: PlateCandidate) -> bool:
    return 0 < len(candidate.text) <= MAX_NUMBER and 0.0 <= candidate.confidence <= 1.0
