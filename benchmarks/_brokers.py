"""mosquitto for the measurements of delivery: on a free port of loopback, killed and started again on the same files.

Used by the helpers of `delivery` only. `BRIDGE` settings make the local broker that is compared with our lane.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 20.0


def program() -> str | None:
    """Where mosquitto is; Debian keeps it outside of a user's path."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Mosquitto:
    """One broker with its own folder. Started, killed and started again by whoever measures."""

    def __init__(self, folder: Path, lines: Sequence[str] = (), port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._settings = folder / "mosquitto.conf"
        # Started by root it would become a user that cannot read this folder.
        user = ["user root"] if os.geteuid() == 0 else []
        common = [f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "allow_anonymous true"]
        common += ["max_queued_messages 0", "log_dest none", *user]
        self._settings.write_text("\n".join((*common, *lines)) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        """Raises RuntimeError when it does not come up."""
        path = program()
        if path is None:
            raise RuntimeError("mosquitto is not installed (Debian package mosquitto)")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([path, "-c", str(self._settings)], stdout=quiet, stderr=quiet)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it takes connections. Raises RuntimeError."""
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError("mosquitto did not start")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError("mosquitto does not listen")

    @property
    def cpu_s(self) -> float:
        """Processor time it has taken so far."""
        if self._process is None:
            return 0.0
        words = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """As the machine's own hand would: without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def kill_now(self) -> None:
        """From another thread, which leaves the rest to `kill`."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Politely: it saves what it has."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None


@contextmanager
def mosquitto(folder: Path, *lines: str, port: int = 0) -> Iterator[Mosquitto]:
    """A running one."""
    broker = Mosquitto(folder, lines, port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def bridge_lines(folder: Path, central_port: int, *more: str) -> list[str]:
    """What makes a local broker keep everything below `poe/` for the central one: the usual way to buffer at a site."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        "persistence true",
        f"persistence_location {folder}/",
        "connection port",
        f"address 127.0.0.1:{central_port}",
        "topic poe/# out 1",
        "cleansession false",
        "restart_timeout 1",
        "notifications false",
        "try_private false",
        "bridge_protocol_version mqttv50",
        *more,
    ]
