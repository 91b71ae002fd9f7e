"""Pictures as files: named by their hash, whole or not there at all, oldest first out when there are too many.

Blocking calls only, for one thread at a time; used by `evidence.store` and, for looking, by `doctor`. A picture is in
two folders named after the first digits of its hash (`ab/cd/abcd...`), so that no folder grows too long. It is written
beside them, synced, and renamed into place: what is in place is complete. Times are UTC seconds from the lane's clock
and stand as the files' own.
"""

from __future__ import annotations

import heapq
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lanecontrol.errors import StorageUnavailable
from lanecontrol.sealing import Sealer

_UNFINISHED = "unfinished"
"""Where a picture is written before it is renamed into place; emptied at every start."""
_LOOKED_AT_ONCE = 8192
"""Oldest pictures found in one look through all folders, so that the memory it takes is bounded."""
_ONE_MORE = 64 * 1024
"""What room for one more picture means: few are larger."""
_DOWN_TO = 0.95
"""Over the quota, pictures go until this part of it is left: or there would be a look through all folders for each."""


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How much is kept, for how long, and what must be left."""

    quota_bytes: int = 20 * 1024**3
    keep_s: float = 35 * 86400.0
    """Older pictures go."""
    least_s: float = 24 * 3600.0
    """Younger pictures stay, whatever the quota says; when only such are left, new ones are refused."""
    spare_bytes: int = 1024**3
    """Nothing is stored when less would be left on the disk: the ledger needs it more."""
    queue_bytes: int = 64 * 1024**2
    """Pictures that may wait in memory for the disk."""
    retry_s: float = 10.0
    full_retry_s: float = 300.0
    tidy_every_s: float = 3600.0
    close_s: float = 2.0


class EvidenceFull(StorageUnavailable):
    """There is no room, and nothing old enough to make some."""


@dataclass(frozen=True, slots=True)
class Size:
    """What is kept."""

    pictures: int
    bytes: int
    oldest_utc_s: float | None


@dataclass(frozen=True, slots=True)
class _Kept:
    utc_s: float
    size: int
    path: str

    def __lt__(self, other: _Kept) -> bool:
        return (self.utc_s, self.path) < (other.utc_s, other.path)


def measure(folder: Path) -> Size:
    """How much is kept in `folder`; nothing where there is none. Raises OSError."""
    pictures, size, oldest = 0, 0, None
    for kept in _all_in(folder):
        pictures, size = pictures + 1, size + kept.size
        oldest = kept.utc_s if oldest is None else min(oldest, kept.utc_s)
    return Size(pictures, size, oldest)


class PictureFiles:
    """The pictures in one folder. Every call raises StorageUnavailable when the disk does not do as it should."""

    def __init__(self, folder: Path, limits: EvidenceLimits, sealer: Sealer) -> None:
        self._folder = folder
        self._limits = limits
        self._sealer = sealer
        self._bytes: int | None = None

    # --- the one place where a picture becomes what stands on disk, and back --------------------------------------

    def _stored_form(self, digest: str, picture: bytes) -> bytes:
        return self._sealer.seal(picture, _context(digest))

    def _picture_of(self, digest: str, stored: bytes) -> bytes | None:
        return self._sealer.open(stored, _context(digest))

    # --- writing ---------------------------------------------------------------------------------------------------

    def tidy(self, now_utc_s: float) -> None:
        """Throw away what a crash left unfinished and what is too old, and see how much there is.

        Raises EvidenceFull when there is no room for one more picture.
        """
        with _Disk("tidy the pictures"):
            self._measured()
            self._expire(now_utc_s)
            self._make_room(self._measured() + _ONE_MORE, now_utc_s)

    def write(self, digest: str, picture: bytes, now_utc_s: float) -> None:
        """Keep a picture. Returns when it is on disk for good; one that is there already is only made young again.

        Raises EvidenceFull when there is no room.
        """
        with _Disk("keep a picture"):
            size = self._measured()
            place = self._place(digest)
            if _touched(place, now_utc_s):
                return
            stored = self._stored_form(digest, picture)
            self._make_room(size + len(stored), now_utc_s)
            self._write(place, stored, now_utc_s)
            self._bytes = (self._bytes or 0) + len(stored)

    def read(self, digest: str) -> bytes | None:
        """The picture; None when it is not here, or its key is not."""
        with _Disk("read a picture"):
            try:
                stored = self._place(digest).read_bytes()
            except FileNotFoundError:
                return None
            return self._picture_of(digest, stored)

    def _place(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest[2:4] / digest

    def _write(self, place: Path, stored: bytes, now_utc_s: float) -> None:
        unfinished = self._folder / _UNFINISHED / place.name
        try:
            _write_synced(unfinished, stored, now_utc_s)
            _make_folders(place.parent, self._folder)
            unfinished.replace(place)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        sync_folder(place.parent)

    # --- how much there is -----------------------------------------------------------------------------------------

    def _measured(self) -> int:
        """Bytes kept; looked up once, after throwing away what is unfinished."""
        if self._bytes is None:
            unfinished = self._folder / _UNFINISHED
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if unfinished.exists():
                shutil.rmtree(unfinished)
            unfinished.mkdir(mode=0o700)
            self._bytes = measure(self._folder).bytes
        return self._bytes

    def _make_room(self, wanted: int, now_utc_s: float) -> None:
        """See to it that `wanted` bytes in all keep to the quota, and that the disk has room to spare."""
        spare = shutil.disk_usage(self._folder).free - self._limits.spare_bytes
        if wanted <= self._limits.quota_bytes and spare >= 0:
            return
        too_much = max(wanted - int(self._limits.quota_bytes * _DOWN_TO), -spare)
        freed = self._free(too_much, now_utc_s)
        if wanted - freed > self._limits.quota_bytes:
            raise EvidenceFull("keep a picture", f"{self._limits.quota_bytes / 1024**3:.1f} GiB of young pictures")
        if spare + freed < 0:
            raise EvidenceFull("keep a picture", f"less than {self._limits.spare_bytes / 1024**3:.1f} GiB left on disk")

    def _free(self, too_much: int, now_utc_s: float) -> int:
        """Throw old pictures away until so many bytes are free; how many are."""
        freed = 0
        while freed < too_much:
            old = [kept for kept in self._oldest() if now_utc_s - kept.utc_s >= self._limits.least_s]
            for kept in old:
                freed += self._remove(kept)
                if freed >= too_much:
                    break
            if len(old) < _LOOKED_AT_ONCE:
                break
        return freed

    def _expire(self, now_utc_s: float) -> None:
        keep_s = max(self._limits.keep_s, self._limits.least_s)
        for kept in _all_in(self._folder):
            if now_utc_s - kept.utc_s > keep_s:
                self._remove(kept)

    def _oldest(self) -> list[_Kept]:
        return heapq.nsmallest(_LOOKED_AT_ONCE, _all_in(self._folder))

    def _remove(self, kept: _Kept) -> int:
        with suppress(FileNotFoundError):
            os.unlink(kept.path)  # noqa: PTH108 - a text already
        self._bytes = max(0, (self._bytes or 0) - kept.size)
        return kept.size


class _Disk:
    """Tells what the system says about the disk in the words of the store."""

    def __init__(self, deed: str) -> None:
        self._deed = deed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StorageUnavailable(self._deed, error.strerror or type(error).__name__) from error


def _context(digest: str) -> bytes:
    return f"picture {digest}".encode()


def _all_in(folder: Path) -> Iterator[_Kept]:
    """Every picture that is in place, in no order."""
    for one in _entries(str(folder), long=2):
        for two in _entries(one.path, long=2):
            for entry in _entries(two.path, long=64):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield _Kept(found.st_mtime, found.st_size, entry.path)


def _entries(folder: str, *, long: int) -> list[os.DirEntry[str]]:
    """What in this folder has a name so long; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if len(entry.name) == long]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _touched(place: Path, utc_s: float) -> bool:
    try:
        os.utime(place, (utc_s, utc_s))
    except FileNotFoundError:
        return False
    return True


def _write_synced(path: Path, data: bytes, utc_s: float) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.utime(handle, (utc_s, utc_s))
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folders(folder: Path, root: Path) -> None:
    """Make what is missing below `root` down to `folder`, each step durable."""
    if folder == root or folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """What was put into or taken out of this folder stays so when the power fails."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
