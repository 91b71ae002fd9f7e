"""JSON Schemas (draft 2020-12) of everything that crosses the port's broker, and the AsyncAPI 3.0 document.

Made from the same dataclasses and models that write and read the payloads, for `lanecontrol schema events` and
`lanecontrol schema asyncapi`. Descriptions come from the docstrings. Used by tools and tests only.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from lanecontrol import announcements, commands, events, questions
from lanecontrol.forms import adapter
from lanecontrol.port import evidence_chunks, payloads
from lanecontrol.port.evidence_chunks import EvidenceChunk
from lanecontrol.port.notices import DivertNotice
from lanecontrol.port.order_payloads import COMMANDS, ReplyPayload
from lanecontrol.port.payloads import CONTENT_TYPE, EVENT_TYPES, JSON, DeviceDocument, StatusDocument, TimeQuality
from lanecontrol.port.question_payloads import AnswerPayload, QuestionPayload
from lanecontrol.port.samples import samples
from lanecontrol.port.topics import TO_PORT, TOPICS, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_UNITS = {
    "_utc_s": "UTC seconds since 1970.",
    "_mps": "Metres per second.",
    "_cps": "Counts per second.",
    "_dbm": "dBm.",
    "_sigma": "Standard deviations above background.",
    "_s": "Seconds.",
}
"""What a field's suffix says, where its docstring says nothing."""


class _Generator(GenerateJsonSchema):
    """What we write has every field, so every field is required; titles made from names say nothing."""

    schema_dialect = DIALECT

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schemas() -> dict[str, Schema]:
    """The schema of every event by its CloudEvents `type`: envelope and data, complete in itself."""
    data, definitions = _event_data()
    return {name: _self_contained(_envelope(name, data[name]), definitions) for name in sorted(data)}


def document_schemas() -> dict[str, Schema]:
    """The schemas of the other payloads: `status`, `device`, `command.<verb>`, `reply`, `evidence`, `question`,
    `answer` and `notice`."""
    kinds: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        ("status", "serialization", adapter(StatusDocument)),
        ("device", "serialization", adapter(DeviceDocument)),
        *((f"command.{verb}", "validation", adapter(model)) for verb, model in COMMANDS.items()),
        ("reply", "serialization", adapter(ReplyPayload)),
        ("evidence", "serialization", adapter(EvidenceChunk)),
        ("question", "serialization", adapter(QuestionPayload)),
        ("answer", "validation", adapter(AnswerPayload)),
        ("notice", "validation", adapter(DivertNotice)),
    ]
    made, shared = TypeAdapter.json_schemas(kinds, schema_generator=_Generator)
    definitions = _described(shared.get("$defs", {}))
    found = {}
    for name, mode, _ in kinds:
        body = _resolved(made[name, mode], definitions)
        found[name] = _self_contained({"$id": _id(name), **body}, definitions)
    return found


def _event_data() -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The schema of each event's data, by type, and the definitions they share."""
    kinds: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "serialization", adapter(kind)) for kind, name in EVENT_TYPES.items()
    ]
    made, shared = TypeAdapter.json_schemas(kinds, schema_generator=_Generator)
    definitions = _described(shared.get("$defs", {}))
    definitions["TimeQuality"] = _describe("TimeQuality", adapter(TimeQuality).json_schema(schema_generator=_Generator))
    return {name: _resolved(made[name, mode], definitions) for name, mode, _ in kinds}, definitions


def _resolved(schema: Any, definitions: dict[str, Schema]) -> Schema:
    """The definition behind a schema that is nothing but a reference."""
    reference = schema.get("$ref")
    plain = {key: value for key, value in schema.items() if key != "$schema"}
    return definitions[reference.rpartition("/")[2]] if reference else _describe(schema.get("title", ""), plain)


def _envelope(name: str, data: Schema) -> Schema:
    required = ["specversion", "id", "source", "type", "time", "datacontenttype", "epoch", "seq", "timequality", "data"]
    return {
        "$id": _id(name),
        "title": name,
        "description": data.get("description", ""),
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^[0-9]+-[0-9]+$", "description": "<epoch>-<seq>."},
            "source": {
                "type": "string",
                "pattern": "^(sim/)?poe/[^/]+/lane/[^/]+$",
                "description": "The lane. `source` and `id` together name an event for good.",
            },
            "type": {"const": name},
            "subject": {"type": "string", "minLength": 1, "description": "The passage, where it concerns one."},
            "time": {"type": "string", "format": "date-time", "description": "When it was decided, UTC."},
            "datacontenttype": {"const": "application/json"},
            "epoch": {"type": "integer", "minimum": 0, "description": "Generation of the lane's store."},
            "seq": {"type": "integer", "minimum": 1, "description": "Gapless within an epoch of a lane."},
            "timequality": {"$ref": "#/$defs/TimeQuality"},
            "simulated": {"const": True, "description": "There, and true, on simulated lanes only."},
            "data": data,
        },
        "required": required,
        # A source in the simulated tree and the mark go together, in both directions.
        "if": {"properties": {"source": {"pattern": "^sim/"}}},
        "then": {"required": ["simulated"]},
        "else": {"not": {"required": ["simulated"]}},
    }


def _id(name: str) -> str:
    return f"urn:lanecontrol:schema:{name}"


