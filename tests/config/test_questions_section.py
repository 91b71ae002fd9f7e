"""Questions to the port in a lane file: what a real lane needs before it may keep what it is told."""

from __future__ import annotations

from lane_text import LANE, problems

from lanecontrol.config import load_text

QUESTIONS = "questions: {answer_within_s: 2.0}\n"
SNAPSHOT = f'questions: {{lookouts: false, snapshot: {{file: s.bin, signers: ["{"0" * 64}"]}}}}\n'
KEYED = LANE.replace("store: {path: state}", "store: {path: state, keys: [!secret rest]}")
HASHED = "privacy: {hash_key: !secret hashes}\n"


def secret(name: str) -> str:
    return f"a secret named {name}"


def told(text: str) -> str:
    return "\n".join(map(str, problems(text, secret)))


def test_a_real_lane_asks_for_lookouts_only_if_its_disk_has_a_key() -> None:
    assert "lookouts would be kept in clear" in told(LANE + QUESTIONS)
    assert load_text(KEYED + QUESTIONS, "lane.yaml", secret=secret).setup.questions is not None
    assert load_text(LANE + "questions: {lookouts: false}\n", "lane.yaml", secret=secret).setup.questions is not None


def test_a_real_lane_has_a_snapshot_only_if_its_disk_has_a_key_and_the_site_its_own() -> None:
    assert "snapshot would be kept in clear" in told(LANE + HASHED + SNAPSHOT)
    assert "site's key" in told(KEYED + SNAPSHOT)
    assert load_text(KEYED + HASHED + SNAPSHOT, "lane.yaml", secret=secret).snapshot is not None
