"""`probe` and `devices` against a portal on a real socket; `watch` and `command` against a broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lanecontrol.announcements import TagKind, TagSighted
from lanecontrol.cli import main, output, port_tools
from lanecontrol.clock import Instant, LoopClock
from lanecontrol.commands import DONE, Role
from lanecontrol.errors import LinkLost
from lanecontrol.identifier import Identifier
from lanecontrol.links import Link, LinkOpener, reserved_port, serve_tcp
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.order_payloads import parse_command, reply_bytes
from lanecontrol.port.payloads import event_bytes
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker, Message, Transport
from sim.mqtt_broker import MemoryBroker

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


async def run(*arguments: str) -> int:
    """The command line in a thread of its own, while this loop serves what it talks to."""
    return await asyncio.to_thread(main, list(arguments))


async def portal(link: Link) -> None:
    """A portal that says its background at once and then listens."""
    await link.write(b"NB,000001,000000,000002,000000\r\nGB,000300,000310,000290,000305\r\nrubbish\r\n")
    try:
        while True:
            await link.read()
    except LinkLost:
        pass


# --- probe -----------------------------------------------------------------------------------------------------------


async def test_probe_shows_the_events_of_one_device(capsys: Captured) -> None:
    async with serve_tcp("127.0.0.1", 0, portal) as port:
        code = await run("probe", "rpm.rapiscan", f"tcp://127.0.0.1:{port}", "--seconds", "0.5", "--json")
    told = capsys.readouterr()
    events = [json.loads(line) for line in told.out.splitlines()]
    assert code == 0, told.err
    assert [event["type"] for event in events] == [
        "DeviceChanged",
        "DeviceChanged",
        "NeutronBackground",
        "GammaBackground",
    ]
    assert events[1]["state"] == "online"
    assert "2 events, 1 doubts" in told.err


async def test_probe_of_a_device_that_is_not_there_tells_why_and_fails(capsys: Captured) -> None:
    async with serve_tcp("127.0.0.1", 0, portal) as port:
        pass
    assert await run("probe", "rpm.rapiscan", f"tcp://127.0.0.1:{port}", "--seconds", "0.3") == 1
    assert "never online: connect: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rpm.nothing", "tcp://127.0.0.1:1"], "no driver 'rpm.nothing'"),
        (["rpm.rapiscan", "tpc://127.0.0.1:1"], "the scheme 'tpc' is unknown"),
        (["rpm.rapiscan", "tcp://127.0.0.1:1", "--set", "colour=blue"], "unknown setting 'colour' of rpm.rapiscan"),
        (["io.modbus", "tcp://127.0.0.1:1", "--set", "pol_ms=100"], "did you mean 'poll_ms'?"),
        (["rpm.rapiscan", "listen://127.0.0.1:8081"], "we connect to this device: its url says where it is"),
        (["lpr.axis", "tcp://127.0.0.1:8081"], "this device connects to us: its url says where we listen"),
        (["io.modbus", "tcp://127.0.0.1:1", "--set", "inputs.a=x"], "inputs.a: "),
        (["io.modbus", "tcp://127.0.0.1:1", "--set", "inputs=1", "--set", "inputs.a=1"], "clashes"),
        (["io.modbus", "tcp://127.0.0.1:1", "--set", "inputs={a: 0, a: 1}"], "given twice"),
    ],
)
def test_wrong_settings_of_a_probe_are_usage_errors(arguments: list[str], told: str, capsys: Captured) -> None:
    assert main(["probe", *arguments]) == 2
    assert told in capsys.readouterr().err


# --- devices ---------------------------------------------------------------------------------------------------------


def lane_file(folder: Path, portal_port: int, other_port: int) -> str:
    file = folder / "lane.yaml"
    file.write_text(
        f"extends: {ROOT / 'configs' / 'sentri.yaml'}\n"
        "devices:\n"
        f'  - {{id: rpm1, url: "tcp://127.0.0.1:{portal_port}"}}\n'
        f'  - {{id: io1, url: "tcp://127.0.0.1:{other_port}"}}\n'
        f'  - {{id: rfid1, url: "tcp://no-such-host.invalid:5084", connect_timeout_s: 5}}\n'
    )
    return str(file)


@asynccontextmanager
async def free_port() -> AsyncIterator[int]:
    with reserved_port() as port:
        yield port


def with_camera(folder: Path, port: int) -> str:
    file = folder / "camera.yaml"
    file.write_text(
        f"extends: {ROOT / 'configs' / 'sentri.yaml'}\n"
        "simulated: true\n"
        "devices:\n"
        f'  - {{kind: lpr.axis, id: lpr1, url: "listen://127.0.0.1:{port}"}}\n'
    )
    return str(file)


async def lpr1_of(capsys: Captured, file: str) -> dict[str, tuple[bool | None, str]]:
    await run("devices", file, "--json", "--seconds", "0.1")
    told = {each["device"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    return {stage["name"]: (stage["good"], stage["detail"]) for stage in told["lpr1"]["stages"]}


@pytest.mark.slow
async def test_devices_says_of_a_device_that_connects_to_us_whether_it_has_come(
    tmp_path: Path, capsys: Captured
) -> None:
    async with free_port() as port:
        stages = await lpr1_of(capsys, with_camera(tmp_path, port))
    assert stages["resolve"] == (True, f"listening at 127.0.0.1:{port}")
    assert stages["connect"] == (False, f"nobody has connected yet at 127.0.0.1:{port}")


@pytest.mark.slow
async def test_devices_says_that_the_place_is_taken_when_the_daemon_has_it(tmp_path: Path, capsys: Captured) -> None:
    async with free_port() as port, LinkOpener().listen(f"listen://127.0.0.1:{port}", mute):
        stages = await lpr1_of(capsys, with_camera(tmp_path, port))
    good, why = stages["resolve"]
    assert good is False
    assert "Address already in use; the daemon may be running" in why


async def test_probe_says_where_a_device_is_to_connect_and_that_nobody_came(capsys: Captured) -> None:
    async with free_port() as port:
        assert await run("probe", "lpr.axis", f"listen://127.0.0.1:{port}", "--seconds", "0.2") == 1
    told = capsys.readouterr().err
    assert f"listening at 127.0.0.1:{port} for the device to connect" in told
    assert f"never online: nobody has connected yet at 127.0.0.1:{port}" in told


@pytest.mark.parametrize(("good", "where"), [(True, "free"), (None, "in use, by the daemon if it runs")])
async def test_doctor_says_how_it_is_with_the_place_for_a_device(
    tmp_path: Path, capsys: Captured, good: bool | None, where: str
) -> None:
    async with free_port() as port, AsyncExitStack() as stack:
        if not good:
            await stack.enter_async_context(LinkOpener().listen(f"listen://127.0.0.1:{port}", mute))
        await run("doctor", with_camera(tmp_path, port), "--json")
    told = {each["what"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told["place for lpr1"]["good"] is good
    assert told["place for lpr1"]["detail"].startswith(f"127.0.0.1:{port}: {where}")
    assert "GiB allowed" in told["pictures kept"]["detail"]


async def mute(link: Link) -> None:
    try:
        while True:
            await link.read()
    except LinkLost:
        pass


async def test_devices_tells_for_each_device_how_far_it_got(tmp_path: Path, capsys: Captured) -> None:
    async with serve_tcp("127.0.0.1", 0, portal) as good, serve_tcp("127.0.0.1", 0, mute) as silent:
        code = await run("devices", lane_file(tmp_path, good, silent), "--json", "--seconds", "0.3")
    told = {each["device"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    reached = {device: {stage["name"]: stage["good"] for stage in each["stages"]} for device, each in told.items()}
    assert code == 1
    assert reached["rpm1"] == {"resolve": True, "connect": True, "handshake": True, "first reading": True}
    assert reached["io1"] == {"resolve": True, "connect": True, "handshake": False, "first reading": None}
    assert reached["rfid1"] == {"resolve": False, "connect": None, "handshake": None, "first reading": None}
    assert told["rpm1"]["good"] is True
    assert all(stage["detail"] for each in told.values() for stage in each["stages"] if stage["good"] is False)


# --- watch and command -----------------------------------------------------------------------------------------------

LANE = LaneAddress("SYS", "07", simulated=True)


@asynccontextmanager
async def broker() -> AsyncIterator[str]:
    async with serve_tcp("127.0.0.1", 0, MemoryBroker().serve) as port:
        yield f"mqtt://127.0.0.1:{port}"


def connection(url: str) -> Broker:
    return Broker(url, "the-lane")


def an_event(seq: int) -> Message:
    told = TagSighted(Identifier("e2801160600002aa"), TagKind.PERSON, "rfid1", "booth", 1, 1000.0)
    body = event_bytes(told, epoch=1, seq=seq, instant=Instant(1.0, 1000.0), source_lane=LANE)
    return Message(LANE.event("reading"), body)


async def publish_until_told(lane: Transport, watching: asyncio.Task[int]) -> int:
    seq = 0
    while not watching.done():
        seq += 1
        await lane.publish(an_event(seq))
        await asyncio.wait({watching}, timeout=0.05)
    return await watching


@pytest.mark.parametrize("as_json", [True, False])
async def test_watch_shows_events_as_they_are_published(as_json: bool, capsys: Captured) -> None:
    more = ["--json"] if as_json else []
    async with broker() as url, MqttConnector(LinkOpener())(connection(url)) as lane:
        watching = asyncio.ensure_future(run("watch", "--broker", url, "--count", "2", *more))
        assert await publish_until_told(lane, watching) == 0
    first, second = capsys.readouterr().out.splitlines()
    if as_json:
        assert json.loads(second)["seq"] == json.loads(first)["seq"] + 1
        assert json.loads(first)["data"]["epc"] == "e2801160600002aa"
    else:
        assert "TagSighted" in first
        assert "e2801160600002aa" not in first + second


async def test_watch_without_a_broker_tells_why_and_fails(capsys: Captured) -> None:
    async with broker() as url:
        pass
    assert await run("watch", "--broker", url) == 1
    assert f"lanecontrol: {url}: connect: " in capsys.readouterr().err
    assert await run("watch", "--lane", "07", "--broker", url) == 2


async def test_watch_tells_states_in_words_and_nothing_that_a_terminal_would_obey(capsys: Captured) -> None:
    state = {"state": "offline", "reason": "no\n\x1b[31mroute", "identity": {"maker": ""}}
    async with broker() as url, MqttConnector(LinkOpener())(connection(url)) as lane:
        await lane.publish(Message(LANE.status, b'{"state": "online", "overrides": []}', retain=True))
        await lane.publish(Message(LANE.device("rpm1"), json.dumps({"state": state}).encode(), retain=True))
        await lane.publish(Message(LANE.command("disposition"), b'{"state": "secret"}', retain=True))
        assert await run("watch", "--broker", url, "--all", "--count", "3") == 0
    told = {line.split(" ")[1]: line.split(" ", 2)[2] for line in capsys.readouterr().out.splitlines()}
    assert told == {
        LANE.status: "state=online",
        LANE.device("rpm1"): r"state=offline reason=no\n\x1b[31mroute",
        LANE.command("disposition"): "19 bytes",
    }


def test_what_is_empty_in_every_part_is_not_told() -> None:
    event = {"type": "DeviceChanged", "state": "online", "identity": {"type": "Identity", "maker": "", "model": ""}}
    assert output.words(event) == "DeviceChanged state=online"


async def answering(lane: Transport, listening: asyncio.Event, seen: list[object]) -> None:
    """A lane that tells its status and does the first order it gets."""
    await lane.subscribe([LANE.command("+")])
    await lane.publish(Message(LANE.status, b"{}", retain=True))
    listening.set()
    received = await lane.receive()
    order = parse_command(received.topic.rpartition("/")[2], received.payload)
    seen.append(order)
    answer = reply_bytes(order.key, DONE, "07")
    await lane.publish(Message(received.response_topic, answer, correlation=received.correlation))


@pytest.mark.parametrize("name", ["07", "sim/SYS/07"])
async def test_command_asks_a_lane_and_tells_its_answer(name: str, capsys: Captured) -> None:
    seen: list[object] = []
    async with broker() as url, MqttConnector(LinkOpener())(connection(url)) as lane:
        listening = asyncio.Event()
        serving = asyncio.ensure_future(answering(lane, listening, seen))
        await listening.wait()
        arguments = ["disposition", "passage=p1", "disposition=RELEASED", "reasons=a", "reasons=b", "--name", "Ann"]
        code = await run("command", name, *arguments, "--broker", url, "--json")
        await serving
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (told["lane"], told["result"]) == ("sim/poe/SYS/lane/07", "done")
    (order,) = seen
    assert order.request().reasons == ("a", "b")  # type: ignore[attr-defined]
    assert (order.by.name, order.by.role) == ("Ann", Role.OFFICER)  # type: ignore[attr-defined]
    assert order.deadline > LoopClock().now().utc_s - 60  # type: ignore[attr-defined]


async def test_command_to_a_lane_that_nobody_knows_is_wrong_usage(capsys: Captured) -> None:
    async with broker() as url:
        assert await run("command", "99", "open", "--broker", url) == 2
    assert "no lane '99' has told this broker of itself" in capsys.readouterr().err


async def test_command_to_a_lane_that_does_not_listen_fails(capsys: Captured) -> None:
    async with broker() as url:
        assert await run("command", "SYS/99", "open", "--broker", url, "--seconds", "0.3") == 1
    assert capsys.readouterr().out.split(":")[0] in ("refused", "unknown")


async def test_command_without_an_answer_tells_whether_there_is_such_a_lane(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "this broker has never heard of sim/poe/SYS/lane/07"
    async with broker() as url, MqttConnector(LinkOpener())(connection(url)) as deaf:
        await deaf.subscribe([LANE.command("+")])
        with monkeypatch.context() as patched:
            patched.setattr(port_tools, "FIND_LANE_S", 0.2)
            assert await run("command", "sim/SYS/07", "open", "--broker", url, "--seconds", "0.2") == 1
        assert hint in capsys.readouterr().err
        await deaf.publish(Message(LANE.status, b"{}", retain=True))
        assert await run("command", "sim/SYS/07", "open", "--broker", url, "--seconds", "0.2") == 1
        assert hint not in capsys.readouterr().err


async def test_divert_tells_every_lane_of_a_port_and_stays_for_those_that_are_away() -> None:
    async with broker() as url:
        diverting = ("divert", "sim/SYS", "--for", "600", "--reason", "flood", "--name", "Ann")
        assert await run(*diverting, "--broker", url) == 0
        async with MqttConnector(LinkOpener())(connection(url)) as lane:
            await lane.subscribe([LANE.notice("divert")])
            first = await lane.receive()
            assert await run("divert", "sim/SYS", "--end", "--broker", url) == 0
            second = await lane.receive()
    told, ended = json.loads(first.payload), json.loads(second.payload)
    assert (told["active"], told["reason"], told["by"]["name"], first.retained) == (True, "flood", "Ann", True)
    assert first.expiry_s is not None
    assert ended["active"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["SYS", "--for", "90000"], "an end within 24 hours"),
        (["S/Y/S", "--end"], "a notice needs a port"),
    ],
)
async def test_a_notice_that_no_lane_would_take_is_not_sent(arguments: list[str], told: str, capsys: Captured) -> None:
    assert await run("divert", *arguments, "--broker", "mqtt://127.0.0.1:1") == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["07", "opne"], "no verb 'opne'"),
        (["a/b/c/d", "open"], "is no lane"),
        (["SYS/07", "occupants", "count=two"], "; occupants takes passage=... count=... [minors=...]"),
        (["SYS/07", "open", "colour=red"], "; open takes "),
        (["SYS/07", "occupants", "count=2", "count=3"], "given twice"),
    ],
)
async def test_a_malformed_command_is_told_and_not_sent(arguments: list[str], told: str, capsys: Captured) -> None:
    async with broker() as url:
        assert await run("command", *arguments, "--broker", url) == 2
    assert told in capsys.readouterr().err
