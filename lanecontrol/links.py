"""From a URL to a byte stream: the only place that opens connections, so that recording, mischief and memory links
work for every driver.

Drivers use `Link` and `Links`; the composition root makes the `LinkOpener`; configuration checks URLs with
`parse_url`; the simulator and tests serve with `serve_tcp`, `serve_pty` and `MemoryNet`.
"""

from __future__ import annotations

from lanecontrol.link_address import (
    LinkAddress,
    MemoryAddress,
    SerialAddress,
    TcpAddress,
    TlsAddress,
    parse_url,
)
from lanecontrol.link_contract import Link, Links
from lanecontrol.link_memory import MemoryLink, MemoryNet
from lanecontrol.link_open import DeviceLinks, LinkOpener, Tap, Traffic
from lanecontrol.link_serve import Handler, serve_memory, serve_pty, serve_tcp

__all__ = [
    "DeviceLinks",
    "Handler",
    "Link",
    "LinkAddress",
    "LinkOpener",
    "Links",
    "MemoryAddress",
    "MemoryLink",
    "MemoryNet",
    "SerialAddress",
    "Tap",
    "TcpAddress",
    "TlsAddress",
    "Traffic",
    "parse_url",
    "serve_memory",
    "serve_pty",
    "serve_tcp",
]
