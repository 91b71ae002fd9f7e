"""The effects of a step as canonical bytes, so that a replay can be compared with what happened, byte by byte.

Pure; called by the recorder at each input and by the replay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from lanecontrol import forms
from lanecontrol.lane.effects import Drive, Publish

DIGEST_BYTES = 8
"""Enough to notice a difference; a recording is not there to prove anything to anybody."""


def effects_bytes(effects: Iterable[Any]) -> bytes:
    """JSON of the effects in order: each with its class name, also where a field is a union."""
    return b"[%b]" % b",".join(map(_effect, effects))


def effects_digest(effects: Iterable[Any]) -> str:
    """What stands for the effects in a recording: 16 hex digits."""
    return digest_of(effects_bytes(effects))


def digest_of(content: bytes) -> str:
    """The same of what `effects_bytes` gave."""
    return hashlib.sha256(content).digest()[:DIGEST_BYTES].hex()


def _effect(effect: Any) -> bytes:
    match effect:
        case Publish(announcement):
            return b'{"type":"Publish","announcement":%b}' % _named(announcement)
        case Drive(command_id, device, command, grants, timeout_s):
            plain = {"command_id": command_id, "device": device, "grants": grants, "timeout_s": timeout_s}
            head = json.dumps(plain, separators=(",", ":")).encode()[1:-1]
            return b'{"type":"Drive",%b,"command":%b}' % (head, _named(command))
        case _:
            return _named(effect)


def _named(value: Any) -> bytes:
    fields = forms.to_json(value)[1:-1]
    return b'{"type":"%b"%b%b}' % (type(value).__name__.encode(), b"," if fields else b"", fields)
