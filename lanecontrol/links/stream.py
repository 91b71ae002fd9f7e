"""Links over TCP and TLS, for clients and servers.

Built on asyncio's buffered protocol rather than its streams: one copy per segment, no per-read wake-ups, a receive
buffer that stays bounded however fast the peer sends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation
from lanecontrol.links.address import TcpAddress, TlsAddress, TlsListenAddress
from lanecontrol.links.buffer import CLOSE_S, CLOSED_HERE, CLOSED_THERE, CUT, BufferedLink, plain_words

_SEGMENT = 32768
"""Bytes taken from the socket at once."""

_HANDSHAKE_S = 5.0
"""Who connects to us has this long for the TLS handshake; as long as a connection attempt may take by default."""

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None) if sys.platform == "linux" else None
"""Asks the kernel to acknowledge at once (tcp(7)). A peer that keeps Nagle's algorithm on, as brokers and I/O modules
do, otherwise holds its second small answer back until our delayed acknowledgement: some 40 ms, and a stale input."""

_REFUSALS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "UNKNOWN_PSK_IDENTITY")
"""TLS alerts (RFC 8446, section 6.2) by which a peer turns us away for who we are."""


class StreamLink(BufferedLink, asyncio.BufferedProtocol):
    """One TCP or TLS connection. asyncio turns Nagle's algorithm off on every TCP transport it makes."""

    def __init__(
        self, peer: str = "", on_connect: Callable[[StreamLink], None] | None = None, *, called_us: bool = False
    ) -> None:
        """`called_us`: the peer connected to us; should it not trust us, that is its loss and no refusal."""
        super().__init__(peer)
        self._called_us = called_us
        self.distrusted = False
        """The peer ended the connection because of our certificate."""
        self._on_connect = on_connect
        self._take: Callable[[bytes], bool] | None = None
        self._space = memoryview(bytearray(_SEGMENT))
        self._transport: Any = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket: Any = None

    # --- called by the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._socket = transport.get_extra_info("socket") if _QUICK_ACK is not None else None
        self._acknowledge_at_once()
        if not self.peer:
            self.peer = _peer_name(transport)
        if self._on_connect is not None:
            self._on_connect(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        self._acknowledge_at_once()
        data = bytes(self._space[:nbytes])
        if self._take is None or self._received:
            self._feed(data)
        elif not self._take(data):
            self._take = None

    def _acknowledge_at_once(self) -> None:
        """The kernel forgets this with the next answer, so it is asked again with every segment."""
        if self._socket is not None:
            with suppress(OSError):  # the connection has just ended; whoever reads will see
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def eof_received(self) -> bool:
        """Keep the way out open after the peer closed its own, where the carrier can: it may still want answers."""
        self._end_reading(CLOSED_THERE)
        return self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError) and is_refusal(exc):
            self.distrusted = True
            self._blame = LinkLost if self._called_us else CredentialsRefused
        self._end(plain_words(exc) if exc else CLOSED_THERE)
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._fill()

    def resume_writing(self) -> None:
        self._make_room()

    # --- called by BufferedLink --------------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._transport.pause_reading()

    def _go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def drop(self) -> None:
        self._end(CUT)
        self._transport.abort()

    # --- for the user of the link ------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        self._check_writable()
        self._transport.write(data)
        await self._wait_for_room()

    def write_now(self, data: bytes) -> bool:
        self._check_writable()
        if self._room is None:
            self._transport.write(data)
            return True
        return False

    def heed(self, take: Callable[[bytes], bool]) -> bool:
        self._take = take
        return True

    async def finish(self) -> None:
        """Send nothing more, and go on reading. Over TLS, which cannot do this, nothing happens."""
        self._write_end = self._write_end or CLOSED_HERE
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    async def close(self) -> None:
        self._end(CLOSED_HERE)
        self._transport.close()
        if self._gone.done():
            return
        try:
            done, _ = await asyncio.wait({self._gone}, timeout=CLOSE_S)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        if not done:
            self._transport.abort()
            await asyncio.sleep(0)  # the transport tells us that it is gone in the loop's next round


def is_refusal(error: ssl.SSLError) -> bool:
    """The peer sent an alert about our certificate."""
    reason = error.reason or ""
    return "ALERT" in reason and any(word in reason for word in _REFUSALS)


