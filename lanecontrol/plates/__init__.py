"""Reading plates on the box: pictures in, texts with confidences out.

An optional part: it needs numpy, onnxruntime, OpenCV (`lanecontrol[plates]`) and two files of weights. Nothing here is
imported before a plate is to be read, and importing this package itself loads none of them. Used by the driver
`lpr.frames`, by `lanecontrol plates` and by the benchmark; never on the event loop (`reader` asks a worker process).
"""

from __future__ import annotations

from importlib.util import find_spec

from lanecontrol.errors import LaneControlError

NEEDED = {"numpy": "numpy", "onnxruntime": "onnxruntime", "cv2": "opencv-python-headless"}
"""Modules and the packages that bring them."""
INSTALL = "pip install --require-hashes -r requirements/plates.txt"
"""What the extra `lanecontrol[plates]` holds; this project is in no package index."""


class PlatesUnavailable(LaneControlError):
    """Plates cannot be read on this box; the text says what is missing and which command installs it."""


def missing() -> list[str]:
    """The packages that are not installed here."""
    return [package for module, package in NEEDED.items() if not _present(module)]


def _present(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def require() -> None:
    """Raises PlatesUnavailable where packages are missing."""
    if absent := missing():
        raise PlatesUnavailable(f"plates cannot be read here: {', '.join(absent)} missing; install with {INSTALL}")
