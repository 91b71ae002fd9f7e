"""A lane file that is wrong: all of it is told at once, each mistake at its place and with what would be right."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_text import LANE, problems, the_problem, with_line

from lanecontrol.config import load, load_text
from lanecontrol.config.model import LaneFile
from lanecontrol.errors import ConfigError


def test_every_problem_of_a_file_is_told_at_once() -> None:
    text = """\
port: SYS
lane: {id: 07, type: SENTRY, direction: inbound}
zones:
  - {name: approach, start_m: 20, end_m: 22}
  - {name: booth, start_m: 21, end_m: 29}
loops:
  - {name: booth, device: io2, point: loop_booth, zone: boot}
  - {name: exit, device: io1, point: loop_exit, zone: approach}
signal: {device: io1, green: signal_green, red: signal_green}
colour: blue
devices:
  - kind: io.modbuss
    id: x9
    url: tcp://192.0.2.21:502
  - kind: io.modbus
    id: io1
    url: tpc://192.0.2.21:502
    poll: 50
    poll_ms: fast
    inputs: {loop_booth: 0}
    outputs: {signal_green: 0}
brokers: [{url: "http://192.0.2.10"}]
store: {path: state}
store: {path: elsewhere}
"""
    told = [str(problem).removeprefix("lane.yaml:") for problem in problems(text)]
    assert told == [
        """2:12: 'id: 07' is not right, a text was expected: quote it, "07\"""",
        "2:22: 'type: SENTRY' is not right, did you mean 'SENTRI'?",
        "5:28: zone 'booth' overlaps 'approach', begin at 22 m or later",
        "7:27: there is no device 'io2', known here: io1, x9",
        "7:57: there is no zone 'boot', did you mean 'booth'?",
        "8:38: 'loop_exit' is not among the inputs of 'io1', known here: loop_booth",
        "9:49: green and red are the same output, give each lamp its own",
        "10:1: unknown key 'colour', known here: " + ", ".join(sorted({*LaneFile.model_fields, "devices", "extends"})),
        "12:11: no driver for 'io.modbuss' is installed, did you mean 'io.modbus'? installed: "
        + ", ".join(_installed()),
        "17:10: the scheme 'tpc' is unknown, did you mean tcp://host:port?",
        "18:5: unknown key 'poll', did you mean 'poll_ms'?",
        "19:14: 'poll_ms: fast' is not right, a whole number was expected",
        "22:17: 'url: http://192.0.2.10' is not right, mqtt://host:port or mqtts://host:port",
        "24:1: the key 'store' is given twice, first on line 23",
    ]


@pytest.mark.parametrize(("wrong", "meant"), [("device", "devices"), ("devcies", "devices"), ("extend", "extends")])
def test_a_misspelt_key_that_is_no_section_is_told_with_the_right_one(wrong: str, meant: str) -> None:
    told = [str(problem) for problem in problems(LANE + f"{wrong}: x\n")]
    assert len(told) == 1 and told[0].endswith(f"unknown key '{wrong}', did you mean '{meant}'?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "lane: sentri.yaml\nscene: {}\nfakes: {}\n",
            "1:1: a simulation's file, not a lane file, name the lane file that it names, which is sentri.yaml",
        ),
        (
            "port: SYS\nbrokers: [{url: mqtt://192.0.2.10:1883}]\n",
            "1:1: a port file without a lane, name a lane file that extends it",
        ),
    ],
)
def test_a_file_of_another_kind_is_told_in_one_line(text: str, told: str) -> None:
    assert [str(problem) for problem in problems(text)] == [f"lane.yaml:{told}"]


