"""Pictures to an object store: each by one HTTP PUT under the hash of its content, so that a repeat changes nothing.

The composition root makes one per lane where the lane file says so. Which picture goes next, and what becomes of one
that is refused, is `evidence_out.Dispatch`'s to say. The protocol is h11's, the connection comes from links. Must never
follow a redirection: a picture goes where the lane file says, or nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Never

import h11

from lanecontrol.errors import CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.links import Link, Links
from lanecontrol.port.evidence_out import AGAIN_S, OUTAGE_S, Dispatch, Fate, Pace, Picked, Refusal
from lanecontrol.port.evidence_policy import ObjectStore, SendPolicy

CONNECT_S = 5.0
CONTINUE_S = 1.0
"""How long a server may take to say that it wants the body; many never say it (RFC 9110, section 10.1.1)."""
ANSWER_S = 30.0
"""From the last byte of the body to the answer; and what a line may stall on the way."""
ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that are read: what is in it is nothing to us."""
_HOPELESS = frozenset((400, 411, 413, 414, 415, 422))
"""Answers that no further try can change: this picture is not wanted as it is."""


class PutSender:
    """Pictures of one lane to one object store."""

    def __init__(self, dispatch: Dispatch, links: Links, store: ObjectStore, policy: SendPolicy) -> None:
        self.dispatch = dispatch
        self._links = links
        self._store = store
        self._slice = policy.chunk_bytes
        self._bytes_per_s = policy.bytes_per_s
        self._pace = Pace(policy.bytes_per_s)

    async def run(self) -> Never:
        """For ever. A store that is away is told once, and tried again and again."""
        wait_s = OUTAGE_S
        while True:
            sent = self.dispatch.counts.sent
            try:
                await self.dispatch.run(self._put)
            except DeviceError as lost:
                self.dispatch.tell(f"{self._store.url}: {lost.deed}: {lost.why}")
            wait_s = OUTAGE_S if self.dispatch.counts.sent > sent else min(2 * wait_s, AGAIN_S)
            await asyncio.sleep(wait_s)

    async def _put(self, picked: Picked) -> Refusal | None:
        """Raises DeviceError when there is no answer."""
        limit_s = ANSWER_S + 2 * (len(picked.picture) / self._bytes_per_s if self._bytes_per_s else ANSWER_S)
        try:
            async with asyncio.timeout(limit_s):
                async with self._links.open(self._store.link_url, timeout_s=CONNECT_S) as link:
                    return _verdict(await self._exchange(link, picked))
        except TimeoutError:
            raise LinkLost("put a picture", f"no answer within {limit_s:.0f} s") from None

    async def _exchange(self, link: Link, picked: Picked) -> int:
        """The status of the answer."""
        http = _Exchange()
        await link.write(
            http.begin(self._store.target(picked.digest), self._store.headers(picked.media_type, len(picked.picture)))
        )
        try:
            async with asyncio.timeout(CONTINUE_S):
                status = await _answer(link, http, or_go_on=True)
        except TimeoutError:
            status = None
        if status is not None:
            return status
        try:
            for piece in _slices(picked.picture, self._slice):
                await self._pace.turn(len(piece))
                await link.write(http.body(piece))
            await link.write(http.end())
        except LinkLost:
            http.cut()  # a server that wants no more may have said why before it hung up
        status = await _answer(link, http, or_go_on=False)
        assert status is not None
        return status


async def _answer(link: Link, http: _Exchange, *, or_go_on: bool) -> int | None:
    """The final status; None when the server asks for the body. Raises LinkLost, ProtocolViolation."""
    while True:
        found = http.next()
        if found is not None and (found >= 200 or or_go_on):
            return found if found >= 200 else None
        if found is None:
            http.feed(await link.read())


class _Exchange:
    """One PUT and its answer, as bytes."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT)
        self._heard = 0

    def begin(self, target: str, headers: list[tuple[str, str]]) -> bytes:
        return self._h11.send(h11.Request(method="PUT", target=target, headers=headers)) or b""

    def body(self, piece: bytes) -> bytes:
        return self._h11.send(h11.Data(data=piece)) or b""

    def end(self) -> bytes:
        return self._h11.send(h11.EndOfMessage()) or b""

    def cut(self) -> None:
        self._h11.send_failed()

    def feed(self, data: bytes) -> None:
        self._heard += len(data)
        if self._heard > ANSWER_LIMIT:
            raise ProtocolViolation("put a picture", "an answer without an end")
        self._h11.receive_data(data)

    def next(self) -> int | None:
        """The next status, also one that only says to go on; None when more bytes are needed."""
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as wrong:
            raise ProtocolViolation("put a picture", f"no HTTP answer: {wrong}") from None
        match event:
            case h11.InformationalResponse() | h11.Response():
                return event.status_code
            case h11.NEED_DATA | h11.PAUSED:
                return None
            case _:
                raise LinkLost("put a picture", "the server hung up without an answer")


def _verdict(status: int) -> Refusal | None:
    """What an answer means for the picture. Raises CredentialsRefused, LinkLost for what concerns all pictures."""
    match status:
        case _ if 200 <= status < 300:
            return None
        case _ if status in _HOPELESS:
            return Refusal(f"the object store answers {status}", Fate.HOPELESS)
        case 401 | 403:
            raise CredentialsRefused("put a picture", f"the object store answers {status}")
        case _ if status in (404, 405, 408, 425, 429) or status < 400:
            raise LinkLost("put a picture", f"the object store answers {status}")
        case _ if status >= 500:
            return Refusal(f"the object store answers {status}", Fate.NOTHING_IS_TAKEN)
        case _:
            return Refusal(f"the object store answers {status}", Fate.AGAIN)


def _slices(picture: bytes, size: int) -> Iterator[bytes]:
    return (picture[at : at + size] for at in range(0, len(picture), size))
