"""The end of the process: asked to stop it withdraws every permission first; killed, the module does it for us."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from served_lane import COMES_UP_S, DEVICES, Systemd, running, served_lane, write_lane_file

from sim.readings import OutputSet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals as systemd sends them"),
]

STOP_LIMIT_S = 2.0
"""The figure that the service promises."""
MODULE_WATCHDOG_S = 2.0
"""As the shipped simulation sets it in the fake module."""


async def stopped(process: Process) -> tuple[int, float]:
    """Exit code, and how long it took from the signal on."""
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(COMES_UP_S):
        code = await process.wait()
    return code, loop.time() - asked_s


async def test_sigterm_shows_red_before_anything_else_and_ends_well_within_2_s(tmp_path: Path) -> None:
    async with served_lane(tmp_path) as lane:
        await lane.let_one_through()
        before = len(lane.deeds)
        code, took_s = await stopped(lane.process)
        after = lane.deeds[before:]
        assert code == 0
        assert took_s < STOP_LIMIT_S
        assert set(after[:2]) == {OutputSet("signal_green", False), OutputSet("signal_red", True)}
        assert lane.outputs["signal_red"]
        assert not lane.outputs["signal_green"]
        told = lane.systemd.listen_to_the_end()
        kinds = [message.partition("\n")[0].partition("=")[0] for message in told]
        assert kinds.index("READY") < kinds.index("STOPPING")
        assert kinds.count("READY") == kinds.count("STOPPING") == 1


async def test_killed_outright_the_modules_own_watchdog_shows_red_and_drops_the_gate_output(tmp_path: Path) -> None:
    async with served_lane(tmp_path) as lane:
        await lane.let_one_through()
        before = len(lane.deeds)
        lane.process.kill()
        await lane.process.wait()
        assert lane.deeds[before:] == []
        # The watchdog's time counts from the last request, which came before the kill.
        await lane.until(lambda: len(lane.deeds) >= before + 3, MODULE_WATCHDOG_S + 1.0)
        assert lane.outputs == {"signal_red": True, "signal_green": False, "gate_open": False}


# --- nothing can be reached ------------------------------------------------------------------------------------------


@contextmanager
def nobody_there(how: str) -> Iterator[int]:
    """A port of loopback that refuses connections, or takes them and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        if how == "mute":
            yield port
    if how == "refuses":
        yield port


@pytest.mark.parametrize("how", ["refuses", "mute"])
async def test_sigterm_ends_it_within_2_s_when_no_device_and_no_broker_can_be_reached(how: str, tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    with nobody_there(how) as port:
        lane = write_lane_file(tmp_path, dict.fromkeys(DEVICES, f"tcp://127.0.0.1:{port}"), f"mqtt://127.0.0.1:{port}")
        async with running(lane, systemd) as process:
            async with asyncio.timeout(COMES_UP_S):
                await systemd.hears("READY=1")  # the lane is at work, with everything away
            await asyncio.sleep(0.5)
            code, took_s = await stopped(process)
    told = systemd.listen_to_the_end()
    systemd.close()
    assert code == 0, lane.with_suffix(".log").read_text(encoding="utf-8")
    assert took_s < STOP_LIMIT_S
    assert any(message.startswith("STOPPING=1") for message in told)
