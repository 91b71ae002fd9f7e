"""What a camera's picture of a plate looks like: the seam between the fakes of cameras and whoever draws.

Called by the fakes. Needs numpy and OpenCV (the extra `plates`); without them a picture is empty, as cameras send
pictures of no bytes. Never raises for any text.
"""

from __future__ import annotations

import asyncio
import random
from functools import lru_cache
from importlib.util import find_spec

from sim.virtual_clock import VirtualLoop

SIZES = {"plate": (240, 120), "vehicle": (480, 360), "frame": (640, 360)}
"""Width and height in pixels of each view; an unknown one is drawn like `frame`."""
KEPT = 64
"""Pictures that are kept: a camera sends one of them several times. They are some 30 KB each."""
PLATE_PART = {"vehicle": 0.3, "frame": 0.2}
"""How wide the plate is in a view, as a part of the picture."""
BADNESS = 0.5
"""How much spoils a picture: a camera that is well set up, see `sim.plates.shot`."""


def can_draw() -> bool:
    """What drawing needs is installed."""
    return find_spec("numpy") is not None and find_spec("cv2") is not None


@lru_cache(maxsize=KEPT)
def picture(text: str, jurisdiction: str, seed: int, view: str) -> bytes:
    """A JPEG of a vehicle with this plate as the camera sees it; empty where nothing can be drawn.

    `view` is `plate` (the plate alone), `vehicle` or `frame` (the whole scene). The same arguments give the same
    bytes. Takes some 20 ms of one core, so on a loop in real time ask `ahead` first.
    """
    if not can_draw():
        return b""
    from sim.plates.formats import plate_of
    from sim.plates.render import Vehicle, close_up, render
    from sim.plates.shot import draw_shot

    # Vehicle and scene are the same in all views of one car; what is by chance about the shot is not.
    vehicle = Vehicle.draw(random.Random(f"{seed}/vehicle"), plate_of(text, jurisdiction))
    rng, size = random.Random(f"{seed}/{view}"), SIZES.get(view, SIZES["frame"])
    if view == "plate":
        return close_up(vehicle, size, rng)
    plate_px = PLATE_PART.get(view, PLATE_PART["frame"]) * size[0]
    return render(vehicle, draw_shot(rng, size=size, plate_px=plate_px, badness=BADNESS), rng).jpeg


@lru_cache(maxsize=KEPT // 2)
def scene(
    text: str, jurisdiction: str, seed: int, site: int, size: tuple[int, int], distance_m: float, take: int = 0
) -> bytes:
    """A JPEG of the lane with a vehicle so far from where the camera is aimed at; without `text` an empty lane.

    `seed` makes the vehicle and the light that it comes in, `site` what is behind it, `take` what differs
    between two pictures of the same. Empty where nothing can be drawn.
    """
    if not can_draw():
        return b""
    from sim.plates.formats import plate_of
    from sim.plates.render import Vehicle, render
    from sim.plates.shot import draw_shot, from_afar

    vehicle = Vehicle.draw(random.Random(f"{seed}/vehicle"), plate_of(text, jurisdiction)) if text else None
    shot = draw_shot(random.Random(f"{seed}/light"), size=size, plate_px=AIMED_PART * size[0], badness=BADNESS)
    grain = random.Random(f"{seed}/{distance_m:.2f}/{take}")
    return render(vehicle, from_afar(shot, distance_m), grain, surroundings=site).jpeg


AIMED_PART = 0.15
"""How wide a plate is where the camera is aimed at, as a part of the picture."""


async def ahead(text: str, jurisdiction: str, seed: int, view: str) -> None:
    """Have `picture` ready without keeping the loop from its work: drawn in a thread, unless time is virtual.

    On a virtual clock it is left to `picture`: nobody waits in real time, and threads would end in any order.
    """
    if not isinstance(asyncio.get_running_loop(), VirtualLoop):
        await asyncio.to_thread(picture, text, jurisdiction, seed, view)


async def scene_off_loop(
    text: str, jurisdiction: str, seed: int, site: int, size: tuple[int, int], distance_m: float, take: int = 0
) -> bytes:
    """`scene`, drawn in a thread unless time is virtual: some 80 ms of one core at 1280 by 720."""
    if isinstance(asyncio.get_running_loop(), VirtualLoop):
        return scene(text, jurisdiction, seed, site, size, distance_m, take)
    return await asyncio.to_thread(scene, text, jurisdiction, seed, site, size, distance_m, take)
