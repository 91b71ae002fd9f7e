"""Splitting a multipart body (RFC 2046) as cameras send it: pure, bounded, linear, never raising.

Called with a whole body by the codecs of pushing cameras. Must never change a byte of a part: a picture without a file
name is bytes all the same. A framework's form parser is not used because such parsers take a part without `filename=`
for text, or refuse it above a limit of theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTS_LIMIT = 16
PART_HEADER_LIMIT = 8192
"""Bytes of one part's header lines."""
_BOUNDARY_LIMIT = 200
"""RFC 2046 allows 70; nothing sensible is longer than this."""

_PARAMETER = re.compile(r';\s*([\w-]+)\*?\s*=\s*(?:"([^"]*)"|([^;\s]*))')
_FIRST_LINE = re.compile(rb"\s*--([^\r\n]{1,200}?)[ \t]*\r?\n")
_LENGTH = re.compile(r"\d{1,9}", flags=re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its names as they were sent, empty where there are none."""

    name: str
    filename: str
    content_type: str
    """Lower-case, without parameters."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Multipart:
    """The parts of a body, and what was wrong with it in plain words."""

    parts: tuple[Part, ...]
    remarks: tuple[str, ...]


def media_type(content_type: str) -> str:
    """The type of a Content-Type header, lower-case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type header names; empty where it names none."""
    return parameters(content_type).get("boundary", "").encode("latin-1", "replace")[:_BOUNDARY_LIMIT]


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header value by lower-case name; the first of one name counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header[:PART_HEADER_LIMIT]):
        found.setdefault(name.lower(), quoted or plain)
    return found


def split(body: bytes, boundary: bytes) -> Multipart:
    """The parts of `body`.

    A boundary that the body does not have (or none) is replaced by the one that the body's first line shows. A part's
    own Content-Length is believed where it ends exactly at a boundary, so that even a picture that contains one stays
    whole. A body without its closing boundary keeps what is there.
    """
    splitter = _Splitter(body, boundary)
    splitter.run()
    return Multipart(tuple(splitter.parts), tuple(splitter.remarks))


class _Splitter:
    """One pass over one body. Positions only ever grow."""

    def __init__(self, body: bytes, boundary: bytes) -> None:
        self._body = body
        self._boundary = boundary
        self.parts: list[Part] = []
        self.remarks: list[str] = []

    def run(self) -> None:
        found = self._first()
        while found is not None:
            _, after, last = found
            if last:
                return
            if len(self.parts) == PARTS_LIMIT:
                self.remarks.append(f"more than {PARTS_LIMIT} parts")
                return
            found = self._part(after)

    def _first(self) -> tuple[int, int, bool] | None:
        """The first boundary. Where the announced one is nowhere, the first line's."""
        found = self._next(0, self._boundary) if self._boundary else None
        if found is None and (line := _FIRST_LINE.match(self._body)) is not None:
            self._boundary = line[1]
            found = (0, line.end(), False)
        if found is None:
            self.remarks.append("no boundary in the body")
        return found

    def _part(self, start: int) -> tuple[int, int, bool] | None:
        """Take in the part whose headers begin at `start`; the boundary behind it, None where the body ends."""
        headers, content = self._headers(start)
        found = self._announced(content, headers.get("content-length", "")) or self._next(content, self._boundary)
        if found is None:
            self.remarks.append("the last part has no end")
        end = len(self._body) if found is None else self._line_end(content, found[0])
        names = parameters(headers.get("content-disposition", ""))
        kind = media_type(headers.get("content-type", ""))
        self.parts.append(Part(names.get("name", ""), names.get("filename", ""), kind, self._body[content:end]))
        return found

    def _headers(self, start: int) -> tuple[dict[str, str], int]:
        """The header lines by lower-case name, and where the content begins. A part without a blank line has none."""
        headers: dict[str, str] = {}
        at, limit = start, min(start + PART_HEADER_LIMIT, len(self._body))
        while (end := self._body.find(b"\n", at, limit)) >= 0:
            line = self._body[at:end].strip()
            at = end + 1
            if not line:
                return headers, at
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        self.remarks.append("a part without a blank line behind its headers")
        return {}, start

    def _announced(self, content: int, length: str) -> tuple[int, int, bool] | None:
        """The boundary that a part's own Content-Length points at, if there is one."""
        if not _LENGTH.fullmatch(length):
            return None
        end = content + int(length)
        for line_end in (b"\r\n", b"\n"):
            if self._body.startswith(line_end + b"--" + self._boundary, end):
                return self._at(end + len(line_end), self._boundary)
        return None

    def _next(self, start: int, boundary: bytes) -> tuple[int, int, bool] | None:
        """The next boundary from `start`: at the start of a line, with nothing but blanks behind it."""
        delimiter = b"--" + boundary
        at = self._body.find(delimiter, start)
        while at >= 0:
            if (at == start or self._body[at - 1] == 0x0A) and (found := self._at(at, boundary)) is not None:
                return found
            at = self._body.find(delimiter, at + 1)
        return None

    def _at(self, at: int, boundary: bytes) -> tuple[int, int, bool] | None:
        """Where the boundary line at `at` begins and ends, and whether it is the closing one."""
        after = at + 2 + len(boundary)
        if self._body.startswith(b"--", after):
            return at, after + 2, True
        while self._body[after : after + 1] in (b" ", b"\t"):
            after += 1
        if self._body.startswith(b"\r\n", after):
            return at, after + 2, False
        return (at, after + 1, False) if self._body.startswith(b"\n", after) else None

    def _line_end(self, content: int, boundary: int) -> int:
        """The end of a part: the line end before a boundary belongs to the boundary."""
        if boundary - 2 >= content and self._body.startswith(b"\r\n", boundary - 2):
            return boundary - 2
        return boundary - 1 if boundary > content else content
