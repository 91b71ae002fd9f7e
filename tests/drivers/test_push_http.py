"""HTTP from cameras, request by request, and who is let in."""

from __future__ import annotations

import base64
import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from push_bench import JPEG, request

from drivers.push.door import Door, Verdict, address_of, basic_value, network
from drivers.push.http import BODY_LIMIT, HEADER_LIMIT, Heard, HttpConnection, Posted, Rejected, stored_requests

OPEN = Door()
BASIC = Door(basic=basic_value("camera", "s3cret"))


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def talk(raw: bytes, door: Door = OPEN, *, banned: bool = False, split: int = 0) -> tuple[list[Heard], bytes]:
    """What is heard in `raw`, each post answered 200, and what goes back."""
    connection = HttpConnection(door, banned=banned)
    pieces = [raw[at : at + split] for at in range(0, len(raw), split)] if split else [raw]
    heard: list[Heard] = []
    for piece in pieces:
        if connection.closing:
            break
        connection.feed(piece)
        while (one := connection.next()) is not None:
            heard.append(one)
            if isinstance(one, Posted):
                connection.answer(200)
            if connection.closing:
                break
    return heard, connection.to_send()


def statuses(sent: bytes) -> list[int]:
    return [int(line[9:12]) for line in sent.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def test_a_post_is_heard_whole_and_answered_200() -> None:
    heard, sent = talk(request(JPEG, "image/jpeg"))
    assert heard == [Posted(JPEG, "image/jpeg")]
    assert sent == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_a_post_in_chunks_is_a_post() -> None:
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert talk(raw)[0] == [Posted(b"abcde", "")]


def test_several_posts_on_one_connection_are_heard_one_after_the_other() -> None:
    raw = request(b"one", "a/b") + b"\r\n" + request(b"two")
    for split in (0, 1, 7):
        heard, sent = talk(raw, split=split)
        assert [one.body for one in heard if isinstance(one, Posted)] == [b"one", b"two"]
        assert statuses(sent) == [200, 200]


def test_a_client_that_says_close_or_speaks_http_1_0_is_let_go() -> None:
    for raw in (request(b"x", Connection="close"), b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"):
        connection = HttpConnection(OPEN)
        connection.feed(raw)
        assert connection.next() == Posted(b"x", "")
        connection.answer(200)
        assert connection.closing


def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    head, body = request(b"abc", Expect="100-continue").split(b"\r\n\r\n")
    connection = HttpConnection(OPEN)
    connection.feed(head + b"\r\n\r\n")
    assert connection.next() is None
    assert connection.to_send().startswith(b"HTTP/1.1 100 ")
    connection.feed(body)
    assert connection.next() == Posted(b"abc", "")


def test_a_stranger_that_waits_for_100_continue_is_refused_before_the_body() -> None:
    heard, sent = talk(request(b"", Expect="100-continue").replace(b"Length: 0", b"Length: 9"), BASIC)
    assert heard == [Rejected(401, "")]
    assert statuses(sent) == [401]


@pytest.mark.parametrize(("method", "expected"), [("GET", 200), ("HEAD", 200), ("PUT", 405), ("DELETE", 405)])
def test_asking_for_health_is_answered_and_other_methods_are_not_allowed(method: str, expected: int) -> None:
    heard, sent = talk(request(b"", method=method))
    assert statuses(sent) == [expected]
    assert not isinstance(heard[0], Posted)


def test_a_body_above_the_limit_is_refused_before_it_is_sent() -> None:
    raw = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n".encode()
    heard, sent = talk(raw)
    assert isinstance(heard[0], Rejected)
    assert statuses(sent) == [413]


def test_endless_chunks_are_refused_at_the_limit_and_not_held() -> None:
    connection = HttpConnection(OPEN)
    connection.feed(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    heard = None
    for _ in range(BODY_LIMIT // 65_536 + 2):
        connection.feed(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        if (heard := connection.next()) is not None:
            break
    assert isinstance(heard, Rejected)
    assert statuses(connection.to_send()) == [413]


def test_endless_headers_are_refused_and_not_held() -> None:
    connection = HttpConnection(OPEN)
    heard = None
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(100):
            connection.feed(
                b"X-Filler: " + b"x" * 4_000 + b"\r\n"
                if heard is not None
                else b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 3_000
            )
            if (heard := connection.next()) is not None:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(heard, Rejected)
    assert heard.status in (400, 431)
    assert peak < 20 * HEADER_LIMIT


def test_what_is_no_http_is_refused_in_words_that_quote_nothing() -> None:
    heard, sent = talk(b"\x16\x03\x01PLATE8ABC123\r\n\r\n")
    assert isinstance(heard[0], Rejected)
    assert "8ABC123" not in heard[0].why
    assert heard[0].raw.startswith(b"\x16\x03\x01")
    assert statuses(sent) == [400]


def test_without_credentials_the_client_is_asked_and_then_let_in() -> None:
    raw = request(b"x") + request(b"x", Authorization=basic("camera", "s3cret"))
    heard, sent = talk(raw, BASIC)
    assert heard == [Rejected(401, ""), Posted(b"x", "")]
    assert statuses(sent) == [401, 200]
    assert b'WWW-Authenticate: Basic realm="lanecontrol"' in sent


def test_wrong_credentials_are_refused_and_doubted() -> None:
    heard, sent = talk(request(b"x", Authorization=basic("camera", "guess")), BASIC)
    assert heard == [Rejected(401, "a request with wrong credentials")]
    assert statuses(sent) == [401]


def test_a_secret_header_opens_the_door_and_both_are_wanted_where_both_are_set() -> None:
    door = Door(basic=BASIC.basic, header=b"x-key", secret=b"k1")
    right = basic("camera", "s3cret")
    assert talk(request(b"x", Authorization=right, X_Key="k1"), door)[0] == [Posted(b"x", "")]
    assert talk(request(b"x", Authorization=right), door)[0] == [Rejected(401, "")]
    assert talk(request(b"x", Authorization=right, X_Key="k2"), door)[0][0].status == 401  # type: ignore[union-attr]


def test_an_address_that_is_not_on_the_list_is_forbidden_whatever_it_brings() -> None:
    heard, sent = talk(request(b"x", Authorization=basic("camera", "s3cret")), BASIC, banned=True)
    assert isinstance(heard[0], Rejected)
    assert statuses(sent) == [403]


@pytest.mark.parametrize(
    ("peer", "lets_in"),
    [
        ("tcp://192.0.2.7:4711", True),
        ("tls://192.0.2.7:4711", True),
        ("tcp://[::ffff:192.0.2.7]:4711", True),
        ("tcp://192.0.3.7:4711", False),
        ("tcp://[2001:db8::1]:4711", True),
        ("mem://device#1", False),
        ("tcp://?", False),
    ],
)
def test_the_list_of_addresses(peer: str, lets_in: bool) -> None:
    door = Door(networks=(network("192.0.2.0/24"), network("2001:db8::1")))
    assert door.lets_in(peer) is lets_in
    assert Door().lets_in(peer)


def test_the_address_of_a_peer() -> None:
    assert str(address_of("tcp://192.0.2.7:4711")) == "192.0.2.7"
    assert address_of("tcp://999.0.2.7:4711") is None


def test_no_credentials_asked_for_is_welcome() -> None:
    assert Door().judge([]) is Verdict.WELCOME


def test_the_bodies_of_a_stored_connection() -> None:
    raw = request(b"one", "a/b") + request(b"", method="GET") + request(b"two")
    assert [posted.body for posted in stored_requests(raw)] == [b"one", b"two"]


LINES = (
    "POST / HTTP/1.1",
    "Host: x",
    "Content-Length: 3",
    "",
    "abc",
    "GET",
    "\0",
    "Upgrade: h2c",
    "Expect: 100-continue",
)
MORE = ("Transfer-Encoding: chunked", "Connection: close", "3\r\nabc\r\n0\r\n", "Authorization: Basic eDp5", "abcPOST")
FRAGMENTS = st.lists(st.sampled_from([line.encode() + b"\r\n" for line in LINES + MORE]), max_size=20)


@given(FRAGMENTS, st.sampled_from([OPEN, BASIC]), st.integers(1, 40))
def test_no_bytes_make_it_fail_and_any_split_gives_the_same(fragments: list[bytes], door: Door, split: int) -> None:
    raw = b"".join(fragments)
    whole, cut = talk(raw, door), talk(raw, door, split=split)
    assert [_without_raw(one) for one in whole[0]] == [_without_raw(one) for one in cut[0]]
    assert statuses(whole[1]) == statuses(cut[1])


def _without_raw(heard: Heard) -> Heard:
    return heard if isinstance(heard, Posted) else Rejected(heard.status, heard.why)
