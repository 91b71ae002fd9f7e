"""What a lane does for its store now and then: the chain's head for the port, the policy of what is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lanecontrol.announcements import Announcement, CertificateEnds, ChainHead, EventsGivenUp, StoreOverFull
from lanecontrol.clock import Instant
from lanecontrol.errors import StorageUnavailable
from lanecontrol.housekeeping import HEAD_EVERY_ROWS, HEAD_EVERY_S, Housekeeper
from lanecontrol.ledger import Entry, Ledger
from lanecontrol.ledger.retention import DAY_S, Keep
from sim.virtual_clock import VirtualLoop

NOW_S = 100 * DAY_S
OFTEN = Keep(days=10, droppable=("telemetry",))


class Now:
    """A clock that is always at noon of one day."""

    def __init__(self, synchronised: bool = True) -> None:
        self.synchronised = synchronised

    def now(self) -> Instant:
        return Instant(asyncio.get_running_loop().time(), NOW_S, self.synchronised)


class House:
    """A ledger, its housekeeper, and what that announced."""

    def __init__(self, ledger: Ledger, keep: Keep, synchronised: bool) -> None:
        self.ledger = ledger
        self.told: list[Announcement] = []
        self.failing = False
        self.now = Now(synchronised)
        self.keeper = Housekeeper(ledger, keep, self.now, self._record, structlog.get_logger())

    async def _record(self, told: Announcement) -> None:
        if self.failing:
            raise StorageUnavailable("append", "the disk is full")
        self.told.append(told)
        await self.write("store")

    async def write(self, topic_class: str, count: int = 1, day: float = 99) -> None:
        first = self.ledger.next_seq
        await self.ledger.append(
            [Entry(first + n, topic_class, "an.event", day * DAY_S, b"x" * 500) for n in range(count)]
        )

    def heads(self) -> list[ChainHead]:
        return [told for told in self.told if isinstance(told, ChainHead)]


@asynccontextmanager
async def house(folder: Path, keep: Keep = OFTEN, synchronised: bool = True) -> AsyncIterator[House]:
    async with await Ledger.open(folder / "ledger.db", inline=True) as ledger:
        yield House(ledger, keep, synchronised)


def scene(play: Callable[[], Awaitable[Any]]) -> None:
    """On the virtual clock: an hour passes in no time."""

    async def played() -> None:
        await play()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(played())


async def running(house: House, for_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            await house.keeper.run()


def test_the_port_hears_of_the_chain_every_quarter_of_an_hour(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            await h.write("passage", 5)
            head = h.ledger.head
            await running(h, HEAD_EVERY_S + 1)
            assert h.heads() == [ChainHead(head.epoch, 5, head.link.hex(), NOW_S)]

    scene(play)


def test_a_quiet_lane_does_not_go_on_telling_of_its_own_telling(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            await h.write("passage", 5)
            await running(h, 5 * HEAD_EVERY_S)
            assert len(h.heads()) == 1

    scene(play)


def test_a_busy_lane_tells_its_head_by_events_and_not_by_time_alone(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(running(h, 60.0))
                for _ in range(6):
                    await asyncio.sleep(5)
                    await h.write("passage", HEAD_EVERY_ROWS // 2)
            assert [head.seq // (HEAD_EVERY_ROWS // 2) for head in h.heads()] == [2, 4, 6]

    scene(play)


def test_a_full_disk_stops_no_housekeeping_for_good(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            h.failing = True
            await h.write("passage", 2 * HEAD_EVERY_ROWS)
            await running(h, 100.0)
            assert h.heads() == []
            h.failing = False
            await running(h, 100.0)
            assert len(h.heads()) == 1

    scene(play)


def test_what_was_given_up_is_announced_once_with_its_span(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, Keep(size_bytes=1, droppable=("telemetry",))) as h:
            await h.write("alarm", 2)
            await h.write("telemetry", 20)
            await h.keeper.forget_once()
            await h.keeper.forget_once()
            gaps = [told for told in h.told if isinstance(told, EventsGivenUp)]
            assert [(gap.topic_class, gap.first_seq, gap.last_seq, gap.count) for gap in gaps] == [
                ("telemetry", 3, 22, 20)
            ]

    scene(play)


def test_a_store_full_of_what_must_be_kept_says_so_once_and_says_when_it_is_over(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, Keep(size_bytes=100_000)) as h:
            await h.write("alarm", 400)
            await h.keeper.forget_once()
            await h.keeper.forget_once()
            h.ledger.mark_delivered([row.position for row in await h.ledger.undelivered(limit=1000)])
            await h.ledger.put("after the marks", b"")
            await h.keeper.forget_once()
            told = [told for told in h.told if isinstance(told, StoreOverFull)]
            assert [(t.active, t.over_bytes > 0) for t in told] == [(True, True), (False, False)]

    scene(play)


def test_with_a_clock_that_nobody_set_nothing_is_too_old(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, synchronised=False) as h:
            await h.write("passage", 5, day=1)
            h.ledger.mark_delivered([row.position for row in await h.ledger.undelivered()])
            await h.ledger.put("after the marks", b"")
            await h.keeper.forget_once()
            assert (await h.ledger.status()).rows == 5

    scene(play)


# --- certificates ----------------------------------------------------------------------------------------------------


def certificate(folder: Path, days: float) -> str:
    """The url of a broker, with a certificate of ours that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "booth")])
    begin, end = (datetime.fromtimestamp(NOW_S + d * DAY_S, UTC) for d in (-1, days))
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    signed = made.serial_number(1).not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256())
    path = folder / "booth.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    return f"mqtts://broker:8883?ca=ca.pem&cert={path}"


def ends(h: House) -> list[float]:
    return [told.days_left for told in h.told if isinstance(told, CertificateEnds)]


@pytest.mark.parametrize(("days", "told"), [(30.5, []), (29.5, [29.5]), (0.5, [0.5]), (-0.5, [-0.5])])
def test_a_certificate_is_told_of_30_days_before_its_end_and_after_it(
    tmp_path: Path, days: float, told: list[float]
) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            h.keeper.watch([certificate(tmp_path, days), "mqtt://another"])
            await running(h, 3600)
            assert ends(h) == told
            assert all(t.file == "booth.pem" for t in h.told if isinstance(t, CertificateEnds))

    scene(play)


def test_it_is_told_every_day_until_another_one_is_there(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            h.keeper.watch([certificate(tmp_path, 20)])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(running(h, 5 * DAY_S))
                await asyncio.sleep(2.5 * DAY_S)
                certificate(tmp_path, 400)
            assert ends(h) == [20.0] * 3

    scene(play)


def test_a_clock_that_nobody_set_says_nothing_of_certificates_until_it_is_set(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, synchronised=False) as h:
            h.keeper.watch([certificate(tmp_path, 1)])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(running(h, 2 * DAY_S))
                await asyncio.sleep(DAY_S)
                assert ends(h) == []
                h.now.synchronised = True
                await asyncio.sleep(200)
                assert ends(h) == [1.0], "told as soon as there is a day to go by"

    scene(play)


def test_a_full_disk_only_puts_the_warning_off(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as h:
            h.keeper.watch([certificate(tmp_path, 20)])
            h.failing = True
            await running(h, 0.5 * DAY_S)
            h.failing = False
            await running(h, 0.5 * DAY_S)
            assert ends(h) == [20.0]

    scene(play)
