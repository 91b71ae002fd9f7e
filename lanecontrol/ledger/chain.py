"""The hash chain of the ledger: pure functions, called by whoever writes, checks or salvages rows.

A row's digest runs over its salt and body, and the chain over the digests, so that body and salt can be erased later
and the chain still verifies. Without the salt, the digest of a short body could be guessed back. The `sum` of a row is
a plain checksum against damage, so that a single row found in a broken file can be trusted without its neighbours.
"""

from __future__ import annotations

import hashlib
import struct
from zlib import crc32

SALT_BYTES = 16
HASH_BYTES = 32
_PLACE = struct.Struct(">QQ")
_SIZES = struct.Struct(">QdHH")


def genesis(epoch: int) -> bytes:
    """The value that the chain of an epoch starts from, before its first row."""
    return hashlib.sha256(b"lanecontrol ledger, epoch %d" % epoch).digest()


def digest(salt: bytes, body: bytes) -> bytes:
    """What stands for a body in the chain."""
    return hashlib.sha256(salt + body).digest()


def link(previous: bytes, seq: int, topic_class: str, kind: str, time_utc_s: float, body_digest: bytes) -> bytes:
    """The chain's value at row `seq`, from its value at the row before."""
    return hashlib.sha256(previous + _head(seq, topic_class, kind, time_utc_s) + body_digest).digest()


def row_sum(
    position: int, epoch: int, seq: int, topic_class: str, kind: str, time_utc_s: float, digest: bytes, link: bytes
) -> int:
    """Checksum of a row without its salt and body (the digest covers those): against damage, not against people."""
    return crc32(_PLACE.pack(position, epoch) + _head(seq, topic_class, kind, time_utc_s) + digest + link)


def link_and_sum(
    previous: bytes,
    position: int,
    epoch: int,
    seq: int,
    topic_class: str,
    kind: str,
    time_utc_s: float,
    digest: bytes,
) -> tuple[bytes, int]:
    """`link` and `row_sum` of a new row."""
    head = _head(seq, topic_class, kind, time_utc_s)
    linked = hashlib.sha256(previous + head + digest).digest()
    return linked, crc32(_PLACE.pack(position, epoch) + head + digest + linked)


def _head(seq: int, topic_class: str, kind: str, time_utc_s: float) -> bytes:
    # Lengths stand before the texts, so that no two heads give the same bytes.
    class_bytes, kind_bytes = topic_class.encode(), kind.encode()
    return _SIZES.pack(seq, time_utc_s, len(class_bytes), len(kind_bytes)) + class_bytes + kind_bytes


def value_sum(key: str, value: bytes) -> int:
    """Checksum of a small stored value, together with its name."""
    return crc32(key.encode() + b"\0" + value)