def _installed() -> list[str]:
    from lanecontrol import driver

    return list(driver.installed())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id: "07"', "id: 07", """2:12: 'id: 07' is not right, a text was expected: quote it, "07\""""),
        ("point: loop_booth, zone: booth", "point: loop_booth, zone: approach", "7:3: no loop watches the booth zone"),
        ("store: {path: state}\n", "", "1:1: the key 'store' is missing, add it"),
        ("kind: io.modbus\n    ", "", "10:5: a device without a kind, installed: "),
        ("start_m: 25, end_m: 29", "start_m: 29, end_m: 25", "5:39: zone 'booth' ends before it begins"),
        ("start_m: 20, end_m: 22", "start_m: 40, end_m: 42", "5:28: zone 'booth' begins before 'approach'"),
        ("green: signal_green", "green: signal_gren", "8:30: 'signal_gren' is not among the outputs of 'io1', did you"),
        ("url: tcp://192.0.2.21:502", "url: mem://io1", "12:10: a mem:// device is a fake"),
        ("url: tcp://192.0.2.21:502", "url: tcp://192.0.2.21", "12:10: the port is missing, write tcp://host:port"),
        ("outputs: {signal", "uotputs: {signal", "14:5: unknown key 'uotputs', did you mean 'outputs'?"),
        ("path: state", "path: [a, b]", "17:15: the value of 'path' is not right, a text was expected"),
        ("id: io1", "id: IO1", "11:9: 'id: IO1' is not right, a device id is lower-case"),
        ("start_m: 25", "start_m: .nan", "5:28: "),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(old: str, new: str, told: str) -> None:
    assert any(str(problem).startswith(f"lane.yaml:{told}") for problem in problems(with_line(old, new))), problems(
        with_line(old, new)
    )


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ("clock: {scale: 10}\n", "18:16: a real lane's clock cannot be scaled"),
        ("gate: {device: io1, open_output: x, opened_input: a, closed_input: a}\n", "18:68: both limit switches"),
        ("booth_button: {device: io1, point: loop_booth, officer: X}\n", "18:36: the input 'loop_booth' of 'io1' has"),
        ("antennas: [{device: io1, number: 1, zone: booth}]\n", "18:21: device 'io1' (io.modbus) reports no tags"),
        ('tags: [{prefix: "xyz", kind: person}]\n', "18:17: 'prefix: xyz' is not right, a prefix is hexadecimal"),
        ("log: {level: loud}\n", "18:14: 'level: loud' is not right, one of debug, info, warning, error"),
        ("lane: {}\n", "18:1: the key 'lane' is given twice, first on line 2"),
        (
            "privacy: {hash_key: short}\n",
            "18:21: the value of 'hash_key' is not right, at least 16 characters were expected",
        ),
    ],
)
def test_a_wrong_addition_is_told(addition: str, told: str) -> None:
    found = [str(problem) for problem in problems(LANE + addition)]
    assert any(problem.startswith(f"lane.yaml:{told}") for problem in found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port: SYS\nlane:\n\tid: x\n", "lane.yaml:3:1: a tab in the indentation, indent with spaces"),
        ("port: [SYS\nlane: x\n", "lane.yaml:2:5: a list opened with [ is not closed, close it with ]"),
        ("port: a: b\n", "lane.yaml:1:8: a `:` where none may stand"),
        ("port: *nowhere\n", "lane.yaml:1:7: an alias (*name) without its anchor"),
        ("port: \x00\n", "lane.yaml:1:7: a control character"),
        ("- a\n- b\n", "lane.yaml:1:1: the file is not a mapping"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_with_the_place(text: str, told: str) -> None:
    assert the_problem(text).startswith(told)


def test_tags_merge_keys_and_circles_are_told_instead_of_obeyed() -> None:
    text = LANE + "x: !!python/object:os.system {}\n<<: {a: 1}\ny: &y [*y]\n"
    told = "\n".join(map(str, problems(text)))
    assert "the tag" in told
    assert "only plain keys" in told
    assert "an alias that contains itself" in told


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("more than" in problem.what for problem in problems("\n".join(lines) + "\n"))


def test_a_missing_file_is_a_problem_not_a_trace(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "lane.yaml").write_bytes(b"port: SYS\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"lane\.yaml:2:1: not UTF-8"):
        load(tmp_path / "lane.yaml")


def test_a_kind_whose_driver_is_broken_is_told_and_the_rest_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from lanecontrol import driver

    def broken(kind: str) -> type[driver.Driver]:
        raise ImportError("no module named serial_thing")

    monkeypatch.setattr(driver, "load", broken)
    told = [str(problem) for problem in problems(LANE + "colour: blue\n")]
    assert any("the driver 'io.modbus' cannot be loaded: no module named serial_thing" in line for line in told)
    assert any("unknown key 'colour'" in line for line in told)
    assert len(told) == 2, told


def test_only_the_drivers_that_the_file_names_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from lanecontrol import driver

    asked: list[str] = []
    real = driver.load

    def load(kind: str) -> type[driver.Driver]:
        asked.append(kind)
        return real(kind)

    monkeypatch.setattr(driver, "load", load)
    load_text(LANE)
    assert set(asked) == {"io.modbus"}


@given(st.text(alphabet=string.printable, max_size=60), st.integers(min_value=0, max_value=len(LANE)))
def test_whatever_is_typed_into_a_file_it_loads_or_tells_its_problems(typed: str, at: int) -> None:
    try:
        load_text(LANE[:at] + typed + LANE[at:])
    except ConfigError as error:
        assert error.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)
