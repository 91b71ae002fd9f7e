"""The contract suite's case for `io.modbus`: one contact that goes on and off, one lamp."""

from __future__ import annotations

from contract_case import Case

from lanecontrol.commands import WriteOutputs
from sim.readings import Contact, OutputSet, Reading


def _reading(n: int) -> Reading:
    return Contact("loop", n % 2 == 0)


CASE = Case(
    reading=_reading,
    malformed=bytes.fromhex("7b01 0000 0006 01 02 03 ff ff ff"),
    bomb=bytes.fromhex("0001 0000 ffff 01 02"),
    settings={"inputs": {"loop": 0}, "outputs": {"lamp": 0}},
    fake_settings={"inputs": {"points": ["loop"]}, "outputs": {"points": ["lamp"]}},
    command=WriteOutputs((("lamp", True),)),
    deed=OutputSet("lamp", True),
)
