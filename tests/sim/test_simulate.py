"""`lanecontrol sim` and `fake` as processes: in a pipe, on a terminal, interrupted, other brokers, wrong arguments."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lanecontrol.links import reserved_port

CONFIGS = Path(__file__).parents[2] / "configs"
LANECONTROL = (sys.executable, "-c", "import sys; from lanecontrol.cli import main; sys.exit(main())")
LIMIT_S = 120
QUICK = ("--speed", "max", "--vehicles", "3")

pytestmark = pytest.mark.slow


def lanecontrol(*arguments: str | Path, before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = f"import sys; {before}; from lanecontrol.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@contextmanager
def started(*arguments: str | Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, as a shell starts it; all of the group is gone afterwards."""
    with subprocess.Popen([*LANECONTROL, *map(str, arguments)], start_new_session=True, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def members(group: int) -> list[int]:
    """The processes of a group that are still there; none are to be seen where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


# --- how it tells what happens ---------------------------------------------------------------------------------------


def test_in_a_pipe_every_event_is_a_line_the_last_ones_too(tmp_path: Path) -> None:
    done = lanecontrol("sim", *QUICK, "--report", tmp_path / "r.json")
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    recorded = json.loads((tmp_path / "r.json").read_text())["events"]["recorded"]
    assert sorted(int(event["id"].split("-")[1]) for event in events) == list(range(1, recorded + 1))


def test_a_reader_that_goes_away_ends_it_without_a_trace() -> None:
    with started("sim", *QUICK, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(LIMIT_S) == 141
        assert err == b""
        assert members(process.pid) == []


@contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A terminal, and all that appears on it."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                return
            if not data:
                return
            shown.append(data)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        yield theirs, shown
    finally:
        os.close(theirs)
        reading.join(10)
        os.close(ours)


def test_on_a_terminal_it_draws_the_lane_and_tells_the_score() -> None:
    with (
        terminal() as (tty, shown),
        started("sim", *QUICK, "--lanes", "2", stdin=tty, stdout=tty, stderr=tty) as process,
    ):
        assert process.wait(LIMIT_S) == 0
    text = b"".join(shown).decode("utf-8", "replace")
    assert "Traceback" not in text
    assert "SIMULATED" in text
    assert "6 vehicles" in text


@pytest.mark.parametrize("pace", ["10", "max"])
def test_ctrl_c_ends_it_with_130_without_a_trace_and_without_a_process_left(pace: str) -> None:
    with (
        terminal() as (tty, shown),
        started("sim", "--speed", pace, "--duration", "36000", stdin=tty, stdout=tty, stderr=tty) as process,
    ):
        deadline = time.monotonic() + LIMIT_S
        while b"SIMULATED" not in b"".join(shown) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        group = process.pid
        if Path("/proc/self/stat").exists():
            assert len(members(group)) >= 2, "the broker is a process of its own"
        os.killpg(group, signal.SIGINT)
        assert process.wait(LIMIT_S) == 130
        assert members(group) == []
    assert "Traceback" not in b"".join(shown).decode("utf-8", "replace")


# --- brokers, stores, lanes ------------------------------------------------------------------------------------------


@contextmanager
def mosquitto(folder: Path) -> Iterator[str]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("mosquitto is not on this machine")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    with subprocess.Popen(
        [program, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as broker:
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            broker.terminate()


@pytest.mark.broker
def test_another_broker_does_as_well(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as url:
        done = lanecontrol("sim", *QUICK, "--broker", url, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    score = json.loads(done.stdout)
    assert score["passages"]["complete"] == 3
    assert score["events"]["lost"] == 0


def test_several_lanes_in_one_process_are_scored_together() -> None:
    done = lanecontrol("sim", *QUICK, "--lanes", "3", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    score = json.loads(done.stdout)
    assert (score["lanes"], score["vehicles"], score["passages"]["complete"]) == (3, 9, 9)


def test_a_store_that_is_kept_goes_on_in_the_next_run(tmp_path: Path) -> None:
    ids: list[str] = []
    for _ in range(2):
        done = lanecontrol("sim", *QUICK, "--state", tmp_path / "deep" / "er")
        assert done.returncode == 0, done.stderr
        ids += [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert len(ids) == len(set(ids))
    assert sorted(int(name.split("-")[1]) for name in ids) == list(range(1, len(ids) + 1))


def test_for_a_duration_instead_of_a_number_of_vehicles() -> None:
    done = lanecontrol("sim", "--speed", "max", "--duration", "90", "--quiet", "--links", "mem")
    assert (done.returncode, done.stderr) == (0, "")
    assert 1 <= json.loads(done.stdout)["vehicles"] <= 15


def test_at_a_hundred_times_the_pace_nothing_is_lost_at_the_end() -> None:
    done = lanecontrol("sim", "--speed", "100", "--vehicles", "3", "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"]["lost"] == 0


# --- what is wrong is told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--lanes 0", "argument --lanes: 0 is not between 1 and 90"),
        ("--broker http://x:1", "argument --broker: not a broker url"),
        ("--broker mqtt://host", "argument --broker: mqtt://host has no port"),
        ("--vehicles -1", "argument --vehicles: -1 is not above 0"),
        ("--duration inf", "argument --duration: inf is not above 0"),
        ("--speed fast", "'fast' is neither a number nor max"),
        ("--speed 5000", "max goes as fast as it can"),
        ("--typed --lanes 2", "--typed has one lane"),
        ("--typed --fakes-only", "--typed and --fakes-only do not go together"),
        ("--fakes-only --vehicles 3", "--fakes-only needs --write-config, --broker"),
        ("--report no/such/folder/r.json", "there is no folder"),
        (f"--report {CONFIGS}", "is a folder, name a file"),
        (f"--state {CONFIGS / 'sim.yaml'}", "is a file, name a folder"),
        ("--write-config lane.yaml", "--write-config goes with --fakes-only"),
        ("--recording rpm.rapiscan=nothing", "a file that is there"),
        (f"--typed --scenario {CONFIGS / 'scenarios' / 'mischief.yaml'}", "has no wire"),
    ],
)
def test_a_wrong_argument_exits_with_2_and_says_what_is_wrong(arguments: str, told: str) -> None:
    done = lanecontrol("sim", *arguments.split())
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_is_not_there_is_told() -> None:
    done = lanecontrol("sim", *QUICK, "--broker", "mqtt://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lanecontrol: reach the broker: mqtt://127.0.0.1:1: Connection refused\n"


def test_without_the_extra_that_brings_a_broker_it_says_what_to_do() -> None:
    done = lanecontrol("sim", *QUICK, before="sys.modules['iotcore'] = None")
    assert done.returncode == 1
    assert done.stderr == "lanecontrol sim: no broker; install the extra `sim`, or give one with --broker URL\n"


# --- one fake --------------------------------------------------------------------------------------------------------


SETTINGS = {"io.modbus": ("--set", "inputs.loop_approach=0", "--set", "outputs.signal_red=1")}


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("io.modbus", "tcp://127.0.0.1:0"),
        ("rpm.rapiscan", "tcp://127.0.0.1:0"),
        ("rfid.llrp", "tcp://127.0.0.1:0"),
        pytest.param("rpm.rapiscan", "pty:", marks=pytest.mark.skipif(os.name != "posix", reason="no ptys")),
    ],
)
def test_a_fake_says_where_it_is_and_the_real_driver_finds_it_online(kind: str, url: str) -> None:
    with started("fake", kind, "--url", url, "--speed", "5", stdout=subprocess.PIPE) as fake:
        assert fake.stdout is not None
        served = fake.stdout.readline().decode().strip()
        done = lanecontrol("probe", kind, served, "--seconds", "3", "--json", *SETTINGS.get(kind, ()))
        assert done.returncode == 0, done.stderr
        os.killpg(fake.pid, signal.SIGINT)
        assert fake.wait(LIMIT_S) == 0


@pytest.mark.parametrize(("kind", "more"), [("lpr.axis", ()), ("lpr.mapped", ("--set", "mapping=verkada"))])
def test_a_fake_that_connects_by_itself_comes_to_where_the_real_driver_listens(
    kind: str, more: tuple[str, ...]
) -> None:
    with reserved_port() as port:
        home = str(CONFIGS / "sim-fast.yaml")
        address = f"127.0.0.1:{port}"
        with started("fake", kind, "--config", home, "--url", f"tcp://{address}", stdout=subprocess.PIPE) as fake:
            assert fake.stdout is not None
            assert fake.stdout.readline().decode().strip() == f"tcp://{address}"
            done = lanecontrol("probe", kind, f"listen://{address}", "--seconds", "8", "--json", *more)
            assert done.returncode == 0, done.stderr
            os.killpg(fake.pid, signal.SIGINT)
            assert fake.wait(LIMIT_S) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("lpr.axis --url pty:", "lpr.axis connects by itself"),
        ("lpr.axis --url listen://127.0.0.1:8081", "lpr.axis connects by itself"),
        ("rpm.nothing --url pty:", "there is no fake of 'rpm.nothing'"),
        ("rpm.rapiscan --url http://x", "serve at tcp://127.0.0.1:PORT or pty:"),
        ("rpm.rapiscan --url tcp://127.0.0.1:0 --speed max", "real time"),
        ("rpm.rapiscan --url tcp://127.0.0.1:99999", "99999"),
    ],
)
def test_a_fake_that_cannot_be_served_exits_with_2_and_says_why(arguments: str, told: str) -> None:
    done = lanecontrol("fake", *arguments.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert told in done.stderr or "out of range" in done.stderr
