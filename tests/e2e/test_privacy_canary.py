"""A canary card and a canary plate drive through a lane with everything switched on, and are looked for in all that
comes out, in every form: nothing in clear outside the ledger and the payload to the port.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import zipfile
from pathlib import Path

import pytest
from canary import CARD, PLATE, found_below, found_in
from canary_lane import QUIET, SECRETS, TROUBLED, Heard, Lane, canary_lane, simulated
from canary_world import let_canary_in

from sim.world.plan import Population

HOLDERS = ("ledger.", "recorder/", "spool/")
"""What holds numbers: the ledger, which the port is told from; the recording, and pushes until the ledger has them."""


# --- the search itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        CARD,
        CARD[6:11],
        CARD[::-1],
        CARD.hex().encode(),
        CARD.hex().upper().encode(),
        CARD.hex(" ").encode(),
        CARD.hex(":").upper().encode(),
        CARD[7:].hex().encode(),
        repr(CARD).encode(),
        str(list(CARD)).encode(),
        json.dumps(CARD.decode("latin-1")).encode(),
        str(int.from_bytes(CARD, "big")).encode(),
        CARD.hex().encode("ascii").hex().encode(),
        CARD.hex().encode().decode().encode("utf-16"),
        "".join(f"%{byte:02X}" for byte in CARD).encode(),
        PLATE.encode(),
        PLATE.lower().encode(),
        PLATE[::-1].encode(),
        "-".join(PLATE).encode(),
        PLATE.encode("utf-16-be"),
        PLATE.encode().hex(" ").encode(),
        *(base64.b64encode(b"\0" * shift + number) for shift in range(3) for number in (CARD, PLATE.encode())),
        *(base64.urlsafe_b64encode(b"\0" * shift + CARD.hex().encode()) for shift in range(3)),
    ],
)
def test_the_search_finds_every_way_of_writing_it(written: bytes) -> None:
    assert found_in(b'{"before": 1} ' + written + b" after")


def test_the_search_finds_nothing_where_nothing_is() -> None:
    assert not found_in(b"f000000001 7KRM482 " + bytes(range(256)) * 50 + base64.b64encode(bytes(range(256)) * 20))


# --- the lane --------------------------------------------------------------------------------------------------------


def in_clear_at_the_port(heard: Heard) -> list[str]:
    """Where the numbers are outside of events: in topics, in what is retained, in states, replies and receipts."""
    wrong = []
    for topic, payload in heard.messages:
        wrong += found_in(topic.encode(), "a topic")
        if "/event/" not in topic:
            wrong += found_in(payload, topic)
    return wrong


def reached_the_port(heard: Heard) -> bool:
    """The canaries got through: what is not found was there."""
    told = b"\n".join(payload for topic, payload in heard.messages if "/event/" in topic)
    return CARD.hex().encode() in told and PLATE.encode() in told


def open_to_others(store: Path) -> list[str]:
    """Files with a canary in them that somebody but their owner may read."""
    assert store.stat().st_mode & 0o077 == 0, "the store itself is open to others"
    files = [path for path in store.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    return [str(path) for path in files if found_in(path.read_bytes())]


@pytest.fixture
def canary_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Population, "next", Population.next)  # set back afterwards
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    let_canary_in()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["webhook", "isapi"])
@pytest.mark.usefixtures("canary_in")
def test_a_lane_with_a_key_for_its_disk_shows_the_canary_to_the_port_alone(tmp_path: Path, form: str) -> None:
    run = simulated(tmp_path, scenario=QUIET, form=form, vehicles=8, sealed=True)
    assert reached_the_port(run.heard)
    assert found_in(run.log, "the log") == []
    assert in_clear_at_the_port(run.heard) == []
    assert found_below(run.store) == []


@pytest.mark.slow
@pytest.mark.usefixtures("canary_in")
def test_without_a_key_only_what_is_made_to_hold_it_holds_the_canary(tmp_path: Path) -> None:
    run = simulated(tmp_path, scenario=QUIET, form="webhook", vehicles=4, sealed=False)
    assert found_below(run.store, but=HOLDERS) == []
    assert open_to_others(run.store) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["webhook", "isapi"])
@pytest.mark.usefixtures("canary_in")
def test_frames_that_are_cut_garbled_and_doubled_leave_no_trace_of_it_either(tmp_path: Path, form: str) -> None:
    run = simulated(tmp_path, scenario=TROUBLED, form=form, vehicles=16, sealed=True)
    assert run.doubted >= {"rfid1", "rfid2", "lpr1", "lpr2"}
    assert reached_the_port(run.heard)
    assert found_in(run.log, "the log") == []
    assert in_clear_at_the_port(run.heard) == []
    assert found_below(run.store) == []


# --- people's tools --------------------------------------------------------------------------------------------------


async def what_tools_say(lane: Lane) -> dict[str, bytes]:
    """Every tool that looks at a lane, while the canary drives about."""
    wanted: dict[str, tuple[str | Path, ...]] = {
        "devices": ("devices", lane.lane_file, "--seconds", "3"),
        "devices --json": ("devices", lane.lane_file, "--seconds", "3", "--json"),
        "watch": ("watch", "--broker", lane.broker, "--all", "--seconds", "25"),
        "probe llrp": ("probe", "rfid.llrp", lane.url_of("rfid1"), "--seconds", "25", "--set", "read_tid=true"),
        "probe llrp --json": ("probe", "rfid.llrp", lane.url_of("rfid1"), "--seconds", "25", "--json"),
        "probe mercury --json": ("probe", "rfid.mercury", lane.url_of("rfid2"), "--seconds", "25", "--json"),
    }
    said = await asyncio.gather(*(lane.tool(*arguments) for arguments in wanted.values()))
    return dict(zip(wanted, said, strict=True))


def in_bundle(path: Path) -> list[str]:
    wrong = []
    with zipfile.ZipFile(path) as bundle:
        for name in bundle.namelist():
            wrong += found_in(name.encode(), "a name in the bundle") + found_in(bundle.read(name), f"bundle: {name}")
    return wrong


@pytest.mark.slow
async def test_tools_screens_and_a_crash_show_nothing_of_it(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    async with canary_lane(tmp_path, vehicles=4) as lane:
        await lane.until(lambda: PLATE.encode() in b"".join(payload for _, payload in lane.heard.messages))
        said = await what_tools_say(lane)
        said["doctor"] = await lane.tool("doctor", lane.lane_file, "--bundle", bundle)
        await lane.until(lambda: reached_the_port(lane.heard))
        assert await lane.stop(signal.SIGABRT) == -signal.SIGABRT
        for name in ("ledger verify", "ledger status", "check"):
            said[name] = await lane.tool(*name.split(), lane.lane_file)
    wrong = in_clear_at_the_port(lane.heard) + in_bundle(bundle)
    for name, text in said.items():
        assert text.strip(), name
        wrong += found_in(text, name)
    log = lane.log.read_bytes()
    assert b"Executing" in log
    assert b"Fatal Python error: Aborted" in log
    wrong += found_in(log, "the log") + found_below(tmp_path / "tmp") + found_below(tmp_path / "lane.store")
    assert wrong == []
