"""What a camera's messages mean one after the other: the same event again, one more picture, a track that ends.

Pure; called with each decoded message and its moment. Both codecs of pushing cameras make `Sighting`s; the `Teller`
turns them into reports. Must never take two events for one because their ids begin alike, nor wait for a camera to say
that a car has gone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from lanecontrol.events import (
    DeviceFault,
    Heading,
    Identity,
    PictureTaken,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
)
from lanecontrol.framing import Doubt
from lanecontrol.identifier import Identifier

EVENTS_REMEMBERED = 4096
"""Events that are known again when they come twice: more than two days of a lane, and half a megabyte."""
TRACKS_REMEMBERED = 256

CLOCK_SKEW = "clock_skew"

PlateReport = PlateRead | PlateUnread | PictureTaken | PlateTrackEnded | DeviceFault


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it came. `view` is what it shows, in the camera's words."""

    data: bytes
    media_type: str
    view: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event of a camera. `key` is its full identity: what comes with the same key is the same event."""

    key: Hashable
    track: str = ""
    text: str = ""
    raw: str = ""
    confidence: float = 0.0
    jurisdiction: str = ""
    heading: Heading = Heading.UNKNOWN
    box: tuple[int, int, int, int] | None = None
    """In pixels of the first picture."""
    camera_utc_s: float | None = None
    pictures: tuple[Picture, ...] = ()
    unread: str = ""
    """Why there is no plate, where there is none."""
    gone: bool = False
    """The camera has lost sight of the car."""
    at_once: bool = True
    """The event is sent in the moment that `camera_utc_s` tells, so that it shows how late the camera's clock is."""
    identity: Identity = Identity()
    remarks: tuple[str, ...] = ()
    """What was wrong with the message, in words without any value of it."""


@dataclass(frozen=True, slots=True)
class Alive:
    """A message that makes sense and tells of no car."""

    identity: Identity = Identity()
    camera_utc_s: float | None = None
    remarks: tuple[str, ...] = ()


Found = Sighting | Alive | Doubt
"""What is in a message."""


class Recent:
    """Keys that were seen lately: a bounded memory, the oldest forgotten first.

    What was told and is not in the ledger yet may have to be told again: `mark` before asking the ledger, `settle` when
    it has everything up to then, `forget_unsettled` when something was lost on the way.
    """

    def __init__(self, limit: int = EVENTS_REMEMBERED) -> None:
        self._limit = limit
        self._keys: OrderedDict[Hashable, int] = OrderedDict()
        self._now = 1
        self._settled = 0

    def __len__(self) -> int:
        return len(self._keys)

    def is_new(self, key: Hashable) -> bool:
        """Whether `key` comes for the first time; from now on it is known."""
        if key in self._keys:
            return False
        self._keys[key] = self._now
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True

    def mark(self) -> int:
        """A moment between the keys known now and those that come later."""
        self._now += 1
        return self._now - 1

    def settle(self, mark: int) -> None:
        """What was known at the mark stays known."""
        self._settled = max(self._settled, mark)

    def forget_unsettled(self) -> None:
        """What came after the last settled mark is new again."""
        while self._keys and next(reversed(self._keys.values())) > self._settled:
            self._keys.popitem()


class Faults:
    """Which faults the lane was told of. One that no report told of yet is told in any case: a process before this one
    may have left it standing."""

    def __init__(self) -> None:
        self._told: dict[str, bool] = {}

    def settle(self, code: str, why: str) -> list[DeviceFault]:
        """The report if something changed; `why` is empty where all is well."""
        if self._told.get(code) is bool(why):
            return []
        self._told[code] = bool(why)
        return [DeviceFault(code, why, bool(why))]


