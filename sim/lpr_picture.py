"""The pictures that fake cameras send: drawn by `sim.pictures`, and made as large as one wants.

Used by the fakes of cameras alone. Pure but for the drawing.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.pictures import ahead, picture
from sim.readings import PlateView

Draw = Callable[[PlateView, str, int], bytes]
"""The JPEG of a view as `frame`, `vehicle` or `plate` with at least so many bytes; empty where it cannot be drawn."""

START_OF_IMAGE, COMMENT = b"\xff\xd8", b"\xff\xfe"
COMMENT_MOST = 0xFFFF - 2
PADDING = b"\r\n--bound\r\n--\r\nContent-Length: 0\r\n\r\n\0"
"""What a careless receiver would stumble over (line ends, something like a boundary, NUL)."""


def camera_picture(view: PlateView, kind: str, least_bytes: int = 0) -> bytes:
    """The picture of `view`, of the plate that is really there."""
    drawn = picture(view.plate or view.text, view.jurisdiction, view.look, kind)
    return padded(drawn, least_bytes)


def warm_up(draw: Draw) -> None:
    """Load what drawing needs, which takes a second or two, before there is a loop that it would keep from its work."""
    if draw is camera_picture:
        camera_picture(PlateView("WARMUP1", 0.0, "", ""), "vehicle")


async def drawn_ahead(view: PlateView, *kinds: str) -> None:
    """Have the pictures of `view` drawn in a thread, so that `camera_picture` does not hold up a loop in real time."""
    for kind in kinds:
        await ahead(view.plate or view.text, view.jurisdiction, view.look, kind)


def padded(jpeg: bytes, least_bytes: int) -> bytes:
    """The same picture with at least so many bytes, in comments behind its first marker (ITU-T T.81, B.2.4.5)."""
    missing = least_bytes - len(jpeg)
    if missing <= 0 or not jpeg.startswith(START_OF_IMAGE):
        return jpeg
    pieces = [START_OF_IMAGE]
    while missing > 0:
        size = min(COMMENT_MOST, missing)
        text = (PADDING * (size // len(PADDING) + 1))[:size]
        pieces += [COMMENT, (size + 2).to_bytes(2, "big"), text]
        missing -= size + 4
    return b"".join([*pieces, jpeg[2:]])
