"""`lanecontrol decode KIND FILE`: a raw capture through the driver's own codec.

The JSON lines show card numbers and plates in clear: whoever runs this has them in the capture already. The plain
lines do not.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser("decode", "A stored capture of a device as events, or as counts.")
    parser.add_argument("kind", help="which driver, e.g. rpm.rapiscan")
    parser.add_argument("file", type=Path, help="the capture; - for standard input")
    parser.add_argument("--summary", action="store_true", help="counts instead of events")
    arguments.add_settings(parser, "a setting of the decoding")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol import driver

    try:
        decoder = driver.load(options.kind)
    except KeyError:
        known = ", ".join(driver.installed())
        print(f"lanecontrol decode: no driver {options.kind!r}; installed: {known}", file=sys.stderr)
        return USAGE
    raw = sys.stdin.buffer.read() if str(options.file) == "-" else options.file.read_bytes()
    settings = dict(options.settings)
    try:
        if options.summary:
            _show_summary(decoder.summarise(raw, settings), as_json=options.json)
        else:
            shown = _show_events(decoder.decode(raw, settings), as_json=options.json)
            if not shown:
                output.note(f"lanecontrol decode: {options.file}: {_nothing(raw, options.kind)}")
                return FAILED
    except NotImplementedError as error:
        output.note(f"lanecontrol decode: {error}")
        return FAILED
    except ValueError as error:  # a setting that the driver does not understand
        output.note(f"lanecontrol decode: {error}")
        return USAGE
    return GOOD


def _show_summary(counts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.json_line(counts)
    else:
        output.pairs({name: _in_words(value) for name, value in counts.items()})


def _in_words(value: Any) -> Any:
    """`agree 1397, disagree 2` for counts that belong together."""
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else value


def _nothing(raw: bytes, kind: str) -> str:
    return f"its {len(raw)} bytes hold no event of {kind}" if raw else "it is empty"


def _show_events(events: Iterable[Any], *, as_json: bool) -> int:
    """How many there were."""
    from lanecontrol import forms
    from lanecontrol.service.logging import Redaction

    redaction = Redaction(secrets.token_bytes(32))
    shown = 0
    for shown, event in enumerate(events, 1):  # noqa: B007 - counted
        if as_json:
            print(_json(type(event).__name__, forms.to_json(event)))
        else:
            print(output.words(redaction.safe(event)))
    return shown


def _json(name: str, body: bytes) -> str:
    rest = body.decode()[1:]
    return f'{{"type":"{name}"{"," if rest != "}" else ""}{rest}'
