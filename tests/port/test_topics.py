"""Topics: names, and the page that is written from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanecontrol.port.order_payloads import COMMANDS
from lanecontrol.port.topics import CLASSES, TOPICS, Drop, LaneAddress, is_level, topics_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "topics.md"


def test_a_lane_and_its_simulated_twin_never_share_a_topic() -> None:
    real, simulated = LaneAddress("laredo", "07"), LaneAddress("laredo", "07", simulated=True)
    assert real.status == "poe/laredo/lane/07/status"
    assert simulated.status == "sim/poe/laredo/lane/07/status"
    assert real.device("portal") == "poe/laredo/lane/07/device/portal"
    assert real.event("alarm") == "poe/laredo/lane/07/event/alarm"
    assert real.command("#") == "poe/laredo/lane/07/cmd/#"
    assert real.reply("desk") == "poe/laredo/lane/07/reply/desk"
    assert real.receipt("central") == "poe/laredo/lane/07/receipt/central"
    assert real.evidence("p1") == "poe/laredo/lane/07/evidence/p1"


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "x" * 65, "é", "a\n", ".a", "$SYS"])
def test_a_name_that_would_break_a_topic_is_refused(name: str) -> None:
    assert not is_level(name)
    with pytest.raises(ValueError, match="cannot be part of a topic"):
        LaneAddress(name, "1")
    with pytest.raises(ValueError, match="cannot be part of a topic"):
        LaneAddress("laredo", name)


def test_alarms_overtake_and_are_never_dropped() -> None:
    assert CLASSES["alarm"].overtake
    assert CLASSES["alarm"].drop is Drop.NEVER
    assert CLASSES["telemetry"].drop is Drop.OLDEST_FIRST


def test_only_states_are_retained_by_the_lane() -> None:
    kept = {row.name for row in TOPICS if row.retained}
    assert kept == {"status", "device/<id>", "receipt/<consumer>"}


def test_the_page_of_topics_names_every_verb_with_its_fields() -> None:
    page = topics_page()
    assert all(f"| `{verb}` | " in page for verb in COMMANDS)
    assert "| `occupants` | `passage`, `count`, [`minors`] | " in page


def test_the_page_of_topics_is_the_one_in_the_documentation() -> None:
    assert PAGE.read_text(encoding="utf-8") == topics_page(), "write it with python -m lanecontrol.port.topics"
