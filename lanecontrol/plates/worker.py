"""The process in which plates are read: weights loaded once, one request at a time over its standard streams.

Started by `process`, as `python -m lanecontrol.plates.worker`. A request is a line of JSON and pictures, a reply a line
of JSON (see `messages`). It ends when its input ends, when it has grown beyond its memory limit, or when it is killed;
it must never write anything but replies to its output.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from lanecontrol.errors import LaneControlError
from lanecontrol.plates import messages, pictures
from lanecontrol.plates.answers import Reading
from lanecontrol.plates.weights import Weights

_NICE = 5
"""A lane's signals go before its plates on two cores."""
_FIRST_TO_GO = "800"
"""Where memory runs out, this process is to be ended and not the lane: it is started again by the next question."""


def main() -> int:
    """Serve until the input ends."""
    options = _arguments()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not be taken for a reply
    _behave(options.memory_mib)
    try:
        from lanecontrol.plates import engine

        loaded = engine.load(_named(options.detector), _named(options.recogniser))
    except (LaneControlError, ImportError) as error:
        _send(replies, messages.failed("unavailable", str(error)))
        return 1
    _send(replies, messages.ready(loaded.version))
    while (request := messages.next_request(sys.stdin.buffer)) is not None:
        _send(replies, _answer(loaded, request))
        if _resident_mib() > options.memory_mib:
            return 0
    return 0


def _answer(loaded: object, request: messages.Request) -> bytes:
    from lanecontrol.plates.engine import Engine

    assert isinstance(loaded, Engine)
    try:
        found = [pictures.decoded(picture) for picture in request.pictures]
        factors = {factor for _, factor in found}
        if len(factors) > 1:
            raise pictures.NotAPicture("the pictures are of different sizes")
        reading: Reading = loaded.read([picture for picture, _ in found], request.options.scaled(1 / max(factors)))
    except (pictures.NotAPicture, ValueError) as error:
        return messages.failed("picture", str(error))
    except MemoryError:
        return messages.failed("picture", "not enough memory for this picture")
    return messages.answered(reading.scaled(max(factors)))


def _behave(memory_mib: int) -> None:
    """Step back behind the lane, and have an allocation far beyond the limit fail instead of the whole box."""
    if sys.platform == "win32":
        return
    import resource

    limit = 2 * memory_mib << 20
    with suppress(OSError):  # a sandbox may forbid it, and plates are read all the same
        os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _resident_mib() -> float:
    """Memory in use now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, ValueError, IndexError):
        return 0.0


def _send(replies: IO[bytes], reply: bytes) -> None:
    replies.write(reply)
    replies.flush()


def _named(text: str) -> Weights | None:
    """`SHA256:PATH` as weights."""
    digest, colon, path = text.partition(":")
    return Weights(Path(path), digest) if colon else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lanecontrol.plates.worker")
    parser.add_argument("--memory-mib", type=int, default=500)
    parser.add_argument("--detector", default="", metavar="SHA256:PATH")
    parser.add_argument("--recogniser", default="", metavar="SHA256:PATH")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
