"""One session of a camera that connects to us: listens, spools, answers, tells, and notices silence.

Called by the drivers of pushing cameras, which bring their codec. A push is on the disk before it is answered, and
leaves the disk when the ledger has it. Must never answer a message that it does not understand with an error, nor end
for anything that comes over a connection.

Where the spool cannot take a push (its disk is full, or it has reached its limit), the read is told from memory, and
the camera gets its 200 when the ledger has it, or else a 503 in time: a camera that sends again then does so, one that
does not has lost nothing that could have been kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from drivers.push.config import PushConfig
from drivers.push.health import answers
from drivers.push.http import Heard, HttpConnection, Posted, Rejected
from drivers.push.jsonstream import ObjectScanner
from drivers.push.sightings import Alive, Found, PlateReport, Sighting, Teller
from drivers.push.spool import Push, Spool, SpoolError, SpoolLocked
from lanecontrol.driver import Reporter
from lanecontrol.errors import LinkLost
from lanecontrol.events import Identity
from lanecontrol.framing import DOUBT_LIMIT, Doubt, Violation
from lanecontrol.links import Link, Links

IDLE_S = 75.0
"""A connection without a request is closed after this time; cameras open another one."""
REQUEST_S = 30.0
"""How long one request may take to come in: 16 MiB at 5 Mbit/s."""
SPOOL_S = 2.0
SETTLE_S = 2.0
"""Cameras were seen to give up on an answer after 5 s: both together stay below that."""
BODIES_LIMIT = 64 << 20
"""Bytes of bodies that may come in at the same time, over all connections."""
SMALL = 256 << 10
"""Bodies up to this size are read on the loop, in a few milliseconds; larger ones in a thread."""
SLICE = 4096
"""Bytes of a JSON stream that are read at once, so that garbage does not hold the loop."""
TICK_S = 1.0
AFTER_SETTLED_S = 0.2
RAW_KEPT, RAW_KEPT_IN_S = 20, 60.0
"""So many bodies that nobody understood are kept as evidence in that time, no more: they fill the store."""

SPOOL_FAULT = "spool"
SPOOL_KEY_FAULT = "spool_key"


@dataclass(frozen=True, slots=True)
class Codec:
    """A maker's fields. Both are pure and never raise."""

    body: Callable[[bytes, str], Sequence[Found]]
    """What is in a body with its Content-Type."""
    message: Callable[[dict[str, Any]], Found] | None = None
    """What a JSON object of a stream tells, where there is such a thing."""


@dataclass(slots=True)
class Standing:
    """What outlives a session of one camera."""

    teller: Teller
    missed: bool = False
    """The camera was told to be missing, and nothing was heard of it since: told once is enough. The next sessions
    listen without limit, because a listener that ends again and again is not there when the camera comes back."""
    raw_kept_s: deque[float] = field(default_factory=lambda: deque(maxlen=RAW_KEPT))


