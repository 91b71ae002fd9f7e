"""Who may push: by address, by Basic authentication, by a secret in a header. Pure; asked by the HTTP side.

Must never tell in a message what a stranger sent, nor take longer for a secret that begins right.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_PEER = re.compile(r"[a-z-]+://\[?([0-9a-fA-F.:]+?)(?:%[^\]]*)?\]?:\d+")

Headers = Iterable[tuple[bytes, bytes]]
"""Names in lower case, as h11 gives them."""


class Verdict(Enum):
    WELCOME = "welcome"
    UNKNOWN = "no credentials"
    """As a client does that waits to be asked."""
    REFUSED = "wrong credentials"


@dataclass(frozen=True, slots=True)
class Door:
    """`networks` may come in, all where there are none. Then whoever brings all the credentials that are set."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    basic: bytes = b""
    """The whole value of a right Authorization header; empty where none is asked for."""
    header: bytes = b""
    """Name of the header with the secret, in lower case; empty where none is asked for."""
    secret: bytes = b""

    def lets_in(self, peer: str) -> bool:
        """Whether a connection from `peer`, as a link names it, may speak at all."""
        if not self.networks:
            return True
        address = address_of(peer)
        return address is not None and any(address in network for network in self.networks)

    def judge(self, headers: Headers) -> Verdict:
        """What a request's credentials are worth."""
        told = dict(headers)
        asked = [(name, right) for name, right in ((b"authorization", self.basic), (self.header, self.secret)) if right]
        if any(name not in told for name, _ in asked):
            return Verdict.UNKNOWN
        good = [hmac.compare_digest(told[name].strip(), right) for name, right in asked]
        return Verdict.WELCOME if all(good) else Verdict.REFUSED


def address_of(peer: str) -> IPv4Address | IPv6Address | None:
    """The address in the name of a peer (`tcp://192.0.2.7:40112`); None where it has none."""
    found = _PEER.fullmatch(peer)
    if found is None:
        return None
    try:
        address = ip_address(found[1])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network(text: str) -> IPv4Network | IPv6Network:
    """An address or network (`192.0.2.0/24`). Raises ValueError."""
    return ip_network(text, strict=False)


def basic_value(username: str, password: str) -> bytes:
    """What a client sends as Authorization (RFC 7617); empty for no user name."""
    if not username:
        return b""
    return b"Basic " + base64.b64encode(f"{username}:{password}".encode())
