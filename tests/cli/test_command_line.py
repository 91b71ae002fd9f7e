"""The command line as scripts see it: exit codes, what goes to which stream, JSON lines, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanecontrol import cli
from lanecontrol.cli import COMMANDS, main
from lanecontrol.errors import LinkLost

ROOT = Path(__file__).parents[2]
SENTRI = str(ROOT / "configs" / "sentri.yaml")
PORTAL_LINES = b"GB,000300,000310,000290,000305\r\nNB,000001,000000,000002,000000\r\nrubbish\r\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def capture(tmp_path: Path) -> str:
    file = tmp_path / "portal.txt"
    file.write_bytes(PORTAL_LINES)
    return str(file)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# --- the frame -------------------------------------------------------------------------------------------------------


def test_help_is_instant_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lanecontrol.cli import main; code = main(['--help']);"
        "heavy = {'pydantic', 'ruamel', 'structlog', 'rich', 'asyncio', 'sqlite3', 'sim', 'drivers'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for name in [*COMMANDS, "sim", "fake"]:
        assert f"  {name}  " in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_help_of_its_own(name: str, capsys: Captured) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: lanecontrol {name}" in capsys.readouterr().out


def test_without_a_command_the_usage_is_told_and_the_exit_code_is_2(capsys: Captured) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: lanecontrol COMMAND")


def test_an_unknown_command_or_argument_is_wrong_usage(capsys: Captured) -> None:
    assert main(["chekc"]) == 2
    assert main(["check"]) == 2
    assert main(["check", SENTRI, "--jsno"]) == 2
    assert capsys.readouterr().out == ""


class Point:
    """An entry point of another distribution."""

    name = "hello"
    dist = None

    @staticmethod
    def load() -> cli.Main:
        return lambda argv: len(argv)


def test_other_distributions_add_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_extras", lambda: [Point()])
    assert main(["hello", "a", "b", "c"]) == 3


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (LinkLost("connect", "refused", device="io1"), 1, "lanecontrol: io1: connect: refused"),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 1, "lanecontrol: x.yaml: No such file"),
        (IsADirectoryError(21, "Is a directory", 3), 1, "lanecontrol: Is a directory"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_leaves_a_command_becomes_a_line_and_an_exit_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fails(_argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_command", lambda name: fails)
    assert main(["x"]) == code
    assert capsys.readouterr().err.startswith(told)


def test_a_bug_shows_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_argv: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_command", lambda name: fails)
    with pytest.raises(ZeroDivisionError):
        main(["x"])


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", "import sys; from lanecontrol.cli import main; sys.exit(main())", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ}) as child:
        yield child
        child.kill()


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "portal.txt"
    file.write_bytes(PORTAL_LINES * 20_000)
    with started("decode", "rpm.rapiscan", str(file), "--json") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.stdout.close()
        assert child.wait(30) == 141
        assert child.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="there are no signals like these")
def test_a_closed_stdout_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["drivers"]) == 0
    sys.stdout.close()


def test_ctrl_c_ends_a_long_command_without_a_trace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as portal:
        url = f"tcp://127.0.0.1:{portal.getsockname()[1]}"
        with started("probe", "rpm.rapiscan", url, "--seconds", "0") as child:
            assert child.stdout is not None
            assert child.stderr is not None
            assert child.stdout.readline()
            child.send_signal(signal.SIGINT)
            assert child.wait(30) == 130
            assert "Traceback" not in child.stderr.read()


# --- check, drivers, schema ------------------------------------------------------------------------------------------


def test_check_tells_what_a_good_file_is(capsys: Captured) -> None:
    assert main(["check", SENTRI]) == 0
    assert "good: port SYS, lane 07, SENTRI, 3 devices" in capsys.readouterr().out


def test_check_of_a_bad_file_tells_every_problem_on_stderr_and_exits_78(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"extends: {SENTRI}\nlane: {{id: 07}}\ncolour: blue\n")
    assert main(["check", str(bad)]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.rsplit("bad.yaml:", 1)[1][:5] for line in told.err.splitlines()] == ["2:12:", "3:1: "]


def test_check_with_json_gives_the_problems_as_data(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"extends: {SENTRI}\ncolour: blue\n")
    assert main(["check", str(bad), "--json"]) == 78
    (told,) = lines(capsys.readouterr().out)
    assert told["good"] is False
    assert told["problems"] == [
        {**told["problems"][0], "line": 2, "column": 1, "what": "unknown key 'colour'"}  # type: ignore[index]
    ]


@pytest.mark.parametrize("store", ["file", "file/below/it"])
def test_check_tells_where_something_else_lies_in_the_store_s_place(
    tmp_path: Path, capsys: Captured, store: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    lane = tmp_path / "lane.yaml"
    lane.write_text(f"extends: {SENTRI}\nstore: {{path: {store}}}\n")
    assert main(["check", str(lane)]) == 78
    assert f"lane.yaml:2:15: there can be no store: {tmp_path}/file is not a folder" in capsys.readouterr().err


def test_check_leaves_a_store_that_is_not_there_yet_alone(tmp_path: Path) -> None:
    lane = tmp_path / "lane.yaml"
    lane.write_text(f"extends: {SENTRI}\nstore: {{path: new/store}}\n")
    assert main(["check", str(lane)]) == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe with a name")
def test_check_of_a_pipe_says_so_and_does_not_wait_for_somebody_to_write(tmp_path: Path, capsys: Captured) -> None:
    os.mkfifo(tmp_path / "lane.yaml")
    assert main(["check", str(tmp_path / "lane.yaml")]) == 78
    assert "lane.yaml:1:1: a pipe, not a file" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe with a name")
def test_check_of_a_lane_file_that_names_a_pipe_does_not_wait_either(tmp_path: Path, capsys: Captured) -> None:
    os.mkfifo(tmp_path / "profile.yaml")
    lane = tmp_path / "lane.yaml"
    lane.write_text(f"extends: {SENTRI}\ndevices:\n  - {{id: io1, profile: ./profile.yaml}}\n")
    assert main(["check", str(lane)]) == 78
    assert "profile.yaml:1:1: a pipe, not a file" in capsys.readouterr().err


def test_run_of_a_bad_file_exits_78_before_anything_is_opened(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"extends: {SENTRI}\nstore: {{path: {tmp_path / 'store'}}}\ncolour: blue\n")
    assert main(["run", str(bad)]) == 78
    assert not (tmp_path / "store").exists()


def test_drivers_lists_what_is_installed_and_from_where(capsys: Captured) -> None:
    assert main(["drivers", "--json"]) == 0
    told = {str(each["kind"]): each for each in lines(capsys.readouterr().out)}
    assert told["rpm.rapiscan"]["from"] == "lanecontrol"
    assert "GammaCounts" in told["rpm.rapiscan"]["reports"]  # type: ignore[operator]
    assert told["io.modbus"]["performs"] == ["ClearWatchdog", "WriteOutputs"]


def test_drivers_tells_the_settings_of_one_kind(capsys: Captured) -> None:
    assert main(["drivers", "io.modbus"]) == 0
    assert "poll_ms: Time from one reading" in capsys.readouterr().out
    assert main(["drivers", "io.nothing"]) == 2


@pytest.mark.parametrize(
    ("what", "key"),
    [
        ("config", "properties"),
        ("events", "lanecontrol.passage_closed.v1"),
        ("documents", "status"),
        ("asyncapi", "channels"),
    ],
)
def test_schemas_are_json_on_stdout(what: str, key: str, capsys: Captured) -> None:
    assert main(["schema", what]) == 0
    assert key in json.loads(capsys.readouterr().out)


# --- decode ----------------------------------------------------------------------------------------------------------


def test_decode_gives_events_as_json_lines_with_their_type(capture: str, capsys: Captured) -> None:
    assert main(["decode", "rpm.rapiscan", capture, "--json"]) == 0
    first, second = lines(capsys.readouterr().out)
    assert (first["type"], first["cps"]) == ("GammaBackground", [300, 310, 290, 305])
    assert second["type"] == "NeutronBackground"


@pytest.mark.parametrize(
    ("content", "told"), [(b"rubbish\r\n", "its 9 bytes hold no event of rpm.rapiscan"), (b"", "it is empty")]
)
def test_decode_of_a_file_without_an_event_says_so_and_fails(
    tmp_path: Path, capsys: Captured, content: bytes, told: str
) -> None:
    (tmp_path / "other.txt").write_bytes(content)
    assert main(["decode", "rpm.rapiscan", str(tmp_path / "other.txt")]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"lanecontrol decode: {tmp_path}/other.txt: {told}\n")


def test_the_help_of_fake_says_how_long_it_runs(capsys: Captured) -> None:
    assert main(["fake", "--help"]) == 0
    assert "run until Ctrl-C" in " ".join(capsys.readouterr().out.split())


def test_decode_gives_words_without_json(capture: str, capsys: Captured) -> None:
    assert main(["decode", "rpm.rapiscan", capture]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "GammaBackground cps=[300 310 290 305] level=normal"


def test_decode_summary_counts_what_was_not_understood(capture: str, capsys: Captured) -> None:
    assert main(["decode", "rpm.rapiscan", capture, "--summary", "--json"]) == 0
    (counts,) = lines(capsys.readouterr().out)
    assert counts == {
        "lines": 3,
        "unknown_lines": 1,
        "occupancies": 0,
        "gamma_alarms": 0,
        "neutron_alarms": 0,
        "gamma_decisions": {"agree": 0, "disagree": 0},
        "neutron_statistics": {"agree": 0, "disagree": 0},
    }


def test_decode_of_an_unknown_kind_or_a_missing_file_is_told(capture: str, capsys: Captured) -> None:
    assert main(["decode", "rpm.nothing", capture]) == 2
    assert main(["decode", "rpm.rapiscan", f"{capture}.gone"]) == 1
    assert main(["decode", "io.modbus", capture]) == 1
    assert "has no stored form" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize(("name", "gamma_alarms"), [("S2-C0-NONE", 0), ("S2-C3-NORM2", 25)])
def test_every_line_of_the_recorded_portal_is_understood_or_named(
    name: str, gamma_alarms: int, shared_data: Path, capsys: Captured
) -> None:
    file = shared_data / "rpm" / f"eyamamoto_{name}.csv"
    assert main(["decode", "rpm.rapiscan", str(file), "--summary", "--json"]) == 0
    (counts,) = lines(capsys.readouterr().out)
    assert (counts["unknown_lines"], counts["occupancies"], counts["gamma_alarms"]) == (0, 25, gamma_alarms)


@pytest.mark.data
def test_a_threshold_is_given_to_the_decoding_as_a_setting(shared_data: Path, capsys: Captured) -> None:
    file = str(shared_data / "rpm" / "eyamamoto_S2-C3-NORM2.csv")
    found = []
    for n_sigma in ("4.0", "4.02"):
        assert main(["decode", "rpm.rapiscan", file, "--set", f"n_sigma={n_sigma}", "--summary", "--json"]) == 0
        (counts,) = lines(capsys.readouterr().out)
        found.append(counts["gamma_decisions"])
    assert found == [{"agree": 1397, "disagree": 2}, {"agree": 1399, "disagree": 0}]
    assert main(["decode", "rpm.rapiscan", file, "--set", "n_sigma=high"]) == 2
    assert "n_sigma is a number" in capsys.readouterr().err


def test_a_setting_that_is_no_pair_is_wrong_usage(capture: str) -> None:
    assert main(["decode", "rpm.rapiscan", capture, "--set", "n_sigma"]) == 2
