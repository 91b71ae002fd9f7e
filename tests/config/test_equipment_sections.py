"""Signals, gate, buttons and scanner in a lane file: what is right, and what is told where it is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from lane_text import problems

from lanecontrol.config.load import load, load_text
from lanecontrol.lane.setup import Point, ScannerInputs, ScannerOutputs

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = [field.name for field in dataclasses.fields(ScannerInputs)]
OUTPUTS = [field.name for field in dataclasses.fields(ScannerOutputs)]
CONSENT = "consent: {maker: A. Builder, radiation_safety_officer: R. Safe}"


def lane(scanner: str = CONSENT, more: str = "", simulated: bool = False) -> str:
    """A lane with a scanner on a module of its own."""
    pairs = ", ".join(f"{name}: {name}" for name in INPUTS), ", ".join(f"{name}: {name}" for name in OUTPUTS)
    channels = (
        ", ".join(f"{name}: {number}" for number, name in enumerate(INPUTS)),
        ", ".join(f"{name}: {number}" for number, name in enumerate(OUTPUTS)),
    )
    return f"""\
port: SYS
simulated: {str(simulated).lower()}
lane: {{id: "07", type: FAST}}
zones:
  - {{name: approach, start_m: 20, end_m: 22}}
  - {{name: booth, start_m: 25, end_m: 29}}
loops:
  - {{name: booth, device: io1, point: loop_booth, zone: booth}}
signal: {{device: io1, green: signal_green, red: signal_red}}
scanner:
  kind: scanner.contacts
  zone: booth
  device: io2
  inputs: {{{pairs[0]}}}
  outputs: {{{pairs[1]}}}
  {scanner}
{more}
devices:
  - kind: io.modbus
    id: io1
    url: tcp://192.0.2.21:502
    inputs: {{loop_booth: 0, button: 1, estop: 2}}
    outputs: {{signal_green: 0, signal_red: 1, spare: 2}}
  - kind: io.modbus
    id: io2
    url: tcp://192.0.2.22:502
    inputs: {{{channels[0]}}}
    outputs: {{{channels[1]}}}
brokers:
  - url: mqtt://192.0.2.10:1883
store: {{path: state}}
"""


def told(text: str) -> list[str]:
    return list(map(str, problems(text)))


def test_a_scanner_is_bound_to_its_modules_points() -> None:
    scanner = load_text(lane()).setup.scanner
    assert scanner is not None
    assert scanner.inputs.estop_ok == Point("io2", "estop_ok")
    assert scanner.two_persons
    assert scanner.times.warning_s == 5.0


def test_a_point_may_be_of_another_module() -> None:
    scanner = load_text(lane().replace("estop_ok: estop_ok", "estop_ok: io1/estop")).setup.scanner
    assert scanner is not None
    assert scanner.inputs.estop_ok == Point("io1", "estop")


def test_a_real_scanner_needs_the_names_of_who_agreed() -> None:
    (problem,) = told(lane(scanner=""))
    assert "written consent" in problem
    assert load_text(lane(scanner="", simulated=True)).setup.scanner is not None
    assert told(lane(scanner="consent: {maker: A. Builder}"))


@pytest.mark.parametrize("times", ["{warning_s: 4.9}", "{scan_s: 0}", "{start_s: -1}", "{shutter_s: 60}"])
def test_a_time_that_would_weaken_the_permissive_is_refused(times: str) -> None:
    (problem,) = told(lane(scanner=f"{CONSENT}\n  times: {times}"))
    assert re.search(r"it must be (at least|above|at most)", problem)


def test_the_modules_of_a_scanner_tell_soon_that_their_inputs_are_old() -> None:
    late = lane(simulated=True).replace("192.0.2.22:502", "192.0.2.22:502\n    stale_limit_ms: 400")
    (problem,) = told(late)
    assert "age limit is 250 ms" in problem


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("stale_limit_ms: 300", "a real lane's modules take 250 at most"),
        ("watchdog_ms: 2100", "a real lane's modules take 2000 at most"),
        ("heartbeat_ms: 1001", "is fed every 1001 ms, and drops its outputs after 2000"),
    ],
)
def test_no_setting_of_a_real_lane_weakens_what_its_modules_do_without_us(setting: str, problem: str) -> None:
    text = lane().replace("url: tcp://192.0.2.21:502", f"url: tcp://192.0.2.21:502\n    {setting}")
    (found,) = told(text)
    assert problem in found
    simulated = lane(scanner="", simulated=True).replace("192.0.2.21:502", f"192.0.2.21:502\n    {setting}")
    assert load_text(simulated).simulated


def test_a_contact_has_one_meaning_and_an_output_one_master() -> None:
    (problem,) = told(lane().replace("zone_clear: zone_clear", "zone_clear: estop_ok", 1))
    assert "'estop_ok' of 'io2' has another use already" in problem
    (problem,) = told(lane(more="beacon: {device: io2, output: scan_request}"))
    assert "'scan_request' of 'io2' has another use already" in problem


def test_a_point_that_is_not_there_is_told_where_it_is_named() -> None:
    (problem,) = told(lane().replace("key_enabled: key_enabled", "key_enabled: key_enable", 1))
    assert "'key_enable' is not among the inputs of 'io2'" in problem
    assert "did you mean 'key_enabled'?" in problem


def test_the_yellow_x_cannot_be_made_shorter_than_four_seconds() -> None:
    signal = "lane_signal: {device: io1, open: spare, closing: spare, closed: spare, closing_at_least_s: 3}"
    assert any("closing_at_least_s" in problem for problem in told(lane(more=signal)))


def test_one_output_cannot_be_two_lamps_of_the_overhead_signal() -> None:
    found = told(lane(more="lane_signal: {device: io1, open: spare, closing: spare, closed: signal_red}"))
    assert len(found) == 2
    assert all("has another use already" in problem for problem in found)


def test_the_shipped_scanner_lane_is_whole() -> None:
    loaded = load(CONFIGS / "scanner.yaml")
    assert loaded.setup.scanner is not None
    assert loaded.setup.lane_signal is not None
    assert loaded.setup.emergency_button is not None
