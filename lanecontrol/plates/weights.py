"""The files of weights: where they lie, and that they are the ones that were measured.

They come inside two packages of OCR programs, of which nothing else is used or imported: each requires another build of
OpenCV, and both builds write into the same folder. Hence they are installed without what they require.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lanecontrol.plates import PlatesUnavailable

INSTALL = "pip install --no-deps --ignore-requires-python --require-hashes -r requirements/weights.txt"


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights with the digest that it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights inside an installed package."""

    package: str
    path: str
    sha256: str


DETECTOR = Packaged(
    "rapidocr-onnxruntime",
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
)
"""PP-OCRv4 text detector, Apache-2.0."""
RECOGNISER = Packaged(
    "rapidocr",
    "rapidocr/models/PP-OCRv6_rec_small.onnx",
    "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
)
"""PP-OCRv6 text recogniser, Apache-2.0."""
SECOND = Packaged(
    "rapidocr-onnxruntime",
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
)
"""PP-OCRv4 text recogniser, Apache-2.0: weaker, but wrong in other places."""


def packaged(weights: Packaged) -> Weights:
    """Where they are. Raises PlatesUnavailable with the command that installs them."""
    try:
        found = Path(str(distribution(weights.package).locate_file(weights.path)))
    except PackageNotFoundError:
        raise PlatesUnavailable(
            f"plates cannot be read here: the weights of {weights.package} are missing; install with {INSTALL}"
        ) from None
    return Weights(found, weights.sha256)


def verified(weights: Weights) -> bytes:
    """The content of the file. Raises PlatesUnavailable when it is not there or is another one."""
    try:
        content = weights.path.read_bytes()
    except OSError as error:
        raise PlatesUnavailable(f"the weights {weights.path} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != weights.sha256.lower():
        raise PlatesUnavailable(
            f"the weights {weights.path} are not the expected ones: SHA-256 is {found}, expected {weights.sha256}; "
            f"install the expected ones with {INSTALL}, or name these with their digest under models"
        )
    return content
