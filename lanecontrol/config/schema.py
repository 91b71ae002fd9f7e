"""The JSON Schema of a lane file, for editors and integrators.

Used by `lanecontrol schema config` and by the test that keeps `configs/lane.schema.json` fresh. It is laxer than
`load` in one way: since a lane file may leave to its port file what it does not say itself, no key of a mapping that
is merged is required.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from lanecontrol import driver as drivers
from lanecontrol.config.model import LaneFile
from lanecontrol.lane import setup

MERGED = (
    "LaneSection",
    "SignalSection",
    "GateSection",
    "ButtonSection",
    "LaneSignalSection",
    "BeaconSection",
    "EmergencyButtonSection",
    "ScannerSection",
    "ScannerInputsSection",
    "ScannerOutputsSection",
    "ConsentSection",
    "StoreSection",
)


def lane_schema(kinds: Iterable[str] | None = None) -> dict[str, Any]:
    """The schema with the stanzas of these kinds of device, by default of all that are installed.

    A kind whose driver cannot be loaded raises ImportError.
    """
    schema = LaneFile.model_json_schema()
    definitions = schema["$defs"]
    for name, text in _docstrings(setup.Limits).items():
        definitions["LimitsSection"]["properties"][name]["description"] = text
    for name in MERGED:
        definitions[name].pop("required", None)
    stanzas = [_stanza(kind, definitions) for kind in sorted(drivers.installed() if kinds is None else kinds)]
    schema.pop("required", None)
    schema["properties"] |= {"extends": _EXTENDS, "devices": {"type": "array", "items": _device(stanzas)}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lanecontrol lane file",
        "description": "One inspection lane, or what all lanes of a port share.",
        **{key: schema[key] for key in ("type", "properties", "additionalProperties", "$defs")},
    }


def own_kinds() -> list[str]:
    """The kinds that this distribution brings: those of the schema that is shipped."""
    return [kind for kind, distribution in drivers.installed().items() if distribution == "lanecontrol"]


def lane_schema_text(kinds: Iterable[str] | None = None) -> str:
    """The same as indented JSON."""
    return json.dumps(lane_schema(kinds), indent=2, ensure_ascii=False) + "\n"


_EXTENDS = {"type": "string", "description": "A file that this one goes on top of; relative to this file."}


def _stanza(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    own = drivers.load(kind).Config.model_json_schema()
    definitions |= own.pop("$defs", {})
    own["required"] = ["id"]
    definitions[kind] = own
    same = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
    return {"if": same, "then": {"$ref": f"#/$defs/{kind}"}}


def _device(stanzas: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = [stanza["if"]["properties"]["kind"]["const"] for stanza in stanzas]
    return {
        "type": "object",
        "description": "A device. One with the id of a device in the port file changes that one.",
        "properties": {"kind": {"enum": kinds, "description": "Which driver serves it."}, "id": {"type": "string"}},
        "required": ["id"],
        "allOf": stanzas,
    }


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """The text under each field of a dataclass."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {}
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = inspect.cleandoc(words)
    return found
