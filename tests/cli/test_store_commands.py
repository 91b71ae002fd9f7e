"""`ledger`, `record`, `replay` and `doctor` on the store of a lane that really ran."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

import pytest

from lanecontrol.app import Lane, Surroundings
from lanecontrol.cli import main, output
from lanecontrol.clock import LoopClock
from lanecontrol.config import load
from lanecontrol.links import MemoryNet

ROOT = Path(__file__).parents[2]
KEY = "a secret of more than sixteen"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def lane_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lane file whose store holds what a short run without any device leaves."""
    folder = tmp_path_factory.mktemp("lane")
    file = folder / "lane.yaml"
    devices = "".join(f'  - {{id: {name}, url: "mem://{name}"}}\n' for name in ("io1", "rpm1", "rfid1"))
    file.write_text(
        f"extends: {ROOT / 'configs' / 'sentri.yaml'}\nsimulated: true\nstore: {{path: store}}\n"
        "brokers: [{url: 'mem://broker', username: lane07, password: !secret broker-password}]\n"
        "privacy: {hash_key: 'a key of sixteen and more'}\n"
        f"devices:\n{devices}"
    )
    asyncio.run(_run_shortly(file))
    return str(file)


async def _run_shortly(file: Path) -> None:
    around = Surroundings(clock=LoopClock(), rng=random.Random(1), boot="b00t", memory=MemoryNet())
    lane, stop = Lane(load(file, secret=lambda name: KEY), around), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lane.run(stop))
        await lane.ready.wait()
        await asyncio.sleep(0.2)
        stop.set()


