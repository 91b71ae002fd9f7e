"""The flight recorder: the recent past of a lane as wire bytes and typed inputs, replayable.

`Recorder` writes it, `read` and `wire_only` read it, `replay` runs it through the lane's `step` again. A recording
holds card numbers and plates in clear and is readable by its owner only.
"""

from lanecontrol.recorder.effects import effects_bytes, effects_digest
from lanecontrol.recorder.recorder import Recorder, RecorderLimits
from lanecontrol.recorder.records import Checkpoint, Gap, Record, Segment, TakenIn, Wire
from lanecontrol.recorder.replay import Difference, ReplayReport, replay
from lanecontrol.recorder.segments import read, wire_only

__all__ = [
    "Checkpoint",
    "Difference",
    "Gap",
    "Record",
    "Recorder",
    "RecorderLimits",
    "ReplayReport",
    "Segment",
    "TakenIn",
    "Wire",
    "effects_bytes",
    "effects_digest",
    "read",
    "replay",
    "wire_only",
]
