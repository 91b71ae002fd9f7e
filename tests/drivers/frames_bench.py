"""What the tests of `lpr.frames` share: pictures that are cheap to make, a reader without weights, a loud ending."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier
from lanecontrol.plates.answers import Options, Reading

WITHIN_S = 20.0
"""For what takes a moment, on a machine that has other things to do."""


def jpeg(text: str = "a picture") -> bytes:
    """The bytes of a JPEG file of 16 by 16 pixels that holds this text in the place of a scan."""
    frame = struct.pack(">BHHB", 8, 16, 16, 1) + b"\x01\x11\x00"
    parts = (b"\xff\xc0", struct.pack(">H", len(frame) + 2), frame, b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00")
    return b"\xff\xd8" + b"".join(parts) + text.encode() + b"\xff\xd9"


def text_of(picture: bytes) -> str:
    """What `jpeg` was given."""
    return picture.rpartition(b"\x3f\x00")[2].removesuffix(b"\xff\xd9").decode()


class Reader:
    """Stands in for the worker process: answers what the test wants."""

    def __init__(self, answer: Callable[[tuple[bytes, ...]], Reading]) -> None:
        self._answer = answer
        self.asked: list[tuple[tuple[bytes, ...], Options]] = []

    def __call__(self, **settings: Any) -> Reader:
        return self

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    async def warm(self) -> str:
        return "stand-in/1"

    async def read(self, pictures: tuple[bytes, ...], options: Options) -> Reading:
        self.asked.append((pictures, options))
        return self._answer(pictures)


READING = Reading(
    plate=Identifier("ABC1234"),
    confidence=0.97,
    accepted=True,
    box=(10, 20, 100, 30),
    candidates=(PlateCandidate(Identifier("ABC1234"), 0.97), PlateCandidate(Identifier("A8C1234"), 0.02)),
    jurisdiction="US-TX",
    raw=Identifier("ABC1234"),
    frame=1,
    engine="stand-in/1",
)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for it, not for ever."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110  what is waited for is only looked at
            await asyncio.sleep(0.005)


def innermost(found: BaseException) -> BaseException:
    """The one error in a group of one."""
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
