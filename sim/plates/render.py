"""A plate to a picture: the vehicle in front of a lane's camera, with the truth about what can be read in it.

Called by the camera fakes (through `sim.pictures`) and by `python -m sim.plates`. Everything by chance comes from the
generator that is given: the same state of it gives the same bytes, with the same OpenCV.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.plates.face import Image, Look, draw_face
from sim.plates.formats import Plate
from sim.plates.scene import Body, added, draw_background, draw_body, lamps_m, plate_at_m, stamp
from sim.plates.shot import Light, Shot, approach

PLATE_WIDTH_M = 0.305
FOCAL = 1.6
"""Focal length in picture widths: a lens of about 35 degrees."""
MOST_PX_PER_M = 500.0
"""The vehicle is not drawn finer than this; its plate is."""

Corner = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is written on the plate in a picture, and where: its corners from the upper left, clockwise, in pixels."""

    text: str
    jurisdiction: str
    corners: tuple[Corner, Corner, Corner, Corner]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width and height of the upright rectangle around it."""
        xs, ys = [x for x, _ in self.corners], [y for _, y in self.corners]
        left, top = math.floor(min(xs)), math.floor(min(ys))
        return left, top, math.ceil(max(xs)) - left, math.ceil(max(ys)) - top


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and the truth about it: None where there is no plate in it."""

    jpeg: bytes
    truth: Truth | None


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle to be pictured: its plate (None: it has none on this side) and what it looks like."""

    plate: Plate | None
    look: Look
    body: Body
    surroundings: int
    """Seed of the scene behind it."""

    @classmethod
    def draw(cls, rng: random.Random, plate: Plate | None) -> Vehicle:
        return cls(plate, Look.draw(rng), Body.draw(rng), rng.getrandbits(64))


def render(vehicle: Vehicle | None, shot: Shot, rng: random.Random, surroundings: int | None = None) -> Picture:
    """One picture; of the empty lane where there is no vehicle. `surroundings` if they are not the vehicle's."""
    if surroundings is None:
        surroundings = vehicle.surroundings if vehicle is not None else rng.getrandbits(64)
    image = draw_background(random.Random(surroundings), shot.size)
    truth, lamps = None, []
    ambient = _AMBIENT[shot.light]
    image = _lit(image, ambient * shot.exposure)
    if vehicle is not None:
        plane = _plane(shot)
        x_m, y_m = plate_at_m(vehicle.body)
        _add_body(
            image, vehicle.body, plane, min(MOST_PX_PER_M, shot.plate_px / PLATE_WIDTH_M), ambient * shot.exposure
        )
        lamps = [_seen(plane, (x - x_m, y - y_m)) for x, y in lamps_m(vehicle.body)]
        if vehicle.plate is not None:
            corners = _add_plate(image, vehicle.plate, vehicle.look, plane, shot, rng)
            truth = Truth(vehicle.plate.text, vehicle.plate.jurisdiction, corners)
    return Picture(_encoded(_taken(image, shot, lamps, rng), shot), truth)


def sequence(vehicle: Vehicle, last: Shot, frames: int, rng: random.Random) -> list[Picture]:
    """Pictures of one vehicle coming nearer; the last one is the nearest."""
    return [render(vehicle, shot, rng) for shot in approach(rng, last, frames)]


def close_up(vehicle: Vehicle, size: tuple[int, int], rng: random.Random) -> bytes:
    """The plate alone, a little askew, as cameras cut it out; a JPEG."""
    width = size[0]
    shot = Shot(
        size=size, plate_px=0.92 * width, at=(0.5, 0.5), yaw_deg=rng.uniform(-12, 12), roll_deg=rng.gauss(0.0, 1.5)
    )
    image = np.full((size[1], width, 3), 90, np.uint8)
    if vehicle.plate is not None:
        _add_plate(image, vehicle.plate, vehicle.look, _plane(shot), shot, rng)
    return _encoded(_taken(image, shot, [], rng), shot)


# --- geometry ---------------------------------------------------------------------------------------------------------

Matrix = NDArray[np.float64]


