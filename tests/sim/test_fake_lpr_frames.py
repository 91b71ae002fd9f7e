"""The fake camera that only takes pictures: snapshots by HTTP, of what stands before it in the world."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import pytest
from fake_bench import client_of, lost, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lpr_frames import AXIS_MOTION, AXIS_STILL, IDLE_S, FakeFrameCamera, FrameCameraConfig
from sim.one_fake import with_device
from sim.pictures import scene
from sim.readings import Contact, InView
from sim.simfile import load_simfile
from sim.world.scenario import Scenario, Traffic
from sim.world.scene import CameraSite, Scene
from sim.world.world import World

ISAPI_STILL = "/ISAPI/Streaming/channels/101/picture"
SIZE = (128, 72)
CAR = InView("7KRM482", "US-CA", 1.0, 5)


def camera(**settings: object) -> FakeFrameCamera:
    config = FrameCameraConfig.model_validate({"width": SIZE[0], "height": SIZE[1], **settings})
    return FakeFrameCamera(config, lambda deed: None)


def ask(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: camera", *headers, "", ""]).encode()


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def answered(fake: FakeFrameCamera, *requests: bytes) -> bytes:
    async with client_of(fake.serve) as link:
        for request in requests:
            await link.write(request)
        return await received(link, quiet_s=1.0)


@virtual
@pytest.mark.parametrize("path", [AXIS_STILL, ISAPI_STILL])
async def test_a_snapshot_is_a_jpeg_of_the_told_length(path: str) -> None:
    pytest.importorskip("cv2")
    answer = await answered(camera(), ask(path))
    assert status_of(answer) == 200
    assert re.search(rb"(?i)content-type: image/jpeg\r\n", answer)
    length = re.search(rb"(?i)content-length: (\d+)", answer)
    assert length is not None
    assert int(length[1]) == len(body_of(answer)) > 500
    assert body_of(answer).startswith(b"\xff\xd8")
    assert body_of(answer).endswith(b"\xff\xd9")


@virtual
async def test_a_snapshot_shows_what_stands_there_now() -> None:
    pytest.importorskip("cv2")
    fake = camera()
    empty = body_of(await answered(fake, ask(AXIS_STILL)))
    fake.sense(CAR)
    car = body_of(await answered(fake, ask(AXIS_STILL)))
    fake.sense(InView("", "", 0.0))
    again = body_of(await answered(fake, ask(AXIS_STILL)))
    assert car == scene("7KRM482", "US-CA", 5, 1, SIZE, 1.0, 2)
    assert empty == scene("", "", 0, 1, SIZE, 0.0, 1)
    assert again == scene("", "", 0, 1, SIZE, 0.0, 3)


@virtual
async def test_one_connection_carries_many_requests_also_written_at_once() -> None:
    fake = camera()
    answer = await answered(fake, ask(AXIS_STILL) + ask(ISAPI_STILL), ask(AXIS_STILL))
    assert answer.count(b"HTTP/1.1 200") == 3


@virtual
async def test_head_tells_the_length_and_sends_nothing() -> None:
    answer = await answered(camera(), ask(AXIS_STILL, method="HEAD"))
    assert status_of(answer) == 200
    assert body_of(answer) == b""


@virtual
async def test_a_smaller_picture_can_be_asked_for_and_no_larger_one() -> None:
    pytest.importorskip("cv2")
    fake = camera(width=256, height=144)
    small = body_of(await answered(fake, ask(f"{AXIS_STILL}?resolution=128x72&compression=30")))
    large = body_of(await answered(fake, ask(f"{AXIS_STILL}?resolution=9999x9999")))
    assert small == scene("", "", 0, 1, (128, 72), 0.0, 1)
    assert large == scene("", "", 0, 1, (256, 144), 0.0, 2)


@virtual
async def test_what_it_does_not_have_is_404_and_what_is_no_question_is_405() -> None:
    fake = camera(motion=False)
    for path in ("/", "/axis-cgi/param.cgi", "/ISAPI/Streaming/channels/x/picture", AXIS_MOTION):
        assert status_of(await answered(fake, ask(path))) == 404
    posted = ask(AXIS_STILL, "Content-Length: 3", method="POST") + b"abc"
    assert status_of(await answered(fake, posted)) == 405


@virtual
async def test_without_the_password_it_is_401_with_a_basic_challenge() -> None:
    fake = camera(auth="basic", username="lane", password="a:b")
    answer = await answered(fake, ask(AXIS_STILL))
    assert status_of(answer) == 401
    assert re.search(rb'(?i)www-authenticate: basic realm="', answer)
    secret = base64.b64encode(b"lane:a:b").decode()
    assert status_of(await answered(fake, ask(AXIS_STILL, f"Authorization: Basic {secret}"))) == 200
    wrong = base64.b64encode(b"lane:x").decode()
    assert status_of(await answered(fake, ask(AXIS_STILL, f"Authorization: Basic {wrong}"))) == 401


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@virtual
async def test_a_digest_is_checked_against_its_own_nonce_and_address() -> None:
    fake = camera(auth="digest", username="lane", password="secret")
    answer = await answered(fake, ask(AXIS_STILL))
    assert status_of(answer) == 401
    challenge = re.search(r'(?i)digest realm="([^"]+)", nonce="([^"]+)"', answer.decode("latin-1"))
    assert challenge is not None
    realm, nonce = challenge.groups()

    def authorization(nonce: str, uri: str, password: str) -> str:
        secret, request = md5(f"lane:{realm}:{password}"), md5(f"GET:{uri}")
        response = md5(f"{secret}:{nonce}:00000001:abc:auth:{request}")
        return (
            f'Authorization: Digest username="lane", realm="{realm}", nonce="{nonce}", uri="{uri}", qop=auth, '
            f'nc=00000001, cnonce="abc", response="{response}"'
        )

    assert status_of(await answered(fake, ask(AXIS_STILL, authorization(nonce, AXIS_STILL, "secret")))) == 200
    assert status_of(await answered(fake, ask(AXIS_STILL, authorization(nonce, AXIS_STILL, "wrong")))) == 401
    assert status_of(await answered(fake, ask(AXIS_STILL, authorization("0" * 32, AXIS_STILL, "secret")))) == 401
    assert status_of(await answered(fake, ask(ISAPI_STILL, authorization(nonce, AXIS_STILL, "secret")))) == 401


@virtual
async def test_a_camera_that_is_still_starting_says_503_and_then_works() -> None:
    fake = camera(failing=2)
    statuses = [status_of(await answered(fake, ask(AXIS_STILL))) for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert fake.answered == statuses


@virtual
async def test_motion_jpeg_goes_on_at_its_pace_until_the_client_goes() -> None:
    pytest.importorskip("cv2")
    fake = camera(frames_per_s=2.0, exposure_s=0.0)
    fake.sense(CAR)
    data = b""
    async with client_of(fake.serve) as link:
        await link.write(ask(AXIS_MOTION))
        async with asyncio.timeout(10):
            while data.count(b"--myboundary") < 4:
                data += await link.read()
        spent_s = asyncio.get_running_loop().time()
    assert 1.5 <= spent_s <= 2.5
    assert b"multipart/x-mixed-replace; boundary=myboundary" in data
    assert data.count(b"\xff\xd8\xff") >= 3


@virtual
async def test_a_client_that_asks_for_nothing_is_hung_up_on() -> None:
    async with client_of(camera().serve) as link:
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(IDLE_S + 1.0)
        assert await lost(link)
        assert asyncio.get_running_loop().time() - began_s < IDLE_S + 2.0


@virtual
async def test_what_is_no_http_is_answered_with_400_and_ends_the_connection() -> None:
    async with client_of(camera().serve) as link:
        await link.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n")
        assert status_of(await received(link)) == 400
        assert await lost(link)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([ask(AXIS_STILL), b"GET / ", b"\r\n\r\n"]))))
@virtual
async def test_no_bytes_of_a_client_upset_it(pieces: list[bytes]) -> None:
    fake = camera(width=64, height=64)
    async with client_of(fake.serve) as link:
        for piece in pieces:
            await link.write(piece)
        await received(link)


@virtual
async def test_readings_that_are_no_view_change_nothing() -> None:
    fake = camera()
    fake.sense(CAR)
    before = await answered(fake, ask(AXIS_STILL))
    fake = camera()
    fake.sense(CAR)
    fake.sense(Contact("loop_booth", True))
    assert body_of(await answered(fake, ask(AXIS_STILL))) == body_of(before)


# --- what the world shows it -----------------------------------------------------------------------------------------


def one_car(camera: CameraSite, vehicles: int = 1) -> tuple[World, list[InView]]:
    world = World(Scene(cameras=(camera,)), Scenario(title="a car", vehicles=vehicles, traffic=Traffic()), seed=3)
    views: list[InView] = []
    for _ in range(1500):
        views += [s.reading for s in world.advance(0.1) if isinstance(s.reading, InView)]
        if not world.truth.vehicles or world.at_booth is None:
            continue
        break
    return world, views


def test_a_vehicle_comes_into_view_and_nearer_up_to_where_it_stops() -> None:
    world, views = one_car(CameraSite(device="cam1", at_m=28.0, side="front", pictures_from_m=8.0))
    assert {view.text for view in views} == {world.truth.vehicles[0].plates[0]}
    distances = [view.distance_m for view in views]
    assert distances == sorted(distances, reverse=True)
    assert 6.0 < distances[0] <= 8.0
    assert len({view.look for view in views}) == 1


def test_a_camera_that_reads_plates_gives_no_pictures_of_the_lane() -> None:
    assert one_car(CameraSite(device="cam1", at_m=28.0, side="front"))[1] == []


def test_pictures_leave_everything_else_in_the_world_as_it_was() -> None:
    def readings(pictures_from_m: float | None) -> list[object]:
        site = CameraSite(device="cam1", at_m=20.0, side="front", pictures_from_m=pictures_from_m)
        world = World(Scene(cameras=(site,)), Scenario(title="five cars", vehicles=5), seed=3)
        return [s for _ in range(900) for s in world.advance(0.1) if not isinstance(s.reading, InView)]

    assert readings(None) == readings(8.0)


def test_served_by_itself_in_the_place_of_a_camera_that_reads_plates_it_has_vehicles_in_its_pictures() -> None:
    simulation = load_simfile(Path(__file__).parents[2] / "configs" / "sim-fast.yaml")
    simulation, device = with_device(simulation, "lpr.frames")
    assert simulation.fakes[device].kind == "lpr.frames"
    world = World(simulation.scene, Scenario(title="a car", vehicles=1), seed=3)
    seen = [s.reading for _ in range(1500) for s in world.advance(0.1) if s.device == device]
    assert [view.text for view in seen if isinstance(view, InView) and view.text]