def test_the_chain_of_a_lane_that_ran_verifies(lane_file: str, capsys: Captured) -> None:
    assert main(["ledger", "verify", lane_file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is True
    assert told["rows"] > 0


def test_a_changed_record_is_named_and_the_exit_code_is_1(lane_file: str, tmp_path: Path, capsys: Captured) -> None:
    store = copied(lane_file, tmp_path / "store")
    copy = tmp_path / "lane.yaml"
    copy.write_text(f"extends: {lane_file}\nstore: {{path: {store}}}\n")
    with sqlite3.connect(store / "ledger.db") as db:
        db.execute("UPDATE entries SET body = replace(body, 'connecting', 'online') WHERE seq = 1")
    db.close()
    assert main(["ledger", "verify", str(copy)]) == 1
    assert "first_bad: record 1-1: " in capsys.readouterr().out


def copied(lane_file: str, folder: Path) -> Path:
    shutil.copytree(Path(lane_file).parent / "store", folder)
    return folder


@pytest.mark.parametrize("which", ["seq = (SELECT max(seq) FROM entries)", "seq > 0"])
def test_rows_cut_off_the_end_are_told(which: str, lane_file: str, tmp_path: Path, capsys: Captured) -> None:
    store = copied(lane_file, tmp_path / "store")
    with sqlite3.connect(store / "ledger.db") as db:
        (last,) = db.execute("SELECT max(seq) FROM entries").fetchone()
        db.execute(f"DELETE FROM entries WHERE {which}")
        (left,) = db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()
    db.close()
    assert main(["ledger", "verify", str(store), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["first_bad"] == f"records 1-{left + 1} to 1-{last} are gone from the end"


def test_a_ledger_that_cannot_be_read_is_a_bad_one_and_no_mishap(
    lane_file: str, tmp_path: Path, capsys: Captured
) -> None:
    store = copied(lane_file, tmp_path / "store")
    for file in store.glob("ledger.db*"):
        file.write_bytes(bytes(file.stat().st_size))
    assert main(["ledger", "verify", str(store), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is False
    assert told["first_bad"].startswith("cannot be read: ")


def test_a_copy_of_a_store_is_looked_at_without_its_lane_file(lane_file: str, tmp_path: Path, capsys: Captured) -> None:
    store = copied(lane_file, tmp_path / "store")
    assert main(["ledger", "verify", str(store)]) == 0
    assert main(["ledger", "status", str(store / "ledger.db"), "--json"]) == 0
    capsys.readouterr()
    assert main(["ledger", "prune", str(store)]) == 2
    assert "prune wants the lane file" in capsys.readouterr().err


def test_status_of_a_store_on_a_full_disk_does_not_say_writable(
    lane_file: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=4096)
    monkeypatch.setattr("lanecontrol.cli.ledger.shutil.disk_usage", lambda _folder: full)
    assert main(["ledger", "status", lane_file]) == 0
    assert "writable: False\nreason: the store's disk is full\n" in capsys.readouterr().out


def test_a_file_that_is_no_recording_is_not_identical_to_anything(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "notes.txt").write_text("no recording\n")
    assert main(["replay", str(tmp_path / "notes.txt")]) == 1
    told = capsys.readouterr()
    assert "identical: False" in told.out
    assert "no input that could be replayed" in told.err


def test_export_gives_each_event_as_it_is_sent(lane_file: str, capsys: Captured) -> None:
    assert main(["ledger", "export", lane_file]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["simulated"] is True for event in events)
    assert main(["ledger", "export", lane_file, "--undelivered"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(events)


def test_status_tells_the_tail(lane_file: str, capsys: Captured) -> None:
    assert main(["ledger", "status", lane_file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["undelivered"] == told["rows"] > 0


def test_a_recording_is_taken_out_and_replays_to_the_same_decisions(
    lane_file: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "recording"
    assert main(["record", lane_file, "--out", str(out)]) == 0
    if os.name != "nt":
        assert out.stat().st_mode & 0o077 == 0
    assert main(["replay", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["identical"] is True
    assert told["inputs"] > 0
    assert main(["record", lane_file, "--out", str(out)]) == 1, "an existing recording is not overwritten"


def test_a_decision_that_differs_is_told_and_the_exit_code_is_1(
    lane_file: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "recording"
    assert main(["record", lane_file, "--out", str(out)]) == 0
    lines = out.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"k":"input"' in line and b'"effects":""' not in line)
    entry = json.loads(lines[at])
    lines[at] = json.dumps({**entry, "effects": "0" * 16}, separators=(",", ":")).encode() + b"\n"
    out.write_bytes(b"".join(lines))
    assert main(["replay", str(out)]) == 1
    assert "identical: False" in capsys.readouterr().out


def test_without_a_store_the_commands_say_so(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "lane.yaml"
    file.write_text(f"extends: {ROOT / 'configs' / 'sentri.yaml'}\nstore: {{path: none}}\n")
    assert main(["ledger", "status", str(file)]) == 1
    assert main(["record", str(file), "--out", str(tmp_path / "out")]) == 1
    assert main(["replay", str(tmp_path / "nothing")]) == 1
    told = capsys.readouterr().err
    assert "there is no ledger at" in told
    assert "there is no recording in" in told


# --- sealed stores ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sealed_lane(lane_file: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same lane with a key for what lies on its disk."""
    file = tmp_path_factory.mktemp("sealed") / "lane.yaml"
    file.write_text(f"extends: {lane_file}\nstore: {{path: store, keys: [!secret at-rest]}}\n")
    asyncio.run(_run_shortly(file))
    return str(file)


def test_a_sealed_recording_replays_with_the_lane_files_keys_and_says_so_without(
    sealed_lane: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANECONTROL_SECRET_AT_REST", KEY)
    monkeypatch.setenv("LANECONTROL_SECRET_BROKER_PASSWORD", "a-password")
    folder = str(Path(sealed_lane).parent / "store" / "recorder")
    assert main(["replay", folder, "--config", sealed_lane]) == 0
    assert "locked: 0" in capsys.readouterr().out
    assert main(["replay", folder]) == 1
    assert "parts are sealed" in capsys.readouterr().err
    assert main(["record", sealed_lane, "--out", str(tmp_path / "open")]) == 0
    assert main(["replay", str(tmp_path / "open")]) == 0


def test_doctor_tells_whether_the_store_opens_with_its_keys(
    sealed_lane: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANECONTROL_SECRET_BROKER_PASSWORD", "a-password")
    found = {}
    for key in (KEY, "another key of sixteen"):
        monkeypatch.setenv("LANECONTROL_SECRET_AT_REST", key)
        main(["doctor", sealed_lane, "--json"])
        told = {each["what"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
        found[key] = told["store sealed"]["good"], told["store sealed"]["detail"]
    assert found[KEY][0] is True
    good, detail = found["another key of sixteen"]
    assert good is False
    assert detail.startswith("the ledger and the flight recorder cannot be opened with key ")


# --- doctor ----------------------------------------------------------------------------------------------------------


def test_doctor_looks_at_store_and_broker_and_its_bundle_holds_no_secret(
    lane_file: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANECONTROL_SECRET_BROKER_PASSWORD", "hunter2-password")
    bundle = tmp_path / "bundle.zip"
    assert main(["doctor", lane_file, "--json", "--bundle", str(bundle)]) == 1, "there is no such broker"
    told = {each["what"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told["configuration"]["good"] is True
    assert told["store writable"]["good"] is True
    assert told["broker"]["good"] is False
    with zipfile.ZipFile(bundle) as parts:
        texts = {name: parts.read(name).decode() for name in parts.namelist()}
    assert sorted(texts) == ["configuration.json", "findings.json", "versions.json"]
    assert "!secret broker-password" in texts["configuration.json"]
    assert "(not shown)" in texts["configuration.json"]
    assert not any("hunter2" in text or "sixteen" in text for text in texts.values())


def test_doctor_tells_what_is_wrong_with_a_lane_file(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "lane.yaml"
    file.write_text(f"extends: {ROOT / 'configs' / 'sentri.yaml'}\ncolour: blue\n")
    assert main(["doctor", str(file)]) == 1
    assert "unknown key 'colour'" in capsys.readouterr().out


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_is_drawn_on_a_terminal_and_tab_separated_in_a_pipe(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.table(("kind", "from"), [("io.modbus", "[here]")])
    assert capsys.readouterr().out == "io.modbus\t[here]\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    output.table(("kind", "from"), [("io.modbus", "[here]")])
    drawn = capsys.readouterr().out
    assert "kind" in drawn
    assert "[here]" in drawn
    assert "\x1b[3" not in drawn
