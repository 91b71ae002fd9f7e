"""Where a device is, from its URL. Pure: configuration checks every URL with this before anything is opened."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Parity = Literal["N", "E", "O", "M", "S"]

_FORMS = {
    "tcp": "tcp://host:port",
    "tls": "tls://host:port",
    "serial": "serial:///dev/serial/by-id/...?baud=9600",
    "mem": "mem://name",
    "listen": "listen://address:port",
    "tls-listen": "tls-listen://address:port?cert=FILE&key=FILE",
    "local": "local:///path",
}


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """`tcp://host:port`."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """`tls://host:port?ca=FILE&cert=FILE&key=FILE`: the peer's certificate is always checked.

    `ca` is the authority to trust instead of the system's; `cert` and `key` are ours, for peers that ask.
    """

    host: str
    port: int
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """`serial:///dev/...?baud=9600&parity=N&bits=8&stop=1&rtscts=0`: a serial port, or a pty."""

    path: str
    baud: int = 9600
    parity: Parity = "N"
    bits: int = 8
    stop: float = 1
    rtscts: bool = False


@dataclass(frozen=True, slots=True)
class MemoryAddress:
    """`mem://name`: a listener in the same process."""

    name: str


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """`listen://address:port`: where a device connects to us; `0.0.0.0` and `[::]` stand for every address we have."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TlsListenAddress:
    """`tls-listen://address:port?cert=FILE&key=FILE&ca=FILE`: the same with TLS.

    `cert` and `key` are ours (one file may hold both); with `ca`, only devices that show a certificate of that
    authority are let in.
    """

    host: str
    port: int
    cert: str
    key: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """`local:///path`: a folder or a device node of this box that a driver looks at without any link."""

    path: str


LinkAddress = TcpAddress | TlsAddress | SerialAddress | MemoryAddress | ListenAddress | TlsListenAddress | LocalAddress
"""Where a device is, or where it finds us. `MemoryAddress` stands for both."""


def parse_url(url: str) -> LinkAddress:
    """The address in `url`. Raises ValueError that says what is wrong and what would be right.

    Nothing of a user name or password that somebody put into the URL appears in the message.
    """
    if not url:
        raise ValueError(f"the url is empty; write one like {_FORMS['tcp']}")
    if any(char <= " " or char == "\x7f" for char in url):
        raise ValueError("the url has a blank or control character in it; remove it")
    scheme, mark, _ = url.partition("://")
    if not mark:
        raise ValueError(f"the url has no scheme; write one like {_FORMS['tcp']}")
    if scheme not in _FORMS:
        raise ValueError(f"the scheme {scheme!r} is unknown; {_advice(scheme)}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a url ({error}); write {_FORMS[scheme]}") from None
    if parts.fragment or url.endswith("#"):
        raise ValueError(f"nothing may follow a # here; write {_FORMS[scheme]}")
    if "@" in parts.netloc:
        raise ValueError(f"a url carries no user name or password; write {_FORMS[scheme]}")
    return _ADDRESS[scheme](parts)


def place(address: LinkAddress) -> str:
    """Where a listener listens, in words: `0.0.0.0:8081`, `mem://name`."""
    match address:
        case MemoryAddress(name):
            return f"mem://{name}"
        case SerialAddress(path) | LocalAddress(path):
            return path
        case _:
            host = f"[{address.host}]" if ":" in address.host else address.host
            return f"{host}:{address.port}"


def _advice(scheme: str) -> str:
    close = difflib.get_close_matches(scheme.lower(), _FORMS, n=1)
    return f"did you mean {_FORMS[close[0]]}?" if close else f"write one of {', '.join(_FORMS.values())}"


