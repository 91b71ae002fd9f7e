"""`lanecontrol schema config|events|documents|asyncapi`: what editors and integrators need, as JSON on stdout.

`events` are the schemas of the events by CloudEvents type; `documents` those of statuses, device states, commands and
replies by name.
"""

from __future__ import annotations

import sys

from lanecontrol.cli import GOOD, arguments


def main(argv: list[str]) -> int:
    parser = arguments.parser("schema", "JSON Schema of lane files or of events, or the AsyncAPI document.")
    parser.add_argument("what", choices=("config", "events", "documents", "asyncapi"))
    parser.add_argument("--shipped", action="store_true", help="config: without drivers of other distributions")
    options = parser.parse_args(argv)
    match options.what:
        case "config":
            text = _config(shipped=options.shipped)
        case what:
            text = _port(what)
    sys.stdout.write(text)
    return GOOD


def _config(*, shipped: bool) -> str:
    from lanecontrol.config.schema import lane_schema_text, own_kinds

    return lane_schema_text(own_kinds() if shipped else None)


def _port(what: str) -> str:
    import json

    from lanecontrol import __version__
    from lanecontrol.port import schemas

    made = {"events": schemas.schemas, "documents": schemas.document_schemas}.get(what)
    schema = made() if made is not None else schemas.asyncapi(__version__)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
