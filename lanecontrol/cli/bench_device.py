"""One driver on its own, outside a lane: its configuration from arguments, and what its session tells in stages.

Used by `probe` and `devices`. Opens connections only through the links it is given.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lanecontrol import driver
from lanecontrol.backing import Alone
from lanecontrol.clock import Clock, LoopClock
from lanecontrol.config.references import check_url
from lanecontrol.config.wording import close_to
from lanecontrol.driver import DeviceConfig, Driver
from lanecontrol.errors import DeviceError, Problem
from lanecontrol.events import DeviceReport, Identity
from lanecontrol.links import Handler, Link, Links
from lanecontrol.links.address import (
    ListenAddress,
    LocalAddress,
    MemoryAddress,
    SerialAddress,
    TcpAddress,
    TlsAddress,
    TlsListenAddress,
    parse_url,
    place,
)
from lanecontrol.sealing import Sealer


class BadSettings(Exception):
    """The settings given do not fit the driver; one line for each."""


def device_config(kind: str, url: str, settings: dict[str, Any]) -> tuple[type[Driver], DeviceConfig]:
    """The driver of `kind` and its configuration. Raises BadSettings."""
    try:
        found = driver.load(kind)
    except KeyError:
        raise BadSettings(f"no driver {kind!r}; installed: {', '.join(driver.installed())}") from None
    for wrong in check_url((), url, listens=found.traits.listens, simulated=True):
        raise BadSettings(f"{wrong.what}; {wrong.remedy}" if wrong.remedy else wrong.what)
    try:
        config = found.Config.model_validate({"id": "device", **settings, "kind": kind, "url": url})
    except ValidationError as error:
        raise BadSettings("\n".join(_told(each, kind, found.Config) for each in error.errors())) from None
    return found, config


def _told(wrong: ErrorDetails, kind: str, model: type[DeviceConfig]) -> str:
    where = wrong["loc"]
    if wrong["type"] == "extra_forbidden" and len(where) == 1:
        return f"unknown setting {str(where[0])!r} of {kind}; {close_to(str(where[0]), model.model_fields)}"
    return f"{'.'.join(map(str, where)) or kind}: {wrong['msg'].removeprefix('Value error, ')}"


def listening_place(made: type[Driver], url: str) -> str:
    """Where we listen for the device, in words; empty for one that we connect to."""
    return place(parse_url(url)) if made.traits.listens else ""


def yaml_values(value: Any) -> Any:
    """Texts that open a list or mapping are read as YAML; the driver's model reads the rest."""
    if isinstance(value, dict):
        return {key: yaml_values(each) for key, each in value.items()}
    if isinstance(value, str) and value[:1] in ("[", "{"):
        from lanecontrol.config.document import plain, read

        problems: list[Problem] = []
        tree = read(f"value: {value}", "--set", problems)
        if problems:
            raise BadSettings(f"{value}: {problems[0].what}")
        return plain(tree, lambda leaf: leaf.secret)["value"]
    return value


@dataclass(slots=True)
class Stage:
    """One step of a connection test. `good` is None when it was not reached or does not apply."""

    name: str
    good: bool | None = None
    ms: float | None = None
    detail: str = ""


