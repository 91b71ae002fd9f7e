"""Telling systemd how the service is: the datagrams of sd_notify(3), without a library.

Used by the composition root. Without `$NOTIFY_SOCKET` (a terminal, another system) every call does nothing. A datagram
that cannot be sent is dropped: the service must not stop because nobody listens.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """One service's line to systemd."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        """Within this time systemd wants a ping; None where it wants none."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """As systemd set it up: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "") if mine else ""
        return cls(environ.get("NOTIFY_SOCKET", ""), int(usec) / 1e6 if usec.isdigit() and int(usec) else None)

    def ready(self, status: str = "") -> None:
        """Start-up, or a reload, is complete."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(status))

    def ping(self) -> None:
        """The service is well. Only ever sent from a health verdict."""
        self._send("WATCHDOG=1")

    def reloading(self, mono_s: float) -> None:
        """A reload begins, at this monotonic moment (the system's, not a simulation's)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(mono_s * 1e6)}")

    def stopping(self, status: str = "") -> None:
        """The service is going down on purpose."""
        self._send("STOPPING=1", _status(status))

    def _send(self, *fields: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if not self._address or family is None:
            return
        message = "\n".join(field for field in fields if field).encode()
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(message, self._address)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}" if text else ""
