"""What stands behind a device's sessions besides the lane's ear: the picture store, the barrier, a folder.

Made by the composition root, one per device; a driver tried outside a lane has `Alone`. Nothing here decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from lanecontrol.sealing import NO_KEY, Sealer

PICTURE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one picture: more than any camera of the trade sends."""
HASHED_AT_ONCE: Final = 1024 * 1024
"""Up to here hashing takes some 3 ms at most on the smallest boxes; more is done off the event loop."""


class Backing(Protocol):
    """What a supervisor gives the sessions of its device."""

    async def keep(self, picture: bytes, media_type: str) -> str:
        """As `Reporter.keep`."""
        ...

    async def settled(self) -> None:
        """Until all that the device told so far is on disk, or is known to be lost."""
        ...

    @property
    def losses(self) -> int:
        """Grows when something that was told did not make it: `settled` alone must not be relied upon then."""
        ...

    @property
    def spool(self) -> Path:
        """The device's own folder, made on first use."""
        ...

    @property
    def sealer(self) -> Sealer:
        """As `Reporter.sealer`."""
        ...


async def reference(picture: bytes) -> str:
    """`sha256:` and 64 hex digits; empty for no bytes and for more than the limit."""
    if not 0 < len(picture) <= PICTURE_LIMIT:
        return ""
    if len(picture) <= HASHED_AT_ONCE:
        return _reference(picture)
    return await asyncio.get_running_loop().run_in_executor(None, _reference, picture)


def _reference(picture: bytes) -> str:
    return f"sha256:{hashlib.sha256(picture).hexdigest()}"


class Alone:
    """For a driver outside a lane, in `probe` or a test: pictures get their reference and are let go of."""

    losses = 0
    sealer = NO_KEY

    async def keep(self, picture: bytes, media_type: str) -> str:
        return await reference(picture)

    async def settled(self) -> None:
        await asyncio.sleep(0)

    @cached_property
    def spool(self) -> Path:
        """A folder for as long as this object lives."""
        folder = tempfile.mkdtemp(prefix="lanecontrol-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


class LaneBacking:
    """What stands behind the devices of one lane: its store of pictures, its barrier, and folders below `folder`."""

    def __init__(
        self,
        folder: Path,
        keep: Callable[[str, bytes, str], Awaitable[str]],
        settled: Callable[[], Awaitable[None]],
        losses: Callable[[], int],
        sealer: Sealer = NO_KEY,
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._settled = settled
        self._losses = losses
        self._sealer = sealer

    def of(self, device: str) -> Backing:
        return _LaneDevice(self, device)


class _LaneDevice:
    def __init__(self, lane: LaneBacking, device: str) -> None:
        self._lane = lane
        self._device = device

    async def keep(self, picture: bytes, media_type: str) -> str:
        return await self._lane._keep(self._device, picture, media_type)

    async def settled(self) -> None:
        await self._lane._settled()

    @property
    def losses(self) -> int:
        return self._lane._losses()

    @property
    def sealer(self) -> Sealer:
        return self._lane._sealer

    @cached_property
    def spool(self) -> Path:
        """Made on first use. Where that fails, so will writing into it, which its driver has to see to."""
        folder = self._lane._folder / self._device
        with suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True, mode=0o700)
        return folder