@dataclass(slots=True)
class StagedTest:
    """The stages of one device, filled in as the session gets on; also the `Links` of that session."""

    config: DeviceConfig
    inner: Links
    clock: Clock = field(default_factory=LoopClock)
    resolve: Stage = field(default_factory=lambda: Stage("resolve"))
    connect: Stage = field(default_factory=lambda: Stage("connect"))
    handshake: Stage = field(default_factory=lambda: Stage("handshake"))
    reading: Stage = field(default_factory=lambda: Stage("first reading"))
    doubts: int = 0
    listening_at: str = ""
    """Where we listen, for a device that connects to us."""
    first_reading: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float = 0.0

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.resolve, self.connect, self.handshake, self.reading)

    @property
    def good(self) -> bool:
        return self.handshake.good is True

    async def run(self, made: Callable[[DeviceConfig, Links], Driver], wait_s: float) -> None:
        """Take the device through its stages; `wait_s` is how long a handshake, and then a reading, may take."""
        await self._resolve()
        if self.resolve.good is False:
            return
        self._begin()
        session = asyncio.ensure_future(made(self.config, self).session(_TestReporter(self, self.clock)))
        try:
            await self._follow(session, wait_s)
        finally:
            session.cancel()
            await asyncio.wait({session})

    async def _follow(self, session: asyncio.Future[None], wait_s: float) -> None:
        reading = asyncio.ensure_future(self.first_reading.wait())
        limit_s = self.config.connect_timeout_s + 2 * wait_s
        try:
            ends: set[asyncio.Future[Any]] = {session, reading}
            await asyncio.wait(ends, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
        if session.done() and not session.cancelled() and (error := session.exception()) is not None:
            self._failed(error)
        elif not self.good:
            self._failed(TimeoutError(f"no answer within {limit_s:g} s"))
        elif self.reading.good is None:
            self.reading.detail = f"none within {limit_s:g} s: nothing to report, or nothing happening at the device"

    def _failed(self, error: BaseException) -> None:
        why = f"{error.deed}: {error.why}" if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
        stage = next((each for each in self.stages if each.good is None), self.reading)
        if self.listening_at and self.connect.good is None:
            why = f"nobody has connected yet at {self.listening_at}"
        elif stage is self.resolve:  # we could not even listen
            why += "; the daemon may be running, it listens there"
        stage.good, stage.detail = False, why

    async def _resolve(self) -> None:
        self._begin()
        match parse_url(self.config.url):
            case TcpAddress(host, port) | TlsAddress(host, port):
                try:
                    async with asyncio.timeout(self.config.connect_timeout_s):
                        found = await asyncio.get_running_loop().getaddrinfo(host, port)
                except (OSError, TimeoutError) as error:
                    self._done(self.resolve, str(error) or "the name server does not answer", good=False)
                else:
                    self._done(self.resolve, str(found[0][4][0]))
            case SerialAddress(path):
                wrong = serial_port_problem(path)
                self._done(self.resolve, wrong or path, good=not wrong)
            case MemoryAddress():
                self._done(self.resolve, "in this process")
            case LocalAddress(path):
                self._done(self.resolve, path, good=os.path.exists(path))  # noqa: PTH110, ASYNC240  one look at this box
            case ListenAddress() | TlsListenAddress():
                pass  # known when we listen

    def _begin(self) -> None:
        self._since = asyncio.get_running_loop().time()

    def _done(self, stage: Stage, detail: str = "", *, good: bool = True) -> None:
        now = asyncio.get_running_loop().time()
        stage.good, stage.detail, stage.ms = good, detail, round((now - self._since) * 1000, 1)
        self._since = now

    @asynccontextmanager
    async def open(self, url: str, *, timeout_s: float = 5.0) -> AsyncIterator[Link]:
        """The driver's `Links`."""
        async with self.inner.open(url, timeout_s=timeout_s) as link:
            self._done(self.connect, link.peer)
            yield link

    @asynccontextmanager
    async def listen(self, url: str, handler: Handler) -> AsyncIterator[str]:
        """The driver's `Links`, for a device that connects to us."""

        async def connected(link: Link) -> None:
            if self.connect.good is None:
                self._done(self.connect, link.peer)
            await handler(link)

        async with self.inner.listen(url, connected) as where:
            self.listening_at = where
            self._done(self.resolve, f"listening at {where}")
            yield where

    def answered(self, identity: Identity) -> None:
        """The driver says that the device answers; it may say so again when it knows more."""
        known = (identity.maker, identity.model, identity.serial, identity.firmware)
        words = " ".join(part for part in known if part)
        if self.handshake.good is None:
            self._done(self.handshake, words)
        self.handshake.detail = words or self.handshake.detail

    def read(self, event: DeviceReport) -> None:
        """The driver reports something."""
        if self.reading.good is None:
            self._done(self.reading, type(event).__name__)
            self.first_reading.set()


@dataclass(frozen=True, slots=True)
class _TestReporter:
    """What the session is given."""

    test: StagedTest
    clock: Clock
    healthy: bool = False
    """A test never feeds a device's watchdog: only a lane does."""
    alone: Alone = field(default_factory=Alone)

    def online(self, identity: Identity) -> None:
        self.test.answered(identity)

    def report(self, event: DeviceReport) -> None:
        self.test.read(event)

    def doubt(self, raw: bytes, why: str) -> None:
        self.test.doubts += 1

    async def keep(self, picture: bytes, media_type: str) -> str:
        return await self.alone.keep(picture, media_type)

    async def settled(self) -> None:
        await self.alone.settled()

    @property
    def spool(self) -> Path:
        return self.alone.spool

    @property
    def sealer(self) -> Sealer:
        return self.alone.sealer


def serial_port_problem(path: str) -> str:
    """Why a serial port cannot be used; empty when it can."""
    if not Path(path).exists():
        return "there is no such port"
    if not os.access(path, os.R_OK | os.W_OK):
        return "not allowed: this user must be in the group that owns the port (often dialout)"
    return ""
