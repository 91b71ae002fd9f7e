"""The driver contract: what a device driver is, what it may use, and what it must never do.

A driver knows the wire of one kind of device. It serves one connection at a time and never reconnects: the supervisor
owns back-off, availability and logging for all drivers. It reports facts and does not interpret them. Third parties
import this module (and `events`, `commands`, `errors`, `links`, `framing`), nothing else.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lanecontrol.clock import Clock
from lanecontrol.commands import Command, Outcome, Result
from lanecontrol.events import DeviceReport, Identity
from lanecontrol.links import Links
from lanecontrol.sealing import Sealer

ENTRY_POINTS = "lanecontrol.drivers"

_ID = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class DeviceConfig(BaseModel):
    """One device stanza of a lane file. A driver's own `Config` adds its settings and narrows `kind`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    """Name of the device in this lane: lower-case letters, digits, `_` or `-`."""
    kind: str
    """Which driver serves it, e.g. `rpm.rapiscan`; `lanecontrol drivers` lists them."""
    url: str
    """Where it is: `tcp://host:port`, `tls://host:port`, `serial:///dev/serial/by-id/...?baud=9600`, `mem://name`; for
    a device that connects to us, where to listen: `listen://address:port`, `tls-listen://address:port?cert=&key=`."""
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """How long a connection attempt may take."""

    @property
    def files_digest(self) -> str:
        """A digest of what the stanza names in files beside the lane file (`lanecontrol.config.beside` reads such);
        empty without any. Another digest is another configuration."""
        return ""

    @field_validator("id")
    @classmethod
    def _id_is_plain(cls, value: str) -> str:
        if not _ID.fullmatch(value):
            raise ValueError("a device id is lower-case letters, digits, _ or -, and starts with a letter")
        return value


class Reporter(Protocol):
    """What a session is given. None of these calls blocks or raises."""

    @property
    def clock(self) -> Clock: ...

    @property
    def healthy(self) -> bool:
        """The lane's health verdict. A driver feeds a device's own watchdog only while this is true."""
        ...

    def online(self, identity: Identity) -> None:
        """The handshake is done and the device answers. Nothing may be reported before this."""
        ...

    def report(self, event: DeviceReport) -> None:
        """A fact from the device. Its type must be among the driver's `reports`."""
        ...

    def doubt(self, raw: bytes, why: str) -> None:
        """Bytes that made no sense: counted and traced (with identifiers hashed), never raised."""
        ...

    async def keep(self, picture: bytes, media_type: str) -> str:
        """Hand a picture to the evidence store; gives its reference (`sha256:` and 64 hex digits).

        Waits only as long as hashing takes: up to 1 MiB at once, more (16 MiB at most) in a thread of its own, off the
        event loop; never for the disk. Empty for no bytes, for too many, and when the store refuses (full queue, full
        quota): the store tells of that itself. The reference never tells what the picture shows.
        """
        ...

    async def settled(self) -> None:
        """Returns when everything reported so far is durably in the ledger, or never will be (the session is over).

        For drivers whose device forgets what it was told was received: spool, answer, report, settle, drop the spool.
        Lasts as long as the store is out of order; a driver waits for it in a task of its own.
        """
        ...

    @property
    def spool(self) -> Path:
        """A directory for this device's own files, made on first use, kept across restarts; its driver bounds it.

        What may speak of a person goes through `sealer` on its way there and back.
        """
        ...

    @property
    def sealer(self) -> Sealer:
        """The lane's keys for what lies on its disk. Without a key, what it seals stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Traits:
    """What the contract suite has to know of a driver to test it fairly."""

    has_handshake: bool
    """The device must answer something before the session is online."""
    speaks_unasked: bool
    """The device sends of its own accord; without, it only answers."""
    silence_s: float
    """With default settings, a mute device is noticed within this many seconds."""
    listens: bool = False
    """The device connects to the driver, whose URL says where to listen."""


class Driver(ABC):
    """One device. Made anew for each configuration, its `session` runs once per connection."""

    Config: ClassVar[type[DeviceConfig]]
    reports: ClassVar[frozenset[type[Any]]]
    """Event types this driver may report."""
    performs: ClassVar[frozenset[type[Any]]] = frozenset()
    """Command types this driver can carry out."""
    traits: ClassVar[Traits]

    def __init__(self, config: Any, links: Links) -> None:
        self.config = config
        self.links = links

    @abstractmethod
    async def session(self, out: Reporter) -> None:
        """Open the link through `self.links`, shake hands, `out.online(...)`, serve until the link is lost.

        A driver that listens serves any number of connections at once; it is online when a device has said something
        that makes sense, and its session ends with LinkLost when the device has been silent for too long.

        Raises LinkLost, ProtocolViolation or CredentialsRefused; never returns while the link is good. Cancelling it
        closes the link.
        """

    async def perform(self, command: Command) -> Outcome:
        """Carry out one command now. The supervisor calls it one at a time, and only while the device is online.

        Raises CommandError. Cancelled or timed out means that nobody knows: the supervisor answers UNKNOWN.
        """
        return Outcome(Result.REFUSED, f"{type(self).__name__} performs no {type(command).__name__}")

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[DeviceReport]:
        """The events in a stored capture, for `lanecontrol decode`. Drivers without a stored form leave this as is.

        Raises NotImplementedError.
        """
        raise NotImplementedError(f"{cls.__name__} has no stored form to decode")

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Counts over a stored capture, for `lanecontrol decode --summary`. Raises NotImplementedError."""
        raise NotImplementedError(f"{cls.__name__} has no stored form to summarise")


def installed() -> dict[str, str]:
    """Every driver kind installed here, with the distribution that brings it. Loads none of them."""
    return {
        point.name: point.dist.name if point.dist else "?"
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name)
    }


def load(kind: str) -> type[Driver]:
    """The driver class of `kind`. Raises KeyError when no distribution brings it."""
    for point in entry_points(group=ENTRY_POINTS, name=kind):
        loaded: type[Driver] = point.load()
        return loaded
    raise KeyError(kind)
