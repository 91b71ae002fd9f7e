"""Which pictures the port has not got yet: a small file for each, so that neither a crash nor a power cut forgets one.

Blocking calls only, on the thread of the store of pictures, which notes a picture down before it is in place. The name
of a file is the picture's hash, its content the media type. It goes when the port has the picture, or when the picture
was given up. Holds nothing that speaks of a person.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lanecontrol.errors import StorageUnavailable
from lanecontrol.evidence.files import sync_folder

FOLDER = "unsent"
"""Below the pictures' own folder; longer than the two digits of theirs, which tells it from them."""
LOOKED_AT_ONCE = 64
"""Notes taken from one look through the folder, oldest first."""
ANY_TYPE = "application/octet-stream"
_DIGEST = re.compile("[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,63}")


def media_type(text: str) -> str:
    """A media type that can be told on; a device may call a picture anything."""
    return text if _MEDIA_TYPE.fullmatch(text) else ANY_TYPE


@dataclass(frozen=True, slots=True)
class Unsent:
    """A picture that the port has not got."""

    digest: str
    media_type: str


class UnsentNotes:
    """The notes in one folder. Every call raises StorageUnavailable when the disk does not do as it should."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._made = False

    def add(self, digest: str, kind: str, now_utc_s: float) -> None:
        """Note a picture down. Returns when that is on disk for good; one that is noted already stays in its place."""
        try:
            self._make_folder()
            _write(self._folder / digest, kind.encode(), now_utc_s)
        except FileExistsError:
            return
        except OSError as error:
            raise _unavailable("note a picture to be sent", error) from error

    def oldest(self, but: Container[str] = ()) -> list[Unsent]:
        """Some of the pictures that the port has not got, oldest first, without those in `but`."""
        try:
            found = heapq.nsmallest(LOOKED_AT_ONCE, self._notes(but))
            return [Unsent(digest, self._kind(digest)) for _, digest in found]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unavailable("look for pictures to be sent", error) from error

    def remove(self, digest: str) -> None:
        """Strike a picture off. Should the power fail now, it is sent once more."""
        try:
            (self._folder / digest).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable("strike off a picture", error) from error

    def _notes(self, but: Container[str]) -> Iterator[tuple[float, str]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _DIGEST.fullmatch(entry.name) and entry.name not in but:
                    with suppress(FileNotFoundError):
                        yield entry.stat().st_mtime, entry.name

    def _kind(self, digest: str) -> str:
        """Empty after a power cut, perhaps: the picture counts, not what it was called."""
        return media_type((self._folder / digest).read_bytes()[:100].decode("ascii", "replace"))

    def _make_folder(self) -> None:
        if not self._made:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(self._folder.parent)
            self._made = True


def _write(path: Path, content: bytes, utc_s: float) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.utime(handle, (utc_s, utc_s))
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_folder(path.parent)


def _unavailable(deed: str, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(deed, error.strerror or type(error).__name__)
