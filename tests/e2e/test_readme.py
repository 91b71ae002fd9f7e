"""Every command in the README is run, as it stands there but for ports, durations and where files go.

A command that ends in `&` runs until the end of its block and is then interrupted, as its reader would.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
LIMIT_S = 120
INTERRUPTED_WELL = {0, 130, -signal.SIGINT}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the README's commands are for a Unix shell"),
]


def commands(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def test_the_readme_has_commands() -> None:
    assert sum(len(commands(block)) for block in BLOCKS) >= 8


PYTHON = Path(sys.executable)
PROGRAMS = {
    "./lane demo": f"{PYTHON.with_name('lanecontrol')} sim",
    "./lane test": f"{PYTHON} -m pytest -n0 --collect-only -q {ROOT / 'tests' / 'cli'}",
    ".venv/bin/python": str(PYTHON),
    ".venv/bin/lanecontrol": str(PYTHON.with_name("lanecontrol")),
}
"""The environment that runs these tests, in place of the one that the README has made; and no second run of them."""


def as_run_here(command: str, port: int) -> str:
    name = next(name for name in PROGRAMS if command.startswith(name))
    rest = command.removeprefix(name).replace("1883", str(port)).replace("configs/", f"{ROOT}/configs/")
    return PROGRAMS[name] + re.sub(r"--speed 1\b", "--speed 20 --vehicles 1", rest)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def in_background(command: str, folder: Path) -> Iterator[None]:
    child = subprocess.Popen(shlex.split(command), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for_what_it_offers(command, folder, child)
        yield
    finally:
        child.send_signal(signal.SIGINT)
        try:
            told, _ = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
    assert child.returncode in INTERRUPTED_WELL, f"{command}: {child.returncode}\n{told.decode()}"


def wait_for_what_it_offers(command: str, folder: Path, child: subprocess.Popen[bytes]) -> None:
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


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: commands(block)[0][:40])
def test_the_commands_of_the_readme_do_what_it_says(block: str, tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as running:
        for command in commands(block):
            real = as_run_here(command.removesuffix("&").strip(), port)
            if command.endswith("&"):
                running.enter_context(in_background(real, tmp_path))
                continue
            done = subprocess.run(shlex.split(real), cwd=tmp_path, capture_output=True, timeout=LIMIT_S, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout.decode()[-2000:]}\n{done.stderr.decode()[-2000:]}"
            assert done.stdout, command
