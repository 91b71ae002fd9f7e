"""`lanecontrol record CONFIG --out F`: the flight recorder's ring, taken out of a lane's store into one file.

The daemon may go on writing meanwhile. What comes out holds card numbers and plates in clear, also where the ring is
sealed: the file is readable by its owner alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lanecontrol.sealing import Sealer

RECORDER_FOLDER = "recorder"


def main(argv: list[str]) -> int:
    parser = arguments.parser("record", "Take what a lane's flight recorder holds into one file, for `replay`.")
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="where to write; must not exist yet")
    options = parser.parse_args(argv)

    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret, stand_in
    from lanecontrol.recorder.segments import segment_files
    from lanecontrol.sealing import Sealer

    store = load(options.config, secret=lambda name: find_secret(name) or stand_in(name)).store
    folder = store.path / RECORDER_FOLDER
    segments = segment_files(folder) if folder.is_dir() else []
    if not segments:
        output.note(f"lanecontrol record: there is no recording in {folder}")
        return FAILED
    written, locked = _write(options.out, segments, Sealer(store.keys))
    if locked:
        output.note(f"lanecontrol record: {locked} parts are sealed with a key that is not here, and left out")
    output.note(f"{written} bytes of {len(segments)} segments; it holds card numbers and plates in clear: keep it safe")
    return GOOD


def _write(out: Path, segments: Iterable[Path], sealer: Sealer) -> tuple[int, int]:
    """One after the other, opened: how many bytes, and how many parts did not open. Raises OSError, also when the
    file exists."""
    from lanecontrol.recorder.records import encode_gap
    from lanecontrol.recorder.segments import LOCKED, lines

    written = locked = 0
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        for segment in segments:
            try:
                for line in lines(segment, sealer):  # without one that a crash tore
                    locked += line is None
                    written += file.write(encode_gap(LOCKED) if line is None else line)
            except FileNotFoundError:  # the ring has turned meanwhile
                continue
        file.flush()
        os.fsync(file.fileno())
    return written, locked
