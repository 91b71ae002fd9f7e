"""Personal data at rest: bytes are sealed before they reach a disk, and opened when they come back.

AES-256-GCM. Used by the ledger, the flight recorder, the store of pictures and the spools of drivers, with keys that
come from the service's credentials. Never raises on what it is given to open. A lane without a key keeps its data in
clear, and says so; what was written in clear stays readable when a key is added later.

Sealed form: `LCS1`, 4 bytes that tell the key, 12 bytes nonce, the encrypted bytes, 16 bytes tag.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"LCS1"
KEY_ID_BYTES = 4
NONCE_BYTES = 12
"""Drawn at random: below 2**32 seals a key, two alike are less likely than a disk error (NIST SP 800-38D, 8.3)."""
_HEAD_BYTES = len(MAGIC) + KEY_ID_BYTES + NONCE_BYTES
OVERHEAD_BYTES = _HEAD_BYTES + 16


class Sealer:
    """The keys of one lane: the first one seals, all of them open. Without any, bytes stay as they are."""

    def __init__(self, secrets: Sequence[bytes] = (), random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._keys: dict[bytes, AESGCM] = dict(map(_key, secrets))
        self._first = next(iter(self._keys), b"")

    @property
    def seals(self) -> bool:
        """There is a key."""
        return bool(self._first)

    @property
    def key_id(self) -> str:
        """Which key seals, in hex: tells keys apart and tells nothing about them. Empty without one."""
        return self._first.hex()

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """What goes to disk. It opens only together with the same `context`: where it belongs."""
        if not self._first:
            return plain
        nonce = self._random(NONCE_BYTES)
        return MAGIC + self._first + nonce + self._keys[self._first].encrypt(nonce, plain, context)

    def open(self, stored: bytes, context: bytes) -> bytes | None:
        """What was sealed. None where its key is not here; what does not open comes back as it is: it is damaged."""
        if not stored.startswith(MAGIC):
            return stored
        key = self._keys.get(stored[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES])
        if key is None:
            return None if len(stored) >= OVERHEAD_BYTES else stored
        from cryptography.exceptions import InvalidTag

        try:
            return key.decrypt(stored[_HEAD_BYTES - NONCE_BYTES : _HEAD_BYTES], stored[_HEAD_BYTES:], context)
        except (InvalidTag, ValueError):  # ValueError: too short to hold a tag
            return stored


def _key(secret: bytes) -> tuple[bytes, AESGCM]:
    """What tells the key, and the key. A secret may be any text: 256 bits are made of it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only where there is a key: 30 ms of the start

    made = hmac.new(secret, b"lanecontrol at rest", hashlib.sha256).digest()
    return hmac.new(made, b"which key", hashlib.sha256).digest()[:KEY_ID_BYTES], AESGCM(made)


NO_KEY = Sealer()
"""Keeps everything in clear."""
