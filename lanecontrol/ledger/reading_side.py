"""The ledger's reading half: one connection, asked on a thread of its own (or inline), made anew after it failed.

Used by the ledger alone. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from lanecontrol.errors import StorageError
from lanecontrol.ledger import database
from lanecontrol.ledger.hands import Hands
from lanecontrol.ledger.reader import Reader
from lanecontrol.sealing import Sealer

P = ParamSpec("P")
T = TypeVar("T")


class ReadingSide:
    """Reads one store, one question after the other. `hands` may be given other work in between."""

    def __init__(self, hands: Hands, path: Path, connect: database.Connect, sealer: Sealer) -> None:
        self.hands = hands
        self._path, self._connect, self._sealer = path, connect, sealer
        self._reader: Reader | None = None

    async def ask(self, what: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a question finds. Raises StorageUnavailable, StorageCorrupt."""
        return await self.hands.do(self._ask_now, lambda reader: what(reader, *args, **kwargs))

    def _ask_now(self, what: Callable[[Reader], T]) -> T:
        """On the thread. A connection that failed is not used again."""
        reader = self._reader or Reader.open(self._path, self._connect, self._sealer)
        self._reader = None
        try:
            found = what(reader)
        except StorageError:
            reader.close()
            raise
        self._reader = reader
        return found

    async def close(self) -> None:
        """Let go of the store."""
        await self.hands.do(self._close_now)

    def _close_now(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(StorageError):  # nothing was written through it
                reader.close()