def _query(parts: SplitResult, allowed: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in allowed:
            known = f"known are {', '.join(allowed)}" if allowed else f"a {parts.scheme} url has none"
            raise ValueError(f"the setting {name!r} is unknown; {known}")
        if name in found:
            raise ValueError(f"the setting {name!r} is given twice; keep one")
        if not value:
            raise ValueError(f"the setting {name!r} is empty; give it a value or leave it out")
        found[name] = value
    if parts.query and not found:
        raise ValueError("the text after ? is no name=value pair; write settings like ?name=value")
    return found


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    form = _FORMS[parts.scheme]
    if parts.path not in ("", "/"):
        raise ValueError(f"a {parts.scheme} url has no path; write {form}")
    if parts.netloc.count(":") > 1 and not parts.netloc.startswith("["):
        raise ValueError(f"an IPv6 address stands in brackets; write {parts.scheme}://[fe80::1]:port")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"the port is no number from 1 to 65535; write {form}") from None
    if not host:
        raise ValueError(f"the host is missing; write {form}")
    if not port:
        raise ValueError(f"the port is {'missing' if port is None else 'zero'}; write {form}")
    return host, port


def _tcp(parts: SplitResult) -> TcpAddress:
    host, port = _host_and_port(parts)
    _query(parts, ())
    return TcpAddress(host, port)


def _tls(parts: SplitResult) -> TlsAddress:
    host, port = _host_and_port(parts)
    files = _query(parts, ("ca", "cert", "key"))
    if "key" in files and "cert" not in files:
        raise ValueError("a key without a certificate; add cert=FILE")
    return TlsAddress(host, port, **files)


def _listen(parts: SplitResult) -> ListenAddress:
    host, port = _host_and_port(parts)
    _query(parts, ())
    return ListenAddress(host, port)


def _tls_listen(parts: SplitResult) -> TlsListenAddress:
    host, port = _host_and_port(parts)
    files = _query(parts, ("cert", "key", "ca"))
    if "cert" not in files:
        raise ValueError(f"a TLS listener needs a certificate of its own; write {_FORMS['tls-listen']}")
    return TlsListenAddress(host, port, **files)


def _serial(parts: SplitResult) -> SerialAddress:
    if parts.netloc:
        raise ValueError(f"a serial url has three slashes before the path; write {_FORMS['serial']}")
    path = unquote(parts.path)
    if path in ("", "/"):
        raise ValueError(f"the path of the serial port is missing; write {_FORMS['serial']}")
    given = _query(parts, ("baud", "parity", "bits", "stop", "rtscts"))
    return SerialAddress(
        path,
        baud=_whole(given, "baud", 9600, 50, 4_000_000),
        parity=_parity(given.get("parity", "N")),
        bits=_whole(given, "bits", 8, 5, 8),
        stop=_stop(given.get("stop", "1")),
        rtscts=_whole(given, "rtscts", 0, 0, 1) == 1,
    )


def _local(parts: SplitResult) -> LocalAddress:
    path = unquote(parts.path)
    if parts.netloc or path in ("", "/"):
        raise ValueError(f"a local url has three slashes and the path; write {_FORMS['local']}")
    _query(parts, ())
    return LocalAddress(path)


def _whole(given: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high):
        raise ValueError(f"{name}={text[:20]} is out of range; give a whole number from {low} to {high}")
    return int(text)


def _parity(text: str) -> Parity:
    for parity in get_args(Parity):
        if text.upper() == parity:
            known: Parity = parity
            return known
    raise ValueError(f"parity={text[:20]} is unknown; give N, E, O, M or S")


def _stop(text: str) -> float:
    if text not in ("1", "1.5", "2"):
        raise ValueError(f"stop={text[:20]} is unknown; give 1, 1.5 or 2")
    return float(text)


def _memory(parts: SplitResult) -> MemoryAddress:
    _query(parts, ())
    if not parts.netloc or parts.path not in ("", "/"):
        raise ValueError(f"a mem url is one plain name; write {_FORMS['mem']}")
    return MemoryAddress(parts.netloc)


_ADDRESS: dict[str, Callable[[SplitResult], LinkAddress]] = {
    "tcp": _tcp,
    "tls": _tls,
    "serial": _serial,
    "mem": _memory,
    "listen": _listen,
    "tls-listen": _tls_listen,
    "local": _local,
}
