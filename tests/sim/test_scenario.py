"""Scenarios and sim.yaml: what ships is right, what is wrong is told at its place, the reference page is fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanecontrol.config.load import load
from lanecontrol.errors import ConfigError
from sim.simfile import Simulation, devices_of, load_scenario, load_simfile
from sim.world.rehearsal import play, summary
from sim.world.scenario import Scenario, keys, reference_page
from sim.world.scene import Scene
from sim.world.truth import Fate
from sim.world.world import World

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs" / "scenarios").glob("*.yaml"))


def problems(path: Path, kind: type[Scenario] | type[Simulation] = Scenario) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_scenario(path) if kind is Scenario else load_simfile(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- scenarios ---


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_loads_and_plays(path: Path) -> None:
    scenario = load_scenario(path).model_copy(update={"vehicles": 6})
    world = World(Scene(), scenario, 3)
    for _ in play(world, 2.0, limit_s=900.0):
        pass
    assert world.done
    if scenario.officer.present:
        assert not [vehicle for vehicle in world.truth.vehicles if vehicle.fate is Fate.INSIDE]


def test_the_scenarios_of_the_figures_are_there() -> None:
    names = {path.stem for path in SHIPPED}
    figures = {"clean", "saturated", "wrong_zone", "tailgating", "backouts", "loop_trouble", "all_at_once"}
    assert figures | {"demo", "no_officer"} <= names


def test_every_key_has_a_documented_meaning() -> None:
    assert [name for name, _, meaning in keys(Scenario) if not meaning.strip()] == []


def test_the_reference_page_is_fresh() -> None:
    page = (ROOT / "docs" / "reference" / "scenarios.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run: python -m sim.world.scenario > docs/reference/scenarios.md"


def test_every_problem_of_a_scenario_is_told_at_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "title: t\n"
        "trafic: {vehicles_per_h: 300}\n"
        "people:\n"
        "  card_share: 1.5\n"
        "behaviour:\n"
        "  tailgating_gap_s: [2.0, 0.5]\n",
    )
    told = problems(path)
    assert [line.split(" ")[0] for line in told] == ["2:1:", "4:15:", "6:21:"]
    assert "did you mean 'traffic'?" in told[0]


@pytest.mark.parametrize(
    "text",
    [
        "vehicles: 3\n",
        "title: t\nvehicles: 0\n",
        "title: t\ntraffic: {vehicles_per_h: 0}\n",
        "title: t\ntraffic: {mix: {motorcycle: 0, car: 0, suv: 0, van: 0}}\n",
        "title: t\nloops: {loop_exit: {broken: true}}\n",
        "title: t\nofficer: {service_time_s: -1}\n",
        "title: [\n",
        "- a list\n",
        "",
    ],
)
def test_a_wrong_scenario_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(written(tmp_path, text))


def test_a_file_of_another_kind_is_told_in_one_line() -> None:
    configs = ROOT / "configs"
    assert [line.partition(": ")[2] for line in problems(configs / "sentri.yaml", Simulation)] == [
        "a lane file, not a simulation's, a simulation's file names it, as configs/sim.yaml does"
    ]
    assert [line.partition(": ")[2] for line in problems(configs / "sim.yaml")] == [
        "a simulation's file, not a scenario, give it as --config"
    ]


def test_a_scenario_that_is_not_there_is_a_problem_too(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "nowhere.yaml")[0]


def test_the_summary_of_a_rehearsal_says_what_happened() -> None:
    world = World(Scene(), Scenario(title="t", vehicles=2), 1)
    for _ in play(world):
        pass
    assert "2 vehicles: 0 inside, 2 through, 0 withdrawn" in summary(world)


# --- sim.yaml ---


def test_the_shipped_simulation_is_right() -> None:
    simulation = load_simfile(ROOT / "configs" / "sim.yaml")
    assert simulation.lane.is_file() and simulation.scenario.is_file()
    assert {device: config.kind for device, config in simulation.fakes.items()} == {
        "io1": "io.modbus",
        "rpm1": "rpm.rapiscan",
        "rfid1": "rfid.llrp",
    }
    assert set(devices_of(simulation.scene)) == set(simulation.devices)
    assert simulation.officer.startswith("sim-")


@pytest.mark.parametrize("name", ["sim.yaml", "sim-fast.yaml", "sim-scanner.yaml"])
def test_every_fake_of_the_shipped_simulations_can_be_made(name: str) -> None:
    simulation = load_simfile(ROOT / "configs" / name)
    assert set(devices_of(simulation.scene)) == set(simulation.devices)
    for device in simulation.devices:
        assert simulation.make_fake(device, lambda _: None).config is simulation.fakes[device]


@pytest.mark.parametrize("name", ["sim.yaml", "sim-fast.yaml", "sim-scanner.yaml"])
def test_the_lane_file_of_every_shipped_simulation_is_right_and_each_of_its_devices_has_a_fake(name: str) -> None:
    simulation = load_simfile(ROOT / "configs" / name)
    assert {device.id for device in load(simulation.lane).devices} == set(simulation.devices)


def test_every_problem_of_a_simulation_is_told_at_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "lane: nowhere.yaml\n"
        "scenario: nothing.yaml\n"
        "fakes:\n"
        "  io1: {kind: io.modbus, unitt: 1}\n"
        "  rpm1: {kind: rpm.rapiscanner}\n",
    )
    told = problems(path, Simulation)
    assert [line.split(" ")[0] for line in told] == ["1:1:", "1:7:", "2:11:", "4:26:", "5:16:"]
    assert "no fake" in told[0] and "rfid1" in told[0]
    assert "unknown key 'unitt'" in told[3] and "did you mean 'unit'?" in told[3]
    assert "did you mean 'rpm.rapiscan'?" in told[4]


@pytest.mark.parametrize(
    "text",
    [
        "fakes: {}\n",
        "lane: x.yaml\nfakes: 7\n",
        "lane: x.yaml\nfakes: {io1: {unit: 1}}\n",
        "lane: x.yaml\nfakes: {}\nscene: {stop_line_m: 3}\n",
        "lane: x.yaml\nfakes: {}\nofficer: {name: Jane}\n",
        "lane: x.yaml\nfakes: {}\nscene: {portal: {device: rpm1, start_m: 9, end_m: 8}}\n",
    ],
)
def test_a_wrong_simulation_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text("", encoding="utf-8")
    assert problems(written(tmp_path, text), Simulation)
