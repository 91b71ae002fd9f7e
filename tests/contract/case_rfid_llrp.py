"""The contract suite's case for `rfid.llrp`: a tag a second, each another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract_case import Case

from lanecontrol.events import TagRead
from sim.readings import Reading, TagAnswer


def _reading(n: int) -> Reading:
    return TagAnswer(1 + n % 2, bytes.fromhex("e280") + n.to_bytes(10, "big"), -55.0 + n % 5)


def _without_time(event: Any) -> Any:
    return replace(event, reader_utc_s=None) if isinstance(event, TagRead) else event


CASE = Case(
    reading=_reading,
    # An RO_ACCESS_REPORT whose only parameter is longer than the message.
    malformed=bytes.fromhex("043d 0000000e 00000001 00f000ff"),
    # A message of the same type with a length of two gigabytes.
    bomb=bytes.fromhex("043d 7fffffff 00000001"),
    comparable=_without_time,
)
