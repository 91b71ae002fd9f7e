"""Events on the wire: golden samples byte for byte, schemas that accept them and refuse what is not right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lanecontrol import forms
from lanecontrol.announcements import TOPIC_CLASS, Announcement, DeviceStateChanged, PassageOpened
from lanecontrol.clock import Instant
from lanecontrol.events import DeviceState, Identity
from lanecontrol.port.order_payloads import COMMANDS
from lanecontrol.port.payloads import (
    ANNOUNCEMENTS,
    EVENT_TYPES,
    LaneStatus,
    StatusDocument,
    device_bytes,
    event_bytes,
    parse_event,
)
from lanecontrol.port.samples import samples
from lanecontrol.port.schemas import asyncapi, document_schemas, schemas
from lanecontrol.port.topics import CLASSES, LaneAddress

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = {EVENT_TYPES[type(sample.announcement)]: sample for sample in samples()}
SCHEMAS = schemas()
INVALID = sorted((GOLDEN / "invalid").glob("*.json"))


def faults(name: str, body: Any) -> list[str]:
    validator = Draft202012Validator(SCHEMAS[name])
    return [error.message for error in validator.iter_errors(body)]


def test_there_is_a_sample_a_type_and_a_schema_of_every_announcement() -> None:
    assert set(EVENT_TYPES) == set(get_args(Announcement)) == set(TOPIC_CLASS)
    assert set(SAMPLES) == set(SCHEMAS) == set(ANNOUNCEMENTS)
    assert EVENT_TYPES[PassageOpened] == "lanecontrol.passage_opened.v1"
    assert set(TOPIC_CLASS.values()) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_bytes_of_an_event_are_those_of_its_golden_sample(name: str) -> None:
    golden = GOLDEN / f"{name}.json"
    made = SAMPLES[name].bytes() + b"\n"
    if os.environ.get("LANECONTROL_REWRITE_GOLDEN"):
        golden.write_bytes(made)
    assert golden.read_bytes() == made


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_golden_sample_is_valid_and_reads_back_as_the_announcement_it_was(name: str) -> None:
    raw = (GOLDEN / f"{name}.json").read_bytes()
    assert faults(name, json.loads(raw)) == []
    event = parse_event(raw)
    assert event is not None
    sample = SAMPLES[name]
    assert event.announcement() == sample.announcement
    assert (event.type, event.id, event.source) == (name, f"2-{sample.seq}", sample.address.root)
    assert event.simulated == sample.address.simulated


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_an_invalid_sample_is_refused_by_its_schema(file: Path) -> None:
    body = json.loads(file.read_bytes())
    assert faults(body["type"], body)


def test_there_are_invalid_samples() -> None:
    assert len(INVALID) >= 6


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_event_with_anything_missing_or_of_the_wrong_kind_is_refused(name: str) -> None:
    good = json.loads(SAMPLES[name].bytes())
    for field in SCHEMAS[name]["required"]:
        assert faults(name, {key: value for key, value in good.items() if key != field}), field
        assert faults(name, {**good, field: ["wrong"]}), field
    for field in good["data"]:
        assert faults(name, {**good, "data": {key: good["data"][key] for key in good["data"] if key != field}}), field
        assert faults(name, {**good, "data": {**good["data"], field: {"wrong": 1}}}), field


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_mark_of_a_simulated_lane_can_be_neither_taken_off_nor_put_on(name: str) -> None:
    good = json.loads(SAMPLES[name].bytes())
    if good.pop("simulated", False):
        assert faults(name, good)
    else:
        assert faults(name, {**good, "simulated": True})
    assert faults(name, {**good, "simulated": False})


def test_enumerations_stand_once_in_the_definitions() -> None:
    for schema in SCHEMAS.values():
        inline = json.dumps({key: value for key, value in schema.items() if key != "$defs"})
        assert '"enum"' not in inline
        for definition in schema["$defs"].values():
            assert "enum" in definition or '"enum"' not in json.dumps(definition)


def test_every_schema_is_itself_right_and_says_what_it_is() -> None:
    for name, schema in {**SCHEMAS, **document_schemas()}.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"].endswith("2020-12/schema")
        assert schema["$id"] == f"urn:lanecontrol:schema:{name}"
        assert schema["description"]


def test_descriptions_come_from_docstrings_and_units() -> None:
    schema = SCHEMAS["lanecontrol.passage_closed.v1"]
    assert schema["properties"]["data"]["properties"]["closed_utc_s"]["description"] == "UTC seconds since 1970."
    assert "Backed out" in schema["$defs"]["PassageEnd"]["description"]


def test_the_same_announcement_gives_the_same_bytes_and_compact_ones() -> None:
    sample = next(samples())
    assert sample.bytes() == sample.bytes()
    assert b'": ' not in sample.bytes()
    assert sample.bytes().startswith(b'{"specversion":"1.0","id":"2-1","source":"poe/nogales/lane/07","type":')


def test_a_subject_is_there_only_where_one_passage_is_concerned() -> None:
    with_one = parse_event(SAMPLES["lanecontrol.occupancy_recorded.v1"].bytes())
    ambiguous = parse_event(SAMPLES["lanecontrol.alarm_raised.v1"].bytes())
    assert with_one is not None
    assert with_one.subject == "07-000451"
    assert ambiguous is not None
    assert ambiguous.subject == ""


@given(st.text(max_size=30), st.text(max_size=30), st.floats(0, 4e9))
def test_any_text_survives_the_way_over_the_wire(passage: str, zone: str, at_utc_s: float) -> None:
    announcement = PassageOpened(passage, zone, at_utc_s)
    raw = event_bytes(
        announcement, epoch=0, seq=1, instant=Instant(0.0, at_utc_s), source_lane=LaneAddress("port", "1")
    )
    event = parse_event(raw)
    assert event is not None
    assert event.announcement() == announcement
    assert event.subject == passage


@given(st.binary(max_size=200))
def test_no_bytes_make_parsing_an_event_raise(raw: bytes) -> None:
    parse_event(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(next(samples()).bytes()))), json_values)
def test_an_event_with_any_field_replaced_parses_or_does_not_but_never_raises(field: str, value: Any) -> None:
    event = parse_event(json.dumps({**json.loads(next(samples()).bytes()), field: value}).encode())
    if event is not None:
        event.announcement()


def test_deeply_nested_json_is_no_event() -> None:
    assert parse_event(b"[" * 100_000) is None


def test_the_retained_documents_are_valid() -> None:
    found = document_schemas()
    status = StatusDocument(LaneStatus.LOST, 3, {"lanecontrol": "0.1.0"}, "ab" * 8, True, 1.0)
    assert Draft202012Validator(found["status"]).is_valid(json.loads(forms.to_json(status)))
    changed = DeviceStateChanged("portal", "rpm.rapiscan", DeviceState.FAULT, "why", 1.0, Identity())
    body = json.loads(device_bytes(changed, epoch=3, simulated=False))
    assert Draft202012Validator(found["device"]).is_valid(body)
    assert not Draft202012Validator(found["device"]).is_valid({**body, "epoch": "3"})


def test_there_is_a_schema_of_every_command_and_of_all_that_is_no_event() -> None:
    others = {"status", "device", "reply", "evidence", "question", "answer", "notice"}
    assert {f"command.{verb}" for verb in COMMANDS} | others == set(document_schemas())


# --- AsyncAPI --------------------------------------------------------------------------------------------------------


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi("0.1.0")
    assert document["asyncapi"] == "3.0.0"
    assert {"info", "channels", "operations", "components"} <= set(document)
    found = references(document)
    assert len(found) > 100
    for reference in found:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_channel_of_the_asyncapi_document_declares_its_parameters_and_its_operation() -> None:
    document = asyncapi("0.1.0")
    assert set(document["channels"]) == set(document["operations"])
    for channel in document["channels"].values():
        named = {level[1:-1] for level in channel["address"].split("/") if level.startswith("{")}
        assert named == set(channel["parameters"])
        assert channel["messages"]
    assert {operation["action"] for operation in document["operations"].values()} == {"send", "receive"}
    retained = {name for name, one in document["operations"].items() if one["bindings"]["mqtt"]["retain"]}
    assert retained == {"status", "device"}


def test_the_examples_in_the_asyncapi_document_are_the_samples() -> None:
    messages = asyncapi("0.1.0")["components"]["messages"]
    for name, sample in SAMPLES.items():
        assert messages[name]["examples"] == [{"payload": json.loads(sample.bytes())}]
