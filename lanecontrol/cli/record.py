"""`lanecontrol record CONFIG --out F`: the flight recorder's ring, taken out of a lane's store into one file.

The daemon may go on writing meanwhile. A recording holds card numbers and plates in clear: the file is readable by its
owner alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDER_FOLDER = "recorder"


def main(argv: list[str]) -> int:
    parser = arguments.parser("record", "Take what a lane's flight recorder holds into one file, for `replay`.")
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="where to write; must not exist yet")
    options = parser.parse_args(argv)

    from lanecontrol.config import load
    from lanecontrol.config.secrets import stand_in
    from lanecontrol.recorder.segments import segment_files

    folder = load(options.config, secret=stand_in).store.path / RECORDER_FOLDER
    segments = segment_files(folder) if folder.is_dir() else []
    if not segments:
        output.note(f"lanecontrol record: there is no recording in {folder}")
        return FAILED
    written = _write(options.out, segments)
    output.note(f"{written} bytes of {len(segments)} segments; it holds card numbers and plates in clear: keep it safe")
    return GOOD


def _write(out: Path, segments: Iterable[Path]) -> int:
    """One after the other. Raises OSError, also when the file exists."""
    written = 0
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        for segment in segments:
            try:
                content = segment.read_bytes()
            except FileNotFoundError:  # the ring has turned meanwhile
                continue
            # A line torn by a crash must not swallow the first line of the next segment.
            written += file.write(content if content.endswith(b"\n") or not content else content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return written
