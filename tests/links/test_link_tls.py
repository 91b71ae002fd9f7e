"""TLS links: only to the right peer, and our own certificate where the peer asks for one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links import DeviceLinks, Link, LinkOpener, TlsAddress, reserved_port, serve_tcp, stream
from lanecontrol.links.stream import StreamLink, _tls_context

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server` for localhost, `client` for us: each signs itself. `locked.key` is the client's, with a password."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("server", "client"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2")
        names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost")
        _openssl(folder, "req", "-x509", *key, *made, *names)
    _openssl(folder, "ec", "-in", "client.key", "-out", "locked.key", "-aes128", "-passout", "pass:secret")
    return folder


def _server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return context


@asynccontextmanager
async def tls_echo(certificates: Path, *, ask: bool = False) -> AsyncIterator[int]:
    context = _server_context(certificates)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "client.pem")

    async def echo(link: StreamLink) -> None:
        try:
            await link.write(await link.read())
            await link.read()
        except LinkLost:
            pass
        finally:
            await link.close()

    tasks: set[asyncio.Task[None]] = set()

    def accepted(link: StreamLink) -> None:
        tasks.add(asyncio.get_running_loop().create_task(echo(link)))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StreamLink(on_connect=accepted), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
    if tasks:
        await asyncio.wait(tasks)


async def _say_hello(url: str) -> bytes:
    async with LinkOpener().open(url) as link:
        await link.write(b"hello")
        return await link.read()


async def test_a_peer_with_a_certificate_that_we_trust_is_talked_to(certificates: Path) -> None:
    async with tls_echo(certificates) as port:
        assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem") == b"hello"


async def test_a_peer_with_a_foreign_certificate_is_the_wrong_device(certificates: Path) -> None:
    async with tls_echo(certificates) as port:
        with pytest.raises(ProtocolViolation, match="certificate is not good"):
            await _say_hello(f"tls://localhost:{port}?ca={certificates}/client.pem")


async def test_a_peer_with_another_name_is_the_wrong_device(certificates: Path) -> None:
    async with tls_echo(certificates) as port:
        with pytest.raises(ProtocolViolation, match="certificate is not good"):
            await _say_hello(f"tls://127.0.0.1:{port}?ca={certificates}/server.pem")


async def test_without_a_ca_the_systems_authorities_decide(certificates: Path) -> None:
    async with tls_echo(certificates) as port:
        with pytest.raises(ProtocolViolation, match="certificate is not good"):
            await _say_hello(f"tls://localhost:{port}")


async def test_a_peer_that_asks_for_our_certificate_gets_it(certificates: Path) -> None:
    ours = f"cert={certificates}/client.pem&key={certificates}/client.key"
    async with tls_echo(certificates, ask=True) as port:
        assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem&{ours}") == b"hello"


def _turn_away(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Serve one client with plain sockets: unlike asyncio's, they send the alert that says why."""
    client, _ = listener.accept()
    client.settimeout(5)
    with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as tls:
        with suppress(ssl.SSLError):
            tls.do_handshake()
        # Closing with unread bytes would reset the connection, and the alert could be lost with it.
        with suppress(OSError):
            while socket.socket.recv(tls, 4096):
                pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_peer_that_refuses_our_certificate_is_told_apart_from_a_lost_link(
    certificates: Path, version: ssl.TLSVersion
) -> None:
    context = _server_context(certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "client.pem")
    context.minimum_version = context.maximum_version = version
    ours = f"cert={certificates}/server.pem&key={certificates}/server.key"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        serving = asyncio.ensure_future(asyncio.to_thread(_turn_away, listener, context))
        port = listener.getsockname()[1]
        with pytest.raises(CredentialsRefused):
            await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem&{ours}")
        await serving


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    context = _tls_context(TlsAddress("localhost", 1))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_a_peer_without_tls_is_the_wrong_device(certificates: Path) -> None:
    async def shout(link: object) -> None:
        await link.write(b"GB,000382\r\n")  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    async with serve_tcp("127.0.0.1", 0, shout) as port:
        with pytest.raises(ProtocolViolation, match="TLS: "):
            await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem")


async def test_files_that_cannot_be_used_are_named_as_the_cause(certificates: Path) -> None:
    for query, told in (
        ("ca=/no/such/file.pem", "ca cannot be used: /no/such/file.pem: No such file"),
        (f"ca={certificates}/server.pem&cert={certificates}/absent.pem", f"cert cannot be used: {certificates}/absent"),
        (f"ca={certificates}/server.key", "ca cannot be used: "),
        (f"cert={certificates}/client.pem&key={certificates}/server.key", "cert or key cannot be used: "),
        (f"cert={certificates}/client.pem&key={certificates}/locked.key", "cert or key cannot be used: "),
    ):
        with pytest.raises(LinkLost, match=re.escape(told)):
            await _say_hello(f"tls://localhost:1?{query}")


