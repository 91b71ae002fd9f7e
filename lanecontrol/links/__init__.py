"""From a URL to a byte stream: the only place that opens connections, so that recording, mischief and memory links
work for every driver.

Drivers use `Link` and `Links`, to connect or to listen; the composition root makes the `LinkOpener`; configuration
checks URLs with `parse_url`; the simulator and tests serve with `serve_tcp`, `serve_pty` and `MemoryNet`.
"""

from __future__ import annotations

from lanecontrol.links.address import (
    LinkAddress,
    ListenAddress,
    MemoryAddress,
    SerialAddress,
    TcpAddress,
    TlsAddress,
    TlsListenAddress,
    parse_url,
)
from lanecontrol.links.contract import Handler, Link, Links
from lanecontrol.links.memory import MemoryLink, MemoryNet
from lanecontrol.links.open import DeviceLinks, LinkOpener, Tap, Traffic
from lanecontrol.links.serve import reserved_port, serve_memory, serve_pty, serve_tcp

__all__ = [
    "DeviceLinks",
    "Handler",
    "Link",
    "LinkAddress",
    "LinkOpener",
    "Links",
    "ListenAddress",
    "MemoryAddress",
    "MemoryLink",
    "MemoryNet",
    "SerialAddress",
    "Tap",
    "TcpAddress",
    "TlsAddress",
    "TlsListenAddress",
    "Traffic",
    "parse_url",
    "reserved_port",
    "serve_memory",
    "serve_pty",
    "serve_tcp",
]
