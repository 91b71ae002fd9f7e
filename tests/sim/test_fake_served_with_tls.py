"""`lanecontrol fake` over TLS: whoever trusts its certificate is served, nobody without one where one is asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links import LinkOpener

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl"),
]
LANECONTROL = (sys.executable, "-c", "from lanecontrol.cli import main; import sys; sys.exit(main())")
LIMIT_S = 30


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server` for 127.0.0.1 and `client`; each signs itself."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        names = ("-addext", "subjectAltName=IP:127.0.0.1")
        subprocess.run(["openssl", "req", "-x509", *key, *made, *names], cwd=folder, check=True, capture_output=True)
    return folder


@contextmanager
def fake_reader(files: str) -> Iterator[str]:
    """Gives the address at which it is served."""
    command = [*LANECONTROL, "fake", "rfid.llrp", "--url", f"tls://127.0.0.1:0?{files}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


async def first_frame(url: str) -> bytes:
    async with LinkOpener().open(url) as link, asyncio.timeout(LIMIT_S):
        return await link.read()


def test_whoever_trusts_its_certificate_is_welcomed(certificates: Path) -> None:
    with fake_reader(f"cert={certificates}/server.pem&key={certificates}/server.key") as served:
        assert urlsplit(served).scheme == "tls"
        frame = asyncio.run(first_frame(f"{served}?ca={certificates}/server.pem"))
        assert (frame[:2], frame[-2:]) == (b"\x04\x3f", b"\0\0"), "the connection is accepted"
        with pytest.raises(ProtocolViolation, match="certificate"):
            asyncio.run(first_frame(served))


def test_where_a_certificate_is_asked_for_nobody_is_served_without(certificates: Path) -> None:
    files = f"cert={certificates}/server.pem&key={certificates}/server.key&ca={certificates}/client.pem"
    with fake_reader(files) as served:
        url = f"{served}?ca={certificates}/server.pem"
        with pytest.raises((LinkLost, CredentialsRefused)):
            asyncio.run(first_frame(url))
        ours = f"&cert={certificates}/client.pem&key={certificates}/client.key"
        assert asyncio.run(first_frame(url + ours)).startswith(b"\x04\x3f")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("", "cert=FILE"),
        ("key=x", "cert=FILE"),
        ("cert=/nowhere.pem", "cannot be used"),
        ("cert=x&name=y", "cert=FILE"),
    ],
)
def test_files_that_are_no_good_are_told_and_nothing_is_served(files: str, told: str) -> None:
    command = [*LANECONTROL, "fake", "rfid.llrp", "--url", f"tls://127.0.0.1:0?{files}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2
    assert told in done.stderr
