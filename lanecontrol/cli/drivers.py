"""`lanecontrol drivers [KIND]`: the kinds of device that are installed, and what each reports and performs."""

from __future__ import annotations

import sys
from typing import Any

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser("drivers", "The kinds of device that are installed; with KIND, its settings too.")
    parser.add_argument("kind", nargs="?", help="one kind, in detail")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol import driver

    kinds = driver.installed()
    if options.kind is not None and options.kind not in kinds:
        print(f"lanecontrol drivers: no driver {options.kind!r}; installed: {', '.join(kinds)}", file=sys.stderr)
        return USAGE
    wanted = [options.kind] if options.kind else list(kinds)
    found = [_described(kind, kinds[kind], detail=options.kind is not None) for kind in wanted]
    if options.json:
        for each in found:
            output.json_line(each)
    elif options.kind:
        output.pairs({name: _shown(value) for name, value in found[0].items()})
    else:
        heads = ("kind", "from", "reports", "performs", "problem")
        output.table(heads, [[_shown(each.get(head, "")) for head in heads] for each in found])
    return FAILED if any("problem" in each for each in found) else GOOD


def _described(kind: str, distribution: str, *, detail: bool) -> dict[str, Any]:
    from lanecontrol import driver

    about: dict[str, Any] = {"kind": kind, "from": distribution}
    try:
        loaded = driver.load(kind)
    except (ImportError, AttributeError) as error:
        return {**about, "problem": str(error)}
    about["reports"] = sorted(event.__name__ for event in loaded.reports)
    about["performs"] = sorted(command.__name__ for command in loaded.performs)
    if detail:
        about["settings"] = {
            name: " ".join((field.description or "").split()) for name, field in loaded.Config.model_fields.items()
        }
    return about


def _shown(value: Any) -> str:
    match value:
        case list():
            return " ".join(value)
        case dict():
            return "".join(f"\n  {name}: {meaning}" for name, meaning in value.items())
        case _:
            return str(value)
