"""Fake Axis camera with the License Plate Verifier (or CAMMRA AI): pushes by HTTP with pictures, or by TCP without.

It connects by itself. By HTTP each picture is a POST of its own with the event beside it, each event is tried once, and
what is not answered with 200 within five seconds is gone. By TCP one connection stays open, JSON objects follow each
other without anything in between, and after a loss the camera tries again every `reconnect_s`.

Written from the makers' pages (VAPIX License plate verifier API; FFG's articles on integration events and JSON fields),
never from our driver. What they leave open is this fake's own choice: one connection per POST, `lost` without a
picture, heartbeats as plain JSON, direction known a third of a second after the first read.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Literal

from pydantic import Field

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link
from sim.lpr_axis_message import Camera, Sighting, Writing, heartbeat, plate_event
from sim.lpr_camera import CameraConfig, PushingCamera
from sim.lpr_http import Part, Target, multipart
from sim.lpr_picture import Draw, camera_picture, drawn_ahead
from sim.lpr_push import Beat, Connect
from sim.outbox import discard, until_first
from sim.readings import Deed, PlateGone, PlateView, Reading

View = Literal["frame", "vehicle", "plate", "mmrcrop"]
UPDATE = {"alpv": "update", "ffg": "updated"}
"""The two makers' papers spell the second state differently."""
UNKNOWN = {"alpv": "unknown", "ffg": "unk"}


class AxisConfig(CameraConfig):
    """Settings of the camera."""

    kind: Literal["lpr.axis"] = "lpr.axis"
    transport: Literal["http", "tcp"] = "http"
    """How it pushes. By TCP there are no pictures."""
    images: tuple[View, ...] = ("frame", "vehicle")
    """Which pictures it sends, a POST for each; with none the event goes alone."""
    direction_after_s: float | None = Field(default=0.3, ge=0)
    """From the first read to knowing the direction; null for never."""
    lost_after_s: float | None = Field(default=10.0, ge=0)
    """From losing sight of a car to saying so; null for never."""
    heartbeat_form: Literal["json", "multipart"] = "json"
    """By HTTP: a body of plain JSON, or a form with the event alone."""
    spelling: Literal["alpv", "ffg"] = "alpv"
    """`update` and `unknown`, or `updated` and `unk`."""
    numbers: bool = False
    """Write numbers as numbers, and not as text."""
    escapes: bool = False
    """Write every letter of a plate as an escape."""
    reconnect_s: float = Field(default=5.0, gt=0)
    """By TCP: how long after a loss, or a failed attempt, it tries again. By HTTP: with a sign of life that failed."""
    first_car_id: int = Field(default=1, ge=0)
    """`carID` of the first car."""
    sensor: str = "lane"
    """`sensorProviderID`: the text chosen on the camera."""
    serial: str = "00408C000000"
    """Serial number."""
    model: str = "Q1805-LE"
    """Short name of the product."""
    mac: str = ""
    """MAC address; the samples have an empty one."""
    address: str = "192.0.2.51"
    """The camera's own address, as it says."""


