"""A small lane file as text, and what is wrong with a text. For the tests beside this file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lanecontrol.config import load_text
from lanecontrol.config.secrets import find_secret
from lanecontrol.errors import ConfigError, Problem

LANE = """\
port: SYS
lane: {id: "07", type: SENTRI}
zones:
  - {name: approach, start_m: 20, end_m: 22}
  - {name: booth, start_m: 25, end_m: 29}
loops:
  - {name: booth, device: io1, point: loop_booth, zone: booth}
signal: {device: io1, green: signal_green, red: signal_red}
devices:
  - kind: io.modbus
    id: io1
    url: tcp://192.0.2.21:502
    inputs: {loop_booth: 0, button: 1}
    outputs: {signal_green: 0, signal_red: 1}
brokers:
  - url: mqtt://192.0.2.10:1883
store: {path: state}
"""


def problems(text: str, secret: Callable[[str], str | None] = find_secret) -> list[Problem]:
    with pytest.raises(ConfigError) as raised:
        load_text(text, "lane.yaml", secret=secret)
    return list(raised.value.problems)


def the_problem(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, "\n".join(map(str, found))
    return str(found[0])


def with_line(old: str, new: str) -> str:
    assert old in LANE
    return LANE.replace(old, new)
