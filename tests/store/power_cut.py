"""A disk that keeps only what was synced: built from a trace of system calls, cut at any moment, laid out as files.

Content counts as kept once its file was synced, a name once its folder was. What was not synced may be there, may be
missing, and may be torn at any sector. Used by the test of power cuts.
"""

from __future__ import annotations

import codecs
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
TRACED = "openat,pwrite64,write,ftruncate,fdatasync,fsync,rename,unlink,unlinkat"


@dataclass(frozen=True, slots=True)
class Call:
    """One finished system call on a file of the store, or a line on standard output."""

    name: str
    path: str
    other: str = ""
    data: bytes = b""
    at: int = 0
    creates: bool = False


_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Call]], ...] = (
    (
        re.compile(rf"openat\([^,]+, {_QUOTED}, ([A-Z_|]+).*= \d+<"),
        lambda m: Call("open", m[1], creates="O_CREAT" in m[2]),
    ),
    (
        re.compile(rf"pwrite64\(\d+<([^>]*)>, {_QUOTED}, \d+, (\d+)"),
        lambda m: Call("write", m[1], "", _raw(m[2]), int(m[3])),
    ),
    (re.compile(rf"write\(1<[^>]*>, {_QUOTED}"), lambda m: Call("say", "", "", _raw(m[1]))),
    (re.compile(rf"write\(\d+<([^>]*)>, {_QUOTED}"), lambda m: Call("write", m[1], "", _raw(m[2]))),
    (re.compile(r"ftruncate\(\d+<([^>]*)>, (\d+)"), lambda m: Call("cut", m[1], at=int(m[2]))),
    (re.compile(r"f(?:data)?sync\(\d+<([^>]*)>"), lambda m: Call("sync", m[1])),
    (re.compile(rf"rename\({_QUOTED}, {_QUOTED}"), lambda m: Call("rename", m[1], m[2])),
    (re.compile(rf"unlink(?:at)?\((?:[^,\"]+, )?{_QUOTED}"), lambda m: Call("unlink", m[1])),
)


def _raw(text: str) -> bytes:
    return codecs.escape_decode(text.encode("latin-1"))[0]


def calls(trace: str, folder: Path) -> Iterator[Call]:
    """What was asked of the files of `folder`. A sync counts when it has returned, anything else when it began."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.startswith("<..."):
            text = begun.pop(thread, "").removesuffix("<unfinished ...>") + text.partition("resumed>")[2]
            if not text.startswith(("f", "openat")) or text.startswith("ftruncate"):
                continue  # it counted when it began
        elif text.endswith("<unfinished ...>"):
            begun[thread] = text
            if text.startswith(("fsync", "fdatasync", "openat")):
                continue
        elif " = -1 " in text[-60:]:
            continue
        found = next((make(match) for form, make in _FORMS if (match := form.match(text))), None)
        if found is not None and (found.name == "say" or Path(found.path).is_relative_to(folder)):
            yield found


@dataclass(slots=True)
class _File:
    kept: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)


class Disk:
    """Files of one folder, as far as they are kept and as far as they are not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, _File] = {}
        self._history: list[dict[str, _File]] = [{}]
        """The names as kept, then after each change that is not."""

    def do(self, call: Call) -> None:
        match call.name:
            case "open":
                if call.creates and call.path not in self._names:
                    self._rename_to({**self._names, call.path: _File()})
            case "rename":
                names = dict(self._names)
                names[call.other] = names.pop(call.path)
                self._rename_to(names)
            case "unlink":
                self._rename_to({name: file for name, file in self._names.items() if name != call.path})
            case "sync" if call.path == str(self._folder):
                self._history = [self._names]
            case "sync" if call.path in self._names:
                file = self._names[call.path]
                for each in file.pending:
                    _apply(file.kept, each, len(each.data))
                file.pending.clear()
            case "write" | "cut" if call.path in self._names:
                self._names[call.path].pending.append(call)

    def _rename_to(self, names: dict[str, _File]) -> None:
        self._names = names
        self._history.append(names)

    def after_cut(self, choose: Callable[[int], int], keep: Callable[[Call], int]) -> dict[str, bytes]:
        """What is there after the power was cut now.

        `choose(n)` picks how many of n changes of names were kept, `keep` how many bytes of a write were, -1 for none.
        """
        found = {}
        for name, file in self._history[choose(len(self._history) - 1)].items():
            content = bytearray(file.kept)
            for call in file.pending:
                if (size := keep(call)) >= 0:
                    _apply(content, call, size)
            found[Path(name).name] = bytes(content)
        return {name: content for name, content in found.items() if not name.endswith("-shm")}


def _apply(content: bytearray, call: Call, size: int) -> None:
    if call.name == "cut":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
        return
    content.extend(bytes(max(0, call.at - len(content))))
    content[call.at : call.at + size] = call.data[:size]


def outcomes(disk: Disk, rng: random.Random) -> Iterator[dict[str, bytes]]:
    """Ways in which a power cut may leave the disk: nothing unsynced, all of it, all but torn, and by chance."""
    yield disk.after_cut(lambda n: 0, lambda call: -1)
    yield disk.after_cut(lambda n: n, lambda call: len(call.data))
    yield disk.after_cut(lambda n: n, lambda call: len(call.data) // 2 // SECTOR * SECTOR)
    for _ in range(2):
        yield disk.after_cut(lambda n: rng.randint(0, n), lambda call: _some(call, rng))


def _some(call: Call, rng: random.Random) -> int:
    kept = rng.choice((-1, 0, len(call.data), rng.randint(0, len(call.data) // SECTOR) * SECTOR))
    return kept if call.name == "write" else rng.choice((-1, 0))