def _self_contained(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    needed = sorted(_reachable(schema, definitions))
    whole = {"$schema": DIALECT, **schema}
    return {**whole, "$defs": {name: definitions[name] for name in needed}} if needed else whole


def _reachable(schema: Any, definitions: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    todo = [schema]
    while todo:
        for name in _references(todo.pop()):
            if name not in found:
                found.add(name)
                todo.append(definitions[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


# --- descriptions ----------------------------------------------------------------------------------------------------


def _described(definitions: dict[str, Schema]) -> dict[str, Schema]:
    return {name: _describe(name, schema) for name, schema in definitions.items()}


def _describe(name: str, schema: Schema) -> Schema:
    """Fill in the descriptions of fields from the attribute docstrings of the class of this name."""
    notes = _attribute_notes().get(name, {})
    described = dict(schema)
    if "properties" in schema:
        described["properties"] = {
            field: {**body, "description": text}
            if (text := body.get("description") or notes.get(field) or _unit(field))
            else body
            for field, body in schema["properties"].items()
        }
    elif "enum" in schema and notes:
        lines = [f"{value}: {text}" for value, text in notes.items()]
        described["description"] = "\n".join(filter(None, [schema.get("description", ""), *lines]))
    return described


def _unit(field: str) -> str:
    return next((text for suffix, text in _UNITS.items() if field.endswith(suffix)), "")


@cache  # the source does not change while we run
def _attribute_notes() -> dict[str, dict[str, str]]:
    """Attribute docstrings of the vocabulary: class -> field (or value of an enumeration's member) -> text."""
    found: dict[str, dict[str, str]] = {}
    for module in (announcements, events, commands, questions, payloads, evidence_chunks):
        for kind in _classes(module):
            found[kind.__name__] = dict(_notes_of(kind))
    return found


def _classes(module: ModuleType) -> Iterator[type]:
    for kind in vars(module).values():
        ours = inspect.isclass(kind) and f"{kind.__module__}.".startswith(f"{module.__name__}.")
        if ours and (dataclasses.is_dataclass(kind) or issubclass(kind, Enum)):
            yield kind


def _notes_of(kind: type) -> Iterator[tuple[str, str]]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    for statement, after in zip(body.body, body.body[1:], strict=False):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                name = getattr(kind, field).value if issubclass(kind, Enum) else field
                yield name, inspect.cleandoc(text)


# --- AsyncAPI --------------------------------------------------------------------------------------------------------


def asyncapi(version: str) -> Schema:
    """The AsyncAPI 3.0 document of one lane; `version` is the software's."""
    data, definitions = _event_data()
    documents = document_schemas()
    for schema in documents.values():
        definitions = {**definitions, **schema.get("$defs", {})}
    document: Schema = _component_references(
        {
            "asyncapi": "3.0.0",
            "info": {
                "title": "lanecontrol: events and commands of an inspection lane",
                "version": version,
                "description": "What a lane publishes to the port's broker, and what may be asked of it.",
                "license": {"name": "Apache-2.0"},
            },
            "defaultContentType": JSON,
            "id": "urn:lanecontrol:asyncapi",
            "channels": {_name(row): _channel(row) for row in TOPICS if _messages(row)},
            "operations": {_name(row): _operation(row) for row in TOPICS if _messages(row)},
            "components": {
                "messages": dict(_all_messages()),
                "schemas": {
                    **{name: _envelope(name, body) for name, body in data.items()},
                    **{name: _bare(schema) for name, schema in documents.items()},
                    **definitions,
                },
            },
        }
    )
    return document


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}


def _component_references(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref" and isinstance(value, str)
            else _component_references(value)
            for key, value in node.items()
            if key != "$id"  # inside one document a second base would break the references
        }
    return [_component_references(value) for value in node] if isinstance(node, list) else node


def _name(row: Topic) -> str:
    return (
        row.name.replace("/<id>", "")
        .replace("/<verb>", "")
        .replace("/<client>", "")
        .replace("/<kind>", "")
        .replace("/", "_")
    )


def _channel(row: Topic) -> Schema:
    level = row.name[row.name.find("<") + 1 : row.name.find(">")] if "<" in row.name else ""
    parameters = {"port": {"description": "Name of the port."}, "lane": {"description": "Number of the lane."}}
    if level:
        parameters[level] = {"description": f"The {level}."}
    return {
        "address": f"poe/{{port}}/lane/{{lane}}/{row.name.replace('<', '{').replace('>', '}')}",
        "description": row.meaning,
        "parameters": parameters,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(row)},
    }


def _operation(row: Topic) -> Schema:
    return {
        "action": "send" if row.direction == TO_PORT else "receive",
        "channel": {"$ref": f"#/channels/{_name(row)}"},
        "bindings": {"mqtt": {"qos": row.qos, "retain": row.retained}},
    }


def _messages(row: Topic) -> list[str]:
    match row.payload:
        case "CloudEvent":
            topic_class = row.name.removeprefix("event/")
            return sorted(name for kind, name in EVENT_TYPES.items() if announcements.TOPIC_CLASS[kind] == topic_class)
        case "command":
            return [f"command.{verb}" for verb in COMMANDS]
        case "status" | "device" | "reply" | "evidence" | "question" | "answer":
            return [row.payload]
        case _:
            return []


def _all_messages() -> Iterable[tuple[str, Schema]]:
    examples = {EVENT_TYPES[type(sample.announcement)]: json.loads(sample.bytes()) for sample in samples()}
    for row in TOPICS:
        for name in _messages(row):
            message: Schema = {
                "name": name,
                "contentType": CONTENT_TYPE if row.payload == "CloudEvent" else JSON,
                "payload": {"$ref": f"#/components/schemas/{name}"},
            }
            if name in examples:
                message["examples"] = [{"payload": examples[name]}]
            yield name, message
