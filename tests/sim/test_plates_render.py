"""Rendered plates: texts by their formats, pictures by their truth, the same bytes by the same seed."""

from __future__ import annotations

import csv
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.pictures import picture, scene
from sim.plates.formats import LETTERS, Plate, designs, draw_plate, filled, lay_out, plate_of
from sim.plates.glyphs import FACES, HEIGHT, STROKES, WIDTH, strokes
from sim.plates.shot import Light, Shot, approach, draw_shot, from_afar
from sim.world.plan import JURISDICTIONS

BORDER = {"US-CA", "US-AZ", "US-NM", "US-TX"}


# --- formats: no numpy needed -----------------------------------------------------------------------------------------


def test_there_are_the_border_states_ten_others_and_the_mexican_formats() -> None:
    names = {design.jurisdiction for design in designs()}
    assert names >= BORDER
    assert len({name for name in names - BORDER if name.startswith("US-")}) >= 10
    assert len({name for name in names if name.startswith("MX-")}) >= 6
    uses = {series.of for design in designs() if design.jurisdiction.startswith("MX") for series in design.series}
    assert uses >= {"passenger", "truck", "federal cargo"}


def test_every_pattern_is_of_letters_digits_and_separators_and_at_most_eight_signs() -> None:
    for design in designs():
        for series in design.series:
            assert re.fullmatch(r"[A9 \-\[\]]+", series.pattern), series.pattern
            assert 5 <= len(re.sub(r"[^A9]", "", series.pattern)) <= 8


def test_a_drawn_text_fits_its_pattern_and_the_letter_range_of_its_state() -> None:
    rng = random.Random(1)
    for _ in range(500):
        plate = draw_plate(rng, vanity_share=0.0)
        series = [s for s in plate.design.series if _shape(s.pattern) == _shape(plate.pattern)]
        assert series, plate.pattern
        if plate.design.jurisdiction == "MX-BCN":
            assert "AGA" <= plate.text[:3] <= "CYZ"
        assert re.fullmatch(r"[A-Z0-9]+", plate.text)


def _shape(pattern: str) -> str:
    return re.sub(r"[0-9]", "9", re.sub(r"[A-Z]", "A", pattern))


@pytest.mark.parametrize(("jurisdiction", "pattern"), [(name, pattern) for name, pattern, _ in JURISDICTIONS])
def test_every_kind_of_plate_of_the_simulated_world_has_a_layout(jurisdiction: str, pattern: str) -> None:
    text = pattern.replace("A", "K").replace("9", "4")
    plate = plate_of(text, jurisdiction)
    assert plate.jurisdiction == jurisdiction
    assert _shape(plate.pattern) in {_shape(series.pattern) for series in plate.design.series}


def test_a_mexican_text_of_a_federal_pattern_goes_on_a_federal_plate() -> None:
    assert plate_of("12AB3C", "MX-SON").design.name == "SERVICIO PUBLICO FEDERAL"


def test_a_text_that_fits_nothing_is_laid_out_as_it_is() -> None:
    assert plate_of("GOFAST", "US-CA").pattern == "GOFAST"
    assert plate_of("ABC123", "XX-YY").jurisdiction == ""


def test_stacked_glyphs_share_a_place_and_separators_take_room() -> None:
    layout = lay_out(filled("9[AA]9-99", "1AB234"))
    assert [(cell.glyph, cell.half) for cell in layout.cells][1:3] == [("A", "upper"), ("B", "lower")]
    assert layout.cells[1].at == layout.cells[2].at == 1.0
    assert layout.dashes == (3.0,)
    assert layout.width == pytest.approx(5 + 2 / 3)


# --- glyphs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", [face for face in FACES if not face.built_in], ids=lambda face: face.name)
def test_every_letter_and_digit_has_strokes_within_its_cell(face) -> None:  # type: ignore[no-untyped-def]
    for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        points = [point for line in strokes(sign, face) for point in line]
        assert len(points) >= 2
        assert all(-0.01 <= x <= WIDTH + 0.25 and -0.01 <= y <= HEIGHT + 0.35 for x, y in points), sign


