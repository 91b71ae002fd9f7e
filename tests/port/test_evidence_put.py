"""Pictures by HTTP PUT: one object each under its hash, whatever the object store answers, or does not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.errors import LinkLost, ProtocolViolation
from lanecontrol.evidence.unsent import Unsent
from lanecontrol.links import Link, LinkOpener, MemoryNet, serve_memory
from lanecontrol.port.evidence_out import AGAIN_S, TRIES, Dispatch
from lanecontrol.port.evidence_policy import ObjectStore, SendPolicy
from lanecontrol.port.evidence_put import PutSender, _Exchange

ONE, TWO = b"one picture " * 1000, b"another picture " * 1000
POLICY = SendPolicy(chunk_bytes=4096, bytes_per_s=0)


def digest(of: bytes) -> str:
    return hashlib.sha256(of).hexdigest()


@dataclass
class Put:
    """A request as the object store saw it."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Objects:
    """An object store. Answers `statuses` one after the other, then 201; `mood` is how it behaves."""

    statuses: list[int] = field(default_factory=list)
    mood: str = "asks for the body"
    for_target: dict[str, int] = field(default_factory=dict)
    puts: list[Put] = field(default_factory=list)
    connections: int = 0

    async def serve(self, link: Link) -> None:
        self.connections += 1
        try:
            await self._serve(link)
        except LinkLost:
            return

    async def _serve(self, link: Link) -> None:
        if self.mood == "hangs up":
            return
        if self.mood == "says nothing":
            await asyncio.sleep(3600)
        if self.mood == "talks nonsense":
            await link.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            await asyncio.sleep(1)
            return
        connection = h11.Connection(h11.SERVER)
        request, body = await self._head(link, connection), b""
        status = self.for_target.get(request.target.decode()) or (self.statuses.pop(0) if self.statuses else 201)
        if self.mood != "answers before the body":
            if self.mood == "asks for the body" and connection.they_are_waiting_for_100_continue:
                await link.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            while not isinstance(event := await self._next(link, connection), h11.EndOfMessage):
                assert isinstance(event, h11.Data)
                body += event.data
        headers = {bytes(name).decode(): bytes(value).decode() for name, value in request.headers}
        self.puts.append(Put(request.target.decode(), headers, bytes(body)))
        length = [] if status == 204 else [("Content-Length", "2")]
        answer = connection.send(h11.Response(status_code=status, headers=length)) or b""
        answer += (connection.send(h11.Data(data=b"ok")) or b"") if length else b""
        await link.write(answer)

    async def _head(self, link: Link, connection: h11.Connection) -> h11.Request:
        event = await self._next(link, connection)
        assert isinstance(event, h11.Request)
        assert event.method == b"PUT"
        return event

    async def _next(self, link: Link, connection: h11.Connection) -> object:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await link.read())
        return event


class Kept:
    """The lane's pictures, in memory."""

    def __init__(self, *pictures: bytes) -> None:
        self.pictures = {digest(one): one for one in pictures}
        self.notes = list(self.pictures)

    async def unsent(self, but: Container[str]) -> list[Unsent]:
        return [Unsent(name, "image/jpeg") for name in self.notes if name not in but]

    async def news(self) -> None:
        await asyncio.Event().wait()

    async def read(self, name: str) -> bytes | None:
        return self.pictures.get(name.removeprefix("sha256:"))

    async def settle(self, name: str) -> None:
        self.notes.remove(name)


