"""From pixels to passages: plates come only from a camera that takes pictures, and are read on the box."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from whole_system import CONFIGS, score_of

from lanecontrol.config.document import plain, read
from lanecontrol.plates import PlatesUnavailable
from lanecontrol.plates.weights import DETECTOR, RECOGNISER, packaged
from sim.simfile import load_scenario, load_simfile
from sim.simulate import Options, Report, simulate

LANE = """\
extends: {sentri}
cameras:
  - {{device: cam1, zone: approach, trigger: true}}
devices:
  # How sure a read has to be, and how fast it is, are the engine's benchmark's questions; here it is where a read goes.
  - {{kind: lpr.frames, id: cam1, url: "tcp://192.0.2.51:80", path: "{path}", min_confidence: 0.5, read_timeout_s: 60,
     {login}}}
store: {{path: store, recorder_mib: 64}}
"""
SIM = """\
lane: lane-of-pixels.yaml
scenario: scenario.yaml
scene:
  cameras:
    - {{device: cam1, at_m: 22, side: front, pictures_from_m: 10}}
fakes:
  io1: {io1}
  rpm1: {{kind: rpm.rapiscan}}
  rfid1: {{kind: rfid.llrp}}
  cam1: {{kind: lpr.frames, auth: {auth}, width: 960, height: 540}}
"""
SCENARIO = """\
title: ordinary cars before a camera
traffic:
  vehicles_per_h: 200
"""


@dataclass(slots=True)
class Seen:
    """What a run told of plates, and what was true."""

    report: Report
    evidence: Path

    def told(self, name: str) -> list[dict[str, Any]]:
        events = [json.loads(one.arrival.raw) for run in self.report.runs for one in run.desk.heard]
        return [event["data"] for event in events if event["type"].split(".")[1] == name]

    @property
    def truth(self) -> dict[str, int]:
        """Each plate of the world, and whose it is."""
        return {vehicle.plates[0]: vehicle.number for vehicle in self.report.runs[0].truth.vehicles}


def run(folder: Path, vehicles: int, *, path: str, auth: str) -> Seen:
    login = "" if auth == "none" else "username: root, password: pass"
    lane = LANE.format(sentri=json.dumps(str(CONFIGS / "sentri.yaml")), path=path, login=login)
    shipped = plain(read((CONFIGS / "sim.yaml").read_text(encoding="utf-8"), "sim.yaml", []), lambda leaf: leaf.text)
    (folder / "lane-of-pixels.yaml").write_text(lane, encoding="utf-8")
    (folder / "sim.yaml").write_text(SIM.format(io1=json.dumps(shipped["fakes"]["io1"]), auth=auth), encoding="utf-8")
    (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    simulation = load_simfile(folder / "sim.yaml")
    wanted = load_scenario(folder / "scenario.yaml").model_copy(update={"vehicles": vehicles})
    report = simulate(Options(simulation, wanted, seed=5, state=folder / "state"))
    return Seen(report, folder / "state" / "store-07" / "evidence")


def check(seen: Seen, vehicles: int) -> None:
    """Every vehicle settled, nearly all plates read, none read wrong, each with the right vehicle and its picture."""
    score = score_of(seen.report, 5)
    assert score["passages"]["complete"] == vehicles
    plates = score["plates"]
    assert (plates["misassigned"], plates["ambiguous"], plates["orphan"]) == (0, 0, 0)
    # To the score an O in the place of a 0 is misread; on most plates the two are one and the same.
    assert plates["bound"] + plates["misread"] >= 0.8 * vehicles
    assert seen.told("device_fault_changed") == []
    told = seen.told("plate_sighted")
    assert {one["text"].replace("O", "0") for one in told} <= {text.replace("O", "0") for text in seen.truth}
    for one in told:
        digest = one["picture"].removeprefix("sha256:")
        assert (seen.evidence / digest[:2] / digest[2:4] / digest).read_bytes().startswith(b"\xff\xd8")
        assert one["engine"].startswith("lanecontrol-plates/")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "auth"),
    [("/axis-cgi/jpg/image.cgi", "digest"), ("/ISAPI/Streaming/channels/101/picture", "none")],
)
def test_plates_are_read_from_pictures_and_go_to_their_passages(tmp_path: Path, path: str, auth: str) -> None:
    for needed in ("cv2", "onnxruntime"):
        pytest.importorskip(needed, reason="pictures are drawn and read with the extra `plates`")
    try:
        for weights in (DETECTOR, RECOGNISER):
            packaged(weights)
    except PlatesUnavailable as why:
        pytest.skip(str(why))
    check(run(tmp_path, 6, path=path, auth=auth), 6)
