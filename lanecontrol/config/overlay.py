"""`extends: port.yaml`: a lane file on top of a port file, with every value keeping the file it came from.

Used by `lanecontrol.config.load` alone. Mappings are merged key by key, the list of devices by device id; everything
else in the lane file replaces what the port file says.
"""

from __future__ import annotations

import stat
from pathlib import Path

from lanecontrol.config.document import Entry, Items, Leaf, Table, Tree, read
from lanecontrol.errors import Problem

MAX_FILES = 8


def read_layers(path: Path, problems: list[Problem], seen: tuple[Path, ...] = ()) -> Table:
    """The file at `path` on top of what it extends. What is wrong is added to `problems`."""
    top = read(_text(path, problems), str(path), problems)
    _tell_devices_twice(top, problems)
    entry = top.entries.pop("extends", None)
    if entry is None:
        return top
    base = _base_path(path, entry, problems, (*seen, path.resolve()))
    return top if base is None else merged(read_layers(base, problems, (*seen, path.resolve())), top)


def _text(path: Path, problems: list[Problem]) -> str:
    try:
        if kind := no_file(path):
            problems.append(Problem(str(path), 1, 1, f"{kind}, not a file", "name a file that can be read to its end"))
            return ""
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(Problem(str(path), line, 1, "not UTF-8", "save the file as UTF-8"))
    except OSError as error:
        problems.append(Problem(str(path), 1, 1, f"cannot be read: {error.strerror}", ""))
    return ""


def no_file(path: Path) -> str:
    """What is there instead of a file, where reading it would wait or never end; empty where it can be read.

    Raises OSError.
    """
    mode = path.stat().st_mode
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((name for is_it, name in kinds.items() if is_it(mode)), "")


def _base_path(path: Path, entry: Entry, problems: list[Problem], seen: tuple[Path, ...]) -> Path | None:
    node = entry.node
    if not isinstance(node, Leaf) or not isinstance(node.value, str) or node.secret:
        problems.append(node.place.problem("`extends` is not a file name", "write `extends: port.yaml`"))
        return None
    base = path.parent / node.value
    if base.resolve() in seen or len(seen) >= MAX_FILES:
        problems.append(node.place.problem(f"'{node.value}' extends itself in the end", "break the circle"))
        return None
    if base.is_dir():
        problems.append(node.place.problem(f"{base} is a folder", "name the file in it"))
        return None
    if not base.is_file():
        problems.append(node.place.problem(f"there is no file {base}", "the name is relative to this file"))
        return None
    return base


def merged(base: Table, top: Table) -> Table:
    """`top` over `base`, mapping by mapping."""
    entries = dict(base.entries)
    for key, entry in top.entries.items():
        below = entries.get(key)
        entries[key] = Entry(entry.key_place, _over(key, below.node, entry.node)) if below else entry
    return Table(top.place, entries)


def _over(key: str, below: Tree, above: Tree) -> Tree:
    match below, above:
        case Table(), Table():
            return merged(below, above)
        case Items(), Items() if key == "devices":
            return _devices(below, above)
        case _:
            return above


def _devices(below: Items, above: Items) -> Items:
    """The port's devices with the lane's changes, then the lane's own."""
    mine = {_id(node): node for node in above.nodes}
    known = {_id(node) for node in below.nodes}
    changed = tuple(
        merged(node, change) if isinstance(node, Table) and isinstance(change := mine.get(_id(node)), Table) else node
        for node in below.nodes
    )
    own = tuple(node for node in above.nodes if _id(node) is None or _id(node) not in known)
    return Items(above.place, changed + own)


def _tell_devices_twice(top: Table, problems: list[Problem]) -> None:
    entry = top.entries.get("devices")
    seen: set[str | None] = {None}
    for node in entry.node.nodes if entry is not None and isinstance(entry.node, Items) else ():
        name = _id(node)
        if name in seen and isinstance(node, Table) and (leaf := node.leaf("id")) is not None:
            problems.append(leaf.place.problem(f"the device '{name}' is listed twice", "give each its own id"))
        seen.add(name)


def _id(node: Tree) -> str | None:
    leaf = node.leaf("id") if isinstance(node, Table) else None
    return leaf.text if leaf is not None else None
