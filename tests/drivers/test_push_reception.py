"""A session of a pushing camera: what is answered when, what survives, who is let in, and what a bad sender costs."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axis_messages import BOUNDARY_TYPE, EVENT_UTC_S, HEARTBEAT, post, text
from push_bench import JPEG, PushNotebook, Receiver, receiving, request, status

from drivers.lpr_axis import AxisCamera
from drivers.push import reception
from drivers.push.config import PushConfig
from drivers.push.spool import Push, Spool
from lanecontrol.clock import AnchoredClock
from lanecontrol.errors import LinkLost
from lanecontrol.events import DeviceFault, PlateRead
from lanecontrol.links import Link, MemoryNet
from lanecontrol.sealing import NO_KEY, Sealer

JSON = "application/json"
BEAT = json.dumps(HEARTBEAT).encode()


@pytest.fixture
def notes(tmp_path: Path) -> PushNotebook:
    return notebook(tmp_path)


def notebook(folder: Path, sealing: Sealer = NO_KEY) -> PushNotebook:
    """What a new run of the process has: the same folder, a clock that has gone on."""

    class Here(PushNotebook):
        @property
        def sealer(self) -> Sealer:
            return sealing

        @property
        def spool(self) -> Path:
            return folder / "spool"

    return Here(clock=AnchoredClock(EVENT_UTC_S))


def spooled(notes: PushNotebook) -> list[Path]:
    return sorted(notes.spool.iterdir())


def reads(notes: PushNotebook) -> list[tuple[str, bool]]:
    return [(event.track, event.late) for event in notes.events if isinstance(event, PlateRead)]


# --- spool, answer, tell, settle -------------------------------------------------------------------------------------


async def test_a_push_is_on_the_disk_before_it_is_answered_and_gone_when_the_ledger_has_it(notes: PushNotebook) -> None:
    notes.stored.clear()
    async with receiving(AxisCamera, notes) as camera:
        assert await camera.post(post(JPEG), BOUNDARY_TYPE) == 200
        await camera.quiet()
        assert len(spooled(notes)) == 1
        assert reads(notes) == [("41", False)]
        notes.stored.set()
        await camera.quiet()
        assert spooled(notes) == []


async def test_what_the_ledger_did_not_get_is_told_late_by_the_next_run(tmp_path: Path) -> None:
    before = notebook(tmp_path)
    before.stored.clear()
    async with receiving(AxisCamera, before) as camera:
        await camera.post(text(carID="1"), JSON)
        await camera.post(text(carID="2"), JSON)
        await camera.quiet()
    after = notebook(tmp_path)
    async with receiving(AxisCamera, after) as camera:
        await camera.quiet()
        assert after.events == []  # not before the camera has said something
        await camera.post(BEAT, JSON)
        await camera.quiet()
        assert reads(after) == [("1", True), ("2", True)]
        assert spooled(after) == []


async def test_when_something_was_lost_on_the_way_the_next_session_of_the_same_driver_tells_it_again(
    notes: PushNotebook,
) -> None:
    net = MemoryNet()
    driver = _driver(net)
    notes.stored.clear()
    async with receiving(AxisCamera, notes, driver) as camera:
        await camera.post(text(carID="1"), JSON)
        await camera.quiet()
    notes.stored.set()
    async with receiving(AxisCamera, notes, driver) as camera:
        await camera.post(text(carID="2"), JSON)
        await camera.quiet()
        await camera.post(text(carID="1"), JSON)
        await camera.quiet()
    assert reads(notes) == [("1", False), ("2", False), ("1", True)]


async def test_pushes_that_wait_do_not_hold_up_new_ones_and_old_ones_are_dropped_and_counted(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool", limit_bytes=1 << 20, oldest_utc_s=0.0)
    await spool.put(Push(text(carID="1"), JSON, EVENT_UTC_S - 80 * 3600))
    await spool.put(Push(text(carID="2"), JSON, EVENT_UTC_S - 3600))
    notes = notebook(tmp_path)
    async with receiving(AxisCamera, notes) as camera:
        await camera.post(text(carID="3"), JSON)
        await camera.quiet()
        assert reads(notes) == [("3", False), ("2", True)]
        assert notes.whys == ["1 pushes waited longer than 72 h and were dropped"]


async def test_a_file_of_the_spool_that_makes_no_sense_is_doubted_and_removed(notes: PushNotebook) -> None:
    notes.spool.mkdir()
    (notes.spool / "99999999999999999-1.push").write_bytes(b"damaged")
    async with receiving(AxisCamera, notes) as camera:
        await camera.post(BEAT, JSON)
        await camera.quiet()
        assert notes.whys == ["a file of the spool that cannot be read"]
        assert spooled(notes) == []


async def test_a_spool_sealed_with_a_key_that_is_gone_is_a_fault_and_waits_for_its_key(tmp_path: Path) -> None:
    before = notebook(tmp_path, Sealer([b"the key of then"]))
    before.stored.clear()
    async with receiving(AxisCamera, before) as camera:
        await camera.post(text(carID="1", plateASCII="CANARY7"), JSON)
        await camera.quiet()
    assert b"CANARY7" not in b"".join(path.read_bytes() for path in spooled(before))
    without = notebook(tmp_path, Sealer([b"the key of now"]))
    async with receiving(AxisCamera, without) as camera:
        await camera.post(text(carID="2"), JSON)
        await camera.quiet()
        assert reads(without) == [("2", False)]
        (fault,) = [event for event in without.of(DeviceFault) if event.active]
        assert fault.code == "spool_key"
        assert len(spooled(without)) == 1
    both = notebook(tmp_path, Sealer([b"the key of now", b"the key of then"]))
    async with receiving(AxisCamera, both) as camera:
        await camera.post(text(carID="3"), JSON)
        await camera.quiet()
        assert reads(both) == [("3", False), ("1", True)]
        assert DeviceFault("spool_key", "", active=False) in both.events
        assert spooled(both) == []


async def test_a_full_disk_is_a_fault_and_the_read_is_answered_200_when_the_ledger_has_it(notes: PushNotebook) -> None:
    notes.spool.write_bytes(b"in the way")
    async with receiving(AxisCamera, notes) as camera:
        assert await camera.post(text(carID="1"), JSON) == 200
        assert reads(notes) == [("1", False)]
        (fault,) = [event for event in notes.of(DeviceFault) if event.active]
        assert fault.code == "spool"
        notes.stored.clear()
        assert await camera.post(text(carID="2"), JSON) == 503
        assert reads(notes) == [("1", False), ("2", False)]
        notes.spool.unlink()
        notes.spool.mkdir()
        assert await camera.post(text(carID="2"), JSON) == 200
        await camera.quiet()
        assert reads(notes) == [("1", False), ("2", False)]
        assert DeviceFault("spool", "", active=False) in notes.events


async def test_even_with_a_disk_that_hangs_the_answer_comes_before_cameras_give_up(
    notes: PushNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(self: Spool, push: Push) -> Path:
        await asyncio.sleep(3600)
        raise AssertionError

    monkeypatch.setattr(Spool, "put", hang)
    notes.stored.clear()
    async with receiving(AxisCamera, notes) as camera:
        began_s = asyncio.get_running_loop().time()
        assert await camera.post(text(), JSON) == 503
        assert asyncio.get_running_loop().time() - began_s < 5.0
        assert len(reads(notes)) == 1


async def test_a_camera_that_drops_what_is_not_answered_200_in_time_loses_nothing(notes: PushNotebook) -> None:
    """A hundred cars, one of ten with something odd around it."""
    async with receiving(AxisCamera, notes, silence_timeout_s=None) as camera:
        for car in range(100):
            if car % 10 == 3:
                await camera.post(b"?" * car, JSON)
                await camera.send(b"\x00\x01garbage\r\n\r\n")
            async with asyncio.timeout(5.0):
                assert await camera.post(post(JPEG, carID=str(car)), BOUNDARY_TYPE) == 200
        await camera.quiet()
        assert [track for track, _ in reads(notes)] == [str(car) for car in range(100)]


async def test_large_pictures_are_read_off_the_loop_and_stay_in_order(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes) as camera:
        large = JPEG + bytes(3_000_000)
        answers = await asyncio.gather(
            camera.post(post(large, carID="1"), BOUNDARY_TYPE), camera.post(post(JPEG, carID="2"), BOUNDARY_TYPE)
        )
        await camera.quiet()
        assert list(answers) == [200, 200]
        assert large in notes.kept.values()
        assert sorted(reads(notes)) == [("1", False), ("2", False)]


async def test_only_so_many_bodies_that_nobody_understands_are_kept(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes) as camera:
        for n in range(reception.RAW_KEPT + 5):
            await camera.post(b"nonsense %d" % n, JSON)
        await camera.quiet()
        assert len(notes.kept) == reception.RAW_KEPT
        assert len(notes.doubts) == reception.RAW_KEPT + 5


# --- there or not ----------------------------------------------------------------------------------------------------


async def test_a_camera_that_never_comes_is_told_once_and_then_waited_for(notes: PushNotebook) -> None:
    driver = _driver(MemoryNet())
    async with receiving(AxisCamera, notes, driver) as camera:
        await asyncio.sleep(60.5)
        assert isinstance(camera.session.exception(), LinkLost)
    async with receiving(AxisCamera, notes, driver) as camera:
        await asyncio.sleep(3600)
        assert not camera.session.done()
        await camera.post(BEAT, JSON)
        await asyncio.sleep(60.5)
        assert isinstance(camera.session.exception(), LinkLost)


async def test_nonsense_is_no_sign_of_life(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes) as camera:
        for _ in range(11):
            await camera.post(b"nonsense", JSON)
            await camera.send(request(b"", method="GET"))
            await asyncio.sleep(5.0)
        await asyncio.sleep(5.5)
        assert camera.session.done()
        assert notes.identities == []


async def test_a_cameras_web_server_can_be_its_sign_of_life(notes: PushNotebook) -> None:
    net = MemoryNet()
    asked: list[bytes] = []

    async def answer(link: Link) -> None:
        asked.append(await link.read())
        await link.write(b"HTTP/1.1 401 Unauthorized\r\n\r\n")

    net.listen("camera", answer)
    driver = _driver(net, silence_timeout_s=None, health={"url": "mem://camera", "path": "/axis-cgi/alive"})
    async with receiving(AxisCamera, notes, driver) as camera:
        await asyncio.sleep(600.0)
        assert not camera.session.done()
        assert len(notes.identities) == 1
        assert asked[0].startswith(b"GET /axis-cgi/alive HTTP/1.1\r\nHost: camera\r\n")
        assert not any(b"Authorization" in one for one in asked)
        net.unlisten("camera")
        await asyncio.sleep(40.0)
        assert isinstance(camera.session.exception(), LinkLost)


# --- who is let in ---------------------------------------------------------------------------------------------------


async def test_strangers_are_turned_away_and_counted_and_the_camera_is_not_disturbed(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes, username="camera", password="s3cret") as camera:
        right = "Basic Y2FtZXJhOnMzY3JldA=="
        assert await camera.post(text(), JSON) == 401
        assert await camera.post(text(), JSON, Authorization="Basic Z3Vlc3M6eA==") == 401
        assert await camera.post(text(), JSON, Authorization=right) == 200
        await camera.quiet()
        assert len(reads(notes)) == 1
        assert notes.whys == ["a request without credentials", "a request with wrong credentials"]
        assert not camera.session.done()


async def test_a_client_that_waits_to_be_asked_for_credentials_is_no_stranger(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes, username="camera", password="s3cret") as camera:
        link = camera.connect()
        await link.write(request(text(), JSON))
        assert await status(link) == 401
        await link.write(request(text(), JSON, Authorization="Basic Y2FtZXJhOnMzY3JldA=="))
        assert await status(link) == 200
        await link.close()
        await camera.quiet()
        assert notes.doubts == []


@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_only_addresses_on_the_list_may_push(notes: PushNotebook, transport: str) -> None:
    async with receiving(AxisCamera, notes, allow=["192.0.2.0/24"], transport=transport) as camera:
        raw = text() if transport == "tcp" else request(text(), JSON)
        assert await camera.send(raw) == (0 if transport == "tcp" else 403)
        await camera.quiet()
        assert notes.events == []
        assert "not on the list" in notes.whys[-1]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"allow": ["300.1.2.3"]}, "no address or network"),
        ({"username": "camera"}, "go together"),
        ({"header": {"name": "X Key", "secret": "x"}}, "name"),
    ],
)
def test_mistakes_in_the_lane_file_are_told(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PushConfig.model_validate({"id": "a", "kind": "x", "url": "listen://0.0.0.0:1", **setting})


def test_secrets_do_not_show() -> None:
    stanza = {"id": "a", "kind": "x", "url": "mem://x", "username": "u", "password": "s3cret"}
    config = PushConfig.model_validate({**stanza, "header": {"name": "X-Key", "secret": "k3y"}})
    assert "s3cret" not in repr(config)
    assert "k3y" not in repr(config)


# --- bad senders -----------------------------------------------------------------------------------------------------


async def test_a_sender_of_one_byte_a_second_is_cut_off_and_disturbs_nobody(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes, silence_timeout_s=None) as camera:
        link = camera.connect()
        slow = asyncio.ensure_future(_drip(link, request(text(), JSON)))
        await asyncio.sleep(10.0)
        assert await camera.post(text(carID="9"), JSON) == 200
        await asyncio.sleep(reception.REQUEST_S)
        assert slow.done()
        assert slow.result() == 408
        assert notes.whys == [f"a request that was not whole after {reception.REQUEST_S:g} s"]
        assert reads(notes) == [("9", False)]


async def _drip(link: Any, raw: bytes) -> int:
    try:
        for at in range(len(raw)):
            await link.write(raw[at : at + 1])
            await asyncio.sleep(1.0)
    except LinkLost:
        pass
    return await status(link)


async def test_a_camera_that_does_not_wait_for_its_answer_is_heard_all_the_same(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes) as camera:
        link = camera.connect()
        await link.write(request(text(carID="1"), JSON))
        await asyncio.sleep(0)
        await link.close()
        await camera.quiet()
        assert reads(notes) == [("1", False)]
        assert spooled(notes) == []
        assert notes.doubts == []


async def test_half_a_body_is_counted_and_nothing_is_told_of_it(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes) as camera:
        link = camera.connect()
        await link.write(request(text(), JSON)[:-20])
        await camera.quiet()
        await link.close()
        await camera.quiet()
        assert notes.whys == ["a request that was cut off"]
        assert notes.events == []
        assert notes.spool.exists()
        assert spooled(notes) == []


async def test_a_connection_without_a_request_is_closed_after_a_while_without_a_doubt(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes, silence_timeout_s=None) as camera:
        link = camera.connect()
        assert await status(link) == 0
        assert asyncio.get_running_loop().time() >= reception.IDLE_S
        assert notes.doubts == []


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_a_thousand_connections_cost_little_and_the_camera_still_gets_through(
    notes: PushNotebook, traced: None
) -> None:
    async with receiving(AxisCamera, notes, silence_timeout_s=None) as camera:
        before, _ = tracemalloc.get_traced_memory()
        links = []
        for _ in range(1000):
            link = camera.connect()
            await link.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\n\r\n")
            links.append(link)
            await asyncio.sleep(0)
        await asyncio.sleep(reception.REQUEST_S + 1.0)
        for link in links:
            await link.close()
        links.clear()
        await camera.quiet()
        assert await camera.post(post(JPEG), BOUNDARY_TYPE) == 200
        await camera.quiet()
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
        assert now - before < 2_000_000
        assert len(reads(notes)) == 1


async def test_bodies_that_come_in_at_the_same_time_are_bounded_together(notes: PushNotebook) -> None:
    async with receiving(AxisCamera, notes, silence_timeout_s=None) as camera:
        answers = await asyncio.gather(*(_half_of_16_mib(camera) for _ in range(9)))
        assert 503 in answers
        assert "more bodies at once than can be held" in notes.whys
        assert await camera.post(text(), JSON) == 200


async def _half_of_16_mib(camera: Receiver) -> int:
    link = camera.connect()
    try:
        await link.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n")
        for _ in range(128):
            await link.write(bytes(65_536))
        return await status(link)
    except LinkLost:
        return 503
    finally:
        await link.close()


def _driver(net: MemoryNet, **settings: Any) -> Any:
    from driver_bench import make

    return make(AxisCamera, net, **settings)
