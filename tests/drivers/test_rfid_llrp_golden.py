"""LLRP frames of real readers, of other encoders, and the same as XML: decoded alike and encoded to the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from drivers import rfid_llrp_requests as ask
from drivers.rfid_llrp import LlrpReader
from drivers.rfid_llrp_codec import (
    Frames,
    Message,
    Parameter,
    decode,
    encode,
)
from drivers.rfid_llrp_layouts import MESSAGES, PARAMETERS, SHORT_PARAMETERS

# --- golden frames ---------------------------------------------------------------------------------------------------


def _vectors(shared_data: Path) -> dict[str, bytes]:
    lines = (shared_data / "llrp" / "session_vectors.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {name: bytes.fromhex(raw) for _, name, raw in rows}


@pytest.mark.data
def test_every_session_vector_decodes_and_encodes_to_itself(shared_data: Path) -> None:
    vectors = _vectors(shared_data)
    assert len(vectors) == 36
    for name, raw in vectors.items():
        message = decode(raw)
        assert isinstance(message, Message), name
        assert encode(message) == raw, name
        assert name.startswith(message.name), name


@pytest.mark.data
@pytest.mark.parametrize(
    ("message", "name"),
    [
        (dataclasses.replace(ask.get_capabilities(), id=1), "GET_READER_CAPABILITIES all"),
        (
            dataclasses.replace(ask.set_configuration(5000, ()), id=2),
            "SET_READER_CONFIG events GPI,ROSpec,buffer,exception,antenna on + keepalive 5000 + hold=1",
        ),
        (dataclasses.replace(ask.delete_rospecs(), id=3), "DELETE_ROSPEC 0 (all)"),
        (dataclasses.replace(ask.enable_rospec(1), id=5), "ENABLE_ROSPEC 1"),
        (dataclasses.replace(ask.start_rospec(1), id=6), "START_ROSPEC 1"),
        (
            dataclasses.replace(ask.add_tid_read(6), id=10),
            "ADD_ACCESSSPEC 1 read TID bank 2 words 0..5 [one encoder]",
        ),
        (dataclasses.replace(ask.enable_tid_read(), id=11), "ENABLE_ACCESSSPEC 1"),
        (ask.keepalive_ack(8), "KEEPALIVE_ACK"),
        (dataclasses.replace(ask.enable_events_and_reports(), id=12), "ENABLE_EVENTS_AND_REPORTS (no answer)"),
        (dataclasses.replace(ask.close_connection(), id=9), "CLOSE_CONNECTION"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_driver_asks_has_the_bytes_of_the_vectors(shared_data: Path, message: Message, name: str) -> None:
    assert encode(message) == _vectors(shared_data)[name]


@pytest.mark.data
def test_the_inventory_is_that_of_the_vectors_and_has_its_id_in_each_report(shared_data: Path) -> None:
    made = encode(dataclasses.replace(ask.add_rospec(1, (), {}), id=4)).hex()
    assert made.replace("00ee00069780", "00ee00061780") == _vectors(shared_data)["ADD_ROSPEC 1"].hex()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "frames", "tags"),
    [("dx101_a", 934, 130), ("dx101_b", 24, 132), ("dx101_e", 750, 237), ("dx101_f", 934, 130)],
)
def test_golden_frames_encode_identically(shared_data: Path, name: str, frames: int, tags: int) -> None:
    raw = (shared_data / "llrp" / "dx101" / f"{name}.bin").read_bytes()
    assert LlrpReader.summarise(raw, {}) == {"frames": frames, "identical": frames, "tags": tags}
    assert sum(1 for _ in LlrpReader.decode(raw, {})) == tags


@pytest.mark.data
@pytest.mark.slow
def test_golden_frames_beyond_a_mebibyte_encode_identically(shared_data: Path) -> None:
    raw = (shared_data / "llrp" / "dx101" / "dx101_c.bin").read_bytes()
    assert LlrpReader.summarise(raw, {}) == {"frames": 11, "identical": 11, "tags": 32_704}


# --- the same frames as XML ------------------------------------------------------------------------------------------

_EMPTY = {"ReportBufferOverflowErrorEvent", "ConnectionCloseEvent"}
"""Parameters without any content, which look like fields in the XML."""
_NAMES = {number: name for number, (name, _) in (SHORT_PARAMETERS | PARAMETERS).items()}
_LAYOUTS = {number: layout for number, (_, layout) in (SHORT_PARAMETERS | PARAMETERS).items()}


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _is_parameter(element: ET.Element) -> bool:
    return len(element) > 0 or _tag(element) in _EMPTY


def _named(node: Message | Parameter) -> Iterator[Any]:
    """Values of a message or parameter without the reserved ones."""
    layout = (MESSAGES[node.type][1] if isinstance(node, Message) else _LAYOUTS[node.type]).split()
    values = iter(node.values)
    at = 0
    while at < len(layout):
        value = next(values)
        if layout[at][0] == "r" and layout[at][1:].isdigit():
            at += 1
        else:
            yield value
            at += 2


class _Names:
    """Names that the XML uses for values of a field: each must stand for one value, and each value have one name."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], int] = {}
        self._names: dict[tuple[str, str, int], str] = {}

    def agree(self, where: tuple[str, str], name: str, value: int) -> bool:
        known = self._values.setdefault((*where, name), value), self._names.setdefault((*where, value), name)
        return known == (value, name)


