"""The camera's side of HTTP: how a request is written and how an answer is read. Pure.

Written from RFC 9110, 9112 and 7578, never from our driver. The reader of answers never raises, keeps at most one head,
and needs time in proportion to what comes. Used by `sim.lpr_push` and the fakes of cameras.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

HEAD_LIMIT = 16 * 1024
"""An answer whose head is longer is none."""


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. Without a file name the header carries none."""

    name: str
    content_type: str
    body: bytes
    filename: str = ""
    tells_length: bool = False


def multipart(parts: Iterable[Part], boundary: str) -> bytes:
    """The body of `multipart/form-data` (RFC 7578). Whether the boundary occurs in a part is the caller's business."""
    pieces: list[bytes] = []
    for part in parts:
        name = f'; filename="{part.filename}"' if part.filename else ""
        lines = [
            f"--{boundary}",
            f'Content-Disposition: form-data; name="{part.name}"{name}',
            f"Content-Type: {part.content_type}",
            *([f"Content-Length: {len(part.body)}"] if part.tells_length else []),
        ]
        pieces += ["\r\n".join(lines).encode(), b"\r\n\r\n", part.body, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()])


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a camera posts to, who it says it is, a header of its own, and whether it keeps the connection."""

    path: str = "/"
    host: str = "receiver"
    username: str = ""
    password: str = ""
    header: tuple[str, str] = ("", "")
    keep_alive: bool = False

    def post(self, content_type: str, body: bytes) -> bytes:
        """The whole request."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.host}",
            "User-Agent: camera",
            "Accept: */*",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            f"Connection: {'keep-alive' if self.keep_alive else 'close'}",
        ]
        if self.username or self.password:
            secret = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            lines.append(f"Authorization: Basic {secret}")
        if self.header[0]:
            lines.append(f"{self.header[0]}: {self.header[1]}")
        return "\r\n".join([*lines, "", ""]).encode() + body


# --- answers ---------------------------------------------------------------------------------------------------------


class Answer:
    """Reads one answer. `status` is 0 until its head is there; then `over` says whether its body is, too."""

    def __init__(self) -> None:
        self.status = 0
        self.broken = False
        """What came is no answer."""
        self.reusable = False
        """The connection can carry another request once this answer is over."""
        self._head = bytearray()
        self._left = 0

    @property
    def over(self) -> bool:
        return self.status > 0 and (not self.reusable or self._left <= 0)

    def feed(self, data: bytes) -> None:
        """Take in what came next."""
        if self.status:
            self._left -= len(data)
            return
        self._head += data
        while not self.broken and not self.status and self._read_head():
            pass
        self.broken = self.broken or (not self.status and len(self._head) > HEAD_LIMIT)

    def _read_head(self) -> bool:
        """One head; False when there is none yet. An interim answer (1xx) is passed over."""
        if not b"HTTP/".startswith(bytes(self._head[:5])):
            self.broken = True
            return False
        end = self._head.find(b"\r\n\r\n", 0, HEAD_LIMIT)
        if end < 0:
            return False
        first, *fields = bytes(self._head[:end]).decode("latin-1").split("\r\n")
        rest = bytes(self._head[end + 4 :])
        code = (first.split(" ", 2)[1:2] or [""])[0]
        if not (code.isascii() and code.isdigit() and len(code) == 3 and code >= "100"):
            self.broken = True
            return False
        if code.startswith("1"):
            self._head = bytearray(rest)
            return True
        self.status = int(code)
        self._settle({n.strip().lower(): v.strip().lower() for n, _, v in (f.partition(":") for f in fields)})
        self._left -= len(rest)
        self._head.clear()
        return False

    def _settle(self, fields: dict[str, str]) -> None:
        length = fields.get("content-length", "0" if self.status in (204, 304) else "")
        if length.isascii() and length.isdigit() and len(length) < 10 and "transfer-encoding" not in fields:
            self._left = int(length)
            self.reusable = "close" not in fields.get("connection", "")
