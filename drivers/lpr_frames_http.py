"""The client's side of HTTP snapshots: one GET at a time in, whole answers out. No I/O; h11 does the protocol.

Used by `lpr_frames_sources`. Pure: never raises on what a camera sends. Basic and Digest (RFC 7616: MD5, SHA-256, with
`qop=auth` or without) answer a challenge; a password is never sent before the camera has asked for it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import h11

BODY_LIMIT = 16 << 20
"""Bytes of one picture; what the evidence store takes at most."""
_TOO_LARGE = f"the picture is larger than {BODY_LIMIT >> 20} MiB"
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `again`: the connection cannot be used for another question."""

    status: int
    media_type: str
    body: bytes
    challenges: tuple[str, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """What came is no answer; the connection is of no use any more."""

    why: str


class Exchange:
    """One connection's questions and answers, one after the other."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._h11 = h11.Connection(h11.CLIENT)
        self._response: h11.Response | None = None
        self._body = bytearray()
        self.waiting = False

    def get(self, target: str, authorization: str) -> bytes:
        """The bytes of a GET. Only when no answer is outstanding and the last one left the connection usable."""
        headers = [("Host", self._host), ("Accept", "image/*"), ("User-Agent", "lanecontrol")]
        if authorization:
            headers.append(("Authorization", authorization))
        self.waiting, self._response = True, None
        self._body.clear()
        request = self._h11.send(h11.Request(method="GET", target=target, headers=headers))
        return (request or b"") + (self._h11.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> Answer | Broken | None:
        """The answer, once these bytes (none: the end of the connection) complete it."""
        try:
            self._h11.receive_data(data)
            return self._next()
        except h11.RemoteProtocolError as error:
            return Broken(str(error))

    def _next(self) -> Answer | Broken | None:
        while True:
            match self._h11.next_event():
                case h11.Response() as response:
                    self._response = response
                    if _told_length(response) > BODY_LIMIT:
                        return Broken(_TOO_LARGE)
                case h11.Data(data=data):
                    self._body += data
                    if len(self._body) > BODY_LIMIT:
                        return Broken(_TOO_LARGE)
                case h11.EndOfMessage():
                    return self._answer()
                case h11.NEED_DATA:
                    return None
                case h11.InformationalResponse():
                    pass
                case _:
                    return Broken("the camera closed the connection")

    def _answer(self) -> Answer | Broken:
        response, self.waiting = self._response, False
        if response is None:
            return Broken("an answer without a status")
        # More than was told: the length was wrong, and what comes next would be taken for the next answer.
        more = bool(self._h11.trailing_data[0])
        again = more or self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE
        if not again:
            self._h11.start_next_cycle()
        headers = [(bytes(name), bytes(value).decode("latin-1")) for name, value in response.headers]
        media_type = next((value.partition(";")[0].strip() for name, value in headers if name == b"content-type"), "")
        challenges = tuple(value for name, value in headers if name == b"www-authenticate")
        return Answer(response.status_code, media_type.lower(), bytes(self._body), challenges, again)


def _told_length(response: h11.Response) -> int:
    """What the head says; h11 has seen to it that it is a number."""
    return max((int(value) for name, value in response.headers if name == b"content-length"), default=0)


@dataclass(slots=True)
class Login:
    """Who we are to the camera, and what it last asked of us."""

    username: str
    password: str
    cnonce: str
    """Ours for Digest; random, drawn by whoever makes this."""
    _challenge: dict[str, str] | None = None
    _basic: bool = False
    _count: int = 0

    def challenged(self, challenges: tuple[str, ...]) -> bool:
        """Take in what the camera asks for. Answers whether there is something to try that was not tried before."""
        if not self.username:
            return False
        for challenge in challenges:
            scheme, _, rest = challenge.strip().partition(" ")
            if scheme.lower() == "digest":
                return self._digest(rest)
        if any(challenge.strip().lower().startswith("basic") for challenge in challenges) and not self._basic:
            self._basic = True
            return True
        return False

    def _digest(self, rest: str) -> bool:
        fields = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _FIELD.finditer(rest)}
        if "nonce" not in fields or fields.get("algorithm", "MD5").upper() not in _HASHES:
            return False
        known = self._challenge is not None and fields.get("stale", "").lower() != "true"
        if known and self._challenge is not None and self._count <= 1:
            return False  # a fresh nonce was refused: the password is wrong
        self._challenge, self._count = fields, 0
        return True

    def authorization(self, target: str) -> str:
        """The header for a GET of `target`; empty as long as the camera has asked for nothing."""
        if self._challenge is not None:
            return self._answer(self._challenge, target)
        if self._basic:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""

    def _answer(self, asked: dict[str, str], target: str) -> str:
        self._count += 1
        algorithm = asked.get("algorithm", "MD5").upper()
        digest, realm, nonce = _HASHES[algorithm], asked.get("realm", ""), asked["nonce"]
        secret = digest(f"{self.username}:{realm}:{self.password}".encode())
        deed = digest(f"GET:{target}".encode())
        parts = [f'username="{self.username}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{target}"']
        if "auth" in [word.strip() for word in asked.get("qop", "").split(",")]:
            count = f"{self._count:08x}"
            response = digest(f"{secret}:{nonce}:{count}:{self.cnonce}:auth:{deed}".encode())
            parts += ["qop=auth", f"nc={count}", f'cnonce="{self.cnonce}"']
        else:
            response = digest(f"{secret}:{nonce}:{deed}".encode())
        parts += [f'response="{response}"', f"algorithm={algorithm}"]
        if "opaque" in asked:
            parts.append(f'opaque="{asked["opaque"]}"')
        return "Digest " + ", ".join(parts)
