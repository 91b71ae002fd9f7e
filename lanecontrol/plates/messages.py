"""What goes between the daemon and the worker process: one line of JSON each way, pictures after the line.

Pure but for reading a stream. Plates are in clear here: the pipe joins two processes of the same program.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import IO, Any

from lanecontrol.events import PlateCandidate
from lanecontrol.identifier import Identifier
from lanecontrol.plates.answers import Options, Reading, Rejected

LINE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """Pictures of one vehicle, as files, and how to read them."""

    pictures: tuple[bytes, ...]
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker could not do it: `unavailable` (it cannot work at all) or `picture` (these pictures)."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has its weights."""

    engine: str


def request(wanted: Request) -> bytes:
    """A request as bytes."""
    line = {"sizes": [len(picture) for picture in wanted.pictures], "options": asdict(wanted.options)}
    return b"".join((_line(line), *wanted.pictures))


def next_request(stream: IO[bytes]) -> Request | None:
    """The next request; None at the end of the stream, or when it is cut short."""
    line = stream.readline(LINE_LIMIT)
    if not line.endswith(b"\n"):
        return None
    told = json.loads(line)
    pictures = tuple(stream.read(size) for size in told["sizes"])
    if [len(picture) for picture in pictures] != told["sizes"]:
        return None
    options = told["options"]
    window = options["window"]
    return Request(pictures, Options(**{**options, "window": tuple(window) if window else None}))


def ready(engine: str) -> bytes:
    """The worker's first words."""
    return _line({"ready": engine})


def failed(kind: str, why: str) -> bytes:
    """That it could not be done, and why."""
    return _line({"failed": kind, "why": why})


def answered(reading: Reading) -> bytes:
    """A reading as bytes."""
    return _line({"reading": asdict(reading)})


def reply(line: bytes) -> Reading | Failed | Ready:
    """What the worker said. Raises ValueError for anything else."""
    told = json.loads(line)
    match told:
        case {"ready": str(engine)}:
            return Ready(engine)
        case {"failed": str(kind), "why": str(why)}:
            return Failed(kind, why)
        case {"reading": dict(reading)}:
            return _reading(reading)
        case _:
            raise ValueError("not a reply of the worker")


def _reading(told: dict[str, Any]) -> Reading:
    return Reading(
        **{
            **told,
            "plate": Identifier(told["plate"]),
            "raw": Identifier(told["raw"]),
            "box": _box(told["box"]),
            "features": tuple((name, value) for name, value in told["features"]),
            "candidates": tuple(PlateCandidate(Identifier(c["text"]), c["confidence"]) for c in told["candidates"]),
            "rejected": tuple(
                Rejected(Identifier(r["text"]), r["why"], _box(r["box"]), r["confidence"]) for r in told["rejected"]
            ),
        }
    )


def _box(told: list[int] | None) -> tuple[int, int, int, int] | None:
    return None if told is None else (told[0], told[1], told[2], told[3])


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
