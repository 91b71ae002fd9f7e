"""How commands print: JSON lines for programs, tables on a terminal, tabs in a pipe. Nothing here decides anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def json_line(value: Any) -> None:
    """One line of JSON on stdout, at once: whoever reads a stream wants it now."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str), flush=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on a terminal; lines of tab-separated values elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(str(cell) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(*heads, box=SIMPLE_HEAD)
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    Console().print(shown)


def words(event: dict[str, Any]) -> str:
    """An event in a line for people: its type, then what it says; what is empty is left out."""
    said = (f"{name}={_word(value)}" for name, value in event.items() if name != "type" and not _is_empty(value))
    return " ".join([_word(event.get("type", "")), *said]).strip()


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(part) for name, part in value.items() if name != "type")
    return value in ("", None, [])


def _word(value: Any) -> str:
    match value:
        case dict():
            return f"({words(value)})"
        case list():
            return f"[{' '.join(map(_word, value))}]"
        case float():
            return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.3f}"
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """The text on one line: what a terminal would obey (colours, line ends) is written out instead."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def pairs(values: dict[str, Any]) -> None:
    """Names and values, one a line."""
    for name, value in values.items():
        print(f"{name}: {value}")


def note(text: str) -> None:
    """A remark for whoever looks on, out of the way of the output."""
    print(text, file=sys.stderr, flush=True)
