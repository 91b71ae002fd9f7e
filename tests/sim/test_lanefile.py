"""The lane file that a simulation writes: what must not change beside the addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.io_modbus import ModbusConfig
from lanecontrol.config.load import Loaded, load
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


# --- what is written loads to the same -------------------------------------------------------------------------------

OPTIONAL = """\
time_zone: America/Tijuana
resumption: [{stage: trusted, types: [SENTRI]}, {stage: all, types: [FAST]}]
schedule:
  weekly: [{days: [mon, sun], opens: "06:00", closes: "02:00"}]
  exceptions: [{date: "2026-12-25"}]
questions:
  answer_within_s: 2.5
  lookouts: true
  programmes: [FAST]
  snapshot: {file: port/snapshot.bin, signers: ["%s"], max_age_h: 12}
plates: {o_is_zero: true}
privacy: {hash_key: !secret hash, rotate_h: 12}
delivery: {consumer: archive, backlog_per_s: 20, hold_without_subscribers: [evidence]}
evidence:
  {publish: http, url: "https://pictures.example/bucket", token: !secret token, ca: tls/ca.pem, cert: tls/us.pem,
   key: tls/us.key, keep_days: 7}
log: {level: warning, format: json}
limits: {release_limit_s: 45}
store: {path: store, recorder_mib: 64, keep_days: 14, keys: [!secret store]}
""" % ("ab" * 32)
SHIPPED = ["sentri.yaml", "fast.yaml", "scanner.yaml"]


def secret(name: str) -> str:
    return f"the secret that is called {name}"


def _rewritten(base: Path, folder: Path, **own: Any) -> tuple[Loaded, Loaded]:
    """The lane of this file, and that of the file that a simulation writes on top of it in another folder."""
    loaded = load(base, secret=secret)
    urls = {str(device.id): f"mem://{device.id}" for device in loaded.devices}
    path = folder / "written.yaml"
    path.write_text(lane_file(base, Replaced(loaded.setup.lane, urls, "mem://broker", folder / "store", **own)))
    return loaded, load(path, secret=secret)


def _apart_from_addresses(loaded: Loaded) -> Mapping[str, Any]:
    """All that a lane is made of but what a simulation is to replace, and the hashes that tell that it did."""
    devices = [device.model_copy(update={"url": "", "id": device.id}) for device in loaded.devices]
    # The same file by another path is described alike.
    described = [getattr(device, "described", None) for device in devices]
    return {
        "setup": replace(loaded.setup, simulated=True, rules_hash="", equipment_hash=""),
        "devices": [device.model_dump(exclude={"url", "profile"}) for device in devices],
        "profiles": described,
        "store": replace(loaded.store, path=Path()),
    } | {
        name: getattr(loaded, name)
        for name in ("direction", "evidence", "pictures", "delivery", "log", "hash_rotation_s", "snapshot", "clock")
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_lane_is_the_same_when_it_was_written_and_read_again(name: str, tmp_path: Path) -> None:
    before, after = _rewritten(CONFIGS / name, tmp_path)
    assert _apart_from_addresses(after) == _apart_from_addresses(before)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_lane_with_every_optional_part_is_the_same_when_it_was_written_and_read_again(
    name: str, tmp_path: Path
) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere" / "deep"
    site.mkdir()
    elsewhere.mkdir(parents=True)
    whole = site / "lane.yaml"
    lane = "lane: {other_types: [SENTRI, FAST]}"
    whole.write_text(f"extends: {CONFIGS / name}\n{lane}\n{OPTIONAL}", encoding="utf-8")
    before, after = _rewritten(whole, elsewhere)
    assert _apart_from_addresses(after) == _apart_from_addresses(before)
    assert after.snapshot is not None
    assert after.snapshot.path == site / "port" / "snapshot.bin"
    assert after.pictures.store is not None
    assert "site%2Ftls%2Fca.pem" in after.pictures.store.tls


def test_a_simulation_that_asks_keeps_the_snapshot(tmp_path: Path) -> None:
    whole = tmp_path / "lane.yaml"
    whole.write_text(f"extends: {CONFIGS / 'sentri.yaml'}\n{OPTIONAL}", encoding="utf-8")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    before, after = _rewritten(whole, folder, asks=True)
    assert after.snapshot == before.snapshot
    assert after.setup.questions is not None
    assert after.setup.questions.answer_within_s == 1.5
