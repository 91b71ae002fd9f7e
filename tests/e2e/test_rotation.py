"""A booth's certificate is replaced while the lane works: reloaded, the broker sees the new one, nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sim.lanefile import Replaced, lane_file
from sim.simfile import load_simfile

CONFIGS = Path(__file__).parents[2] / "configs"
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.skipif(os.name != "posix" or shutil.which("openssl") is None, reason="signals and openssl"),
]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=port", "-days", "30")


def issue(folder: Path, name: str, file: str) -> None:
    """A certificate and its key in one file, so that both are replaced in one step."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(folder, "req", *key, "-keyout", f"{file}.key", "-out", f"{file}.csr", *names)
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-copy_extensions", "copy")
    openssl(folder, "x509", "-req", "-in", f"{file}.csr", *signing, "-out", f"{file}.crt")
    both = (folder / f"{file}.key").read_bytes() + (folder / f"{file}.crt").read_bytes()
    (folder / f"{file}.new").write_bytes(both)
    (folder / f"{file}.new").replace(folder / f"{file}.pem")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A broker that lets in whoever shows a certificate of the port's authority, under the name in it; and its log."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    authority(tmp_path)
    issue(tmp_path, "broker", "broker")
    log, config = tmp_path / "broker.log", tmp_path / "broker.conf"
    port = free_port()
    config.write_text(
        f"listener {port} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.crt\n"
        f"keyfile {tmp_path}/broker.key\nrequire_certificate true\nuse_identity_as_username true\n"
        f"allow_anonymous false\nset_tcp_nodelay true\nlog_dest file {log}\nlog_type all\nuser root\n"
    )
    with subprocess.Popen([MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: log.is_file() and "running" in log.read_text())
            yield port, log
        finally:
            process.kill()


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        found: int = sock.getsockname()[1]
        return found


def wait_until(true: Callable[[], bool], limit_s: float = 30.0) -> None:
    end_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.05)


def lane_at(folder: Path, port: int) -> Path:
    simulation = load_simfile(CONFIGS / "sim.yaml")
    urls = dict.fromkeys(simulation.devices, "tcp://127.0.0.1:1")
    text = lane_file(simulation.lane, Replaced("07", urls, f"mqtts://127.0.0.1:{port}", folder / "store"))
    files = '", "ca": "ca.pem", "cert": "booth.pem"'
    path = folder / "lane.yaml"
    path.write_text(re.sub(r'(mqtts://127\.0\.0\.1:\d+)"', rf"\1{files}", text, count=1))
    return path


def test_a_reload_shows_the_broker_the_new_certificate_and_loses_nothing(
    tmp_path: Path, broker: tuple[int, Path]
) -> None:
    port, log = broker
    issue(tmp_path, "booth-of-last-year", "booth")
    code = "import sys; from lanecontrol.cli import main; sys.exit(main(['run', sys.argv[1]]))"
    command = [sys.executable, "-c", code, str(lane_at(tmp_path, port))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as daemon:
        try:
            wait_until(lambda: "u'booth-of-last-year'" in log.read_text())
            issue(tmp_path, "booth-of-this-year", "booth")
            daemon.send_signal(signal.SIGHUP)
            wait_until(lambda: "u'booth-of-this-year'" in log.read_text())
            time.sleep(1.0)
            daemon.send_signal(signal.SIGTERM)
            out, _ = daemon.communicate(timeout=20)
        finally:
            daemon.kill()
    assert daemon.returncode == 0, out
    assert '"reloaded"' in out and "port lost" not in out
    undelivered = subprocess.run(
        [sys.executable, "-c", code.replace("'run'", "'ledger', 'status', '--json'"), str(tmp_path / "lane.yaml")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"undelivered": 0' in undelivered.stdout or '"undelivered":0' in undelivered.stdout


def test_a_lane_file_with_problems_reloads_nothing_and_says_what_is_wrong(
    tmp_path: Path, broker: tuple[int, Path]
) -> None:
    port, log = broker
    issue(tmp_path, "booth-07", "booth")
    path = lane_at(tmp_path, port)
    code = "import sys; from lanecontrol.cli import main; sys.exit(main(['run', sys.argv[1]]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as daemon:
        try:
            wait_until(lambda: "u'booth-07'" in log.read_text())
            path.write_text(path.read_text() + "\nnonsense: 1\n")
            daemon.send_signal(signal.SIGHUP)
            time.sleep(1.5)
            assert log.read_text().count("u'booth-07'") == 1
            daemon.send_signal(signal.SIGTERM)
            out, _ = daemon.communicate(timeout=20)
        finally:
            daemon.kill()
    assert daemon.returncode == 0, out
    assert "not reloaded" in out and "nonsense" in out
