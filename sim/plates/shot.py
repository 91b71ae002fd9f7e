"""How one picture is taken: where the camera stands, what light there is, and what spoils the picture.

Used by `render`. Pure: draws its numbers from the generator that it is given.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum


class Light(StrEnum):
    """What lights the scene."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. Sizes in pixels, angles in degrees; shares from 0 (none) to 1 (as bad as it is drawn)."""

    size: tuple[int, int] = (1280, 720)
    """Width and height."""
    plate_px: float = 140.0
    """Width of the plate, seen straight on."""
    at: tuple[float, float] = (0.5, 0.62)
    """Middle of the plate, as a part of width and height."""
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    light: Light = Light.DAY
    exposure: float = 1.0
    blur_px: float = 0.0
    """Standard deviation of what is out of focus."""
    motion_px: float = 0.0
    """How far the vehicle moves during the exposure."""
    motion_deg: float = 90.0
    glare: float = 0.0
    """A bright spot on or near the plate."""
    glare_at: tuple[float, float] = (0.5, 0.0)
    """Where, in plate widths and heights from its middle."""
    dirt: float = 0.0
    noise: float = 2.0
    """Standard deviation of the sensor's noise, in grey levels."""
    quality: int = 88
    """Of the JPEG."""
    stamped: bool = False
    """The camera writes its name and the time into the picture."""


def draw_shot(
    rng: random.Random, *, size: tuple[int, int] = (1280, 720), plate_px: float | None = None, badness: float = 1.0
) -> Shot:
    """A picture as a lane's camera may take it. `badness` scales what spoils it: 0 is a clean studio view.

    Blur is kept below the width of a stroke: what nobody can read is no test of reading.
    """
    width = size[0]
    px = plate_px if plate_px is not None else width * (0.075 * 3.0 ** rng.random())
    light = rng.choices(tuple(Light), (6, 1.5, 1, 2))[0]
    dark = light in (Light.NIGHT, Light.INFRARED)
    return Shot(
        size=size,
        plate_px=px,
        at=(rng.uniform(0.3, 0.7), rng.uniform(0.45, 0.75)),
        yaw_deg=badness * rng.uniform(-28.0, 28.0),
        pitch_deg=badness * rng.uniform(-16.0, 10.0),
        roll_deg=badness * rng.gauss(0.0, 2.5),
        light=light,
        exposure=1.0 + badness * rng.uniform(-0.3, 0.25),
        blur_px=badness * px * 0.006 * rng.random() ** 1.5,
        motion_px=badness * px * 0.02 * rng.random() ** 2,
        motion_deg=rng.gauss(90.0, 20.0),
        glare=badness * max(0.0, rng.uniform(-1.0, 0.8)),
        glare_at=(rng.uniform(-0.6, 0.6), rng.uniform(-0.8, 0.8)),
        dirt=badness * max(0.0, rng.uniform(-0.6, 0.7)),
        noise=1.0 + badness * rng.uniform(0.0, 9.0 if dark else 5.0),
        quality=rng.randint(70, 94),
        stamped=rng.random() < 0.4,
    )


def approach(rng: random.Random, last: Shot, frames: int) -> list[Shot]:
    """Pictures of one vehicle coming nearer, 200 ms or so apart; `last` is the nearest. What is by chance changes."""
    shots = []
    drift, fall = rng.uniform(-0.02, 0.02), rng.uniform(0.015, 0.04)
    for back in range(frames - 1, -1, -1):
        nearness = 1.0 / (1.0 + 0.09 * back)
        shots.append(
            replace(
                last,
                plate_px=last.plate_px * nearness,
                at=(last.at[0] - drift * back, last.at[1] - fall * back),
                yaw_deg=last.yaw_deg * (1.0 - 0.03 * back) + rng.gauss(0.0, 0.3),
                pitch_deg=last.pitch_deg * (1.0 - 0.03 * back) + rng.gauss(0.0, 0.3),
                blur_px=last.blur_px * rng.uniform(0.5, 1.5) * nearness,
                motion_px=last.motion_px * rng.uniform(0.5, 1.5) * nearness,
                glare=min(1.0, last.glare * rng.uniform(0.4, 1.2)),
                glare_at=(last.glare_at[0] + 0.12 * back, last.glare_at[1]),
                exposure=last.exposure * rng.uniform(0.93, 1.07),
            )
        )
    return shots


def from_afar(aimed: Shot, distance_m: float, sharp_at_m: float = 5.0) -> Shot:
    """The shot of a plate `distance_m` before (or, negative, beyond) the place that the camera is aimed at.

    The camera is `sharp_at_m` from that place. A vehicle far away is small and higher up in the picture.
    """
    nearness = min(sharp_at_m / max(0.5 * sharp_at_m, sharp_at_m + distance_m), 2.0)
    away = 1.0 - nearness
    at = (aimed.at[0] + (0.5 - aimed.at[0]) * away, aimed.at[1] + (0.3 - aimed.at[1]) * away)
    return replace(aimed, plate_px=aimed.plate_px * nearness, at=at, blur_px=aimed.blur_px * nearness)
