"""Profiles are data: the shipped ones, one of the site's own beside the lane file, and mistakes told at their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.io_modbus import ModbusConfig
from drivers.io_modbus_profile import Profile, load, shipped
from lanecontrol.config.load import Loaded
from lanecontrol.config.load import load as load_lane
from lanecontrol.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
OWN = """\
title: ACME relay box
unit: 7
inputs: {area: input_registers, base: 10, count: 32}
outputs: {base: 0, count: 8}
watchdog:
  fed_by: heartbeat
  heartbeat: {area: holding_registers, base: 1, values: [1, 2]}
unverified:
  watchdog.heartbeat: from the salesman
"""


def lane(folder: Path, profile: str, text: str = OWN) -> Path:
    """A lane in a folder of its own, whose module is described by a file beside it."""
    (folder / "acme.yaml").write_text(text, encoding="utf-8")
    path = folder / "lane.yaml"
    path.write_text(
        f"extends: {CONFIGS / 'sentri.yaml'}\ndevices:\n  - {{id: io1, profile: {profile}}}\n", encoding="utf-8"
    )
    return path


def module(loaded: Loaded) -> Any:
    return next(device for device in loaded.devices if device.id == "io1")


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_lane(path)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_profile_says_what_of_it_is_unverified_and_names_only_facts_that_it_has(name: str) -> None:
    profile = load(name)
    assert all(profile.unverified.values())
    if name != "generic":
        assert profile.unverified, "no real module has been connected yet"


def test_which_of_the_shipped_modules_fail_safe() -> None:
    assert {name for name in shipped() if load(name).fails_safe} == {
        "adam6050",
        "adam6060",
        "iologik_e1214",
        "wago750",
    }


def test_a_site_names_a_profile_of_its_own_relative_to_the_lane_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    found = module(load_lane(lane(tmp_path, "./acme.yaml")))
    assert found.described.title == "ACME relay box"
    assert found.described.unit == 7
    assert found.fails_safe
    assert found.unverified == {"watchdog.heartbeat": "from the salesman"}


def test_another_profile_in_the_same_file_is_another_configuration(tmp_path: Path) -> None:
    before = load_lane(lane(tmp_path, "./acme.yaml"))
    same = load_lane(lane(tmp_path, "./acme.yaml"))
    after = load_lane(lane(tmp_path, "./acme.yaml", OWN.replace("base: 0, count: 8", "base: 8, count: 8")))
    assert same.setup.equipment_hash == before.setup.equipment_hash
    assert after.setup.equipment_hash != before.setup.equipment_hash
    assert after.config_hash != before.config_hash
    assert after.setup.rules_hash == before.setup.rules_hash


def test_every_mistake_in_a_profile_is_told_at_its_line(tmp_path: Path) -> None:
    text = OWN.replace("count: 32", "count: none").replace("base: 0, count: 8", "bass: 0, count: 8")
    told = problems(lane(tmp_path, "./acme.yaml", text))
    assert [one.removeprefix(f"{tmp_path}/acme.yaml:") for one in told] == [
        "3:50: 'count: none' is not right, a whole number was expected",
        "4:11: unknown key 'bass', did you mean 'base'?",
    ]


@pytest.mark.parametrize(
    ("profile", "text", "told"),
    [
        ("./nowhere.yaml", OWN, "/nowhere.yaml:1:1: cannot be read: No such file or directory"),
        ("./acme.yaml", "title: [", "/acme.yaml:1:"),
        ("./acme.yaml", "- 1\n", "/acme.yaml:1:1: the file is not a mapping"),
        ("acme", OWN, "no such profile, there are adam6050"),
        ("./acme.yaml", OWN.replace("count: 8", "count: 1"), "the module has 1 outputs"),
    ],
)
def test_a_profile_that_cannot_be_used_is_a_problem_of_the_lane(
    tmp_path: Path, profile: str, text: str, told: str
) -> None:
    assert any(told in one for one in problems(lane(tmp_path, profile, text)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": None, "outputs": None}, "neither inputs nor outputs"),
        ({"inputs": {"base": 65535, "count": 2}}, "go beyond 65535"),
        ({"outputs": {"count": 8, "readback_base": 65530}}, "go beyond 65535"),
        ({"invert_outputs": [8]}, "there is no output 8"),
        ({"watchdog": {"fed_by": "heartbeat"}}, "`fed_by: heartbeat` goes with"),
        ({"watchdog": {"fed_by": "requests", "clear": {"area": "coils", "base": 1, "values": [2]}}}, "0 or 1"),
        ({"unverified": {"outputs.bass": "?"}}, "says nothing of 'outputs.bass'"),
        ({"unverified": {"watchdog.flag": "?"}}, "says nothing of 'watchdog.flag'"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused(changes: dict[str, Any], told: str) -> None:
    plain = {"title": "box", "inputs": {"count": 8}, "outputs": {"count": 8}}
    with pytest.raises(ValueError, match=told):
        Profile.model_validate({**plain, **changes})


def test_a_copy_of_a_stanza_keeps_the_profile_that_was_read(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(OWN, encoding="utf-8")
    settings = {"id": "io1", "url": "mem://x", "profile": str(tmp_path / "acme.yaml"), "outputs": {"red": 1}}
    config = ModbusConfig.model_validate(settings)
    (tmp_path / "acme.yaml").unlink()
    assert config.model_copy(update={"poll_ms": 20}).described.title == "ACME relay box"
