"""The local snapshot: enrolments and lookouts in one signed file, for the time while the port's centre is silent.

Pure: bytes in, a `Snapshot` or the reason why not out. `port.snapshot_file` reads the file, `lanecontrol snapshot`
shows it. The file names nobody: it holds keyed hashes of card numbers and plates, in records of one length, sorted, so
that looking one up is a bisection and opening it parses nothing. Who made it is proven by an Ed25519 signature (RFC
8032) under a key that the lane file names.

Form: `LCSN1\\n`, 32 bytes public key, 64 bytes signature over everything after it, then 4 bytes length and as many of
JSON (`Head`), then the enrolments' records and the lookouts' records. An enrolment is 8 bytes hash, a byte standing, a
byte of programmes (bits, in the order of the head's list), and two vehicles of 8 bytes each, zero where there is none.
A lookout is 8 bytes hash, a byte of flags (1: armed and dangerous), a byte that names the reason in the head's list.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.identifier import Identifier
from lanecontrol.questions import (
    AskKind,
    Cargo,
    Enrolments,
    Hit,
    Lookouts,
    NumberFact,
    Question,
    Standing,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAGIC = b"LCSN1\n"
KEY_BYTES, SIGNATURE_BYTES, HASH_BYTES = 32, 64, 8
ENROLMENT_BYTES, LOOKOUT_BYTES = HASH_BYTES + 2 + 2 * HASH_BYTES, HASH_BYTES + 2
MAX_BYTES = 256 * 1024 * 1024
"""Nine million enrolments; a larger file is not read."""
MAX_HEAD_BYTES = 64 * 1024
MAX_PROGRAMMES, MAX_REASONS = 8, 256
AHEAD_S = 300.0
"""A file that claims to be younger than this is wrong, or our clock is."""
ARMED = 1
SOME_OTHER_VEHICLE = Identifier("?")
"""Stands for vehicles that are named in the file and were not asked about: no plate reads like this."""

_STANDINGS = tuple(Standing)
_START = len(MAGIC) + KEY_BYTES + SIGNATURE_BYTES


class Unusable(Exception):
    """Why a snapshot is not used, in words fit for a log."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot says of itself."""

    port: str
    made_utc_s: float
    salt: str
    """Hex; part of the key of its hashes."""
    enrolments: int
    lookouts: int
    programmes: tuple[str, ...]
    reasons: tuple[str, ...]
    o_is_zero: bool = False
    """In plates that were hashed, the letter O was written as the digit 0."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot whose signature and form are right. How old it may be, its user decides."""

    head: Head
    signer: bytes
    body: memoryview
    key: bytes
    """Of its hashes; made of the site's secret and the salt."""

    def answer(self, question: Question) -> Enrolments | Lookouts:
        """What the file says of the numbers of a question. Of a number that is not in it nothing is known."""
        if question.kind is AskKind.LOOKOUT:
            hits = (self._lookout(number) for number in question.numbers())
            return Lookouts(tuple(hit for hit in hits if hit is not None))
        plates = {self._hash(text): text for text in question.plates}
        facts = tuple(self._enrolment(number, plates) for number in question.numbers())
        return Enrolments(facts, Cargo())

    def _hash(self, number: Identifier) -> bytes:
        return hashed(self.key, number, o_is_zero=self.head.o_is_zero)

    def _enrolment(self, number: Identifier, plates: dict[bytes, Identifier]) -> NumberFact:
        record = _found(self.body[: self.head.enrolments * ENROLMENT_BYTES], ENROLMENT_BYTES, self._hash(number))
        if record is None:
            return NumberFact(number, Standing.UNKNOWN)
        standing = _STANDINGS[record[8]] if record[8] < len(_STANDINGS) else Standing.UNKNOWN
        programmes = tuple(name for bit, name in enumerate(self.head.programmes) if record[9] >> bit & 1)
        named = [name for name in (record[10:18], record[18:26]) if any(name)]
        vehicles = tuple(dict.fromkeys(plates.get(name, SOME_OTHER_VEHICLE) for name in named))
        return NumberFact(number, standing, programmes, vehicles)

    def _lookout(self, number: Identifier) -> Hit | None:
        record = _found(self.body[self.head.enrolments * ENROLMENT_BYTES :], LOOKOUT_BYTES, self._hash(number))
        if record is None:
            return None
        why = self.head.reasons[record[9]] if record[9] < len(self.head.reasons) else ""
        return Hit(number, why, bool(record[8] & ARMED))


def _found(records: memoryview, size: int, name: bytes) -> bytes | None:
    """The record that begins with `name`; they are sorted."""
    low, high = 0, len(records) // size
    while low < high:
        middle = (low + high) // 2
        here = bytes(records[middle * size : middle * size + HASH_BYTES])
        if here == name:
            return bytes(records[middle * size : (middle + 1) * size])
        low, high = (middle + 1, high) if here < name else (low, middle)
    return None


# --- hashes ----------------------------------------------------------------------------------------------------------


