"""A card and a plate that are looked for in everything that comes out: in every form in which they might be written.

The numbers are chosen so that no part of them occurs by chance. A part counts as the whole: eight digits of a number
give it away.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CARD = bytes.fromhex("f000000001c4a9e57d13b68a")
PLATE = "ZQK7W4X"
CARD_TAIL = CARD[5:]
"""What is the card's own; the rest is every simulated card's."""
LEAST_PART = 4
"""So many bytes of the card in a row count as the card."""
LEAST_BASE64 = 6
"""Shorter pieces of base64 occur by chance in a megabyte of pictures or of what is sealed."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a canary."""

    name: str
    pattern: bytes
    ignore_case: bool = False

    def found_in(self, data: bytes, folded: bytes) -> bool:
        return self.pattern.lower() in folded if self.ignore_case else self.pattern in data


def forms() -> tuple[Form, ...]:
    """Every form that is looked for."""
    return tuple(dict.fromkeys([*_of_card(), *_of_plate()]))


def _of_card() -> Iterator[Form]:
    for start in range(len(CARD_TAIL) - LEAST_PART + 1):
        yield from _of_bytes(f"card[{start}:]", CARD_TAIL[start : start + LEAST_PART])
    for start in range(3):
        yield from _in_base64(f"card[{start}:]", CARD_TAIL[start : start + 5])
    swapped = b"".join(CARD[at : at + 2][::-1] for at in range(0, len(CARD), 2))
    words = b"".join(CARD[at : at + 2] for at in range(len(CARD) - 2, -1, -2))
    for name, turned in (("reversed", CARD[::-1]), ("swapped", swapped), ("words reversed", words)):
        yield from _of_bytes(f"card {name}", turned)
    for name, text in (("hex", CARD.hex()), ("HEX", CARD.hex().upper()), ("tail", CARD_TAIL.hex())):
        yield from _of_text(f"card {name}", text)
    yield Form("card as a number", str(int.from_bytes(CARD, "big")).encode())
    yield Form("card's tail as a number", str(int.from_bytes(CARD_TAIL, "big")).encode())


def _of_plate() -> Iterator[Form]:
    yield from _of_bytes("plate", PLATE.encode())
    yield from _of_text("plate", PLATE)
    yield Form("plate in any case", PLATE.encode(), ignore_case=True)
    yield Form("plate backwards", PLATE[::-1].encode(), ignore_case=True)
    for gap in (" ", "-", "_", ".", ", ", "','", "', '", '", "'):
        yield Form(f"plate spaced by {gap!r}", gap.join(PLATE).encode(), ignore_case=True)


def _of_bytes(name: str, raw: bytes) -> Iterator[Form]:
    """Raw, in hex with and without separators, escaped, in base64, URL-encoded, as a list of numbers."""
    yield Form(f"{name} raw", raw)
    for gap in ("", " ", ":", "-", "_", ",", ", ", " 0x", ", 0x", "\\x", "%", "\\u00"):
        yield Form(f"{name} hex by {gap!r}", gap.join(f"{byte:02x}" for byte in raw).encode(), ignore_case=True)
    yield Form(f"{name} repr", repr(raw)[2:-1].encode())
    yield Form(f"{name} latin-1 as JSON", json.dumps(raw.decode("latin-1"))[1:-1].encode())
    yield Form(f"{name} latin-1 escaped", raw.decode("latin-1").encode("unicode-escape"))
    yield Form(f"{name} latin-1 as UTF-8", raw.decode("latin-1").encode())
    yield Form(f"{name} url", quote(raw).encode())
    for gap in (", ", ",", " "):
        yield Form(f"{name} decimal by {gap!r}", gap.join(map(str, raw)).encode())
    yield from _in_base64(name, raw)


def _of_text(name: str, text: str) -> Iterator[Form]:
    """As text, in the encodings of another machine, and each of these written as bytes are."""
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        yield Form(f"{name} {encoding}", text.encode(encoding))
    yield from _in_base64(f"{name} text", text.encode())
    yield Form(f"{name} text hex", text.encode().hex().encode(), ignore_case=True)
    yield Form(f"{name} text spaced hex", text.encode().hex(" ").encode(), ignore_case=True)
    yield Form(f"{name} utf-16 base64", base64.b64encode(text.encode("utf-16-le")).rstrip(b"="))


def _in_base64(name: str, raw: bytes) -> Iterator[Form]:
    """The part of its base64 that does not depend on what stands before and behind it, for all three alignments."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)
        first = -(-shift * 8 // 6)
        last = (shift + len(raw)) * 8 // 6
        part = whole[first:last]
        if len(part) >= LEAST_BASE64:
            yield Form(f"{name} base64+{shift}", part)
            yield Form(f"{name} url base64+{shift}", part.replace(b"+", b"-").replace(b"/", b"_"))


FORMS = forms()


def found_in(data: bytes, where: str = "") -> list[str]:
    """The forms in which a canary is in there, with the place; empty when there is none."""
    folded = data.lower()
    return [f"{where}: {form.name} {_around(data, form)}" for form in FORMS if form.found_in(data, folded)]


def _around(data: bytes, form: Form) -> str:
    flags = re.IGNORECASE if form.ignore_case else 0
    found = re.search(re.escape(form.pattern), data, flags)
    return repr(data[max(0, found.start() - 60) : found.end() + 20]) if found else ""


def found_below(folder: Path, *, but: Iterable[str] = ()) -> list[str]:
    """Where a canary is in the names of files below a folder, and in the files, but for those whose path has a part
    of `but` in it."""
    wrong: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        wrong += found_in(name.encode(), f"the name {name}")
        if path.is_file() and not any(part in name for part in but):
            wrong += found_in(path.read_bytes(), name)
    return wrong
