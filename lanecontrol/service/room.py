"""Is there room left on the store's disk? Asked before a write has to find out.

Made by the composition root. A full disk shows by itself only at the next write, and a lane in which nothing happens
writes nothing: a permission given before would stand meanwhile. Noticed while there is still a little room, what is
withdrawn can be recorded, too. Deletes nothing.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Never

LOOK_EVERY_S = 0.5
"""Well within the shortest watchdog of a module."""
LEAST_BYTES = 1 << 20
"""Some hundred events and a checkpoint."""
AGAIN_BYTES = 2 << 20


def free_bytes(folder: Path) -> int:
    """What a process without privileges may still write there. Raises OSError. A look at a local disk takes some µs."""
    return shutil.disk_usage(folder).free


class Room:
    """Watches one folder's disk; `changed` is told when the room is used up, and when there is some again."""

    def __init__(
        self, folder: Path, changed: Callable[[bool, str], None], *, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._free = free
        self.enough = True

    async def watch(self, every_s: float = LOOK_EVERY_S) -> Never:
        """Look again and again; a task of its own."""
        while True:
            self.look()
            await asyncio.sleep(every_s)

    def look(self) -> None:
        """Look now. A disk that cannot be asked changes nothing: the ledger's own writes tell what is wrong with it."""
        try:
            free = self._free(self._folder)
        except OSError:
            return
        enough = free >= (LEAST_BYTES if self.enough else AGAIN_BYTES)
        if enough is not self.enough:
            self.enough = enough
            self._changed(enough, "there is room on the disk again" if enough else "the store's disk is full")