class FakeAxisCamera(PushingCamera):
    """The camera. `tally` tells what became of its messages."""

    Config = AxisConfig
    config: AxisConfig

    def __init__(self, config: AxisConfig, act: Callable[[Deed], None], draw: Draw = camera_picture) -> None:
        super().__init__(config, act, draw)
        self._camera = Camera(config.sensor, config.serial, config.model, config.mac, config.address)
        self._writing = Writing(config.numbers, config.escapes)
        self._packets = 0
        self._cars: dict[str, tuple[int, PlateView, str]] = {}
        """Cars in sight: their `carID`, what was read last, and the direction if it is known."""
        self._next_car_id = config.first_car_id
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._more_due = asyncio.Event()

    # --- the world's side --------------------------------------------------------------------------------------------

    def sense(self, reading: Reading) -> None:
        match reading:
            case PlateView():
                self._seen(reading)
            case PlateGone(car) if car in self._cars and self.config.lost_after_s is not None:
                self._plan(self.config.lost_after_s, lambda: self._lost(car))
            case _:
                pass  # a camera has no sensor for it

    def _seen(self, view: PlateView) -> None:
        """A car for the first time, or another text for one in sight."""
        known = self._cars.get(view.car)
        if known is not None:
            self._cars[view.car] = (known[0], view, known[2])
            self._tell(UPDATE[self.config.spelling], view.car)
            return
        unknown = UNKNOWN[self.config.spelling]
        self._cars[view.car] = (self._next_car_id, view, unknown)
        self._next_car_id += 1
        self._forget_the_oldest()
        self._tell("new", view.car)
        if self.config.direction_after_s is not None and view.heading:
            self._plan(self.config.direction_after_s, lambda: self._directed(view.car, view.heading))

    def _forget_the_oldest(self) -> None:
        """A car that is never lost must not be kept for ever."""
        if len(self._cars) > 1000:
            del self._cars[next(iter(self._cars))]

    def _directed(self, car: str, heading: str) -> None:
        if car in self._cars:
            number, view, _ = self._cars[car]
            self._cars[car] = (number, view, heading)
            self._tell(UPDATE[self.config.spelling], car)

    def _lost(self, car: str) -> None:
        if car in self._cars:
            self._tell("lost", car)
            del self._cars[car]

    def _tell(self, state: str, car: str) -> None:
        """Queue what there is to say of a car now: an event for each picture, or one alone."""
        number, view, direction = self._cars[car]
        sighting = Sighting(state, number, view.text, view.jurisdiction, view.confidence, direction, self._utc_s())
        if self.config.transport == "tcp":
            self._waiting.put(lambda: self._event(sighting))
        elif state == "lost" or not self.config.images:
            self._waiting.put(lambda: self._post(sighting, view, ""))
        else:
            self._put_pictures(sighting, view, self.config.images)

    def _put_pictures(self, sighting: Sighting, view: PlateView, images: Iterable[str]) -> None:
        for image in images:
            self._waiting.put(partial(self._post, sighting, view, image), partial(drawn_ahead, view, image))

    # --- what is sent ------------------------------------------------------------------------------------------------

    def _event(self, sighting: Sighting, image: str = "") -> bytes:
        return self._writing.text(plate_event(self._next_packet(), sighting, self._camera, _now_s(), image))

    def _beat(self) -> bytes:
        return self._writing.text(heartbeat(self._next_packet(), self._camera, self._utc_s(), _now_s()))

    def _next_packet(self) -> int:
        self._packets += 1
        return self._packets

    def _post(self, sighting: Sighting, view: PlateView, image: str) -> bytes:
        """A POST of one event and one picture; `lost` comes with a picture of no bytes."""
        event = self._event(sighting, image)
        picture = self._draw(view, image, self.config.picture_bytes) if image else b""
        return self._form(
            Part("event", "application/json", event, "event.json"),
            Part("image", "image/jpeg", picture, f"{image or 'image'}.jpg"),
        )

    def _post_beat(self) -> bytes:
        beat = self._beat()
        if self.config.heartbeat_form == "json":
            return self._target().post("application/json", beat)
        return self._form(Part("event", "application/json", beat, "event.json"))

    def _form(self, *parts: Part) -> bytes:
        boundary = f"------------------------{self._packets:016x}"
        return self._target().post(f"multipart/form-data; boundary={boundary}", multipart(parts, boundary))

    def _target(self) -> Target:
        config = self.config
        return Target(config.path, "receiver", config.username, config.password, keep_alive=config.keep_alive)

    # --- the receiver's side -----------------------------------------------------------------------------------------

    async def dial(self, connect: Connect) -> None:
        if self.config.transport == "http":
            beat = Beat(self.config.heartbeat_s, self.config.reconnect_s, self._post_beat)
            await until_first(self._keep_time(), self._http_push().run(connect, beat))
        else:
            await until_first(self._keep_time(), self._beat_on(), self._push_tcp(connect))

    async def _push_tcp(self, connect: Connect) -> None:
        """Messages wait while there is no connection; the one that a loss cuts is lost."""
        while True:
            with suppress(LinkLost):
                async with connect() as link:
                    self._packets = 0
                    await until_first(discard(link), self._write(link))
            await asyncio.sleep(self.config.reconnect_s)

    async def _write(self, link: Link) -> None:
        while True:
            message = await self._waiting.get()
            written = False
            try:
                async with asyncio.timeout(self.config.answer_limit_s * self.pace):
                    await link.write(message)
                written = True
            except TimeoutError:
                raise LinkLost("send", "the receiver does not read") from None
            finally:
                self.tally.delivered += written
                self.tally.lost += not written

    async def _beat_on(self) -> None:
        """A sign of life at once and every `heartbeat_s`."""
        while self.config.heartbeat_s is not None:
            self._waiting.put_once(self._beat)
            await asyncio.sleep(self.config.heartbeat_s)
        await asyncio.Event().wait()  # this camera sends none

    # --- time --------------------------------------------------------------------------------------------------------

    def _plan(self, after_s: float, what: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._due, (_now_s() + after_s, self._planned, what))
        self._more_due.set()

    async def _keep_time(self) -> None:
        """Do what is due when it is."""
        while True:
            self._more_due.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._due[0][0] if self._due else None):
                    await self._more_due.wait()
            while self._due and self._due[0][0] <= _now_s():
                heapq.heappop(self._due)[2]()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
