"""The stream of the fake camera, byte by byte: RTSP (RFC 2326), RTP (RFC 3550) and JPEG in it (RFC 2435)."""

from __future__ import annotations

import asyncio
import hashlib
import re
import struct
from itertools import pairwise
from typing import Any

import pytest
from fake_bench import client_of, lost, received, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lpr_frames import FakeFrameCamera, FrameCameraConfig
from sim.lpr_frames_rtp import PACKET, Packets, Scan, interleaved, scan_of
from sim.lpr_frames_rtsp import BROKEN, HEAD_LIMIT, TIMEOUT_S, Requests, path_of
from sim.pictures import scene

SIZE = (128, 72)
URL = "rtsp://192.0.2.20/axis-media/media.amp?resolution=128x72"
TCP = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"


def camera(**settings: Any) -> FakeFrameCamera:
    config = FrameCameraConfig.model_validate({"width": SIZE[0], "height": SIZE[1], "exposure_s": 0.0, **settings})
    return FakeFrameCamera(config, lambda deed: None)


def ask(method: str, *headers: str, url: str = URL, number: int = 1) -> bytes:
    return "\r\n".join([f"{method} {url} RTSP/1.0", f"CSeq: {number}", *headers, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def answered(fake: FakeFrameCamera, *requests: bytes) -> list[bytes]:
    """The answer to each request on one connection, without the pictures."""
    found = []
    async with client_of(fake.serve) as link:
        for request in requests:
            await link.write(request)
            found.append(await received(link, quiet_s=0.05))
    return found


def packets_of(data: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """What is no packet, and the packets with their channels."""
    rest, found = b"", []
    while data:
        if data.startswith(b"$"):
            length = int.from_bytes(data[2:4], "big")
            found.append((data[1], data[4 : 4 + length]))
            data = data[4 + length :]
        else:
            head, _, data = data.partition(b"\r\n\r\n")
            rest += head
    return rest, found


# --- RTSP ------------------------------------------------------------------------------------------------------------


@virtual
async def test_options_name_what_can_be_asked_and_need_no_password() -> None:
    (answer,) = await answered(camera(auth="digest"), ask("OPTIONS", number=7))
    assert answer.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n")
    assert re.search(rb"Public: .*DESCRIBE.*SETUP.*PLAY.*TEARDOWN", answer)


@virtual
async def test_the_description_has_a_stream_of_jpeg_with_a_control_address() -> None:
    (answer,) = await answered(camera(frames_per_s=5), ask("DESCRIBE", "Accept: application/sdp"))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length is not None
    assert int(length[1]) == len(body)
    assert b"m=video 0 RTP/AVP 26\r\n" in body
    assert b"a=control:trackID=1\r\n" in body
    assert f"Content-Base: {URL}/".encode() in head


@virtual
@pytest.mark.parametrize("transport", ["RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP/TCP;interleaved=300-301", ""])
async def test_pictures_go_over_this_connection_and_no_other_way(transport: str) -> None:
    (answer,) = await answered(camera(), ask("SETUP", f"Transport: {transport}"))
    assert status_of(answer) == 461


@virtual
async def test_of_several_transports_the_one_that_is_served_is_taken() -> None:
    both = "Transport: RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=4-5"
    (answer,) = await answered(camera(), ask("SETUP", both))
    assert status_of(answer) == 200
    assert b"interleaved=4-5" in answer
    assert re.search(rb"Session: [0-9A-F]{8};timeout=60\r\n", answer)


@virtual
async def test_what_has_no_session_or_no_sense_is_refused_by_its_number() -> None:
    requests = [
        ask("PLAY"),
        ask("PLAY", "Session: 12345678"),
        ask("TEARDOWN", "Session: 12345678"),
        ask("DESCRIBE", url="rtsp://192.0.2.20/other"),
        ask("RECORD"),
        ask("GET_PARAMETER"),
        b"OPTIONS * RTSP/1.0\r\n\r\n",
    ]
    assert [status_of(answer) for answer in await answered(camera(), *requests)] == [454, 454, 454, 404, 501, 200, 400]


@virtual
async def test_another_version_is_refused() -> None:
    async with client_of(camera().serve) as link:
        await link.write(ask("OPTIONS") + b"OPTIONS * RTSP/2.0\r\nCSeq: 2\r\n\r\n")
        heard = await received(link, quiet_s=0.05)
    assert [int(status) for status in re.findall(rb"RTSP/1.0 (\d+)", heard)] == [200, 505]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@virtual
async def test_a_digest_of_the_older_kind_opens_the_door() -> None:
    """RFC 2069, which RTSP refers to: without a client's nonce and count."""
    fake = camera(auth="digest", username="lane", password="secret")
    (refused,) = await answered(fake, ask("DESCRIBE"))
    challenge = re.search(r'Digest realm="([^"]+)", nonce="([^"]+)"\r\n', refused.decode())
    assert status_of(refused) == 401
    assert challenge is not None
    realm, nonce = challenge.groups()

    def login(password: str, method: str = "DESCRIBE") -> str:
        response = md5(f"{md5(f'lane:{realm}:{password}')}:{nonce}:{md5(f'{method}:{URL}')}")
        return (
            f'Authorization: Digest username="lane", realm="{realm}", nonce="{nonce}", uri="{URL}", '
            f'response="{response}"'
        )

    requests = [ask("DESCRIBE", login("secret")), ask("DESCRIBE", login("wrong")), ask("SETUP", login("secret"), TCP)]
    assert [status_of(answer) for answer in await answered(fake, *requests)] == [200, 401, 401]


@virtual
async def test_a_client_that_says_nothing_for_a_minute_is_hung_up_on_and_one_that_does_is_not() -> None:
    async with client_of(camera().serve) as link:
        await link.write(ask("SETUP", TCP))
        for _ in range(3):
            await asyncio.sleep(TIMEOUT_S - 1.0)
            await link.write(ask("GET_PARAMETER"))
            assert status_of(await received(link, quiet_s=0.05)) == 200
        await asyncio.sleep(TIMEOUT_S + 1.0)
        assert await lost(link)


@virtual
async def test_the_end_of_a_session_ends_the_connection() -> None:
    async with client_of(camera().serve) as link:
        await link.write(ask("SETUP", TCP))
        name = re.search(rb"Session: (\w+)", await received(link, quiet_s=0.05))
        assert name is not None
        await link.write(ask("TEARDOWN", f"Session: {name[1].decode()}"))
        assert status_of(await received(link)) == 200
        assert await lost(link)


# --- the stream ------------------------------------------------------------------------------------------------------


async def streamed(fake: FakeFrameCamera, for_s: float) -> list[tuple[int, bytes]]:
    async with client_of(fake.serve) as link:
        await link.write(ask("SETUP", TCP))
        name = re.search(rb"Session: (\w+)", await received(link, quiet_s=0.05))
        assert name is not None
        await link.write(ask("PLAY", f"Session: {name[1].decode()}"))
        heard = b""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(for_s):
                while True:
                    heard += await link.read()
    return packets_of(heard)[1]


@virtual
async def test_a_stream_has_numbered_packets_whose_clock_runs_with_the_pictures() -> None:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    found = await streamed(camera(frames_per_s=4), for_s=2.1)
    rtp = [(*struct.unpack_from(">BBHII", packet), packet) for channel, packet in found if channel == 0]
    assert {(first, kind & 0x7F) for first, kind, *_ in rtp} == {(0x80, 26)}
    numbers = [number for _, _, number, *_ in rtp]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    ends = [stamp for _, kind, _, stamp, *_ in rtp if kind & 0x80]
    assert len(ends) == 9
    assert {later - earlier for earlier, later in pairwise(ends)} == {90_000 // 4}


@virtual
async def test_a_sender_report_ties_the_clock_of_the_stream_to_the_time_of_day() -> None:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    fake = camera()
    fake.utc_at_zero_s = 1_800_000_000.0
    reports = [packet for channel, packet in await streamed(fake, for_s=6.0) if channel == 1]
    assert len(reports) == 2
    first, kind, length, _, seconds, _, _, packets, _ = struct.unpack_from(">BBHIIIIII", reports[1])
    assert (first, kind, length) == (0x80, 200, 6)
    assert 1_800_000_005 <= seconds - 2_208_988_800 <= 1_800_000_006
    assert packets > 10
    assert reports[1][29] == 202, "with a description of the source behind it (RFC 3550, 6.1)"


@virtual
async def test_a_stream_goes_mute_when_it_is_told_to_and_the_camera_still_answers() -> None:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    fake = camera(stream_stops_after=2, frames_per_s=10)
    found = await streamed(fake, for_s=5.0)
    assert sum(packet[1] >> 7 for channel, packet in found if channel == 0) == 2
    assert status_of((await answered(fake, ask("DESCRIBE")))[0]) == 200


def put_together(packets: list[bytes]) -> Scan:
    """A receiver's side of RFC 2435, as far as this camera uses it."""
    data, tables, kind, size = b"", b"", 0, (0, 0)
    for packet in packets:
        offset = int.from_bytes(packet[13:16], "big")
        kind, quality, wide, high = packet[16:20]
        payload = packet[20:]
        assert quality == 255
        if offset == 0:
            length = int.from_bytes(payload[2:4], "big")
            tables, payload = payload[4 : 4 + length], payload[4 + length :]
        assert offset == len(data)
        data += payload
        size = (wide * 8, high * 8)
    return Scan(kind, *size, tables, data)


@given(data=st.binary(min_size=1, max_size=3 * PACKET + 5), start=st.integers(0, 0xFFFF))
def test_a_picture_in_packets_is_the_same_picture(data: bytes, start: int) -> None:
    scan = Scan(1, 128, 72, bytes(range(128)), data)
    packets = list(Packets(1, start, 0).picture(scan, 0.0))
    assert put_together(packets) == scan
    assert [packet[1] >> 7 for packet in packets] == [0] * (len(packets) - 1) + [1]
    assert all(len(packet) <= PACKET + 160 for packet in packets)


def test_a_rendered_picture_can_be_sent_and_others_cannot() -> None:
    pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
    jpeg = scene("7KRM482", "US-CA", 5, 1, SIZE, 1.0, 1)
    scan = scan_of(jpeg)
    assert scan is not None
    assert (scan.kind, scan.width, scan.height, len(scan.tables)) == (1, *SIZE, 128)
    assert jpeg.endswith(scan.data + b"\xff\xd9")
    progressive = jpeg.replace(b"\xff\xc0", b"\xff\xc2", 1)
    assert [scan_of(other) for other in (b"", b"GIF89a", progressive, jpeg[:-2], jpeg[:40])] == [None] * 5
    assert scan_of(scene("7KRM482", "US-CA", 5, 1, (130, 72), 1.0, 1)) is None, "no multiple of 8"


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00"]))
def test_no_bytes_upset_the_one_who_takes_pictures_apart(data: bytes, head: bytes) -> None:
    found = scan_of(head + data)
    assert found is None or found.width % 8 == 0


# --- requests, pure --------------------------------------------------------------------------------------------------


@given(size=st.integers(1, 80))
def test_requests_in_pieces_with_packets_between_them_are_the_same_requests(size: int) -> None:
    body = b"packets_received\r\n"
    whole = (
        ask("OPTIONS")
        + interleaved(1, b"a receiver's report " * 3)
        + b"\r\n"
        + ask("SET_PARAMETER", f"Content-Length: {len(body)}", number=2)
        + body
        + ask("PLAY", "Session: 1", number=3)
    )
    requests = Requests()
    found = [one for at in range(0, len(whole), size) for one in requests.feed(whole[at : at + size])]
    assert [(one.method, one.headers["cseq"]) for one in found] == [
        ("OPTIONS", "1"),
        ("SET_PARAMETER", "2"),
        ("PLAY", "3"),
    ]


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([ask("OPTIONS"), b"$", b"\r\n\r\n"])), max_size=20))
def test_no_bytes_of_a_client_upset_the_parser(pieces: list[bytes]) -> None:
    requests = Requests()
    found = [one for piece in pieces for one in requests.feed(piece)]
    assert BROKEN not in found[:-1], "nothing comes after what cannot be understood"


def test_a_head_without_an_end_is_given_up() -> None:
    requests = Requests()
    assert list(requests.feed(b"OPTIONS * RTSP/1.0\r\nX: " + b"x" * HEAD_LIMIT)) == [BROKEN]
    assert list(requests.feed(ask("OPTIONS"))) == []


@pytest.mark.parametrize("length", ["-1", "x", "9999999", "65537"])
def test_a_length_that_is_none_is_given_up(length: str) -> None:
    assert list(Requests().feed(ask("SET_PARAMETER", f"Content-Length: {length}"))) == [BROKEN]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("rtsp://192.0.2.20:554/stream", "/stream"),
        ("rtsp://192.0.2.20/stream/trackID=1", "/stream"),
        ("rtsp://192.0.2.20/stream/?a=/b", "/stream"),
        ("rtsp://[::1]:554/stream", "/stream"),
        ("*", "*"),
    ],
)
def test_a_stream_is_known_by_its_path(url: str, path: str) -> None:
    assert path_of(url) == path


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([ask("OPTIONS"), ask("DESCRIBE"), ask("SETUP", TCP), ask("PLAY", "Session: 00000001")]),
        ),
        max_size=12,
    )
)
@virtual
async def test_no_bytes_of_a_client_upset_the_camera(pieces: list[bytes]) -> None:
    async with client_of(camera(width=64, height=64, stream_stops_after=1).serve) as link:
        await link.write(ask("OPTIONS"))
        for piece in pieces:
            await link.write(piece)
        await received(link)
