"""The contract suite's case for `lpr.frames`: a small picture a second, which is kept and not read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract_case import Case

from lanecontrol.commands import TakePicture
from lanecontrol.events import PictureTaken
from sim.readings import InView, Reading


def _reading(n: int) -> Reading:
    return InView(f"ABC{1000 + n}", "TX", 0.0)


def _comparable(event: Any) -> Any:
    """Which picture it is follows from when it was asked for, to the millisecond."""
    return replace(event, picture="", track="") if isinstance(event, PictureTaken) else event


CASE = Case(
    reading=_reading,
    malformed=b"\x00\x01 not an answer \xff",
    bomb=b"HTTP/1.1 200 OK\r\nX: ",
    settings={"every_s": 1.0, "shots": 1, "read": False},
    fake_settings={"width": 64, "height": 64},
    command=TakePicture("the test asks"),
    comparable=_comparable,
)
