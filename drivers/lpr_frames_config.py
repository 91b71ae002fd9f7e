"""The settings of the driver `lpr.frames`: where pictures come from, when they are taken, how plates are read."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from lanecontrol.driver import DeviceConfig

Share = Annotated[float, Field(ge=0, le=1)]
_LOCAL = "local://"
_PATHS = {"http": "/axis-cgi/jpg/image.cgi", "rtsp": "/axis-media/media.amp"}
_PLATE = re.compile(r"[A-Z0-9]{1,10}")


class ModelFile(BaseModel):
    """A file of weights of the site's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    path: str
    """Where the file is."""
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    """Its SHA-256: another content is refused."""


class Window(BaseModel):
    """The only part of the picture in which plates are looked for, in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    x: int = Field(ge=0, le=20_000)
    """Left edge."""
    y: int = Field(ge=0, le=20_000)
    """Upper edge."""
    width: int = Field(ge=32, le=20_000)
    """To the right."""
    height: int = Field(ge=32, le=20_000)
    """Downwards."""


class FrameConfig(DeviceConfig):
    """A camera that only takes pictures. The url says where it is; `local:///path` is a folder or a USB camera."""

    kind: Literal["lpr.frames"] = "lpr.frames"
    source: Literal["http", "rtsp", "usb", "folder"] = "http"
    """How pictures come: an HTTP snapshot (best on a loop: nothing old, bounded time), a video stream over TCP, a USB
    camera, or a folder into which something else puts them."""
    path: str = Field(default="", pattern=r"^(/[\x21-\x7e]*)?$", max_length=1000)
    """Path of the snapshot or stream at the camera; empty for that of Axis cameras."""
    usb_width: int = Field(default=1280, ge=64, le=8192)
    """What a USB camera is asked for, in pixels; it takes the nearest that it has."""
    usb_height: int = Field(default=720, ge=64, le=8192)
    """What a USB camera is asked for, in pixels."""
    username: str = ""
    """Who we are to the camera, if it asks."""
    password: SecretStr = SecretStr("")
    """Write `!secret name`, not the password itself."""
    shots: int = Field(default=3, ge=1, le=8)
    """Pictures of one vehicle that are read together."""
    apart_ms: int = Field(default=200, ge=20, le=5000)
    """From one of them to the next."""
    every_s: float = Field(default=0.0, ge=0, le=3600)
    """Take pictures of its own accord so often; 0 for only when the lane asks."""
    check_s: float = Field(default=5.0, gt=0, le=3600)
    """After so long without a picture the camera is tried."""
    answer_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """How long one picture may take, and how long a stream may go without one."""
    read: bool = True
    """Read plates; without, pictures are only kept."""
    window: Window | None = None
    """The lane's part of the picture: less time, fewer wrong plates, and nothing outside is looked at."""
    min_confidence: Share = 0.85
    """A plate read with less is not reported as read."""
    fixes: dict[str, str] = {}
    """Plates that are always read wrong in the same way: what is read, and what it is."""
    mix: dict[str, Annotated[float, Field(ge=0, le=1000)]] = {}
    """Weights of jurisdictions at this lane, by code (`US-TX: 400`), where they differ from the usual ones."""
    read_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """After so long the worker process is killed and started anew."""
    memory_mib: int = Field(default=500, ge=200, le=8000)
    """A worker process that has grown beyond this is started anew."""
    models: dict[Literal["detector", "recogniser"], ModelFile] = {}
    """Weights of the site's own in the place of the packaged ones."""

    @model_validator(mode="after")
    def _url_goes_with_the_source(self) -> FrameConfig:
        local = self.url.startswith(_LOCAL)
        if local != (self.source in ("usb", "folder")):
            wanted = "local:///path" if not local else "tcp://host:port"
            raise ValueError(f"source {self.source} needs a url like {wanted}")
        if self.source == "rtsp" and not self.url.startswith("tcp://"):
            raise ValueError("source rtsp needs a url like tcp://host:port: it is not encrypted")
        if self.source == "usb" and not self.url.startswith(f"{_LOCAL}/dev/"):
            raise ValueError("source usb needs a url like local:///dev/video0")
        if wrong := [text for pair in self.fixes.items() for text in pair if not _PLATE.fullmatch(text)]:
            raise ValueError(f"fixes: {len(wrong)} of the texts are not A to Z and 0 to 9 alone")
        return self

    @property
    def where(self) -> str:
        """The path of a folder or a USB camera."""
        return self.url.removeprefix(_LOCAL)

    @property
    def path_at_camera(self) -> str:
        return self.path or _PATHS[self.source]
