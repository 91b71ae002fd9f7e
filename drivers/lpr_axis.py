"""Driver `lpr.axis`: Axis cameras with AXIS License Plate Verifier or CAMMRA AI, which push what they read.

Called by the supervisor. Listens for the camera's HTTP posts (with pictures), or for its JSON objects over bare TCP
(without). Must never wait for a camera to say that a car has gone, nor take one event for two because it comes with two
pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from drivers.lpr_axis_codec import ENGINE, read_body, read_message
from drivers.push import stored
from drivers.push.config import PushConfig
from drivers.push.jsonstream import ObjectScanner
from drivers.push.reception import Codec, Reception, Standing
from drivers.push.sightings import Found, PlateReport, Teller
from lanecontrol.driver import Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, Heading, PictureTaken, PlateRead, PlateTrackEnded, PlateUnread
from lanecontrol.framing import Doubt


class AxisConfig(PushConfig):
    """An Axis camera that reads plates and pushes them to us."""

    kind: Literal["lpr.axis"] = "lpr.axis"
    transport: Literal["http", "tcp"] = "http"
    """`http`: posts with pictures; `tcp`: JSON objects on a connection that stays, without pictures. Not guessed from
    the first byte: garbage before an object would be taken for HTTP."""
    direction_in: Literal["forward", "backward"] = "forward"
    """Which way through the lane the camera's `in` is."""
    track_timeout_s: float = Field(default=300.0, ge=1, le=3600)
    """A car of which nothing was heard for so long has gone. The camera itself says so 10 s after it last saw the car,
    if at all. While a car stands before it, it says nothing: this must be longer than any car stands there."""

    @model_validator(mode="after")
    def _credentials_need_http(self) -> AxisConfig:
        if self.transport == "tcp" and (self.username or self.header):
            raise ValueError("over bare TCP a camera sends no credentials: use allow, or transport: http")
        return self


class AxisCamera(Driver):
    """One camera. Online with its first event or heartbeat."""

    Config = AxisConfig
    config: AxisConfig
    reports = frozenset({PlateRead, PlateUnread, PictureTaken, PlateTrackEnded, DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=False, speaks_unasked=True, silence_s=60.0, listens=True)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._standing = Standing(
            Teller(engine=ENGINE, track_limit_s=config.track_timeout_s, skew_limit_s=config.skew_limit_s)
        )

    async def session(self, out: Reporter) -> None:
        config = self.config
        inwards = Heading(config.direction_in)
        codec = Codec(partial(read_body, inwards=inwards), partial(read_message, inwards=inwards))
        await Reception(config, self.links, out, self._standing, codec, config.transport).run()

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[PlateReport]:
        """The events in a stored body, a file of the spool, a recorded connection, or a JSON stream."""
        teller = Teller(engine=ENGINE, track_limit_s=AxisConfig.model_fields["track_timeout_s"].default, skew_limit_s=2)
        return (report for item in _stored(raw) for report in stored.reports([item], teller))

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Counts over the same: sightings, pictures, signs of life, and what was in doubt."""
        if _is_stream(raw):
            return stored.tally(iter([(raw, "")]), lambda body, _: list(_stored(body)))
        return stored.tally(stored.bodies(raw), read_body)


def _is_stream(raw: bytes) -> bool:
    return raw.lstrip().startswith(b"{")


def _stored(raw: bytes) -> Iterator[Found]:
    if not _is_stream(raw):
        for body, content_type in stored.bodies(raw):
            yield from read_body(body, content_type)
        return
    scanner = ObjectScanner()
    for item in [*scanner.feed(raw), *scanner.finish()]:
        yield item if isinstance(item, Doubt) else read_message(item)