def test_faces_differ_and_a_sign_without_a_glyph_draws_nothing() -> None:
    assert len({strokes("S", face) for face in FACES if not face.built_in}) >= 3
    assert strokes("?", FACES[0]) == ()
    assert set(LETTERS) <= set(STROKES)


# --- shots ------------------------------------------------------------------------------------------------------------


def test_a_vehicle_that_comes_nearer_grows_and_its_last_picture_is_as_asked_for() -> None:
    last = draw_shot(random.Random(3), plate_px=180.0)
    shots = approach(random.Random(4), last, 5)
    widths = [shot.plate_px for shot in shots]
    assert widths == sorted(widths)
    assert widths[-1] == 180.0
    assert shots[-1].at == last.at


def test_far_away_is_small_and_beyond_the_aim_is_large_but_bounded() -> None:
    aimed = Shot(plate_px=150.0)
    assert from_afar(aimed, 5.0).plate_px == pytest.approx(75.0)
    assert from_afar(aimed, 0.0) == aimed
    assert from_afar(aimed, -50.0).plate_px == 300.0


# --- pictures ---------------------------------------------------------------------------------------------------------


def _decoded(jpeg: bytes):  # type: ignore[no-untyped-def]
    cv2 = pytest.importorskip("cv2")
    numpy = pytest.importorskip("numpy")
    return cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)


def _vehicle(seed: int, plate: Plate | None):  # type: ignore[no-untyped-def]
    pytest.importorskip("cv2")
    from sim.plates.render import Vehicle

    return Vehicle.draw(random.Random(seed), plate)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    pytest.importorskip("cv2")
    from sim.plates.render import render

    def taken(seed: int) -> bytes:
        rng = random.Random(seed)
        return render(_vehicle(seed, draw_plate(rng)), draw_shot(rng, size=(320, 180)), rng).jpeg

    assert taken(5) == taken(5)
    assert taken(5) != taken(6)


def test_the_truth_is_where_the_plate_is() -> None:
    """A white plate on a dark vehicle: inside the corners it is bright, well outside of them it is not."""
    pytest.importorskip("cv2")
    from dataclasses import replace

    from sim.plates.render import render

    vehicle = _vehicle(1, plate_of("7KRM482", "US-CA"))
    vehicle = replace(vehicle, body=replace(vehicle.body, paint=(20, 20, 22), grille="none", sticker="", badge=""))
    vehicle = replace(vehicle, look=replace(vehicle.look, frame=""))
    shot = Shot(size=(640, 360), plate_px=150.0, yaw_deg=18.0, roll_deg=4.0, noise=0.0, quality=95)
    taken = render(vehicle, shot, random.Random(1))
    assert taken.truth is not None
    assert (taken.truth.text, taken.truth.jurisdiction) == ("7KRM482", "US-CA")
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    mask = numpy.zeros((360, 640), numpy.uint8)
    cv2.fillPoly(mask, [numpy.array(taken.truth.corners, numpy.int32)], 255)
    grey = _decoded(taken.jpeg).mean(axis=2)
    x, y, w, h = taken.truth.box
    around = numpy.zeros_like(mask)
    around[y - 8 : y + h + 8, x - 8 : x + w + 8] = 255
    around[cv2.dilate(mask, numpy.ones((7, 7), numpy.uint8)) > 0] = 0
    assert grey[mask > 0].mean() > 150
    assert grey[around > 0].mean() < 60
    assert 120 <= w <= 160
    assert 60 <= h <= 100