class Teller:
    """One camera. Lives as long as its driver, so that a lost session does not make an old event new."""

    def __init__(self, *, engine: str, track_limit_s: float | None, skew_limit_s: float) -> None:
        self._engine = engine
        self._track_limit_s = track_limit_s
        self._skew_limit_s = skew_limit_s
        self._events = Recent()
        self._pictures = Recent()
        self._tracks: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self.faults = Faults()

    def take(self, seen: Sighting, references: Sequence[str], now_s: float, *, late: bool = False) -> list[PlateReport]:
        """The reports of an event. `references` are those of its pictures, in their order; empty where none was kept.

        An event that was told already tells only of pictures that are new.
        """
        told: list[PlateReport] = []
        new = self._events.is_new(seen.key)
        if new and (read := self._read(seen, references[0] if references else "", late)):
            told += read
            self._pictures.is_new((seen.key, references[0] if references else ""))
        for reference, picture in zip(references, seen.pictures, strict=True):
            if reference and self._pictures.is_new((seen.key, reference)):
                told.append(PictureTaken(reference, seen.track, picture.view))
        return told + (self._follow(seen, now_s) if new else [])

    def _read(self, seen: Sighting, picture: str, late: bool) -> list[PlateReport]:
        if seen.gone and (not seen.text or self._last_text(seen.track) == seen.text):
            return []
        if not seen.text:
            return [PlateUnread(seen.unread or "the camera read no plate", seen.track, picture, late)]
        return [
            PlateRead(
                Identifier(seen.text),
                seen.confidence,
                jurisdiction=seen.jurisdiction,
                track=seen.track,
                picture=picture,
                raw=Identifier(seen.raw),
                heading=seen.heading,
                box=seen.box,
                engine=self._engine,
                camera_utc_s=seen.camera_utc_s,
                late=late,
            )
        ]

    # --- what the ledger has -----------------------------------------------------------------------------------------

    def mark(self) -> tuple[int, int]:
        """See `Recent`."""
        return self._events.mark(), self._pictures.mark()

    def settle(self, mark: tuple[int, int]) -> None:
        """See `Recent`."""
        self._events.settle(mark[0])
        self._pictures.settle(mark[1])

    def forget_unsettled(self) -> None:
        """See `Recent`."""
        self._events.forget_unsettled()
        self._pictures.forget_unsettled()

    # --- tracks ------------------------------------------------------------------------------------------------------

    def _last_text(self, track: str) -> str | None:
        found = self._tracks.get(track)
        return found[1] if found else None

    def _follow(self, seen: Sighting, now_s: float) -> list[PlateReport]:
        """Remember the track, or end it."""
        if self._track_limit_s is None or not seen.track:
            return []
        if seen.gone:
            self._tracks.pop(seen.track, None)
            return [PlateTrackEnded(seen.track)]
        text = seen.text or self._last_text(seen.track) or ""
        self._tracks[seen.track] = (now_s + self._track_limit_s, text)
        self._tracks.move_to_end(seen.track)
        if len(self._tracks) <= TRACKS_REMEMBERED:
            return []
        oldest, _ = self._tracks.popitem(last=False)
        return [PlateTrackEnded(oldest)]

    def expire(self, now_s: float) -> list[PlateReport]:
        """Tracks of which nothing was heard for the limit have ended, whether the camera says so or not."""
        told: list[PlateReport] = []
        while self._tracks and next(iter(self._tracks.values()))[0] <= now_s:
            track, _ = self._tracks.popitem(last=False)
            told.append(PlateTrackEnded(track))
        return told

    # --- the camera's clock ------------------------------------------------------------------------------------------

    def compare_clocks(self, camera_utc_s: float | None, arrival_utc_s: float, *, at_once: bool) -> list[PlateReport]:
        """The camera's clock against ours. An event that may have waited tells nothing of a clock that seems late."""
        if camera_utc_s is None:
            return []
        skew_s = camera_utc_s - arrival_utc_s
        if skew_s < -self._skew_limit_s and not at_once:
            return []
        why = f"the camera's clock differs by {skew_s:+.1f} s" if abs(skew_s) > self._skew_limit_s else ""
        return list(self.faults.settle(CLOCK_SKEW, why))