def _plane(shot: Shot) -> Matrix:
    """From metres in the plate's plane (x right, y down, its middle at 0) to pixels: a pinhole camera."""
    yaw, pitch, roll = (math.radians(angle) for angle in (shot.yaw_deg, shot.pitch_deg, shot.roll_deg))
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    turned = about_z @ about_x @ about_y
    width, height = shot.size
    focal_px = FOCAL * width
    away_m = focal_px * PLATE_WIDTH_M / shot.plate_px
    lens = np.array([[focal_px, 0, shot.at[0] * width], [0, focal_px, shot.at[1] * height], [0, 0, 1]])
    placed: Matrix = lens @ np.column_stack((turned[:, 0], turned[:, 1], (0.0, 0.0, away_m)))
    return placed


def _seen(plane: Matrix, at_m: Corner) -> Corner:
    x, y, z = plane @ np.array((*at_m, 1.0))
    return float(x / z), float(y / z)


def _texture(px_per_m: float, origin_m: Corner) -> Matrix:
    """From pixels of a flat drawing to metres in the plane."""
    return np.array([[1 / px_per_m, 0, -origin_m[0]], [0, 1 / px_per_m, -origin_m[1]], [0, 0, 1]])


def _add_body(image: Image, body: Body, plane: Matrix, px_per_m: float, light: float) -> None:
    drawn, mask = draw_body(body, px_per_m)
    _put(image, _lit(drawn, light), mask, plane @ _texture(px_per_m, plate_at_m(body)))


