"""`sim.yaml` and the scenario files: which lane, where its sensors stand in the world, and one fake per device.

Read by `lanecontrol sim`. Like a lane file, it tells every problem at once, each at its place. Only the fakes that the
file names are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lanecontrol.config.document import Leaf, Table, find, plain, read
from lanecontrol.config.overlay import read_layers
from lanecontrol.config.wording import close_to, problems_of
from lanecontrol.errors import ConfigError, Problem
from sim import fake
from sim.fake import Fake, FakeConfig
from sim.readings import Deed
from sim.world.scenario import Scenario
from sim.world.scene import Scene

M = TypeVar("M", bound=BaseModel)


class OfficerName(BaseModel):
    """Who the automatic officer says it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(default="sim-officer", pattern=r"^sim-[a-z0-9-]{1,40}$")
    """Name in the orders it gives; begins with `sim-`, so that nobody takes it for a person."""


class SimFile(BaseModel):
    """A simulation: a lane file, the world around it, and the fakes that its devices are reached at."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    lane: str
    """The lane file, relative to this file. The URLs of its devices are replaced by those of the fakes."""
    scenario: str = "scenarios/demo.yaml"
    """The scenario if none is asked for, relative to this file."""
    scene: Scene = Scene()
    """Where everything stands."""
    fakes: dict[str, dict[str, Any]]
    """One fake per device id of the lane: its kind, and what that fake can be told."""
    officer: OfficerName = OfficerName()
    """The automatic officer."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A `sim.yaml` that is right in every part."""

    path: Path
    lane: Path
    scenario: Path
    scene: Scene
    fakes: dict[str, FakeConfig]
    officer: str

    @property
    def devices(self) -> tuple[str, ...]:
        """Ids of all devices that have a fake."""
        return tuple(self.fakes)

    def make_fake(self, device: str, act: Callable[[Deed], None]) -> Fake:
        """The fake of one device. Raises KeyError for a device that has none."""
        config = self.fakes[device]
        return fake.load(config.kind)(config, act)


def load_simfile(path: Path | str) -> Simulation:
    """The simulation in the file at `path`. Raises ConfigError with every problem."""
    path = Path(path)
    problems: list[Problem] = []
    root, values = _tree(path, problems)
    _tell_other_file(root, "fakes", "a simulation's")
    file = _model(SimFile, root, values, problems)
    fakes = _fakes(root, problems)
    if file is not None:
        _check_devices(file.scene, root, fakes, problems)
        for key in ("lane", "scenario"):
            _check_there(path, root, key, getattr(file, key), problems)
        if not problems:
            _check_in_lane(root, path.parent / file.lane, fakes, problems)
    if problems or file is None:
        raise _all_of(problems)
    return Simulation(
        path=path,
        lane=path.parent / file.lane,
        scenario=path.parent / file.scenario,
        scene=file.scene,
        fakes={device: config for device, config in fakes.items() if config is not None},
        officer=file.officer.name,
    )


def load_scenario(path: Path | str, devices: Collection[str] | None = None) -> Scenario:
    """The scenario in the file at `path`. Raises ConfigError with every problem, also mischief of an unknown device."""
    problems: list[Problem] = []
    root, values = _tree(Path(path), problems)
    _tell_other_file(root, "traffic", "a scenario")
    scenario = _model(Scenario, root, values, problems)
    for index, fault in enumerate(scenario.mischief if scenario is not None else ()):
        if devices is not None and fault.device not in devices:
            node, _ = find(root, ("mischief", index, "device"))
            problems.append(node.place.problem(f"there is no device '{fault.device}'", close_to(fault.device, devices)))
    if problems or scenario is None:
        raise _all_of(problems)
    return scenario


