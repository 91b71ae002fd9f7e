"""The daemon as a process: it says READY and STOPPING, ends in time on SIGTERM, and tells why when it fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanecontrol import __version__
from lanecontrol.config.load import load
from sim.lanefile import Replaced, lane_file
from sim.simfile import load_simfile

CONFIGS = Path(__file__).parents[2] / "configs"
NOWHERE = "tcp://127.0.0.1:1"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals")]


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """systemd's end of the line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        yield sock


def lane_at(folder: Path, broker: str = "mqtt://127.0.0.1:1", store: Path | None = None) -> Path:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    path = folder / "lane.yaml"
    urls = dict.fromkeys(simulation.devices, NOWHERE)
    path.write_text(lane_file(simulation.lane, Replaced("07", urls, broker, store or folder / "store")))
    return path


@contextmanager
def daemon(path: Path, before: str = "pass", **environ: str) -> Iterator[subprocess.Popen[str]]:
    code = f"import sys; {before}; from lanecontrol.cli import main; sys.exit(main(['run', sys.argv[1]]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(sock: socket.socket, what: bytes) -> None:
    while what not in sock.recv(4096):
        pass


def terminated(process: subprocess.Popen[str]) -> tuple[float, str, str]:
    """Seconds to the end, standard output and standard error."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    return time.monotonic() - began, out, err


def test_sigterm_ends_it_within_two_seconds_with_0(tmp_path: Path, notified: socket.socket) -> None:
    with daemon(lane_at(tmp_path), NOTIFY_SOCKET=notified.getsockname()) as process:
        wait_for(notified, b"READY=1")
        took_s, _, err = terminated(process)
        wait_for(notified, b"STOPPING=1")
        assert (process.returncode, err) == (0, "")
        assert took_s < 2.0


def test_the_log_tells_of_the_start_the_broker_and_the_stop(tmp_path: Path, notified: socket.socket) -> None:
    path = lane_at(tmp_path)
    with daemon(path, NOTIFY_SOCKET=notified.getsockname()) as process:
        wait_for(notified, b"READY=1")
        _, out, _ = terminated(process)
    told = [json.loads(line) for line in out.splitlines()]
    first, last = told[0], told[-1]
    assert (first["event"], last["event"]) == ("lane controller starts", "lane controller stopped")
    loaded = load(path)
    assert (first["port"], first["lane"], last["lane"]) == (loaded.setup.port, "07", "07")
    assert (first["version"], first["configuration"]) == (__version__, loaded.config_hash)
    assert (first["brokers"], first["simulated"]) == (["mqtt://127.0.0.1:1"], True)
    lost = [line for line in told if line["event"] == "broker unreachable"]
    assert len(lost) == 1
    assert "refused" in lost[0]["reason"]


def test_a_name_server_that_does_not_answer_keeps_nobody(tmp_path: Path, notified: socket.socket) -> None:
    hangs = "import socket, time; socket.getaddrinfo = lambda *a, **k: time.sleep(60)"
    path = lane_at(tmp_path, broker="mqtt://broker.example:1883")
    with daemon(path, hangs, NOTIFY_SOCKET=notified.getsockname()) as process:
        wait_for(notified, b"READY=1")
        time.sleep(0.5)
        took_s, _, err = terminated(process)
        assert (process.returncode, err) == (0, "")
        assert took_s < 2.5


def test_sigterm_before_the_store_could_be_opened_ends_it_too(tmp_path: Path, notified: socket.socket) -> None:
    (tmp_path / "file").write_text("not a folder")
    path = lane_at(tmp_path, store=tmp_path / "file" / "store")
    with daemon(path, NOTIFY_SOCKET=notified.getsockname()) as process:
        assert process.stdout is not None
        told = next(line for line in process.stdout if "store unavailable" in line)
        assert json.loads(told)["path"] == str(tmp_path / "file" / "store")
        took_s, _, err = terminated(process)
        wait_for(notified, b"STOPPING=1")
        assert (process.returncode, err) == (0, "")
        assert took_s < 2.0


def test_a_failing_core_exits_with_1_and_a_log_line_that_says_where(tmp_path: Path) -> None:
    breaks = "from lanecontrol.lane import runner; runner.step = lambda *a: 1 // 0"
    with daemon(lane_at(tmp_path), breaks) as process:
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 1
        failed = [line for line in out.splitlines() if "lane controller failed" in line]
        assert len(failed) == 1
        assert "ZeroDivisionError" in failed[0]


def test_a_store_in_use_exits_with_1_and_says_so(tmp_path: Path, notified: socket.socket) -> None:
    path = lane_at(tmp_path)
    with daemon(path, NOTIFY_SOCKET=notified.getsockname()):
        wait_for(notified, b"READY=1")
        with daemon(path) as second:
            out, err = second.communicate(timeout=20)
            assert second.returncode == 1
            assert "Traceback" not in out + err
            assert "store" in err
