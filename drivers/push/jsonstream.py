"""JSON objects back to back on a long-lived connection, without any delimiter: pure, bounded, linear, never raising.

Called by drivers with the bytes of one connection, however they were split. What is no object comes out as a `Doubt`
in its place, and the scanner goes on at the next `{"`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lanecontrol.framing import DOUBT_LIMIT, Doubt, Violation

OBJECT_LIMIT = 1 << 20
"""Bytes of one object. A longer one ends the connection: a camera's message has a few thousand."""
MEMBERS_LIMIT = 20_000
"""Braces, brackets and commas in one text; a text of many small values takes a hundred times its size in memory."""

_BLANKS = b" \t\r\n"
_NO_OBJECT = "bytes outside of any object"
_OPENING = re.compile(rb'\{(?=[ \t\r\n]{0,64}")')
_MAYBE_OPENING = re.compile(rb"\{[ \t\r\n]{0,64}\Z")
_OUTSIDE = re.compile(rb'[{}"]|[^\s\[\]:,\-+.0-9truefalsnE]')
"""Outside of strings: what changes the depth, or what no JSON has there."""
_INSIDE = re.compile(rb'["\\\x00-\x1f]')


def loads(text: bytes) -> Any:
    """The value of a JSON text. Raises ValueError, whatever is wrong with it.

    Text that is not in the encoding that JSON prescribes is taken for Latin-1: a letter of a plate is not worth a read.
    """
    if sum(map(text.count, b"{[,")) > MEMBERS_LIMIT:
        raise ValueError("too many members")
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        return json.loads(text.decode("latin-1"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


class ObjectScanner:
    """Finds the objects of one connection. Nothing comes after a `Violation`: the connection should end."""

    def __init__(self, limit: int = OBJECT_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._at = 0
        """How far the buffer is looked through; while an object is open, it begins at 0."""
        self._depth = 0
        self._in_string = False
        self._junk = bytearray()
        self._junk_told = False
        self._fed = self._again = 0
        self._dead = False

    @property
    def pending(self) -> int:
        """Bytes of an object that waits for its end: never more than the limit."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[dict[str, Any] | Doubt]:
        """The objects that `data` completes, and doubts."""
        if self._dead:
            return []
        self._buffer += data
        found: list[dict[str, Any] | Doubt] = []
        while not self._dead and (self._scan(found) if self._depth else self._hunt(found)):
            pass
        return found

    def finish(self) -> list[Doubt]:
        """The connection has ended: what was left of an object is lost."""
        found: list[Any] = []
        if self._dead:
            return found
        if not self._depth:
            self._throw_away(len(self._buffer), found)
        self._end_junk(found)
        if self._buffer:
            found.append(Doubt(bytes(self._buffer[:DOUBT_LIMIT]), "the connection ended within an object"))
        self._dead = True
        self._buffer.clear()
        return found

    # --- between objects ---------------------------------------------------------------------------------------------

    def _hunt(self, found: list[dict[str, Any] | Doubt]) -> bool:
        """Go to the next `{"`; answers whether there is one."""
        opening = _OPENING.search(self._buffer)
        if opening is not None:
            self._throw_away(opening.start(), found)
            self._depth, self._at, self._in_string = 1, 1, False
            return True
        maybe = _MAYBE_OPENING.search(self._buffer, max(0, len(self._buffer) - 65))
        self._throw_away(maybe.start() if maybe else len(self._buffer), found)
        return False

    def _throw_away(self, length: int, found: list[Any]) -> None:
        """Bytes of no object. Blanks between objects are well-formed."""
        room = DOUBT_LIMIT - len(self._junk)
        before = self._buffer[:length]
        self._forget(length)
        self._junk += (before if self._junk else before.lstrip(_BLANKS))[:room]
        if len(self._junk) == DOUBT_LIMIT and not self._junk_told:
            found.append(Doubt(bytes(self._junk), _NO_OBJECT))
            self._junk_told = True

    def _end_junk(self, found: list[Any]) -> None:
        """What lies between two good objects is told once: when as much has come as a doubt carries, or at its end."""
        if self._junk and not self._junk_told:
            found.append(Doubt(bytes(self._junk.rstrip(_BLANKS)), _NO_OBJECT))
        self._junk.clear()
        self._junk_told = False

    def _forget(self, length: int) -> None:
        del self._buffer[:length]
        self._fed += length

    # --- within an object --------------------------------------------------------------------------------------------

    def _scan(self, found: list[dict[str, Any] | Doubt]) -> bool:
        """Look for the object's end; answers whether it was found, or can never come."""
        while self._depth:
            end = min(len(self._buffer), self._limit)
            token = (_INSIDE if self._in_string else _OUTSIDE).search(self._buffer, self._at, end)
            if token is None or (token[0] == b"\\" and token.end() == end):
                self._at = end if token is None else token.start()
                return self._wait(found)
            if not self._step(token[0], token.end()):
                self._give_up(token.start(), found)
                return True
        self._complete(found)
        return True

    def _step(self, token: bytes, end: int) -> bool:
        """One token; answers whether JSON may have it there."""
        self._at = end + (token == b"\\")
        match token:
            case b'"':
                self._in_string = not self._in_string
            case b"{":
                self._depth += 1
            case b"}":
                self._depth -= 1
            case b"\\":
                pass
            case _:
                return False
        return True

    def _wait(self, found: list[dict[str, Any] | Doubt]) -> bool:
        """More is needed, which is not to be had beyond the limit."""
        if len(self._buffer) >= self._limit:
            found.append(
                Violation(
                    bytes(self._buffer[: min(self._limit, DOUBT_LIMIT)]), f"no end of an object in {self._limit} bytes"
                )
            )
            self._dead = True
            self._buffer.clear()
        return False

    def _complete(self, found: list[dict[str, Any] | Doubt]) -> None:
        try:
            value = loads(bytes(self._buffer[: self._at]))
        except ValueError:
            self._give_up(self._at, found)
            return
        self._end_junk(found)
        found.append(value)
        self._forget(self._at)
        self._at = 0

    def _give_up(self, end: int, found: list[dict[str, Any] | Doubt]) -> None:
        """The object is none. Another one may begin within it: look again, as long as that stays linear."""
        self._depth = self._at = 0
        again = _OPENING.search(self._buffer, 1, end)
        if again is not None and self._again <= self._fed:
            self._again += end - again.start()
            end = again.start()
        self._throw_away(end, found)
