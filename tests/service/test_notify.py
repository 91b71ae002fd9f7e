"""sd_notify: what systemd hears, over a real datagram socket."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanecontrol.service.notify import Notifier

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")


class Systemd:
    """The listening end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.address = address

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's own")
    address = f"@lanecontrol-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    listener = Systemd(address)
    yield listener
    listener.close()


def test_each_call_is_one_datagram_in_systemds_words(systemd: Systemd) -> None:
    notifier = Notifier(systemd.address)
    notifier.ready("lane 07 open")
    notifier.status("lane 07\n closed")
    notifier.ping()
    notifier.reloading(12.5)
    notifier.stopping()
    assert systemd.heard() == [
        "READY=1\nSTATUS=lane 07 open",
        "STATUS=lane 07 closed",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "STOPPING=1",
    ]


def test_without_a_socket_nothing_happens() -> None:
    notifier = Notifier.from_environment({})
    notifier.ready()
    notifier.ping()
    assert notifier.watchdog_s is None


def test_a_socket_that_went_away_does_not_stop_the_service(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).ready()


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_time_is_systemds_and_only_if_meant_for_us(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier.from_environment(environ).watchdog_s == watchdog_s
