"""Questions to the port in a lane file: what a real lane needs before it may keep what it is told."""

from __future__ import annotations

import pytest

from lanecontrol.config import load_text
from lanecontrol.errors import ConfigError

LANE = """\
port: SYS
lane: {id: "07", type: SENTRI}
zones: [{name: booth, start_m: 25, end_m: 29}]
loops: [{name: booth, device: io1, point: loop_booth, zone: booth}]
signal: {device: io1, green: signal_green, red: signal_red}
devices:
  - kind: io.modbus
    id: io1
    url: tcp://192.0.2.21:502
    inputs: {loop_booth: 0}
    outputs: {signal_green: 0, signal_red: 1}
brokers: [{url: "mqtt://192.0.2.10:1883"}]
store: {path: state}
"""
QUESTIONS = "questions: {answer_within_s: 2.0}\n"
SNAPSHOT = f'questions: {{lookouts: false, snapshot: {{file: s.bin, signers: ["{"0" * 64}"]}}}}\n'
KEYED = LANE.replace("store: {path: state}", "store: {path: state, keys: [!secret rest]}")
HASHED = "privacy: {hash_key: !secret hashes}\n"


def secret(name: str) -> str:
    return f"a secret named {name}"


def told(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_text(text, "lane.yaml", secret=secret)
    return "\n".join(map(str, raised.value.problems))


def test_a_real_lane_asks_for_lookouts_only_if_its_disk_has_a_key() -> None:
    assert "lookouts would be kept in clear" in told(LANE + QUESTIONS)
    assert load_text(KEYED + QUESTIONS, "lane.yaml", secret=secret).setup.questions is not None
    assert load_text(LANE + "questions: {lookouts: false}\n", "lane.yaml", secret=secret).setup.questions is not None


def test_a_real_lane_has_a_snapshot_only_if_its_disk_has_a_key_and_the_site_its_own() -> None:
    assert "snapshot would be kept in clear" in told(LANE + HASHED + SNAPSHOT)
    assert "site's key" in told(KEYED + SNAPSHOT)
    assert load_text(KEYED + HASHED + SNAPSHOT, "lane.yaml", secret=secret).snapshot is not None
