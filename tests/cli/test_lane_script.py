"""`./lane`: the first thing a stranger types."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "lane"


@pytest.fixture
def lane(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with a checkout of its own that has no virtual environment yet."""
    (tmp_path / "requirements").mkdir()
    for name in ("requirements/demo.txt", "requirements/dev.txt", "requirements/weights.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    bin_folder = tmp_path / ".venv" / "bin"
    for name, value in {
        "ROOT": tmp_path,
        "VENV": tmp_path / ".venv",
        "BIN": bin_folder,
        "PYTHON": bin_folder / "python",
        "STAMP": tmp_path / ".venv" / "lane-installed.json",
        "LOG": tmp_path / ".venv" / "lane-install.log",
    }.items():
        monkeypatch.setattr(script, name, value)
    return script


@pytest.fixture
def deeds(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What preparing does, written down instead of done."""
    done: list[str] = []

    def make_venv() -> None:
        done.append("venv")
        lane.BIN.mkdir(parents=True, exist_ok=True)
        lane.PYTHON.touch()

    monkeypatch.setattr(lane, "make_venv", make_venv)
    monkeypatch.setattr(lane, "usable", lambda: lane.PYTHON.exists())
    monkeypatch.setattr(lane, "install", lambda what, arguments: done.append(what))
    return done


def test_the_first_start_installs_and_the_second_does_nothing(lane: ModuleType, deeds: list[str]) -> None:
    lane.prepare("demo")
    assert deeds == ["venv", "requirements/demo.txt", "this project"]
    deeds.clear()
    lane.prepare("demo")
    assert deeds == []


def test_what_the_tests_need_includes_what_the_demo_needs(lane: ModuleType, deeds: list[str]) -> None:
    lane.prepare("dev")
    deeds.clear()
    lane.prepare("demo")
    assert deeds == []


def test_the_tests_add_to_the_environment_of_the_demo(lane: ModuleType, deeds: list[str]) -> None:
    lane.prepare("demo")
    deeds.clear()
    lane.prepare("dev")
    assert deeds == ["requirements/dev.txt", "requirements/weights.txt", "this project"]


def test_other_weights_are_installed_again_and_without_what_they_require(
    lane: ModuleType, deeds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.prepare("dev")
    (lane.ROOT / "requirements" / "weights.txt").write_text("changed")
    asked: list[list[str]] = []
    monkeypatch.setattr(lane, "install", lambda what, arguments: asked.append(arguments))
    lane.prepare("dev")
    assert [("--no-deps" in arguments, arguments[-1].endswith("weights.txt")) for arguments in asked[:-1]] == [
        (True, True)
    ]


def test_a_changed_requirement_or_project_file_is_installed_again(lane: ModuleType, deeds: list[str]) -> None:
    lane.prepare("dev")
    deeds.clear()
    (lane.ROOT / "pyproject.toml").write_text("changed")
    lane.prepare("dev")
    assert deeds == ["this project"]
    deeds.clear()
    (lane.ROOT / "requirements" / "dev.txt").write_text("changed")
    lane.prepare("dev")
    assert deeds == ["requirements/dev.txt", "this project"]


def test_a_failed_installation_is_tried_again(
    lane: ModuleType, deeds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(what: str, arguments: list[str]) -> None:
        raise lane.SetupFailed("no network")

    with monkeypatch.context() as patch:
        patch.setattr(lane, "install", fails)
        with pytest.raises(lane.SetupFailed):
            lane.prepare("demo")
    deeds.clear()
    lane.prepare("demo")
    assert deeds == ["requirements/demo.txt", "this project"]


def test_a_damaged_stamp_is_no_stamp(lane: ModuleType, deeds: list[str]) -> None:
    lane.prepare("demo")
    lane.STAMP.write_text("[")
    assert lane.installed() == {}


def test_a_failing_pip_is_told_with_the_end_of_its_log(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lane.VENV.mkdir()
    monkeypatch.setattr(lane, "PIP", [sys.executable, "-c", "print('no such package'); raise SystemExit(1)"])
    with pytest.raises(lane.SetupFailed, match="no such package"):
        lane.install("things", [])


def test_an_old_python_is_told_in_words(
    lane: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lane, "OLDEST", (99, 0))
    assert lane.main(["demo"]) == 1
    assert "Python 99.0 or newer is needed" in capsys.readouterr().err


def test_an_old_python_can_read_the_script_far_enough_to_say_so() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_a_python_without_venv_names_the_package_to_install(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(lane.SetupFailed, match=r"apt-get install python3\.\d+-venv"):
        lane.make_venv()


def test_without_a_verb_the_usage_is_told(lane: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert lane.main([]) == 2
    assert lane.main(["--help"]) == 0
    assert lane.main(["demonstrate"]) == 2
    assert "./lane VERB" in capsys.readouterr().out


def test_everything_generated_is_committed() -> None:
    source = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    (table,) = (
        node.value
        for node in source.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "GENERATED"
    )
    for path in ast.literal_eval(table):
        assert (ROOT / path).is_file()


def committed() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name.decode() for name in listed.split(b"\0") if name]


def test_no_committed_file_names_a_package_registry() -> None:
    hosts = re.compile(rb"py" rb"pi\.(org|python)|pythonhos" rb"ted|registry\.np" rb"m|debian\.or" rb"g/debian")
    named = [str(file) for file in committed() if file.is_file() and hosts.search(file.read_bytes())]
    assert named == []


@pytest.mark.parametrize("name", ["run", "plates", "demo", "dev", "weights"])
def test_every_requirement_is_pinned_with_hashes_and_without_an_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins), pins
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="written for a Unix shell")
def test_a_fresh_clone_comes_up_with_one_command(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    clone = tmp_path / "clone"
    subprocess.run([git, "clone", "-q", str(ROOT), str(clone)], check=True)
    base = {**os.environ, "PATH": os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if ".venv" not in p)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(clone / "lane"), "demo", "--vehicles", "1", "--speed", "max"],
            cwd=tmp_path,
            env={name: value for name, value in base.items() if name != "VIRTUAL_ENV"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[0])["specversion"] == "1.0"
    assert "installing" not in done.stderr


@pytest.mark.slow
def test_the_wheel_brings_the_simulations_that_are_shown_without_a_checkout(tmp_path: Path) -> None:
    """Building takes two seconds."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    shipped = {
        f"sim/configs/{path.relative_to(ROOT / 'configs').as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert shipped and shipped <= inside
