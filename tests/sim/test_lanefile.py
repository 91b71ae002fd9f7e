"""The lane file that a simulation writes: what must not change beside the addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.io_modbus import ModbusConfig
from lanecontrol.config.load import load
from sim.lanefile import Replaced, lane_file, module_settings
from sim.simfile import load_simfile

CONFIGS = Path(__file__).parents[2] / "configs"

LANE = """\
port: SYS
lane: {id: "07", type: FAST, booth_zone: booth}
zones: [{name: booth, start_m: 0, end_m: 4}]
loops: [{name: booth, device: io1, point: loop, zone: booth}]
devices:
  - {id: io1, kind: io.modbus, url: "tcp://127.0.0.1:502", profile: ./relays.yaml, inputs: {loop: 0}}
store: {path: store}
"""
PROFILE = "title: relay box of the test\ninputs: {area: discrete_inputs, base: 0, count: 8}\n"


def written(folder: Path, scale: float = 1.0) -> Path:
    """A lane file beside its profile, and what a simulation makes of it in another folder."""
    site, elsewhere = folder / "site", folder / "elsewhere"
    site.mkdir()
    elsewhere.mkdir()
    (site / "lane.yaml").write_text(LANE, encoding="utf-8")
    (site / "relays.yaml").write_text(PROFILE, encoding="utf-8")
    own = Replaced("08", {"io1": "tcp://127.0.0.1:1502"}, "mqtt://127.0.0.1:1883", elsewhere / "store", scale, 1.0)
    path = elsewhere / "lane.yaml"
    path.write_text(lane_file(site / "lane.yaml", own), encoding="utf-8")
    return path


def test_a_profile_beside_the_lane_file_is_found_from_wherever_the_simulations_file_stands(tmp_path: Path) -> None:
    (device,) = load(written(tmp_path)).devices
    assert isinstance(device, ModbusConfig)
    assert device.described.title == "relay box of the test"
    assert device.url == "tcp://127.0.0.1:1502"


def test_lamps_have_the_same_real_time_to_show_what_was_commanded_on_a_faster_clock(tmp_path: Path) -> None:
    assert load(written(tmp_path, scale=10.0)).setup.readback_limit_s == 5.0


def test_lamps_have_half_a_second_on_a_real_clock(tmp_path: Path) -> None:
    assert load(written(tmp_path)).setup.readback_limit_s == 0.5


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("name", ["sim.yaml", "sim-fast.yaml", "sim-scanner.yaml"])
def test_every_shipped_simulation_makes_a_good_lane_file_at_every_speed(
    name: str, scale: float, tmp_path: Path
) -> None:
    simulation = load_simfile(CONFIGS / name)
    kinds = {device: config.kind for device, config in simulation.fakes.items()}
    links = {device: "listen" if kind.startswith("lpr.") else "tcp" for device, kind in kinds.items()}
    urls = {device: f"{link}://127.0.0.1:{1600 + n}" for n, (device, link) in enumerate(links.items())}
    own = Replaced("07", urls, "mqtt://127.0.0.1:1883", tmp_path / "store", scale, 1.0, module_settings(kinds, scale))
    path = tmp_path / "lane.yaml"
    path.write_text(lane_file(simulation.lane, own), encoding="utf-8")
    assert load(path).setup.lane
