"""What the fakes of cameras that push have in common: where they post, what waits to be sent, and their clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import Field

from sim.fake import Fake, FakeConfig
from sim.lpr_picture import Draw, camera_picture, warm_up
from sim.lpr_push import HttpPush, Tally, Waiting
from sim.readings import Deed


class CameraConfig(FakeConfig):
    """Settings of every camera that pushes."""

    path: str = "/"
    """Path of the POST."""
    username: str = ""
    """Who it says it is (Basic); empty for nobody."""
    password: str = ""
    """And its password."""
    keep_alive: bool = False
    """Post one event after the other on one connection."""
    heartbeat_s: float | None = Field(default=10.0, gt=0)
    """Time between signs of life; null for none."""
    picture_bytes: int = Field(default=0, ge=0, le=15 * 1024 * 1024)
    """Pictures have at least so many bytes, the rest of them in a comment."""
    clock_offset_s: float = 0.0
    """How far its clock is ahead of the true time."""
    answer_limit_s: float = Field(default=5.0, gt=0)
    """An answer that takes longer is as good as none."""
    waiting_events: int = Field(default=64, ge=1)
    """So many messages wait to be sent; older ones are thrown away."""


class PushingCamera(Fake):
    """The camera. `tally` tells what became of its messages."""

    config: CameraConfig
    dials = True

    def __init__(self, config: Any, act: Callable[[Deed], None], draw: Draw = camera_picture) -> None:
        super().__init__(config, act)
        self.tally = Tally()
        self._draw = draw
        warm_up(draw)
        self._waiting = Waiting(self.config.waiting_events, self.tally)

    def _http_push(self) -> HttpPush:
        return HttpPush(self._waiting, self.tally, self.config.answer_limit_s * self.pace, self.config.keep_alive)

    def _utc_s(self) -> float:
        return self.utc_at_zero_s + asyncio.get_running_loop().time() + self.config.clock_offset_s
