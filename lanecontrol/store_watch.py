"""What becomes of a lane's store: opened sooner or later, out of room, not taking writes, damaged beyond use.

Made by the composition root, one to a lane. It tells the lane, the port and the log, and raises what ends the process;
it never writes to the store, and before the lane is at work only the log hears of anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Never

from lanecontrol.errors import StorageFatal, StorageUnavailable
from lanecontrol.events import Event, StoreChanged
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.service.room import LOOK_EVERY_S, Room

OnChange = Callable[[bool, str], None]
OnDamage = Callable[[str], None]


class StoreWatch:
    """The store of one lane, opened by `open` and at work from `begin` on."""

    def __init__(
        self, path: Path, log: Any, emit: Callable[[str, Event], None], port: Callable[[str], None], scale: float = 1.0
    ) -> None:
        """`emit` tells the lane, `port` takes why the store takes no writes, or nothing when it does.

        `scale` is how many seconds of the loop a real one lasts.
        """
        self._path, self._log, self._emit, self._port, self._scale = path, log, emit, port, scale
        self._room = Room(path, self._room_changed)
        self._ruined = asyncio.Event()
        self._at_work = False
        self._ledger: Ledger

    async def open(self, make: Callable[[OnChange, OnDamage], Awaitable[Ledger]], every_s: float) -> Ledger:
        """Open the store. While it cannot be read, say why, once, and try again: nothing is granted without it.

        Raises StorageError where it is beyond use.
        """
        told = ""
        while True:
            try:
                self._ledger = await make(self._changed, self._damaged)
            except StorageUnavailable as error:
                if told != error.why:
                    told = error.why
                    self._log.error("store unavailable", path=str(self._path), reason=told, retry_every_s=every_s)
                await asyncio.sleep(every_s * self._scale)
            else:
                if told:
                    self._log.info("store opened after all")
                return self._ledger

    def begin(self) -> None:
        """The lane is at work. A store that came up unwritable is told to it now."""
        self._at_work = True
        if not self._ledger.writable:
            why = "the store came up without taking writes"
            self._tell(writable=False, why=why)
            self._port(why)

    async def watch_room(self) -> Never:
        """Whether there is room on its disk, again and again; a task of its own."""
        await self._room.watch(LOOK_EVERY_S * self._scale)

    async def until_ruined(self) -> Never:
        """A store that is damaged, or fails for good, ends the process: opening it again salvages what there is.

        Raises StorageError.
        """
        await self._ruined.wait()
        raise self._ledger.broken or StorageFatal("write", "the store failed for good")

    # --- what is told of it ------------------------------------------------------------------------------------------

    def _changed(self, writable: bool, reason: str) -> None:
        self._log.log(_level(writable), "store", writable=writable, reason=reason)
        if self._at_work:
            self._tell(writable=writable and self._room.enough, why=reason)
            self._port("" if writable else reason)
            self._judge()

    def _room_changed(self, enough: bool, why: str) -> None:
        self._log.log(_level(enough), "store's disk", room=enough, reason=why)
        self._tell(writable=enough and self._ledger.writable, why=why)

    def _tell(self, *, writable: bool, why: str) -> None:
        self._emit("store", StoreChanged(writable, why))

    def _damaged(self, why: str) -> None:
        self._log.error("store damaged", reason=why)
        if self._at_work:
            self._judge()

    def _judge(self) -> None:
        broken = self._ledger.broken
        if broken is not None and not isinstance(broken, StorageUnavailable):
            self._ruined.set()


def _level(good: bool) -> int:
    return logging.INFO if good else logging.ERROR