def _tree(path: Path, problems: list[Problem]) -> tuple[Table, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError((Problem(str(path), 1, 1, f"cannot be read: {why}", ""),)) from error
    root = read(text, str(path), problems)
    return root, plain(root, lambda leaf: leaf.text)


_OTHER_FILES = (
    ("fakes", "a simulation's file", "give it as --config"),
    ("zones", "a lane file", "a simulation's file names it, as configs/sim.yaml does"),
    ("traffic", "a scenario", "give it as --scenario"),
)
"""A key that only such a file has, what the file is, and where it is wanted."""


def _tell_other_file(root: Table, own: str, wanted: str) -> None:
    """Raises ConfigError for a file of another kind: as what was asked for all of it would be wrong."""
    for key, what, remedy in _OTHER_FILES:
        if key != own and key in root.entries and own not in root.entries:
            raise ConfigError((root.place.problem(f"{what}, not {wanted}", remedy),))


def _model(model: type[M], root: Table, values: Any, problems: list[Problem]) -> M | None:
    if problems:  # not even YAML: what follows from that helps nobody
        return None
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems.extend(problems_of(error, root, model))
        return None


def _fakes(root: Table, problems: list[Problem]) -> dict[str, FakeConfig | None]:
    """The settings of each fake, None where they are wrong."""
    entry = root.entries.get("fakes")
    if entry is None or not isinstance(entry.node, Table):
        return {}  # told already
    return {
        device: _fake(stanza.node, problems) if isinstance(stanza.node, Table) else None
        for device, stanza in entry.node.entries.items()
    }


def _fake(node: Table, problems: list[Problem]) -> FakeConfig | None:
    kind = node.leaf("kind")
    if not isinstance(kind, Leaf) or not isinstance(kind.value, str):
        problems.append(node.place.problem("a fake without a kind", f"one of: {', '.join(sorted(_kinds()))}"))
        return None
    try:
        config = fake.load(kind.value).Config
    except KeyError:
        problems.append(kind.place.problem(f"there is no fake of '{kind.value}'", close_to(kind.value, _kinds())))
        return None
    except (ImportError, AttributeError) as error:
        what = f"the fake of '{kind.value}' cannot be loaded: {error}"
        problems.append(kind.place.problem(what, "install it again"))
        return None
    try:
        return config.model_validate(plain(node, lambda leaf: leaf.text))
    except ValidationError as error:
        problems.extend(problems_of(error, node, config))
        return None


def _kinds() -> set[str]:
    return {point.name for point in entry_points(group=fake.ENTRY_POINTS)}


def devices_of(scene: Scene) -> dict[str, tuple[int | str, ...]]:
    """Every device that a sensor or actor of the scene belongs to, and the place of one that does."""
    found: dict[str, tuple[int | str, ...]] = {}
    for name in ("loops", "antennas", "cameras", "more_portals"):
        for index, site in enumerate(getattr(scene, name)):
            found.setdefault(site.device, ("scene", name, index, "device"))
    for name in ("portal", "signal", "gate", "button", "lane_signal", "beacon", "emergency_button", "scanner"):
        site = getattr(scene, name)
        if site is not None:
            found.setdefault(site.device, ("scene", name, "device"))
    return found


def _check_devices(scene: Scene, root: Table, fakes: dict[str, FakeConfig | None], problems: list[Problem]) -> None:
    for device, location in devices_of(scene).items():
        if device not in fakes:
            node, _ = find(root, location)
            what = f"the scene's device '{device}' has no fake"
            if len(location) == len(("scene", "portal", "device")):
                what += f" (in a lane without one, say `{location[1]}: null`)"
            problems.append(node.place.problem(what, close_to(device, fakes)))


def _check_in_lane(root: Table, lane: Path, fakes: dict[str, FakeConfig | None], problems: list[Problem]) -> None:
    """Each fake stands for a device of the lane file."""
    devices = plain(read_layers(lane, []), lambda secret: "").get("devices")
    known = [stanza.get("id") for stanza in devices if isinstance(stanza, dict)] if isinstance(devices, list) else []
    for device in fakes if known else ():
        if device not in known:
            node, _ = find(root, ("fakes", device))
            what = f"the fake '{device}' is no device of the lane file {lane.name}"
            problems.append(node.place.problem(what, close_to(device, [str(name) for name in known])))


def _check_there(path: Path, root: Table, key: str, name: str, problems: list[Problem]) -> None:
    if not (path.parent / name).is_file():
        node, _ = find(root, (key,))
        problems.append(
            node.place.problem(f"there is no file {path.parent / name}", "the name is relative to this file")
        )


def _all_of(problems: list[Problem]) -> ConfigError:
    return ConfigError(tuple(sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.what))))
