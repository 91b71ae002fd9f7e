"""How the camera fake finds out who asks: Basic (RFC 7617) or Digest (RFC 7616; RFC 2069 over RTSP), with MD5.

Used by `lpr_frames` for both of its protocols. Pure but for the nonces that it has given out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

REALM = "AXIS_ACCC8E000000"
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_NONCES = 100
"""So many of the last nonces are good."""


@dataclass(slots=True)
class Doorman:
    """Lets in whoever knows the name and the password."""

    auth: Literal["none", "basic", "digest"]
    username: str
    password: str = field(repr=False)
    site: int = 1
    """What makes this camera's nonces its own."""
    _given: int = 0

    def challenge(self, *, qop: bool = True) -> str:
        """What to answer a stranger. RTSP's digest (RFC 2069) knows no `qop`."""
        if self.auth == "basic":
            return f'Basic realm="{REALM}"'
        self._given += 1
        more = ', algorithm=MD5, qop="auth"' if qop else ""
        return f'Digest realm="{REALM}", nonce="{self._nonce(self._given)}"{more}'

    def knows(self, method: str, target: str, authorization: str) -> bool:
        """Whether this header opens the door for this request."""
        match self.auth:
            case "none":
                return True
            case "basic":
                secret = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
                return authorization == f"Basic {secret}"
            case _:
                return self._digest_is_right(method, target, authorization)

    def _nonce(self, number: int) -> str:
        return f"{number:08x}{hashlib.sha256(f'{self.site}/{number}'.encode()).hexdigest()[:24]}"

    def _digest_is_right(self, method: str, target: str, authorization: str) -> bool:
        scheme, _, rest = authorization.partition(" ")
        told = {name: quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
        ours = {self._nonce(number) for number in range(max(1, self._given - _NONCES), self._given + 1)}
        if scheme.lower() != "digest" or told.get("nonce") not in ours or told.get("uri") != target:
            return False
        secret = _md5(f"{self.username}:{REALM}:{self.password}")
        request = _md5(f"{method}:{target}")
        names = ("nonce", "nc", "cnonce", "qop") if "qop" in told else ("nonce",)
        middle = ":".join(told.get(name, "") for name in names)
        right = _md5(f"{secret}:{middle}:{request}")
        return told.get("username") == self.username and told.get("response") == right


def _md5(text: str) -> str:
    """Digest as most cameras do it; not for keeping secrets."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
