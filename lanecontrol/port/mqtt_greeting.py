"""Where a broker is, and what its refusal of a connection means: shared by the transports."""

from __future__ import annotations

from urllib.parse import urlsplit

from lanecontrol.errors import CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.port.mqtt_packets import Connack, reason_text

_CREDENTIALS = frozenset((0x86, 0x87, 0x8A, 0x8C))
_PASSING = frozenset((0x80, 0x83, 0x88, 0x89, 0x97, 0x9C, 0x9D, 0x9F))
"""CONNACK codes that may be different next time."""


def link_url(url: str) -> str:
    """The link under an MQTT URL: `mqtt://host[:1883]`, `mqtts://host[:8883]?ca=...` or `mem://name`.

    Raises ValueError.
    """
    parts = urlsplit(url)
    if parts.scheme == "mem":
        return url
    known = {"mqtt": ("tcp", 1883), "mqtts": ("tls", 8883)}.get(parts.scheme)
    if known is None or not parts.hostname:
        raise ValueError(f"not a broker url: {url[:80]!r}; write mqtt://host:port or mqtts://host:port")
    scheme, default = known
    netloc = parts.netloc if parts.port else f"{parts.netloc.rstrip(':')}:{default}"
    return f"{scheme}://{netloc}{parts.path}{'?' + parts.query if parts.query else ''}"


def refusal(connack: Connack) -> DeviceError:
    """The error that says why the broker did not let us in."""
    why = f"refused by the broker: {reason_text(connack.code)}{connack.reason and ': ' + connack.reason}"
    if connack.code in _CREDENTIALS:
        return CredentialsRefused("connect", why)
    if connack.code in _PASSING:
        return LinkLost("connect", why)
    return ProtocolViolation("connect", why)
