"""`./lane peers`: other people's programs, pinned, each by itself; missing ones are told and hold nothing up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lane(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with a checkout of its own in which every installation is only written down."""
    for pins in [*script.PEER_PINS.values(), f"{script.NODE}/package-lock.json"]:
        (tmp_path / pins).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / pins).write_text(pins)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "PEERS", tmp_path / ".venv-peers")
    return script


@pytest.fixture
def deeds(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def install(name: str, pins: str = "") -> None:
        done.append(name)
        (lane.PEERS / name).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(lane, "install_peer", install)
    monkeypatch.setattr(lane, "install_node_peer", lambda: install("node"))
    monkeypatch.setattr(lane, "prepare", lambda wanted: None)
    return done


def test_each_peer_is_installed_once_and_again_when_its_pins_change(lane: ModuleType, deeds: list[str]) -> None:
    assert lane.peers([]) == 0
    assert deeds == ["llrpkit", "pyllrp", "sllurp", "fuzz", "node"]
    deeds.clear()
    lane.peers([])
    assert deeds == []
    (lane.ROOT / lane.PEER_PINS["sllurp"]).write_text("newer")
    lane.peers([])
    assert deeds == ["sllurp"]


def test_one_that_cannot_be_had_keeps_no_other_away(
    lane: ModuleType, deeds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise lane.SetupFailed("node and npm are not here")

    monkeypatch.setattr(lane, "install_node_peer", none)
    with pytest.raises(lane.SetupFailed, match="node and npm are not here"):
        lane.peers([])
    assert deeds == ["llrpkit", "pyllrp", "sllurp", "fuzz"]
    deeds.clear()
    with pytest.raises(lane.SetupFailed):
        lane.peers([])
    assert deeds == [], "what is there stays"


@pytest.mark.parametrize("ci", [False, True])
def test_all_tests_run_without_a_peer_but_not_in_ci(
    lane: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: bool
) -> None:
    def fails() -> None:
        raise lane.SetupFailed("no npm")

    ran: list[list[str]] = []

    def run(command: list[str]) -> int:
        ran.append(command)
        return 0

    monkeypatch.setattr(lane, "prepare", lambda wanted: None)
    monkeypatch.setattr(lane, "install_peers", fails)
    monkeypatch.setattr(lane, "run", run)
    monkeypatch.setenv("CI", "true") if ci else monkeypatch.delenv("CI", raising=False)
    if ci:
        with pytest.raises(lane.SetupFailed):
            lane.test(["--all"])
        assert ran == []
    else:
        assert lane.test(["--all"]) == 0
        assert ran[0][0] == "pytest"
        assert "skipped: no npm" in capsys.readouterr().err


def test_the_quick_tests_ask_for_no_peer(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "prepare", lambda wanted: None)
    monkeypatch.setattr(lane, "install_peers", lambda: pytest.fail("not asked for"))
    monkeypatch.setattr(lane, "run", lambda command: 0)
    assert lane.test([]) == 0


def test_without_node_the_package_to_install_is_named(lane: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane.shutil, "which", lambda name: None)
    with pytest.raises(lane.SetupFailed, match="apt-get install nodejs npm"):
        lane.install_node_peer()


def test_every_peer_is_pinned_by_hash_and_names_no_registry() -> None:
    for pins in ROOT.glob("tests/interop/requirements-*.txt"):
        text = pins.read_text()
        assert text.count("--hash=sha256:") >= text.count("==") > 0
        assert "://" not in text
    packages = json.loads((ROOT / "tests" / "interop" / "node" / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        assert "resolved" not in package
        assert name == "" or package["integrity"].startswith("sha512-")
    assert not re.search("regist", (ROOT / "tests" / "interop" / "node" / "package.json").read_text())