def _agree(value: Any, text: str, where: tuple[str, str], names: _Names) -> bool:
    """Whether a value of ours is the one that the XML writes as `text`."""
    match value:
        case int() if "T" in text and text.endswith("Z"):
            return value == _microseconds(text)
        case int() if text.lower() in ("true", "false"):
            return value == (text.lower() == "true")
        case int():
            numbers = _numbers(text)
            return value in numbers if numbers else names.agree(where, text, value)
        case str():
            return value.split() == text.split()
        case bytes():
            return value == bytes.fromhex(text)
        case (int(), bytes() as raw):
            return raw == bytes.fromhex(text)
        case tuple():
            words = text.split()
            if len(words) == len(value):
                return all(_agree(item, word, where, names) for item, word in zip(value, words, strict=True))
            return value == struct.unpack(f">{len(value)}{'B' if where[0] == 'Identification' else 'H'}", _hex(text))
    return False


def _hex(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def _numbers(text: str) -> set[int]:
    """What a number in the XML may mean: decimal or hexadecimal."""
    found = set()
    for base in (10, 16):
        with contextlib.suppress(ValueError):
            found.add(int(text, base))
    return found


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


def _compare(node: Message | Parameter, element: ET.Element, names: _Names) -> None:
    fields = [child for child in element if not _is_parameter(child)]
    values = list(_named(node))
    assert len(values) == len(fields), _tag(element)
    for value, field in zip(values, fields, strict=True):
        text, where = "".join(field.itertext()).strip(), (_tag(element), _tag(field))
        assert _agree(value, text, where, names), f"{where}: {value} is not {text}"
    inner = [child for child in element if _is_parameter(child)]
    assert len(node.parameters) == len(inner), _tag(element)
    for parameter, child in zip(node.parameters, inner, strict=True):
        if parameter.type in _NAMES:
            assert _NAMES[parameter.type] == _tag(child)
            _compare(parameter, child, names)
        else:
            assert (parameter.type, _tag(child)) == (342, "C1G2Write"), "the only one that is opaque on purpose"


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dx101_a", "dx101_b", "dx101_e", "dx101_f"])
def test_golden_frames_agree_with_their_xml_twins(shared_data: Path, name: str) -> None:
    folder = shared_data / "llrp" / "dx101"
    root = ET.parse(folder / f"{name}.xml").getroot()
    frames = Frames(1 << 24).feed((folder / f"{name}.bin").read_bytes())
    assert len(frames) == len(root)
    names = _Names()
    for raw, element in zip(frames, root, strict=True):
        assert isinstance(raw, bytes)
        message = decode(raw)
        assert isinstance(message, Message)
        assert message.name == _tag(element)
        assert message.id == int(element.attrib["MessageID"])
        _compare(message, element, names)