# --- listening -------------------------------------------------------------------------------------------------------


async def _echo(link: Link) -> None:
    while True:
        await link.write(await link.read())


def _at(certificates: Path, port: int, ca: str = "") -> str:
    files = f"cert={certificates}/server.pem&key={certificates}/server.key"
    return f"tls-listen://127.0.0.1:{port}?{files}" + (f"&ca={certificates}/{ca}.pem" if ca else "")


async def _until_turned_away(links: DeviceLinks) -> str:
    async with asyncio.timeout(10):
        while not links.traffic.turned_away:  # noqa: ASYNC110  a count tells of nothing
            await asyncio.sleep(0.005)
    return links.traffic.turned_away_why


async def test_a_device_that_trusts_us_is_served_over_tls(certificates: Path) -> None:
    with reserved_port() as port:
        async with LinkOpener().listen(_at(certificates, port), _echo) as where:
            assert where == f"127.0.0.1:{port}"
            assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem") == b"hello"


async def test_where_certificates_are_demanded_only_devices_with_one_of_the_authority_are_let_in(
    certificates: Path,
) -> None:
    url = f"?ca={certificates}/server.pem"
    with reserved_port() as port:
        links = LinkOpener().for_device("lpr1")
        async with links.listen(_at(certificates, port, "client"), _echo):
            known = f"&cert={certificates}/client.pem&key={certificates}/client.key"
            assert await _say_hello(f"tls://localhost:{port}{url}{known}") == b"hello"
            for stranger in ("", f"&cert={certificates}/server.pem&key={certificates}/server.key"):
                with pytest.raises((LinkLost, CredentialsRefused)):
                    await _say_hello(f"tls://localhost:{port}{url}{stranger}")
            assert (await _until_turned_away(links)).startswith("TLS: ")
            assert links.traffic.connections == 1


async def test_a_device_that_does_not_trust_us_ends_only_its_own_connection_and_is_told_of(certificates: Path) -> None:
    with reserved_port() as port:
        links = LinkOpener().for_device("lpr1")
        async with links.listen(_at(certificates, port), _echo):
            with pytest.raises(ProtocolViolation):
                await _say_hello(f"tls://localhost:{port}?ca={certificates}/client.pem")
            assert await _until_turned_away(links) == "broken off during the TLS handshake"
            assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem") == b"hello"


def _distrust(port: int, ca: Path, version: ssl.TLSVersion) -> None:
    """Connect with plain sockets: unlike asyncio's, they send the alert that says why."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        suppress(ssl.SSLError),
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"never")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_device_that_says_why_it_does_not_trust_us_ends_only_its_own_connection(
    certificates: Path, version: ssl.TLSVersion
) -> None:
    with reserved_port() as port:
        links = LinkOpener().for_device("lpr1")
        async with links.listen(_at(certificates, port), _echo):
            await asyncio.to_thread(_distrust, port, certificates / "client.pem", version)
            why = await _until_turned_away(links)
            assert why == "the device does not trust our certificate" or why.startswith("TLS: ")
            assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem") == b"hello"


async def test_a_device_that_speaks_no_tls_is_turned_away(certificates: Path) -> None:
    with reserved_port() as port:
        links = LinkOpener().for_device("lpr1")
        async with links.listen(_at(certificates, port), _echo):
            async with LinkOpener().open(f"tcp://127.0.0.1:{port}") as plain:
                await plain.write(b"POST / HTTP/1.1\r\nHost: lane\r\n\r\n")
                with pytest.raises(LinkLost):
                    while True:
                        await plain.read()
            assert (await _until_turned_away(links)).startswith("TLS: ")


async def test_connections_that_never_shake_hands_take_no_more_than_their_places(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_HANDSHAKE_S", 0.2)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted only
    with reserved_port() as port, ExitStack() as sockets:
        links = LinkOpener().for_device("lpr1")
        async with links.listen(_at(certificates, port), _echo):
            for _ in range(90):
                sock = sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
                sock.setblocking(False)
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                while links.traffic.turned_away < 90:  # noqa: ASYNC110  a count tells of nothing
                    await asyncio.sleep(0.01)
            assert await _say_hello(f"tls://localhost:{port}?ca={certificates}/server.pem") == b"hello"
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 - counted only


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("cert=absent.pem", "cert cannot be used: absent.pem: No such file"),
        ("cert={0}/client.pem&key={0}/absent.key", "key cannot be used: "),
        ("cert={0}/client.pem&key={0}/locked.key", "cert or key cannot be used: "),
        ("cert={0}/server.key", "cert cannot be used: "),
    ],
)
async def test_files_that_cannot_be_used_are_told(certificates: Path, files: str, told: str) -> None:
    with reserved_port() as port, pytest.raises(LinkLost, match=told):
        async with LinkOpener().listen(f"tls-listen://127.0.0.1:{port}?{files.format(certificates)}", _echo):
            pass
