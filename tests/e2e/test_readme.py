"""Every command of README.md and docs/ is run, as it stands there but for the broker's port.

A page is one session: its commands run one after the other in one folder, by a shell. The folder holds what a reader
has: `./lane`, `.venv/bin/`, `configs/`. What the tests read in a page:

- ```` ```console ````: a line that begins with `$ ` is a command, a line without is what it prints, with `...` for
  anything. A command that ends in `&` runs until the page ends and is then interrupted, as its reader would. A command
  that fails is tried again for a while: a reader may be quicker than a device, too.
- ```` ```console needs-hardware ````: not run; only that there is such a command.
- ```` ```yaml ```` with a first line `# NAME.yaml`: the file that the reader writes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lanecontrol import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\S+)( needs-hardware)?\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
LIMIT_S = 60
AGAIN_S = 0.5
INTERRUPTED_WELL = {0, 130, -signal.SIGINT}
"""Bash, which passes a child's death by a signal on as its own or as 128 and more."""


@dataclass(frozen=True)
class Step:
    """A command, with what the page says that it prints; or, with `file`, a file that the reader writes."""

    command: str
    shown: str = ""
    file: str = ""
    background: bool = False
    needs_hardware: bool = False


def steps(page: Path) -> Iterator[Step]:
    for language, hardware, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "yaml" and (name := re.match(r"# (\S+\.yaml)\n", text)):
            yield Step(text, file=name[1])
        elif language == "console":
            for told in re.findall(r"^\$ (.*\n(?:(?!\$ ).*\n)*)", text, flags=re.MULTILINE):
                command, shown = told.split("\n", 1)
                yield Step(command.removesuffix(" &"), shown, "", command.endswith(" &"), bool(hardware))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


RUNNABLE = [page for page in PAGES if any(not step.needs_hardware and not step.file for step in steps(page))]


# --- what a reader has ------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone that has its `.venv`: the environment that runs these tests stands in for it."""
    python = Path(sys.executable)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for program in ("python", "lanecontrol"):
        write_script(tmp_path / ".venv" / "bin" / program, f'exec {python.with_name(program)} "$@"')
    write_script(
        tmp_path / "lane",
        f"""verb=$1; shift
        case $verb in
        demo) exec {python.with_name("lanecontrol")} sim "$@" ;;
        test) exec {python} -m pytest -n0 --collect-only -q {ROOT}/tests/cli ;;
        *) exec {python} {ROOT}/lane --help ;;
        esac""",
    )
    return tmp_path


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def at_port(command: str, port: str) -> str:
    """The command with another port for the broker, also where it relies on the usual one."""
    usual = re.sub(r"(lanecontrol (?:command|watch)) (?!.*--broker)", r"\1 --broker mqtt://127.0.0.1:1883 ", command)
    return usual.replace("1883", port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


# --- running a page ---------------------------------------------------------------------------------------------------


@contextmanager
def in_background(command: str, folder: Path) -> Iterator[None]:
    child = shell(f"exec {command}", folder)
    try:
        wait_for_what_it_offers(command, folder, child)
        yield
    finally:
        child.send_signal(signal.SIGINT)
        try:
            told, _ = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
    assert child.returncode in INTERRUPTED_WELL, f"{command}: {child.returncode}\n{told}"


def shell(command: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_what_it_offers(command: str, folder: Path, child: subprocess.Popen[str]) -> None:
    """A broker its port, the fakes their lane file."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and child.poll() is None:
        if (port := re.search(r"--port (\d+)", command)) and answers(int(port[1])):
            return
        if (file := re.search(r"--write-config (\S+)", command)) and (folder / file[1]).exists():
            return
        if not port and not file:
            return
        time.sleep(0.05)
    pytest.fail(f"{command} did not come up")


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def until_it_does(step: Step, command: str, folder: Path) -> None:
    """Run it, again and again if need be, until it ends well and prints what the page says."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        child = shell(command, folder)
        try:
            told, _ = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
        if child.returncode == 0 and shows(step.shown, told):
            return
        assert time.monotonic() < deadline, f"{command}: {child.returncode}\n{told[-3000:]}\nshould be:\n{step.shown}"
        time.sleep(AGAIN_S)


def shows(shown: str, told: str) -> bool:
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.search(pattern, told, flags=re.DOTALL) is not None


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the commands are for a Unix shell")
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_commands_of_a_page_do_what_it_says(page: Path, clone: Path) -> None:
    port = str(free_port())
    with ExitStack() as running:
        for step in steps(page):
            text = at_port(step.command, port)
            if step.file:
                (clone / step.file).write_text(text, encoding="utf-8")
            elif step.background:
                running.enter_context(in_background(text, clone))
            elif not step.needs_hardware:
                until_it_does(step, text, clone)


# --- what can be told without running ---------------------------------------------------------------------------------


def test_the_readme_has_commands() -> None:
    assert sum(not step.file for step in steps(ROOT / "README.md")) >= 8


def test_no_command_hides_in_a_block_that_is_not_run() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        known = sum(not step.file for step in steps(page))
        assert len(re.findall(r"^\s*\$ ", text, flags=re.MULTILINE)) == known, name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_need_hardware_exist(page: Path) -> None:
    for step in steps(page):
        if step.needs_hardware:
            program, verb, *_ = step.command.split()
            assert program == ".venv/bin/lanecontrol"
            assert verb in {*cli.COMMANDS, *cli.KNOWN_EXTRAS}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {page.resolve() for page in PAGES if page not in (index, ROOT / "README.md")} <= linked


@pytest.mark.parametrize("command", [*cli.COMMANDS, *cli.KNOWN_EXTRAS])
def test_the_command_line_page_tells_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    options = set(re.findall(r"^ +(--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE)) - {"--help"}
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE)
    assert section is not None
    assert options == set(re.findall(r"`(--[a-z-]+)", section[1]))


def test_the_picture_in_the_readme_has_the_columns_that_are_drawn() -> None:
    drawn = (ROOT / "sim" / "live.py").read_text(encoding="utf-8")
    heads = re.search(r"^passage .*$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads is not None
    assert all(f'"{head}"' in drawn for head in heads[0].split())
