"""What a camera's picture of a plate looks like: the seam between the fakes of cameras and whoever draws.

Called by the fakes. Needs numpy and OpenCV (the extra `plates`); without them a picture is empty, as cameras send
pictures of no bytes. Never raises for any text.
"""

from __future__ import annotations

import random
from importlib.util import find_spec

SIZES = {"plate": (240, 120), "vehicle": (480, 360), "frame": (640, 360)}
"""Width and height in pixels of each view; an unknown one is drawn like `frame`."""
JPEG_QUALITY = 85


def can_draw() -> bool:
    """What drawing needs is installed."""
    return find_spec("numpy") is not None and find_spec("cv2") is not None


def picture(text: str, jurisdiction: str, seed: int, view: str) -> bytes:
    """A JPEG of a vehicle with this plate as the camera sees it; empty where nothing can be drawn.

    `view` is `plate` (the plate alone), `vehicle` or `frame` (the whole scene). The same arguments give the same
    bytes.
    """
    if not can_draw():
        return b""
    import cv2
    import numpy as np

    width, height = SIZES.get(view, SIZES["frame"])
    noise = np.random.default_rng(random.Random(f"{seed}/{view}").getrandbits(64))
    image = noise.integers(60, 90, (height, width, 3), dtype=np.uint8)
    plate_width = width if view == "plate" else width // 4
    plate_height = plate_width // 2
    left, top = (width - plate_width) // 2, (height - plate_height) * 2 // 3
    cv2.rectangle(image, (left, top), (left + plate_width, top + plate_height), (235, 235, 235), -1)
    scale = plate_width / 170.0
    for line, at, size in ((jurisdiction, 0.25, 0.5), (text, 0.75, 1.0)):
        place = left + plate_width // 20, top + round(plate_height * at)
        shown = line.encode("ascii", "replace").decode()[:16]
        cv2.putText(image, shown, place, cv2.FONT_HERSHEY_SIMPLEX, size * scale, (40, 20, 20), max(1, round(2 * scale)))
    done, encoded = cv2.imencode(".jpg", image, [int(cv2.IMWRITE_JPEG_QUALITY), JPEG_QUALITY])
    return encoded.tobytes() if done else b""