@dataclass
class Bench:
    """A sender at work against an object store."""

    objects: Objects
    kept: Kept = field(default_factory=lambda: Kept(ONE, TWO))
    store: ObjectStore = field(default_factory=lambda: ObjectStore("mem://objects/lanes/07/", "a-token"))
    policy: SendPolicy = POLICY
    given_up: list[tuple[str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    net: MemoryNet = field(default_factory=MemoryNet)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        dispatch = Dispatch(self.kept, self._quiet, self._gave_up, self.troubles.append)
        sender = PutSender(dispatch, LinkOpener(self.net).for_device("evidence"), self.store, self.policy)
        async with serve_memory(self.net, "objects", self.objects.serve):
            task = asyncio.ensure_future(sender.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait({task})

    async def _quiet(self) -> None:
        await asyncio.sleep(0)

    def _gave_up(self, reference: str, why: str) -> None:
        self.given_up.append((reference, why))

    @property
    def bodies(self) -> list[bytes]:
        return [put.body for put in self.objects.puts]


@pytest.mark.parametrize("mood", ["asks for the body", "waits for the body"])
async def test_a_picture_is_put_under_its_hash_with_its_type_and_the_token(mood: str) -> None:
    bench = Bench(Objects(mood=mood))
    async with bench.at_work():
        await asyncio.sleep(10)
    assert bench.bodies == [ONE, TWO]
    assert [put.target for put in bench.objects.puts] == [f"/lanes/07/{digest(one)}" for one in (ONE, TWO)]
    headers = bench.objects.puts[0].headers
    assert (headers["host"], headers["content-type"], headers["content-length"]) == ("objects", "image/jpeg", "12000")
    assert headers["authorization"] == "Bearer a-token"
    assert bench.kept.notes == []
    assert bench.troubles == [""]


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_any_good_answer_is_good(status: int) -> None:
    bench = Bench(Objects([status, status]))
    async with bench.at_work():
        await asyncio.sleep(10)
    assert bench.kept.notes == []
    assert len(bench.objects.puts) == 2


async def test_a_picture_that_is_too_large_is_given_up_before_it_is_sent_and_told_once() -> None:
    bench = Bench(Objects([413], mood="answers before the body"))
    async with bench.at_work():
        await asyncio.sleep(600)
    assert bench.given_up == [(f"sha256:{digest(ONE)}", "the object store answers 413")]
    assert len(bench.objects.puts) == 2


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429])
async def test_an_answer_that_concerns_every_picture_gives_none_up_and_is_told_once(status: int) -> None:
    bench = Bench(Objects([status] * 20))
    async with bench.at_work():
        await asyncio.sleep(15 * AGAIN_S)
        assert len(bench.troubles) == 1
        assert str(status) in bench.troubles[0]
        assert "token" not in bench.troubles[0]
        bench.objects.statuses.clear()
        await asyncio.sleep(3 * AGAIN_S)
    assert len(bench.troubles) == 2
    assert bench.given_up == []
    assert bench.bodies[-2:] == [ONE, TWO]
    assert bench.kept.notes == []


async def test_a_store_out_of_order_for_an_hour_costs_no_picture() -> None:
    bench = Bench(Objects([503] * 10_000))
    async with bench.at_work():
        await asyncio.sleep(3600)
        bench.objects.statuses.clear()
        await asyncio.sleep(2 * AGAIN_S)
    assert bench.given_up == []
    assert sorted(bench.bodies[-2:]) == sorted([ONE, TWO])
    assert len(bench.troubles) == 2


async def test_one_picture_at_which_the_store_always_fails_does_not_hold_up_the_others_for_ever() -> None:
    bench = Bench(Objects(for_target={f"/lanes/07/{digest(ONE)}": 500}))
    async with bench.at_work():
        await asyncio.sleep(AGAIN_S)
        assert bench.kept.notes == [digest(ONE)]
        for n in range(2 * TRIES):
            more = b"%d" % n
            bench.kept.pictures[digest(more)] = more
            bench.kept.notes.append(digest(more))
            await asyncio.sleep(AGAIN_S)
    assert [reference for reference, _ in bench.given_up] == [f"sha256:{digest(ONE)}"]


@pytest.mark.parametrize("mood", ["hangs up", "says nothing", "talks nonsense"])
async def test_a_store_that_does_not_answer_is_tried_again_and_costs_no_picture(mood: str) -> None:
    bench = Bench(Objects(mood=mood))
    async with bench.at_work():
        await asyncio.sleep(1800)
        assert len(bench.troubles) == 1
        assert 5 < bench.objects.connections < 60
        bench.objects.mood = "asks for the body"
        await asyncio.sleep(3 * AGAIN_S)
    assert bench.bodies == [ONE, TWO]
    assert bench.given_up == []


async def test_a_picture_keeps_to_its_share_of_the_line() -> None:
    bench = Bench(Objects(), kept=Kept(bytes(100_000)), policy=SendPolicy(4096, 10_000))
    async with bench.at_work():
        await asyncio.sleep(8)
        assert bench.objects.puts == []
        await asyncio.sleep(4)
    assert bench.bodies == [bytes(100_000)]


@pytest.mark.parametrize(
    ("url", "tls", "link"),
    [
        ("http://store/b", "", "tcp://store:80"),
        ("https://store/b", "", "tls://store:443"),
        ("https://store:9000/b/", "ca=%2Fa.pem", "tls://store:9000?ca=%2Fa.pem"),
        ("http://[::1]:8080", "", "tcp://[::1]:8080"),
    ],
)
def test_the_place_of_a_store_as_links_know_it(url: str, tls: str, link: str) -> None:
    assert ObjectStore(url, tls=tls).link_url == link


def test_the_name_of_a_picture_follows_the_path() -> None:
    assert ObjectStore("https://store").target("ab") == "/ab"
    assert ObjectStore("https://store/a b/").target("ab") == "/a%20b/ab"


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_answer_makes_anything_raise_but_a_violation_or_a_loss(pieces: list[bytes]) -> None:
    http = _Exchange()
    http.begin("/x", [("Host", "h"), ("Content-Length", "0")])
    try:
        for piece in pieces:
            http.feed(piece)
            http.next()
    except (ProtocolViolation, LinkLost):
        pass