@pytest.mark.parametrize("light", list(Light))
def test_every_light_leaves_the_glyphs_apart_from_their_ground(light: Light) -> None:
    pytest.importorskip("cv2")
    from sim.plates.render import render

    shot = Shot(size=(640, 360), plate_px=200.0, light=light, dirt=0.5, glare=0.4)
    for jurisdiction, text in (("US-CA", "7KRM482"), ("US-NM", "482KRM"), ("MX-BCN", "AKR482M")):
        taken = render(_vehicle(2, plate_of(text, jurisdiction)), shot, random.Random(2))
        assert taken.truth is not None
        x, y, w, h = taken.truth.box
        middle = _decoded(taken.jpeg)[y + h // 3 : y + 2 * h // 3, x : x + w].mean(axis=2)
        assert middle.std() > 15


def test_infrared_has_no_colour() -> None:
    pytest.importorskip("cv2")
    from sim.plates.render import render

    shot = Shot(size=(320, 180), light=Light.INFRARED, quality=95)
    image = _decoded(render(_vehicle(3, plate_of("482KRM", "US-NM")), shot, random.Random(3)).jpeg).astype(int)
    assert abs(image[..., 0] - image[..., 2]).mean() < 2


def test_a_vehicle_without_a_plate_and_an_empty_lane_have_no_truth() -> None:
    pytest.importorskip("cv2")
    from sim.plates.render import render

    for vehicle in (_vehicle(4, None), None):
        taken = render(vehicle, draw_shot(random.Random(4), size=(320, 180)), random.Random(4))
        assert taken.truth is None
        assert _decoded(taken.jpeg).shape == (180, 320, 3)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12), st.sampled_from(["US-CA", "MX-TAM", "", "XX"]), st.sampled_from(["plate", "vehicle", "?"]))
def test_any_text_can_be_pictured(text: str, jurisdiction: str, view: str) -> None:
    pytest.importorskip("cv2")
    assert picture(text, jurisdiction, 1, view).startswith(b"\xff\xd8")


def test_the_views_of_one_car_show_the_same_plate_at_their_own_sizes() -> None:
    for view, shape in (("plate", (120, 240, 3)), ("vehicle", (360, 480, 3)), ("frame", (360, 640, 3))):
        assert _decoded(picture("7KRM482", "US-CA", 9, view)).shape == shape


def test_a_lane_is_pictured_with_and_without_a_vehicle_before_the_same_background() -> None:
    empty = _decoded(scene("", "", 1, 77, (640, 360), 0.0))
    taken = _decoded(scene("7KRM482", "US-CA", 1, 77, (640, 360), 40.0))
    corner = (slice(0, 40), slice(0, 40))
    assert abs(empty[corner].astype(int).mean() - taken[corner].astype(int).mean()) < 12
    assert (abs(empty.astype(int) - taken.astype(int)).max(axis=2) > 60).any()


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_pictures_and_their_truth(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    from sim.plates.__main__ import main

    arguments = ["--count", "2", "--frames", "3", "--without-plates", "2", "--seed", "5", "--size", "320x180"]
    assert main(["--out", str(tmp_path / "a"), *arguments]) == 0
    assert main(["--out", str(tmp_path / "b"), *arguments]) == 0
    with (tmp_path / "a" / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["file", "x", "y", "w", "h", "plate"]
    assert [bool(row["plate"]) for row in rows] == [True] * 6 + [False] * 2
    assert [row["vehicle"] for row in rows[:6]] == ["00000"] * 3 + ["00001"] * 3
    for row in rows:
        assert (tmp_path / "a" / row["file"]).read_bytes() == (tmp_path / "b" / row["file"]).read_bytes()
        assert row["plate"] not in row["file"] or not row["plate"]


def test_without_numpy_and_opencv_pictures_are_empty_and_the_command_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['cv2'] = sys.modules['numpy'] = None\n"
    asked = program + "from sim.plates.__main__ import main; sys.exit(main(['--out', sys.argv[1]]))"
    done = subprocess.run(
        [sys.executable, "-c", asked, str(tmp_path / "out")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "lanecontrol[plates]" in done.stderr
    asked = program + "from sim.pictures import picture; print(picture('A1', 'US-CA', 1, 'frame'))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "b''", done.stderr
