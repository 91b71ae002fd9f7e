"""No part of one driver imports a part of another: its codec no more than the driver itself.

The parts of a driver are named after it: `rfid_llrp`, `rfid_llrp_codec` ... Whatever a module in `drivers` is, it is
a part of one of the drivers that the import contracts name, or shared; what is shared imports no driver.
"""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest

SHARED = ("drivers.modbus_codec", "drivers.modbus_conversation", "drivers.push", "drivers.rfid_readonly")
"""What several drivers speak, Modbus or HTTP of cameras that push; and what every reader refuses."""


def project() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


def families() -> tuple[str, ...]:
    """The drivers, as the import contract names them."""
    contracts = project()["tool"]["importlinter"]["contracts"]
    (modules,) = (row["modules"] for row in contracts if row["name"] == "one driver never imports another")
    return tuple(modules)


def family(module: str) -> str:
    """The driver that a module is a part of; empty for what is shared. Fails for what is neither."""
    if any(module == shared or module.startswith(f"{shared}.") for shared in SHARED):
        return ""
    (found,) = (name for name in families() if module == name or module.startswith(f"{name}_"))
    return found


def trespasses(graph: grimp.ImportGraph) -> list[str]:
    """Imports from one driver into another, or from what is shared into a driver."""
    parts = graph.modules - {"drivers"}
    return sorted(
        f"{module} imports {other}"
        for module in parts
        for other in graph.find_modules_directly_imported_by(module)
        if other in parts and family(other) not in ("", family(module))
    )


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("drivers", cache_dir=None)


def test_no_part_of_a_driver_imports_a_part_of_another(graph: grimp.ImportGraph) -> None:
    assert trespasses(graph) == []


def test_every_driver_that_can_be_configured_is_kept_apart() -> None:
    entries = project()["project"]["entry-points"]["lanecontrol.drivers"]
    modules = {target.partition(":")[0] for target in entries.values()}
    assert {module for module in modules if module.startswith("drivers.")} == set(families())


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("drivers.lpr_axis_codec", "drivers.lpr_mapped_codec"),
        ("drivers.rfid_mercury", "drivers.rfid_llrp_codec"),
        ("drivers.rpm_aspect_codec", "drivers.io_modbus_profile"),
        ("drivers.push.http", "drivers.lpr_frames_http"),
    ],
)
def test_a_part_that_trespasses_is_found(importer: str, imported: str, graph: grimp.ImportGraph) -> None:
    spoilt = copy.deepcopy(graph)
    spoilt.add_import(importer=importer, imported=imported)
    assert trespasses(spoilt) == [f"{importer} imports {imported}"]