def _add_plate(
    image: Image, plate: Plate, look: Look, plane: Matrix, shot: Shot, rng: random.Random
) -> tuple[Corner, Corner, Corner, Corner]:
    face = draw_face(plate, look)
    # Twice as fine as it will be seen: finer would alias, coarser would blur.
    width = max(16, min(face.shape[1], round(2.0 * shot.plate_px)))
    small = np.asarray(cv2.resize(face, (width, width // 2), interpolation=cv2.INTER_AREA), np.uint8)
    if shot.dirt > 0.0:
        small = _dirty(small, shot.dirt, rng)
    small = _lit(small, _PLATE[shot.light] * shot.exposure)
    px_per_m = width / PLATE_WIDTH_M
    half_m = (PLATE_WIDTH_M / 2, PLATE_WIDTH_M / 4)
    _put(image, small, np.full(small.shape[:2], 255, np.uint8), plane @ _texture(px_per_m, half_m))
    x, y = half_m
    upper_left, upper_right = _seen(plane, (-x, -y)), _seen(plane, (x, -y))
    return upper_left, upper_right, _seen(plane, (x, y)), _seen(plane, (-x, y))


def _put(image: Image, drawn: Image, mask: Image, matrix: Matrix) -> None:
    """A flat drawing, as the matrix sees it, over the image; only the part of the image that it covers is touched."""
    height, width = image.shape[:2]
    high, wide = drawn.shape[:2]
    seen = cv2.perspectiveTransform(np.array([[(0, 0), (wide, 0), (wide, high), (0, high)]], np.float64), matrix)[0]
    left, top = (max(0, math.floor(low)) for low in seen.min(axis=0))
    right, bottom = min(width, math.ceil(seen[:, 0].max()) + 1), min(height, math.ceil(seen[:, 1].max()) + 1)
    if right <= left or bottom <= top:
        return
    moved = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    size = (right - left, bottom - top)
    over = cv2.warpPerspective(drawn, moved, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    part = cv2.warpPerspective(mask, moved, size, flags=cv2.INTER_LINEAR)
    cv2.copyTo(over, cv2.threshold(part, 127, 255, cv2.THRESH_BINARY)[1], image[top:bottom, left:right])


# --- light and lens ---------------------------------------------------------------------------------------------------

_AMBIENT = {Light.DAY: 1.0, Light.DUSK: 0.55, Light.NIGHT: 0.22, Light.INFRARED: 0.28}
_PLATE = {Light.DAY: 1.0, Light.DUSK: 0.7, Light.NIGHT: 0.75, Light.INFRARED: 0.95}
"""Plates throw a lamp's light back to where it came from: they stay bright in the dark."""
_INFRARED = np.array([[0.45, 0.4, 0.15]] * 3, np.float32)
"""What infrared makes of red, green and blue: reds are pale, blues are dark."""


def _lit(image: Image, gain: float) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8)


def _dirty(face: Image, dirt: float, rng: random.Random) -> Image:
    """Dust in clouds and some splashes, thinner than what would hide a glyph."""
    height, width = face.shape[:2]
    numbers = np.random.default_rng(rng.getrandbits(64))
    clouds = cv2.resize(numbers.random((5, 9), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    part = np.clip(clouds - 0.35, 0.0, 1.0) * 0.75 * dirt
    splashes = np.zeros((height, width), np.uint8)
    for _ in range(round(18 * dirt)):
        centre = (rng.randrange(width), rng.randrange(height))
        radius = rng.uniform(0.003, 0.0125) * width
        cv2.circle(splashes, centre, max(1, round(radius)), 255, -1, cv2.LINE_AA)
    part = np.maximum(part, splashes.astype(np.float32) / 255.0 * 0.8)[..., None]
    return np.asarray(face * (1.0 - part) + np.array((122, 104, 82), np.float32) * part).astype(np.uint8)


def _taken(image: Image, shot: Shot, lamps: list[Corner], rng: random.Random) -> Image:
    """What lens, sensor and camera make of the scene."""
    if shot.light is not Light.DAY:
        reach = {Light.DUSK: 0.4, Light.NIGHT: 1.0, Light.INFRARED: 0.35}[shot.light]
        for lamp in lamps:
            _glow(image, lamp, 0.45 * shot.plate_px, 230.0 * reach)
    if shot.glare > 0.0:
        width, height = shot.size
        x = shot.at[0] * width + shot.glare_at[0] * shot.plate_px
        y = shot.at[1] * height + shot.glare_at[1] * shot.plate_px / 2
        _glow(image, (x, y), 0.28 * shot.plate_px, 190.0 * shot.glare)
    if shot.light is Light.INFRARED:
        image = np.asarray(cv2.transform(image, _INFRARED), np.uint8)
    if shot.blur_px > 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), shot.blur_px), np.uint8)
    if shot.motion_px > 1.0:
        image = np.asarray(cv2.filter2D(image, -1, _smear(shot.motion_px, shot.motion_deg)), np.uint8)
    image = _noisy(image, shot.noise, rng)
    if shot.stamped:
        stamp(image, rng)
    return image


def _glow(image: Image, centre: Corner, radius_px: float, strength: float) -> None:
    """Light that adds to what is there, fading with the distance. In place."""
    height, width = image.shape[:2]
    reach = 2.6 * radius_px
    left, top = max(0, math.floor(centre[0] - reach)), max(0, math.floor(centre[1] - reach))
    right, bottom = min(width, math.ceil(centre[0] + reach)), min(height, math.ceil(centre[1] + reach))
    if right <= left or bottom <= top:
        return
    dx = np.exp(-(((np.arange(left, right, dtype=np.float32) - centre[0]) / radius_px) ** 2))
    dy = np.exp(-(((np.arange(top, bottom, dtype=np.float32) - centre[1]) / radius_px) ** 2))
    light = (np.outer(dy, dx) * strength).astype(np.uint8)
    part = image[top:bottom, left:right]
    np.copyto(part, cv2.add(part, cv2.merge([light] * 3)))


def _smear(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """The kernel of a movement during the exposure."""
    size = 2 * math.ceil(length_px / 2) + 3
    kernel = np.zeros((size, size), np.float32)
    middle, angle = size / 2, math.radians(angle_deg)
    dx, dy = math.cos(angle) * length_px / 2, math.sin(angle) * length_px / 2
    ends = [(round((middle + sign * dx - 0.5) * 16), round((middle + sign * dy - 0.5) * 16)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    total = float(kernel.sum())
    return kernel / np.float32(total)


def _noisy(image: Image, deviation: float, rng: random.Random) -> Image:
    numbers = np.random.default_rng(rng.getrandbits(64))
    if deviation <= 0.0:
        return image
    height, width = image.shape[:2]
    # A quarter of the grain, used four times with another shift: drawing all of it is half the work of a picture.
    strip = (numbers.standard_normal((height // 4 + 1, width), np.float32) * np.float32(deviation)).astype(np.int16)
    grain = np.vstack([np.roll(strip, int(numbers.integers(width)), axis=1) for _ in range(4)])[:height]
    return added(image, grain)


def _encoded(image: Image, shot: Shot) -> bytes:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [int(cv2.IMWRITE_JPEG_QUALITY), shot.quality])
    return data.tobytes() if done else b""