def hash_key(secret: bytes, salt: str) -> bytes:
    """The key of a snapshot's hashes: of the site's secret (`privacy: {hash_key}`), another for every salt."""
    return hmac.new(secret, f"lanecontrol snapshot {salt}".encode(), hashlib.sha256).digest()


def hashed(key: bytes, number: Identifier, *, o_is_zero: bool = False) -> bytes:
    """8 bytes that stand for a card number, a transponder's number or a plate."""
    plain = number.number
    if o_is_zero and plain == number.clear.encode(errors="surrogatepass"):  # a plate: a tag's number is hex
        plain = plain.replace(b"O", b"0")
    return hmac.new(key, plain, hashlib.sha256).digest()[:HASH_BYTES]


# --- opening ---------------------------------------------------------------------------------------------------------


def opened(raw: bytes, *, signers: Sequence[bytes], secret: bytes) -> Snapshot:
    """The snapshot in a file, if one of `signers` signed it. Raises Unusable.

    Takes as long as hashing the file; it is meant for a thread.
    """
    if not raw.startswith(MAGIC) or len(raw) < _START + 4:
        raise Unusable("it is no snapshot")
    if len(raw) > MAX_BYTES:
        raise Unusable(f"it has {len(raw)} bytes; at most {MAX_BYTES} are read")
    signer = raw[len(MAGIC) : len(MAGIC) + KEY_BYTES]
    if signer not in signers:
        raise Unusable(f"it is signed by {signer.hex()[:16]}..., whom the lane file does not name")
    _check_signature(signer, raw)
    head, body = _parts(memoryview(raw)[_START:])
    return Snapshot(head, signer, body, hash_key(secret, head.salt))


def _check_signature(signer: bytes, raw: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(
            raw[len(MAGIC) + KEY_BYTES : _START], memoryview(raw)[_START:]
        )
    except (InvalidSignature, ValueError):
        raise Unusable("its signature is wrong") from None


def _parts(signed: memoryview) -> tuple[Head, memoryview]:
    size = int.from_bytes(signed[:4], "big")
    if size > min(MAX_HEAD_BYTES, len(signed) - 4):
        raise Unusable("its head is too long")
    try:
        head = forms.from_json(Head, bytes(signed[4 : 4 + size]))
    except ValidationError:
        raise Unusable("its head makes no sense") from None
    body = signed[4 + size :]
    counted = head.enrolments * ENROLMENT_BYTES + head.lookouts * LOOKOUT_BYTES
    if min(head.enrolments, head.lookouts) < 0 or counted != len(body):
        raise Unusable("its records are not as many as its head says")
    if len(head.programmes) > MAX_PROGRAMMES or len(head.reasons) > MAX_REASONS:
        raise Unusable("its head names too many programmes or reasons")
    return head, body


def too_old(head: Head, now_utc_s: float, max_age_s: float) -> str:
    """Why a snapshot of this age is not used; empty when it may be."""
    age_s = now_utc_s - head.made_utc_s
    if not age_s >= -AHEAD_S:  # also nan
        return f"it claims to be made {-age_s:.0f} s from now"
    if age_s > max_age_s:
        return f"it is {age_s / 3600:.1f} h old; at most {max_age_s / 3600:g} h are allowed"
    return ""


# --- making ----------------------------------------------------------------------------------------------------------


def packed(
    secret: bytes,
    signing: Ed25519PrivateKey,
    *,
    port: str,
    made_utc_s: float,
    salt: str,
    facts: Iterable[NumberFact],
    hits: Iterable[Hit],
    o_is_zero: bool = False,
) -> bytes:
    """A snapshot, signed: what the port's side does, and tests. Raises ValueError for more than the form can hold."""
    facts, hits = tuple(facts), tuple(hits)
    programmes = tuple(sorted({name for fact in facts for name in fact.programmes}))
    reasons = tuple(sorted({hit.why for hit in hits}))
    if len(programmes) > MAX_PROGRAMMES or len(reasons) > MAX_REASONS:
        raise ValueError("too many programmes or reasons")
    key = hash_key(secret, salt)

    def name(number: Identifier) -> bytes:
        return hashed(key, number, o_is_zero=o_is_zero)

    enrolments = sorted(
        name(fact.number)
        + bytes((_STANDINGS.index(fact.standing), sum(1 << programmes.index(p) for p in fact.programmes)))
        + b"".join(name(text) for text in fact.vehicles[:2]).ljust(2 * HASH_BYTES, b"\0")
        for fact in facts
    )
    lookouts = sorted(name(hit.number) + bytes((ARMED * hit.armed, reasons.index(hit.why))) for hit in hits)
    head = forms.to_json(Head(port, made_utc_s, salt, len(enrolments), len(lookouts), programmes, reasons, o_is_zero))
    signed = len(head).to_bytes(4, "big") + head + b"".join(enrolments) + b"".join(lookouts)
    return MAGIC + signing.public_key().public_bytes_raw() + signing.sign(signed) + signed