def _peer_name(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    scheme = "tcp" if transport.get_extra_info("sslcontext") is None else "tls"
    return f"{scheme}://{_host(name[0])}:{name[1]}" if isinstance(name, tuple) else f"{scheme}://?"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def connect_stream(address: TcpAddress | TlsAddress, timeout_s: float) -> StreamLink:
    """Connect. Raises LinkLost, for TLS also ProtocolViolation (not the right peer) and CredentialsRefused."""
    tls = isinstance(address, TlsAddress)
    peer = f"{'tls' if tls else 'tcp'}://{_host(address.host)}:{address.port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            # The system's certificates take tens of milliseconds to load: off the loop.
            context = await loop.run_in_executor(None, _tls_context, address) if tls else None
            _, link = await loop.create_connection(
                lambda: StreamLink(peer), address.host, address.port, ssl=context, family=0
            )
    except TimeoutError as error:
        # The system's own time-out is a TimeoutError as well, with a number.
        raise LinkLost("connect", f"no answer within {timeout_s:g} s" if not error.errno else "no answer") from None
    except ssl.SSLError as error:
        kind = CredentialsRefused if is_refusal(error) else ProtocolViolation
        raise kind("connect", f"TLS: {_tls_words(error)}") from error
    except OSError as error:
        raise LinkLost("connect", plain_words(error)) from error
    return link


async def accept_stream(taken: socket.socket, tls: ssl.SSLContext | None) -> StreamLink:
    """The link of a connection that a listener has taken in, after the TLS handshake if there is one.

    Raises LinkLost when that fails. The socket is closed with the link.
    """
    handshake_s = None if tls is None else _HANDSHAKE_S
    try:
        _, link = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: StreamLink(called_us=True), taken, ssl=tls, ssl_handshake_timeout=handshake_s
        )
    except ssl.SSLError as error:
        raise LinkLost("accept", f"TLS: {_tls_words(error)}") from error
    except OSError as error:
        why = plain_words(error) if error.errno or str(error) else "broken off during the TLS handshake"
        raise LinkLost("accept", why) from error
    return link


def client_context(ca: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, the peer's certificate and name checked. Raises OSError, ValueError for an unusable file."""
    context = ssl.create_default_context(cafile=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Since Python 3.13 the default also asks for every extension of RFC 5280. A port's own authority that has served
    # for years may lack one, and no upgrade of a booth may cut it off.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def server_context(address: TlsListenAddress) -> ssl.SSLContext:
    """TLS 1.2 or newer; with a `ca`, only peers with a certificate of it. Raises LinkLost for unusable files."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # An empty password, or an encrypted key would ask on the terminal and hang the daemon.
        context.load_cert_chain(address.cert, address.key or None, password="")
        if address.ca:
            context.load_verify_locations(address.ca)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        files = {"cert": address.cert, "key": address.key, "ca": address.ca}
        raise LinkLost("prepare TLS", unusable(files, error)) from error
    return context


def unusable(files: dict[str, str], error: Exception) -> str:
    """Which of the files for TLS cannot be used, and why: OpenSSL names none of them, not even one that is missing."""
    for role, file in files.items():
        try:
            if file:
                Path(file).open("rb").close()
        except OSError as missing:
            return f"{role} cannot be used: {file}: {plain_words(missing)}"
    given = " or ".join(role for role, file in files.items() if file)
    return f"{given or 'ca'} cannot be used: {plain_words(error)}"


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not good: {error.verify_message}"
    return (error.reason or "handshake failed").replace("_", " ").lower()


def _tls_context(address: TcpAddress | TlsAddress) -> ssl.SSLContext | None:
    """As `client_context`, with our own certificate if any. Raises LinkLost for files that cannot be used."""
    if not isinstance(address, TlsAddress):
        return None
    try:
        context = client_context(address.ca)
        if address.cert:
            # An empty password, or an encrypted key would ask on the terminal and hang the daemon.
            context.load_cert_chain(address.cert, address.key or None, password="")
    except (OSError, ValueError) as error:
        files = {"ca": address.ca, "cert": address.cert, "key": address.key}
        raise LinkLost("prepare TLS", unusable(files, error)) from error
    return context
