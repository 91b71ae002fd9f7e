"""`lanecontrol plates PATH...`: read plates on picture files, one line each.

Shows plates in clear: whoever runs this has the pictures already. A file that is no picture is told on stderr and the
rest go on; the exit code tells. Those that lie in a folder are counted, those named on the command line are named.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from lanecontrol.plates.answers import Reading

MOST_REASONS = 5
"""Each with a file's name, in one line."""


def main(argv: list[str]) -> int:
    parser = arguments.parser("plates", "Read plates on picture files (JPEG, PNG, BMP, WebP) and on folders of them.")
    parser.add_argument(
        "paths", nargs="+", type=_path, metavar="PATH", help="a picture, or a folder with its subfolders"
    )
    parser.add_argument(
        "--min-confidence", type=_share, metavar="P", help="a plate read with less is not `accepted` (default 0.85)"
    )
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol import plates

    plates.require()
    return _read_all(options)


def _path(text: str) -> Path:
    """An empty argument is a variable that somebody's script forgot to set, not the folder we are in."""
    if not text:
        raise argparse.ArgumentTypeError("a path is empty")
    return Path(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no confidence, which is from 0 to 1")
    return value


def _name(path: Path) -> str:
    """The file's name on one line of any terminal, whatever bytes it has."""
    return output.printable(_text(path))


def _text(path: Path) -> str:
    """A name may be bytes that are no UTF-8, which JSON cannot hold."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read_all(options: argparse.Namespace) -> int:
    from lanecontrol.plates import engine, pictures
    from lanecontrol.plates.answers import Options

    wanted = Options() if options.min_confidence is None else Options(min_confidence=options.min_confidence)
    loaded = engine.load()
    code = GOOD
    for path in options.paths:
        if path.is_dir() and not any(_files([path])):
            output.note(f"lanecontrol plates: {_name(path)}: there is no file in this folder")
            code = FAILED
    refused: dict[str, list[Path]] = {}
    for path in _with_progress(list(_files(options.paths))):
        try:
            picture, factor = pictures.decoded(pictures.content(path))
        except pictures.NotAPicture as error:
            code = FAILED
            if path in options.paths:
                output.note(f"lanecontrol plates: {_name(path)}: {error}")
            else:
                refused.setdefault(str(error), []).append(path)
            continue
        _show(path, loaded.read([picture], wanted).scaled(factor), as_json=options.json)
    _tell_refused(refused)
    return code


def _tell_refused(refused: dict[str, list[Path]]) -> None:
    """A sum of the files in folders that are no pictures, with each reason's first one by name."""
    if not refused:
        return
    count = sum(map(len, refused.values()))
    reasons = [
        f"{why} ({_name(files[0])}{f' and {len(files) - 1} more' if len(files) > 1 else ''})"
        for why, files in list(refused.items())[:MOST_REASONS]
    ]
    rest = "; ..." if len(refused) > MOST_REASONS else ""
    what = "file in a folder is no picture" if count == 1 else "files in folders are no pictures"
    output.note(f"lanecontrol plates: {count} {what}: {'; '.join(reasons)}{rest}")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files in the order of their names; hidden ones only when they are named."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for found in sorted(path.rglob("*")):
            if found.is_file() and not any(part.startswith(".") for part in found.relative_to(path).parts):
                yield found


def _with_progress(files: list[Path]) -> Iterable[Path]:
    """On a terminal a bar on stderr, when there is something to wait for."""
    if len(files) < 2 or not sys.stderr.isatty():
        return files
    from rich.console import Console
    from rich.progress import track

    shown: Iterable[Path] = track(files, description="reading", console=Console(stderr=True), transient=True)
    return shown


def _show(path: Path, reading: Reading, *, as_json: bool) -> None:
    line = told(path, reading)
    if as_json:
        output.json_line(line)
        return
    plate = line["plate"] or "-"
    doubt = "" if reading.accepted or not line["plate"] else "  not accepted"
    place = f"  {line['jurisdiction']}" if line["jurisdiction"] else ""
    print(f"{_name(path)}\t{plate}\t{line['confidence']:.2f}\t{line['ms']:.0f} ms{place}{doubt}", flush=True)


def told(path: Path, reading: Reading) -> dict[str, Any]:
    """A reading as the JSON line that others script against."""
    return {
        "file": _text(path),
        "plate": reading.plate.clear or None,
        "confidence": reading.confidence,
        "box": None if reading.box is None else list(reading.box),
        "candidates": [{"plate": c.text.clear, "confidence": c.confidence} for c in reading.candidates],
        "jurisdiction": reading.jurisdiction or None,
        "ms": round(reading.ms, 1),
        "accepted": reading.accepted,
        "engine": reading.engine,
    }
