"""The generated broker: every name against every topic, publishing and hearing, at a real mosquitto with TLS."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from port_bench import MOSQUITTO, _wait_for, free_port

from lanecontrol.cli import main
from lanecontrol.errors import DeviceError
from lanecontrol.links import LinkOpener
from lanecontrol.port.broker_profile import Access, Booth, Place, Right, Role, Somebody, acl_text, conf_text, rights
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker, Message, Transport

REAL_LOOP = True
ROOT = Path(__file__).parents[2]

LANES = ("poe/laredo/lane/07", "poe/laredo/lane/08", "sim/poe/laredo/lane/07")
BOOTHS = {
    "booth-07": LaneAddress("laredo", "07"),
    "booth-08": LaneAddress("laredo", "08"),
    "sim-booth-07": LaneAddress("laredo", "07", simulated=True),
}
OTHERS = {"central": Role.CONSUMER, "archive": Role.CONSUMER, "desk-3": Role.DESK, "wall": Role.VIEWER}
KINDS = (
    "status",
    "device/io1",
    "event/alarm",
    "event/passage",
    "reply/desk-3",
    "evidence/ab12",
    "cmd/open",
    "cmd/emergency",
    "receipt/central",
    "receipt/archive",
    "receipt/somebody",
    "event/alarm/deeper",
    "other",
)
ELSEWHERE = (
    "poe/laredo/neighbour/07/cards",
    "poe/laredo/neighbour/08/cards",
    "poe/laredo/notice/divert",
    "sim/poe/laredo/notice/divert",
    "sim/poe/laredo/neighbour/07/cards",
    "poe/nogales/lane/07/event/alarm",
    "poe/laredo/lane/09/cmd/open",
    "elsewhere",
)
TOPICS = (*(f"{lane}/{kind}" for lane in LANES for kind in KINDS), *ELSEWHERE)


def may_publish(name: str, topic: str) -> bool:
    """In words of its own: a booth its own tree but for what it is told; a consumer its receipts; a desk orders."""
    lane, _, kind = topic.partition("/lane/")[2].partition("/")
    first, _, rest = kind.partition("/")
    match name:
        case "booth-07" | "booth-08" | "sim-booth-07":
            own, number = LANES[list(BOOTHS).index(name)], name[-2:]
            tree = own.rpartition("/lane/")[0]
            if topic == f"{tree}/neighbour/{number}/cards":
                return True
            told = first in ("status", "device", "event", "reply", "evidence") and rest.count("/") == 0
            return topic.startswith(f"{own}/") and told
        case "central" | "archive":
            return topic in {f"{one}/receipt/{name}" for one in LANES}
        case "desk-3":
            return (lane in ("07", "08") and first == "cmd") or topic.endswith("poe/laredo/notice/divert")
        case _:
            return False


def may_hear(name: str, topic: str) -> bool:
    first, _, rest = topic.partition("/lane/")[2].partition("/")[2].partition("/")
    of_a_lane = any(topic.startswith(f"{lane}/") for lane in LANES) and rest.count("/") == 0
    if name in BOOTHS:
        own = LANES[list(BOOTHS).index(name)]
        if topic.startswith(f"{own.rpartition('/lane/')[0]}/neighbour/"):
            return True
        if topic == f"{own.rpartition('/lane/')[0]}/notice/divert":
            return True
        return topic.startswith(f"{own}/") and first in ("cmd", "receipt", "device", "status")
    heard = {"status", "device", "event"}
    if name in ("central", "archive"):
        return of_a_lane and (first in heard | {"evidence"} or (first == "receipt" and rest == name))
    return of_a_lane and first in (heard | {"reply"} if name == "desk-3" else heard)


# --- pure ------------------------------------------------------------------------------------------------------------


def profile() -> tuple[Right, ...]:
    booths = [Booth(name, address) for name, address in BOOTHS.items()]
    return rights(booths, [Somebody(name, role) for name, role in OTHERS.items()])


def test_no_booth_may_write_into_another_ones_tree_nor_anybody_else_into_its_own() -> None:
    for right in profile():
        if right.access is Access.WRITE and right.name in BOOTHS:
            own = BOOTHS[right.name]
            assert right.topic.startswith((f"{own.root}/", f"{own.root.partition('/lane/')[0]}/neighbour/{own.lane}/"))
        elif right.access is Access.WRITE:
            assert "/cmd/" in right.topic or right.topic.endswith((f"/receipt/{right.name}", "/notice/+"))


def test_each_name_stands_in_the_list_once_and_nothing_is_for_everybody() -> None:
    lines = acl_text(profile()).splitlines()
    users = [line for line in lines if line.startswith("user ")]
    assert len(users) == len(set(users)) == len(BOOTHS) + len(OTHERS)
    first_user = lines.index(users[0])
    assert not any(line.startswith(("topic", "pattern")) for line in lines[:first_user])


@pytest.mark.parametrize("name", ["", "a b", "a\nuser b", "#", "x/y"])
def test_a_name_that_would_break_the_list_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Booth(name, LaneAddress("laredo", "07"))
    with pytest.raises(ValueError, match="name"):
        Somebody(name, Role.VIEWER)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_port_that_is_none_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker-profile", "lane.yaml", "--port", port]) == 2
    assert "is no port, which is from 1 to 65535" in capsys.readouterr().err


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_both_files_for_the_lanes_of_a_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = str(ROOT / "configs" / "sentri.yaml")
    assert (
        main(["broker-profile", lane, str(ROOT / "configs" / "fast.yaml"), "--consumer", "central", "--desk", "d"]) == 0
    )
    shown = capsys.readouterr().out
    assert main(["broker-profile", lane, "--out", str(tmp_path / "out")]) == 0
    acl = (tmp_path / "out" / "acl").read_text()
    assert "/lane/07/status" in acl
    assert "/lane/21/status" in shown
    assert "user central" in shown
    assert "allow_anonymous false" in (tmp_path / "out" / "lanecontrol.conf").read_text()
    assert "require_certificate" not in conf_text(Place(passwords=True))


def test_two_lanes_with_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    lane = str(ROOT / "configs" / "sentri.yaml")
    assert main(["broker-profile", lane, lane]) == 2
    assert "another lane" in capsys.readouterr().err
    assert main(["broker-profile", lane, "--viewer", "a/b"]) == 2


# --- at a real broker ------------------------------------------------------------------------------------------------


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(folder: Path, name: str = "ca") -> None:
    subject = ("-subj", f"/CN=the authority {name}", "-days", "2")
    openssl(folder, "req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", *subject)


def issue(folder: Path, name: str, by: str = "ca") -> None:
    request = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(folder, "req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", *request)
    signing = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2", "-copy_extensions", "copy")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")


@dataclass
class Port:
    """A broker set up by the profile, and certificates for everybody. `admin` may do everything, for the test."""

    folder: Path
    port: int

    def broker(self, name: str, cert: str = "", ca: str = "ca") -> Broker:
        files = f"?ca={self.folder}/{ca}.pem"
        if cert or name:
            files += f"&cert={self.folder}/{cert or name}.pem&key={self.folder}/{cert or name}.key"
        return Broker(
            f"mqtts://127.0.0.1:{self.port}{files}", f"client-{name}", connect_timeout_s=10, answer_timeout_s=20
        )

    @asynccontextmanager
    async def joined(self, name: str) -> AsyncIterator[Transport]:
        async with MqttConnector(LinkOpener())(self.broker(name)) as transport:
            yield transport


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    if not Path(MOSQUITTO).exists() or shutil.which("openssl") is None:
        pytest.skip("mosquitto and openssl are needed")
    folder = tmp_path_factory.mktemp("broker")
    authority(folder)
    authority(folder, "stranger")
    for name in ("broker", "admin", *BOOTHS, *OTHERS):
        issue(folder, name)
    issue(folder, "booth-of-strangers", by="stranger")
    number = free_port()
    place = Place(number, PurePosixPath(folder), PurePosixPath(folder))
    (folder / "mosquitto.conf").write_text(conf_text(place) + "user root\n")
    (folder / "acl").write_text(acl_text(profile()) + "user admin\ntopic readwrite #\n")
    with subprocess.Popen((MOSQUITTO, "-c", folder / "mosquitto.conf"), stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(number, process)
            yield Port(folder, number)
        finally:
            process.kill()


@pytest.mark.broker
@pytest.mark.parametrize("name", [*BOOTHS, *OTHERS])
async def test_each_name_may_publish_its_own_and_nothing_else(port: Port, name: str) -> None:
    async with port.joined(name) as transport:
        codes = await asyncio.gather(*(transport.publish(Message(topic, b"x")) for topic in TOPICS))
    allowed = {topic for topic, code in zip(TOPICS, codes, strict=True) if code < 0x80}
    assert {code for code in codes if code >= 0x80} == {0x87}
    assert allowed == {topic for topic in TOPICS if may_publish(name, topic)}


@pytest.mark.broker
@pytest.mark.parametrize("asks", ["for everything", "for each topic"])
@pytest.mark.parametrize("name", [*BOOTHS, *OTHERS])
async def test_each_name_hears_its_own_and_nothing_else(port: Port, name: str, asks: str) -> None:
    expected = {topic for topic in TOPICS if may_hear(name, topic)}
    async with AsyncExitStack() as stack:
        ear = await stack.enter_async_context(port.joined(name))
        admin = await stack.enter_async_context(port.joined("admin"))
        await ear.subscribe(["#"] if asks == "for everything" else TOPICS)
        for topic in TOPICS:
            assert await admin.publish(Message(topic, b"news")) < 0x80
        await admin.publish(Message(min(expected), b"the end"))
        heard = set()
        async with asyncio.timeout(20):
            while (received := await ear.receive()).payload != b"the end":
                heard.add(received.topic)
    assert heard == expected


@pytest.mark.broker
@pytest.mark.parametrize(
    ("cert", "ca"),
    [("", "ca"), ("booth-of-strangers", "ca"), ("booth-07", "stranger")],
    ids=["none", "foreign", "server"],
)
async def test_nobody_gets_in_without_a_certificate_of_the_ports_authority(port: Port, cert: str, ca: str) -> None:
    broker = port.broker("", cert, ca)
    with pytest.raises(DeviceError):
        async with asyncio.timeout(15), MqttConnector(LinkOpener())(broker) as transport:
            await transport.publish(Message(f"{LANES[0]}/status", b"x"))


@pytest.mark.broker
async def test_a_message_that_is_too_long_is_known_to_be_before_it_is_sent(port: Port) -> None:
    async with port.joined("booth-07") as transport:
        assert transport.greeting.maximum_packet_bytes == 1024 * 1024
        assert await transport.publish(Message(f"{LANES[0]}/event/alarm", bytes(1024 * 1024))) == 0x95
        assert await transport.publish(Message(f"{LANES[0]}/event/alarm", bytes(1000 * 1024))) < 0x80
