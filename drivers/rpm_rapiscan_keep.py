"""Which of a portal's daily files stay: the newest so many, and no more than so much; the oldest go first.

Called by the daily file's own thread, when it opens a file and every ten minutes. Goes by the names of the files alone
and counts them, so that a clock that is wrong for a while costs one old file and not all of them. Must never remove the
file that is being written, or anything but daily files of this portal; a disk that refuses is told, never raised.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keep:
    """How much stays on the disk."""

    days: int = 35
    """So many files, the one that is being written among them."""
    limit_bytes: int = 2048 * MIB
    """All of them together; the one that is being written may be more."""


def prune(folder: Path, name: str, keep: Keep, writing: str) -> str:
    """Remove what is too much, but never the file called `writing`. Why not all of that is gone; empty when it is."""
    try:
        surplus = _surplus(_daily_files(folder, name), keep, writing)
    except OSError as error:
        return f"the folder cannot be read: {_words(error)}"
    refusals = [why for file in surplus if (why := _refusal(folder / file))]
    return f"{len(refusals)} old files cannot be removed: {refusals[0]}" if refusals else ""


def _daily_files(folder: Path, name: str) -> dict[str, int]:
    """The sizes of this portal's daily files, by their names. Raises OSError."""
    daily = re.compile(re.escape(name) + r"_\d{4}-\d\d-\d\d\.csv", re.ASCII)
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if daily.fullmatch(entry.name) and stat.S_ISREG((about := entry.stat(follow_symlinks=False)).st_mode):
                found[entry.name] = about.st_size
    return found


def _surplus(sizes: dict[str, int], keep: Keep, writing: str) -> list[str]:
    """The names of those that are too much, oldest first."""
    total = sizes.get(writing, 0)
    newest_first = sorted((file for file in sizes if file != writing), reverse=True)
    for number, file in enumerate(newest_first, start=2):
        total += sizes[file]
        if number > keep.days or total > keep.limit_bytes:
            return newest_first[number - 2 :][::-1]
    return []


def _refusal(path: Path) -> str:
    """Why this file is still there; empty when it has gone, whoever removed it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return _words(error)
    return ""


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
