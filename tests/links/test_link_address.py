"""URLs of devices: what they mean, and that a wrong one says what would be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.links import (
    ListenAddress,
    MemoryAddress,
    SerialAddress,
    TcpAddress,
    TlsAddress,
    TlsListenAddress,
    parse_url,
)
from lanecontrol.links.address import place


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://192.168.1.5:1600", TcpAddress("192.168.1.5", 1600)),
        ("tcp://portal-1.lane.example:1600/", TcpAddress("portal-1.lane.example", 1600)),
        ("tcp://[fe80::1]:502", TcpAddress("fe80::1", 502)),
        ("tls://reader:5085", TlsAddress("reader", 5085)),
        ("tls://reader:5085?ca=/etc/ca.pem", TlsAddress("reader", 5085, "/etc/ca.pem")),
        ("tls://r:1?cert=c.pem&key=k%20.pem", TlsAddress("r", 1, "", "c.pem", "k .pem")),
        ("serial:///dev/ttyUSB0", SerialAddress("/dev/ttyUSB0", 9600, "N", 8, 1.0)),
        ("serial:///dev/pts/3?baud=115200&parity=e", SerialAddress("/dev/pts/3", 115200, "E")),
        ("serial:///dev/t?bits=7&stop=1.5&rtscts=1", SerialAddress("/dev/t", 9600, "N", 7, 1.5, True)),
        ("mem://portal", MemoryAddress("portal")),
        ("listen://0.0.0.0:8081", ListenAddress("0.0.0.0", 8081)),
        ("listen://[::]:8081", ListenAddress("::", 8081)),
        ("tls-listen://0.0.0.0:8443?cert=c.pem&key=k.pem", TlsListenAddress("0.0.0.0", 8443, "c.pem", "k.pem")),
        ("tls-listen://lane:8443?cert=c.pem&ca=a.pem", TlsListenAddress("lane", 8443, "c.pem", "", "a.pem")),
    ],
)
def test_a_url_says_where_a_device_is(url: str, address: object) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    ("url", "wrong", "right"),
    [
        ("", "empty", "tcp://host:port"),
        ("192.168.1.5:1600", "no scheme", "tcp://host:port"),
        ("portal", "no scheme", "tcp://host:port"),
        ("tcp:/host:1", "no scheme", "tcp://host:port"),
        ("TCP://host:1", "'TCP' is unknown", "did you mean tcp://host:port"),
        ("tpc://host:1", "'tpc' is unknown", "did you mean tcp://host:port"),
        ("serail:///dev/x", "'serail' is unknown", "serial:///dev"),
        ("http://host:80", "'http' is unknown", "write one of"),
        ("tcp://host", "port is missing", "tcp://host:port"),
        ("tcp://host:", "port is missing", "tcp://host:port"),
        ("tcp://host:0", "port is zero", "tcp://host:port"),
        ("tcp://host:65536", "no number from 1 to 65535", "tcp://host:port"),
        ("tcp://host:http", "no number from 1 to 65535", "tcp://host:port"),
        ("tcp://:1600", "host is missing", "tcp://host:port"),
        ("tcp://fe80::1:502", "brackets", "tcp://[fe80::1]:port"),
        ("tcp://[fe80::1:502", "not a url", "tcp://host:port"),
        ("tcp://host:1/path", "no path", "tcp://host:port"),
        ("tcp://host:1?baud=9600", "'baud' is unknown", "a tcp url has none"),
        ("tcp://host:1#there", "#", "tcp://host:port"),
        ("tcp://ho st:1", "blank", "remove it"),
        ("tcp://host:1\n", "control character", "remove it"),
        ("listen://0.0.0.0", "port is missing", "listen://address:port"),
        ("listen://:8081", "host is missing", "listen://address:port"),
        ("listen://0.0.0.0:0", "port is zero", "listen://address:port"),
        ("listen://0.0.0.0:1?cert=c.pem", "'cert' is unknown", "a listen url has none"),
        ("lisen://0.0.0.0:1", "'lisen' is unknown", "did you mean listen://address:port"),
        ("tls-listen://0.0.0.0:1", "certificate of its own", "?cert=FILE&key=FILE"),
        ("tls-listen://0.0.0.0:1?key=k.pem", "certificate of its own", "?cert=FILE&key=FILE"),
        ("tls://host:1?key=k.pem", "key without a certificate", "add cert=FILE"),
        ("tls://host:1?verify=no", "'verify' is unknown", "ca, cert, key"),
        ("tls://host:1?ca=", "'ca' is empty", "give it a value"),
        ("serial://dev/ttyUSB0", "three slashes", "serial:///dev"),
        ("serial://", "path", "serial:///dev"),
        ("serial:///dev/x?baud=fast", "baud=fast", "from 50 to 4000000"),
        ("serial:///dev/x?baud=-9600", "baud=-9600", "from 50 to 4000000"),
        ("serial:///dev/x?baud=9600&baud=19200", "twice", "keep one"),
        ("serial:///dev/x?parity=none", "parity=none", "N, E, O, M or S"),
        ("serial:///dev/x?bits=9", "bits=9", "from 5 to 8"),
        ("serial:///dev/x?stop=3", "stop=3", "1, 1.5 or 2"),
        ("serial:///dev/x?9600", "'9600' is unknown", "known are baud"),
        ("mem://", "one plain name", "mem://name"),
        ("mem://a/b", "one plain name", "mem://name"),
    ],
)
def test_a_wrong_url_says_what_is_wrong_and_what_would_be_right(url: str, wrong: str, right: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_url(url)
    assert wrong in str(raised.value)
    assert right in str(raised.value)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user name or password") as raised:
        parse_url("tcp://admin:hunter2@host:1600")
    assert "hunter2" not in str(raised.value)


_SCHEMES = st.sampled_from(["", "tcp://", "tls://", "serial://", "serial:///dev/x?", "mem://", "tls://h:1?"])


@given(_SCHEMES, st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(scheme: str, rest: str) -> None:
    try:
        parse_url(scheme + rest)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("listen://0.0.0.0:8081", "0.0.0.0:8081"),
        ("tls-listen://[::1]:8443?cert=c", "[::1]:8443"),
        ("mem://lpr1", "mem://lpr1"),
        ("serial:///dev/ttyS0", "/dev/ttyS0"),
    ],
)
def test_a_place_in_words(url: str, words: str) -> None:
    assert place(parse_url(url)) == words