class Reception:
    """One session. `run` is all of it."""

    def __init__(
        self,
        config: PushConfig,
        links: Links,
        out: Reporter,
        standing: Standing,
        codec: Codec,
        transport: Literal["http", "tcp"] = "http",
    ) -> None:
        self._config, self._links, self._out = config, links, out
        self._standing, self._codec, self._transport = standing, codec, transport
        self._door = config.door()
        self._turn = asyncio.Lock()
        self._online = asyncio.Event()
        self._identity = Identity()
        self._silence: asyncio.Timeout | None = None
        self._coming_in: dict[Link, int] = {}
        self._spool_trouble: str | None = None
        self._done: list[Path] = []
        self._some_done = asyncio.Event()

    async def run(self) -> None:
        """Raises LinkLost when the camera is silent for too long, or the address cannot be had."""
        config = self._config
        self._spool = await self._open_spool()
        serve = self._serve_stream if self._transport == "tcp" else self._serve_http
        async with self._links.listen(config.url, serve), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_backlog())
            tasks.create_task(self._settle())
            tasks.create_task(self._end_tracks())
            if config.health is not None:
                tasks.create_task(self._poll())
            await self._watch_silence()

    # --- there or not ------------------------------------------------------------------------------------------------

    @property
    def _patience_s(self) -> float | None:
        config = self._config
        if config.silence_timeout_s is None and config.health is not None:
            return 3 * config.health.every_s + config.health.timeout_s
        return config.silence_timeout_s

    async def _watch_silence(self) -> None:
        patience_s = self._patience_s
        try:
            async with asyncio.timeout(None if self._standing.missed else patience_s) as self._silence:
                await asyncio.Event().wait()  # no deadline where silence says nothing
        except TimeoutError:
            self._standing.missed = True
            raise LinkLost("listen", f"nothing that makes sense from the camera for {patience_s:g} s") from None

    def _heard(self, identity: Identity) -> None:
        """A sign of life."""
        self._standing.missed = False
        if not self._online.is_set() or (identity.serial and not self._identity.serial):
            self._identity = identity
            self._out.online(identity)
            self._online.set()
        if self._silence is not None and (patience_s := self._patience_s) is not None:
            self._silence.reschedule(self._now_s() + patience_s)
        self._tell_spool()

    async def _poll(self) -> None:
        assert self._config.health is not None
        while True:
            if await answers(self._links, self._config.health):
                self._heard(Identity())
            await asyncio.sleep(self._config.health.every_s)

    def _now_s(self) -> float:
        return self._out.clock.now().mono_s

    # --- HTTP --------------------------------------------------------------------------------------------------------

    async def _serve_http(self, link: Link) -> None:
        http = HttpConnection(self._door, banned=not self._door.lets_in(link.peer))
        asked = False
        try:
            while (heard := await self._request(link, http)) is not None:
                match heard:
                    case Posted():
                        asked = False
                        await self._take(link, http, heard)
                    case Rejected(401, ""):
                        asked = True
                    case Rejected(why=why, raw=raw) if why:
                        self._out.doubt(raw, why)
        finally:
            self._coming_in.pop(link, None)
            if asked:
                self._out.doubt(b"", "a request without credentials")

    async def _request(self, link: Link, http: HttpConnection) -> Heard | None:
        """The next request that is whole; None when the connection has come to its end."""
        try:
            async with asyncio.timeout(REQUEST_S if http.busy else IDLE_S) as deadline:
                while True:
                    heard = http.next()
                    if heard is not None or http.closing:
                        await self._send(link, http)
                        return heard
                    if go_on := http.to_send():
                        await link.write(go_on)
                    data = await link.read()
                    if not http.busy:
                        deadline.reschedule(asyncio.get_running_loop().time() + REQUEST_S)
                    http.feed(data)
                    self._coming_in[link] = http.size
                    if sum(self._coming_in.values()) > BODIES_LIMIT:
                        return await self._reject(link, http, 503, "more bodies at once than can be held")
        except TimeoutError:
            if not http.busy:
                return None
            return await self._reject(link, http, 408, f"a request that was not whole after {REQUEST_S:g} s")
        except LinkLost:
            if http.busy:
                self._out.doubt(b"", "a request that was cut off")
            raise

    async def _reject(self, link: Link, http: HttpConnection, status: int, why: str) -> Rejected:
        self._coming_in.pop(link, None)
        rejected = http.reject(status, why)
        await self._send(link, http)
        return rejected

    async def _take(self, link: Link, http: HttpConnection, posted: Posted) -> None:
        """Onto the disk, answer, and only then see what it is."""
        push = Push(posted.body, posted.content_type, self._out.clock.now().utc_s)
        path = await self._onto_disk(push)
        if path is None:
            await self._answer(link, http, await self._tell_without_spool(push))
        else:
            await self._answer(link, http, 200)
            await self._tell(push)
            self._is_told(path)
        self._coming_in.pop(link, None)

    async def _answer(self, link: Link, http: HttpConnection, status: int) -> None:
        http.answer(status)
        await self._send(link, http)

    async def _send(self, link: Link, http: HttpConnection) -> None:
        """A client that does not wait for its answer has been heard all the same."""
        if answer := http.to_send():
            with suppress(LinkLost):
                await link.write(answer)

    async def _onto_disk(self, push: Push) -> Path | None:
        """None where the spool does not take it in time."""
        try:
            async with asyncio.timeout(SPOOL_S):
                path = await self._spool.put(push)
        except SpoolError as error:
            self._spool_trouble = str(error)
        except TimeoutError:
            self._spool_trouble = f"the disk takes longer than {SPOOL_S:g} s"
        else:
            self._spool_trouble = ""
            return path
        return None

    async def _tell_without_spool(self, push: Push) -> int:
        """The status for the camera: it is received when the ledger has it."""
        await self._tell(push)
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._out.settled()
        except TimeoutError:
            return 503
        return 200

    # --- JSON over TCP -----------------------------------------------------------------------------------------------

    async def _serve_stream(self, link: Link) -> None:
        """Nothing of this is spooled: the camera awaits no answer, so that there is none to be kept."""
        if not self._door.lets_in(link.peer):
            self._out.doubt(b"", "a connection from an address that is not on the list")
            return
        scanner = ObjectScanner()
        try:
            while True:
                data = await link.read()  # no deadline: the silence of a camera is told by all its connections together
                for at in range(0, len(data), SLICE):
                    await self._tell_objects(scanner.feed(data[at : at + SLICE]))
                    await asyncio.sleep(0)
        finally:
            for doubt in scanner.finish():
                self._out.doubt(doubt.raw, doubt.why)

    async def _tell_objects(self, found: Sequence[dict[str, Any] | Doubt]) -> None:
        assert self._codec.message is not None
        utc_s = self._out.clock.now().utc_s
        for item in found:
            if not isinstance(item, Doubt):
                async with self._turn:
                    await self._pass_on(self._codec.message(item), utc_s)
                continue
            self._out.doubt(item.raw, item.why)
            if isinstance(item, Violation):
                raise LinkLost("read", item.why)

    # --- telling -----------------------------------------------------------------------------------------------------

    async def _tell(self, push: Push, *, late: bool = False) -> None:
        """Whatever is in a push, in the order in which pushes came."""
        async with self._turn:
            if len(push.body) <= SMALL:
                found = self._codec.body(push.body, push.content_type)
            else:
                found = await asyncio.to_thread(self._codec.body, push.body, push.content_type)
            kept = await self._keep_raw(push) if any(isinstance(item, Doubt) for item in found) else ""
            for item in found:
                await self._pass_on(item, push.arrived_utc_s, late=late, kept=kept)

    async def _pass_on(self, item: Found, arrived_utc_s: float, *, late: bool = False, kept: str = "") -> None:
        out, teller = self._out, self._standing.teller
        if isinstance(item, Doubt):
            out.doubt(item.raw[:DOUBT_LIMIT], f"{item.why}; kept as {kept}" if kept else item.why)
            return
        for remark in item.remarks:
            out.doubt(b"", remark)
        if not late:
            self._heard(item.identity)
        told: list[PlateReport] = []
        if isinstance(item, Sighting):
            references = [await out.keep(picture.data, picture.media_type) for picture in item.pictures]
            told += teller.take(item, references, self._now_s(), late=late)
        if not late and out.clock.now().synchronised:
            at_once = isinstance(item, Alive) or item.at_once
            told += teller.compare_clocks(item.camera_utc_s, arrived_utc_s, at_once=at_once)
        for report in told:
            out.report(report)

    async def _keep_raw(self, push: Push) -> str:
        """What nobody understood is evidence; its reference, empty where enough was kept lately."""
        kept_s, now_s = self._standing.raw_kept_s, self._now_s()
        if len(kept_s) == RAW_KEPT and now_s - kept_s[0] < RAW_KEPT_IN_S:
            return ""
        kept_s.append(now_s)
        return await self._out.keep(push.body, "application/octet-stream")

    async def _end_tracks(self) -> None:
        await self._online.wait()  # no deadline: nothing is told before
        while True:
            for report in self._standing.teller.expire(self._now_s()):
                self._out.report(report)
            await asyncio.sleep(TICK_S)

    # --- the spool ---------------------------------------------------------------------------------------------------

    async def _open_spool(self) -> Spool:
        config, now = self._config, self._out.clock.now()
        self._standing.teller.forget_unsettled()  # it is still in the spool, and is told again
        spool = await Spool.open(
            self._out.spool,
            limit_bytes=config.spool_mib << 20,
            oldest_utc_s=now.utc_s - config.spool_age_h * 3600,
            sealer=self._out.sealer,
        )
        if spool.too_old:
            self._out.doubt(b"", f"{spool.too_old} pushes waited longer than {config.spool_age_h:g} h and were dropped")
        self._spool_trouble = spool.trouble or None
        return spool

    def _tell_spool(self) -> None:
        if self._spool_trouble is not None:
            for fault in self._standing.teller.faults.settle(SPOOL_FAULT, self._spool_trouble):
                self._out.report(fault)

    async def _tell_backlog(self) -> None:
        """What a session before was told, and may not have passed on. Beside the pushes of now, which go first."""
        await self._online.wait()  # no deadline: nothing is told before
        locked = 0
        for path in self._spool.backlog:
            try:
                push = await self._spool.get(path)
            except SpoolLocked:
                locked += 1
                continue
            if push is None:
                self._out.doubt(b"", "a file of the spool that cannot be read")
            else:
                await self._tell(push, late=True)
            self._is_told(path)
        if self._spool.backlog or self._spool.too_old:
            self._tell_locked(locked)

    def _tell_locked(self, count: int) -> None:
        """What was sealed with a key that is gone stays in the spool until the key is back, or it is too old."""
        why = f"{count} pushes are sealed with a key that is not among the lane's store keys" if count else ""
        for fault in self._standing.teller.faults.settle(SPOOL_KEY_FAULT, why):
            self._out.report(fault)

    def _is_told(self, path: Path) -> None:
        self._done.append(path)
        self._some_done.set()

    async def _settle(self) -> None:
        """Drop from the disk what the ledger has."""
        while True:
            await self._some_done.wait()  # no deadline: there may be nothing to do
            self._some_done.clear()
            told, self._done = self._done, []
            mark = self._standing.teller.mark()
            await self._out.settled()  # no deadline: a store that is out of order is told by itself
            # The session may be over instead: then this is cancelled before anything is lost.
            await asyncio.sleep(AFTER_SETTLED_S)
            self._standing.teller.settle(mark)
            await self._spool.drop(told)
