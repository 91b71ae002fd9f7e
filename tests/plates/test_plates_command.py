"""`lanecontrol plates` on files made here."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lanecontrol.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("with_weights")]


@pytest.fixture
def folder(tmp_path: Path, plate_picture: Callable[[str], bytes]) -> Path:
    whole = plate_picture("ABC1234")
    (tmp_path / "car.png").write_bytes(whole)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "cut.png").write_bytes(whole[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "lane.png").write_bytes(plate_picture(""))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "table.csv").write_text("no picture either")
    (tmp_path / ".hidden").write_text("not looked at")
    return tmp_path


def test_each_picture_is_a_line_and_the_bad_files_of_a_folder_are_summed_up(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["plates", str(folder), str(folder / "absent.jpg"), "--json"]) == 1
    out, err = capfd.readouterr()
    lines = {Path(line["file"]).name: line for line in map(json.loads, out.splitlines())}
    assert sorted(lines) == ["car.png", "lane.png"]
    car = lines["car.png"]
    assert car.keys() >= {"file", "plate", "confidence", "box", "candidates", "jurisdiction", "ms"}
    assert car["plate"] == "ABC1234"
    assert car["candidates"][0] == {"plate": "ABC1234", "confidence": car["confidence"]}
    assert lines["lane.png"]["plate"] is None
    absent, summed = err.splitlines()
    assert absent == f"lanecontrol plates: {folder / 'absent.jpg'}: no such file"
    assert "4 files in folders are no pictures: " in summed
    assert f"not a JPEG, PNG, BMP or WebP picture ({folder / 'notes.txt'} and 1 more)" in summed
    assert f"the file is empty ({folder / 'empty.jpg'})" in summed
    assert f"({folder / 'below' / 'cut.png'})" in summed


def test_bad_files_that_are_named_have_a_line_each(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plates", str(folder / "notes.txt"), str(folder / "empty.jpg")]) == 1
    _, err = capfd.readouterr()
    assert [line.split(": ")[1].rpartition("/")[2] for line in err.splitlines()] == ["notes.txt", "empty.jpg"]


def test_good_pictures_alone_end_with_0(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plates", str(folder / "car.png")]) == 0
    out, err = capfd.readouterr()
    assert "\tABC1234\t" in out
    assert err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="such names are not possible there")
def test_a_name_of_any_bytes_is_one_line_in_words_and_in_json(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = (folder / "car.png").read_bytes()
    strange = beside(folder, b"two\nlines\x1b[31m\xff.png")
    Path(strange).write_bytes(picture)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(stdout := io.BytesIO(), encoding="utf-8", errors="strict"))
    assert main(["plates", strange]) == 0
    assert main(["plates", strange, "--json"]) == 0
    words, line = stdout.getvalue().decode().splitlines()
    assert words.startswith(f"{folder}/two\\nlines\\x1b[31m\\xff.png\tABC1234\t")
    assert json.loads(line)["file"] == f"{folder}/two\nlines\x1b[31m\\xff.png"


def beside(folder: Path, name: bytes) -> str:
    return os.fsdecode(os.fsencode(folder) + b"/" + name)


@pytest.mark.parametrize("given", ["7", "much", "nan"])
def test_a_minimum_confidence_beyond_1_is_wrong_usage(given: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plates", "x.jpg", "--min-confidence", given]) == 2
    assert f"{given!r} is no confidence, which is from 0 to 1" in capfd.readouterr().err


def test_an_empty_path_is_wrong_usage_and_not_the_folder_we_are_in(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plates", ""]) == 2
    assert "a path is empty" in capfd.readouterr().err
