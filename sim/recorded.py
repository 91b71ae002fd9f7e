"""A recorded portal through the whole daemon to the broker: what real hardware said, scored against itself."""

from __future__ import annotations

from pathlib import Path

from sim.rpm_rapiscan_recording import parse_recording
from sim.score import Run, score_recording
from sim.score_file import Score
from sim.scoring import delivery_ms, received
from sim.simfile import Simulation
from sim.simulate import Options, simulate
from sim.world.scenario import Officer, Scenario


def play_recording(simulation: Simulation, file: Path, *, speed: float | None, broker: str) -> Score:
    """Serve the lines of `file` from the fake portal, at the recorded pace of lane time. Raises OSError."""
    nobody = Scenario(title="a recording", duration_s=1.0, officer=Officer(present=False))
    report = simulate(Options(simulation, nobody, speed=speed, broker=broker, recording=file))
    run = report.runs[0]
    truth = [(one.gamma_alarm, one.neutron_alarm) for one in parse_recording(file.read_bytes()).occupancies]
    return score_recording(
        truth,
        received(run.desk.heard),
        Run(
            lane_s=report.lane_s,
            wall_s=report.wall_s,
            utc_at_zero_s=run.started_utc_s,
            recorded=len(run.recorded_wall_s),
            acknowledged=run.lane.delivered,
            decision_ms=list(run.lane.runner.decision_ms),
            delivery_ms=delivery_ms(run),
        ),
    )
