"""What spoils a rendered picture, one thing at a time; and every design of a plate, as a camera serves it."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from sim.pictures import scene
from sim.plates.formats import Plate, designs, filled, plate_of
from sim.plates.shot import Light, Shot
from sim.world.plan import JURISDICTIONS

cv2: Any = pytest.importorskip("cv2", reason="pictures are drawn with the extra `plates`")
numpy: Any = pytest.importorskip("numpy", reason="pictures are drawn with the extra `plates`")

BORDER = {"US-CA", "US-AZ", "US-NM", "US-TX"}


def _decoded(jpeg: bytes) -> Any:
    return cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)


def _vehicle(seed: int, plate: Plate | None) -> Any:
    from sim.plates.render import Vehicle

    return Vehicle.draw(random.Random(seed), plate)


# --- what spoils a picture, one by one -------------------------------------------------------------------------------


def _plate_seen(**spoilt: Any) -> tuple[Any, Any]:
    """The plate's part of a picture in grey, and where its corners are, with nothing spoilt but this."""
    from sim.plates.render import render

    shot = Shot(**{"size": (640, 360), "plate_px": 200.0, "noise": 0.0, "quality": 95, **spoilt})
    taken = render(_vehicle(2, plate_of("7KRM482", "US-CA")), shot, random.Random(2))
    assert taken.truth is not None
    x, y, w, h = taken.truth.box
    return _decoded(taken.jpeg)[y : y + h, x : x + w].mean(axis=2), taken.truth.corners


def _sharpness(grey: Any) -> float:
    """How much neighbours differ, in both directions."""
    return float(sum(abs(numpy.diff(grey, axis=axis)).mean() for axis in (0, 1)))


@pytest.mark.parametrize("spoilt", [{"blur_px": 3.0}, {"motion_px": 12.0}, {"motion_px": 12.0, "motion_deg": 0.0}])
def test_blur_and_movement_take_the_edges_of_glyphs(spoilt: dict[str, float]) -> None:
    assert _sharpness(_plate_seen(**spoilt)[0]) < 0.7 * _sharpness(_plate_seen()[0])


def test_noise_makes_the_picture_grainy() -> None:
    assert _sharpness(_plate_seen(noise=12.0)[0]) > 1.2 * _sharpness(_plate_seen()[0])


def test_glare_burns_out_a_part_of_the_plate() -> None:
    plain, glaring = _plate_seen()[0], _plate_seen(glare=1.0, glare_at=(0.0, 0.0))[0]
    assert (glaring > 250).mean() > (plain > 250).mean() + 0.1


def test_dirt_dulls_the_plate_and_leaves_it_legible() -> None:
    plain, dirty = _plate_seen()[0], _plate_seen(dirt=1.0)[0]
    assert dirty.mean() < plain.mean() - 8
    assert dirty.std() > 15


def test_night_is_darker_than_day_around_a_plate_that_throws_light_back() -> None:
    from sim.plates.render import render

    whole = {}
    for light in (Light.DAY, Light.NIGHT, Light.INFRARED):
        shot = Shot(size=(640, 360), plate_px=120.0, light=light, noise=0.0)
        taken = render(_vehicle(2, plate_of("7KRM482", "US-CA")), shot, random.Random(2))
        assert taken.truth is not None
        x, y, w, h = taken.truth.box
        image = _decoded(taken.jpeg)
        whole[light] = (image.mean(), image[y : y + h, x : x + w].mean())
    for light in (Light.NIGHT, Light.INFRARED):
        assert whole[light][0] < 0.6 * whole[Light.DAY][0]
        assert whole[light][1] > 0.6 * whole[Light.DAY][1]


@pytest.mark.parametrize("turned", [{"yaw_deg": 25.0}, {"pitch_deg": 15.0}, {"roll_deg": 6.0}])
def test_a_plate_seen_from_the_side_is_no_rectangle_and_its_truth_knows(turned: dict[str, float]) -> None:
    straight, seen = _plate_seen()[1], _plate_seen(**turned)[1]
    moved_px = max(
        abs(a - b) for one, other in zip(straight, seen, strict=True) for a, b in zip(one, other, strict=True)
    )
    assert moved_px > 2
    (left, top), (right, top_right), (far_right, bottom), (far_left, bottom_left) = seen
    match next(iter(turned)):
        case "yaw_deg":
            assert abs((bottom - top_right) - (bottom_left - top)) > 2, "one side is nearer"
        case "pitch_deg":
            assert abs((right - left) - (far_right - far_left)) > 2, "its upper edge is further away"
        case _:
            assert abs(top_right - top) > 10, "it hangs askew"


# --- every design, as a camera serves it -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(designs())), ids=lambda number: designs()[number].jurisdiction)
def test_every_design_has_glyphs_that_stand_out_and_a_plate_that_is_seen(number: int) -> None:
    from sim.plates.render import render

    design, rng = designs()[number], random.Random(number)
    for series in design.series:
        text = re.sub(r"[^A-Z0-9]", "", series.pattern.replace("9", "4").replace("A", "K"))
        plate = Plate(text, design, filled(series.pattern, text))
        shot = Shot(size=(640, 360), plate_px=200.0, noise=0.0, quality=95)
        taken = render(_vehicle(number, plate), shot, rng)
        assert taken.truth is not None
        assert (taken.truth.text, taken.truth.jurisdiction) == (text, design.jurisdiction)
        x, y, w, h = taken.truth.box
        grey = _decoded(taken.jpeg)[y + h // 3 : y + 3 * h // 4, x : x + w].mean(axis=2)
        assert grey.max() - grey.min() > 80


def test_the_world_has_vehicles_of_the_border_of_further_states_and_of_mexico() -> None:
    names = [name for name, _, _ in JURISDICTIONS]
    assert set(names) >= BORDER
    assert len([name for name in names if name.startswith("US-") and name not in BORDER]) >= 4
    assert len([name for name in names if name.startswith("MX")]) >= 6


@pytest.mark.parametrize(("jurisdiction", "pattern"), [(name, pattern) for name, pattern, _ in JURISDICTIONS])
def test_a_camera_pictures_every_kind_of_plate_of_the_world_where_it_is_aimed(jurisdiction: str, pattern: str) -> None:
    """What the camera fakes serve: the plate is where the lane without the vehicle has none, and is its own."""
    text, size = pattern.replace("A", "K").replace("9", "4"), (640, 360)
    seen = [_decoded(scene(shown, jurisdiction, 3, 1, size, 0.0, 1)).astype(int) for shown in (text, text[::-1], "")]
    differs = abs(seen[0] - seen[1]).max(axis=2) > 60
    assert differs.any(), "another text is another picture"
    ys, xs = differs.nonzero()
    assert xs.max() - xs.min() <= 0.2 * size[0], "and differs only where the plate is"
    assert ys.max() - ys.min() <= 0.2 * size[1]
    assert (abs(seen[0] - seen[2]).max(axis=2) > 30).mean() > 0.05, "the whole vehicle is there"
