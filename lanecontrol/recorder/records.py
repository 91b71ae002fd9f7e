"""What a recording is made of: one JSON object per line, as dataclasses and back. Pure; reading never raises."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from lanecontrol import forms
from lanecontrol.clock import Instant
from lanecontrol.events import Input

VERSION = 1

Way = Literal["rx", "tx"]


@dataclass(frozen=True, slots=True)
class Segment:
    """First record of a file. `continues`: the same run of the daemon wrote the file before."""

    number: int
    continues: bool
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The lane before its next input: `state` and `setup` as JSON. `inputs` counts those taken in so far."""

    inputs: int
    setup: bytes = field(repr=False)
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """An input that the lane was given, and the digest of what came of it, empty where nothing did."""

    number: int
    given: Input
    effects: str


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes that came from a device (`rx`) or went to it (`tx`)."""

    device: str
    way: Way
    data: bytes
    at: Instant


@dataclass(frozen=True, slots=True)
class Gap:
    """So many wire records and inputs were not recorded. After lost inputs only a checkpoint lets a replay go on."""

    wire: int
    inputs: int
    why: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """Some lines, encrypted: see `lanecontrol.sealing`."""

    data: bytes = field(repr=False)


Record = Segment | Checkpoint | TakenIn | Wire | Gap | Sealed


_quoted = json.encoder.encode_basestring_ascii
_LINE_ENDS = {ord("\r"): None, ord("\n"): None}


def _line(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def encode_segment(number: int, continues: bool) -> bytes:
    return _line(k="segment", number=number, continues=continues, version=VERSION)


def encode_checkpoint(inputs: int, setup: bytes, state: bytes) -> bytes:
    return b'{"k":"checkpoint","inputs":%d,"setup":%b,"state":%b}\n' % (inputs, setup, state)


def encode_input(number: int, given: Input, effects: str) -> bytes:
    return b'{"k":"input","n":%d,"effects":"%b","given":%b}\n' % (number, effects.encode(), forms.to_json(given))


def encode_wire(device: str, way: Way, data: bytes, at: Instant) -> bytes:
    """Lines of text stay readable; anything else is written as hex. Called for each chunk: quick."""
    disciplined = "true" if at.synchronised else "false"
    moment = f"[{at.mono_s!r},{at.utc_s!r},{disciplined}]"
    head = f'{{"k":"wire","device":{_quoted(device)},"way":"{way}","at":{moment},'
    if data.isascii() and (text := data.decode("ascii")).translate(_LINE_ENDS).isprintable():
        return f'{head}"text":{_quoted(text)}}}\n'.encode()
    return f'{head}"hex":"{data.hex()}"}}\n'.encode()


def encode_gap(gap: Gap) -> bytes:
    return _line(k="gap", wire=gap.wire, inputs=gap.inputs, why=gap.why)


SEALED = b'{"k":"sealed",'
"""How a sealed line begins."""


def encode_sealed(data: bytes) -> bytes:
    return SEALED + b'"data":"%b"}\n' % base64.b64encode(data)


_INPUT, _GIVEN = b'{"k":"input",', b',"given":'


def decode(line: bytes) -> Record | None:
    """The record in a line; None when it makes no sense. Never raises."""
    try:
        head, found, given = line.partition(_GIVEN) if line.startswith(_INPUT) else (line, b"", b"")
        if found:  # nearly every line: what was taken in is not read twice
            plain = json.loads(head + b"}")
            return TakenIn(int(plain["n"]), forms.from_json(Input, given.rstrip()[:-1]), str(plain["effects"]))
        return _decoded(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _decoded(plain: Any) -> Record | None:
    match plain["k"]:
        case "segment":
            return Segment(int(plain["number"]), bool(plain["continues"]), int(plain["version"]))
        case "checkpoint":
            return Checkpoint(int(plain["inputs"]), _json(plain["setup"]), _json(plain["state"]))
        case "input":
            return TakenIn(int(plain["n"]), forms.from_json(Input, _json(plain["given"])), str(plain["effects"]))
        case "wire":
            data = plain["text"].encode("ascii") if "text" in plain else bytes.fromhex(plain["hex"])
            mono_s, utc_s, synchronised = plain["at"]
            way: Way = "rx" if plain["way"] == "rx" else "tx"
            return Wire(str(plain["device"]), way, data, Instant(float(mono_s), float(utc_s), bool(synchronised)))
        case "gap":
            return Gap(int(plain["wire"]), int(plain["inputs"]), str(plain["why"]))
        case "sealed":
            return Sealed(base64.b64decode(plain["data"], validate=True))
        case _:
            return None


def _json(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()
