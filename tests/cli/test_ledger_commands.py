"""`ledger prune` and `ledger dead-letters`: what goes, what stays, what is told of it, and who may not be disturbed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lanecontrol import forms
from lanecontrol.announcements import Announcement, BacklogDrained, ChainHead, Quality, QualityChanged
from lanecontrol.cli import main
from lanecontrol.clock import Instant
from lanecontrol.journal import LedgerJournal
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.port.outbox import DEAD_LETTERS, DeadLetter, DeadLetters
from lanecontrol.port.topics import LaneAddress
from lanecontrol.sealing import Sealer

ROOT = Path(__file__).parents[2]
KEY = "a secret of more than sixteen"
DAY_S = 86_400.0
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def lane_file(tmp_path: Path) -> Path:
    file = tmp_path / "lane.yaml"
    file.write_text(f"extends: {ROOT / 'configs' / 'sentri.yaml'}\nstore: {{path: store}}\n")
    (tmp_path / "store").mkdir()
    return file


def record(
    lane_file: Path,
    ages_days: Sequence[float],
    *,
    undelivered: Sequence[int] = (),
    told: Announcement | None = None,
    key: str = "",
    letters: DeadLetters | None = None,
) -> None:
    """A store with one event for each age, all delivered but those at the given places."""

    async def fill() -> None:
        sealer = Sealer([key.encode()] if key else [])
        async with await Ledger.open(lane_file.parent / "store" / "ledger.db", sealer=sealer) as ledger:
            journal = LedgerJournal(ledger, LaneAddress("SYS", "07"), lambda _: None, lambda _: None)
            for age_days in ages_days:
                at_utc_s = time.time() - age_days * DAY_S
                await journal.write((told or ChainHead(1, 1, "ab" * 32, at_utc_s),), Instant(0.0, at_utc_s), None)
            rows = await ledger.undelivered(limit=100_000)
            ledger.mark_delivered([row.position for n, row in enumerate(rows) if n not in undelivered])
            await ledger.put(DEAD_LETTERS, forms.to_json(letters or DeadLetters()))

    asyncio.run(fill())


def said(capsys: Captured) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def rows_left(lane_file: Path, capsys: Captured) -> list[int]:
    main(["ledger", "export", str(lane_file)])
    return [int(json.loads(line)["id"].partition("-")[2]) for line in capsys.readouterr().out.splitlines()]


def test_what_is_older_goes_and_a_dry_run_tells_so_before(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [50, 40, 30, 20, 10, 1])
    assert main(["ledger", "prune", str(lane_file), "--older-than", "15", "--dry-run", "--json"]) == 0
    assert said(capsys)["rows"] == 4
    assert rows_left(lane_file, capsys) == [1, 2, 3, 4, 5, 6]
    assert main(["ledger", "prune", str(lane_file), "--older-than", "15", "--json"]) == 0
    assert said(capsys)["rows"] == 4
    assert rows_left(lane_file, capsys) == [5, 6]
    assert main(["ledger", "verify", str(lane_file)]) == 0


def test_without_a_number_of_days_the_lane_files_hold(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [50, 40, 30, 20])
    assert main(["ledger", "prune", str(lane_file), "--dry-run", "--json"]) == 0
    assert said(capsys)["rows"] == 2


def test_what_the_port_has_not_got_stays_and_of_all_after_it_what_the_chain_needs(
    lane_file: Path, capsys: Captured
) -> None:
    record(lane_file, [50, 40, 30, 20], undelivered=[1])
    for dry in (["--dry-run"], []):
        main(["ledger", "prune", str(lane_file), "--older-than", "5", "--json", *dry])
        told = said(capsys)
        assert (told["rows"], told["erased"]) == (1, 2)
    assert rows_left(lane_file, capsys) == [2, 3, 4]
    main(["ledger", "export", str(lane_file)])
    assert ["erased" in line for line in capsys.readouterr().out.splitlines()] == [False, True, True]
    assert main(["ledger", "verify", str(lane_file)]) == 0


def test_a_store_that_is_too_large_gives_up_what_may_be_and_leaves_a_gap_record(
    lane_file: Path, capsys: Captured
) -> None:
    lane_file.write_text(lane_file.read_text().replace("path: store", "path: store, limit_gib: 0.0001"))
    record(lane_file, [1.0] * 400, undelivered=range(400), told=BacklogDrained(1, 1.0, 0.0))
    assert main(["ledger", "prune", str(lane_file), "--json", "--older-than", "35"]) == 0
    found = said(capsys)
    gaps = found["given_up"]
    assert isinstance(gaps, list)
    assert gaps[0]["topic_class"] == "telemetry"
    main(["ledger", "export", str(lane_file)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["type"] == "lanecontrol.events_given_up.v1"


def test_what_must_be_kept_is_kept_and_the_excess_told(lane_file: Path, capsys: Captured) -> None:
    lane_file.write_text(lane_file.read_text().replace("path: store", "path: store, limit_gib: 0.00005"))
    record(lane_file, [1.0] * 200, undelivered=range(200), told=QualityChanged(Quality.GOOD, "x" * 300, 0.0))
    assert main(["ledger", "prune", str(lane_file), "--json", "--older-than", "35"]) == 0
    found = said(capsys)
    assert found["rows"] == 0
    assert isinstance(found["over_bytes"], int)
    assert found["over_bytes"] > 0
    assert len(rows_left(lane_file, capsys)) == 200


def test_a_store_that_somebody_has_open_is_left_alone(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [50])

    async def with_the_daemon() -> int:
        async with await Ledger.open(lane_file.parent / "store" / "ledger.db"):
            return await asyncio.to_thread(main, ["ledger", "prune", str(lane_file), "--older-than", "1"])

    assert asyncio.run(with_the_daemon()) == 1
    assert "another process" in capsys.readouterr().err


def test_a_sealed_store_wants_its_own_key(lane_file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    lane_file.write_text(lane_file.read_text().replace("path: store", "path: store, keys: [!secret at-rest]"))
    record(lane_file, [50, 50], key=KEY)
    arguments = ["ledger", "prune", str(lane_file), "--older-than", "1", "--json"]
    assert main(arguments) == 78, "the secret is not known"
    monkeypatch.setenv("LANECONTROL_SECRET_AT_REST", "another secret of sixteen")
    assert main(arguments) == 1
    assert "sealed with a key" in capsys.readouterr().err
    monkeypatch.setenv("LANECONTROL_SECRET_AT_REST", KEY)
    assert main(arguments) == 0
    assert said(capsys)["rows"] == 1, "the last row stays: the chain goes on from it"


@pytest.mark.parametrize("days", ["0", "-1", "nan"])
def test_days_must_be_days(lane_file: Path, days: str) -> None:
    assert main(["ledger", "prune", str(lane_file), f"--older-than={days}"]) == 2


def test_dead_letters_are_listed_with_their_reasons(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [1], letters=DeadLetters(7, (DeadLetter(3, 1, 3, "reading", 0x95, "packet too large"),)))
    assert main(["ledger", "dead-letters", str(lane_file), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"id": "1-3", "topic_class": "reading", "code": 149, "why": "packet too large"}
    assert "the latest 1 of 7" in told.err
    assert main(["ledger", "dead-letters", str(lane_file)]) == 0
    assert capsys.readouterr().out == "1-3\treading\tpacket too large\n"


def test_without_dead_letters_there_is_nothing_to_list(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [1])
    assert main(["ledger", "dead-letters", str(lane_file), "--json"]) == 0
    assert capsys.readouterr().out == ""


# --- verify, with less than a whole store ---


def test_verify_says_what_it_cannot_see_without_the_file_that_knows_the_end(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [1, 1])
    assert main(["ledger", "verify", str(lane_file)]) == 0
    assert capsys.readouterr().err == ""
    (lane_file.parent / "store" / "ledger.head").unlink()
    assert main(["ledger", "verify", str(lane_file)]) == 0
    assert "rows gone from the end would not show" in capsys.readouterr().err


def test_a_copy_of_a_store_s_file_by_another_name_is_told_from_a_lane_file(lane_file: Path, capsys: Captured) -> None:
    record(lane_file, [1])
    copy = (lane_file.parent / "store" / "ledger.db").rename(lane_file.parent / "seized.db")
    assert main(["ledger", "verify", str(copy)]) == 2
    assert "a store is named by its folder" in capsys.readouterr().err
