"""One lane as a service: signals, systemd, and what a failure says. `lanecontrol run` is this.

Everything that the lane itself needs is put together in `lanecontrol.app`.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal as signals
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Never

import structlog

from lanecontrol import __version__
from lanecontrol.app import Lane, Surroundings
from lanecontrol.clock import LoopClock
from lanecontrol.config.load import Loaded
from lanecontrol.errors import ConfigError, LaneControlError
from lanecontrol.scaled_loop import scaled_utc
from lanecontrol.service.boot import ClockDiscipline, boot_id, box_id
from lanecontrol.service.notify import Notifier

STATUS_EVERY_S = 10.0


async def serve(loaded: Loaded, load: Callable[[], Loaded]) -> int:
    """One lane as a service, until SIGTERM or SIGINT; answers the exit code. Raises what the lane fails with.

    SIGHUP has `load` read the lane file anew; see `_reload`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal in (signals.SIGTERM, signals.SIGINT):
        with suppress(NotImplementedError):  # not on every system; there an interrupt cancels, which is as safe
            loop.add_signal_handler(signal, stop.set)
    scale = loaded.clock
    utc = time.time if scale.scale == 1 else scaled_utc(scale.scale, scale.anchor_utc_s)
    clock = LoopClock(utc, ClockDiscipline())
    lane = Lane(loaded, Surroundings(clock=clock, rng=random.SystemRandom(), boot=boot_id(), box=box_id()))
    notifier = Notifier.from_environment()
    asked = asyncio.Event()
    if hasattr(signals, "SIGHUP"):  # not on Windows: there a reload is a restart
        loop.add_signal_handler(signals.SIGHUP, asked.set)
    async with asyncio.TaskGroup() as tasks:
        telling = [
            tasks.create_task(_tell_systemd(lane, notifier), name="systemd"),
            tasks.create_task(_tell_stopping(notifier, stop), name="systemd stop"),
            tasks.create_task(lane.health.feed(notifier), name="watchdog"),
            tasks.create_task(_reload_when_asked(lane, load, asked, notifier), name="reload"),
        ]
        try:
            _log_start(loaded)
            await lane.run(stop)
        except (ExceptionGroup, LaneControlError) as error:
            _log_failure(error)
            raise
        for task in telling:
            task.cancel()
    structlog.get_logger("lanecontrol").info("lane controller stopped", lane=loaded.setup.lane)
    return 0


async def _tell_systemd(lane: Lane, notifier: Notifier) -> None:
    """READY when the lane is at work, and a status line now and then."""
    await lane.ready.wait()
    gc.freeze()  # what was made for the start stays: looking through it would stop the loop for tens of milliseconds
    notifier.ready(lane.status_line())
    while True:
        await asyncio.sleep(STATUS_EVERY_S)
        notifier.status(lane.status_line())


async def _tell_stopping(notifier: Notifier, stop: asyncio.Event) -> None:
    """At once, also when there is no lane yet."""
    await stop.wait()
    notifier.stopping("withdrawing every permission")


async def _reload_when_asked(lane: Lane, load: Callable[[], Loaded], asked: asyncio.Event, notifier: Notifier) -> Never:
    while True:
        await asked.wait()
        asked.clear()
        await lane.ready.wait()
        notifier.reloading(time.monotonic())
        await _reload(lane, load)
        notifier.ready(lane.status_line())


async def _reload(lane: Lane, load: Callable[[], Loaded]) -> None:
    """Take over how the port is reached: brokers, passwords, certificates. All else wants a restart, and is told so.

    A lane file with problems changes nothing.
    """
    log = structlog.get_logger("lanecontrol")
    try:
        loaded = await asyncio.to_thread(load)
    except ConfigError as error:
        log.error("not reloaded: the lane file has problems", problems=[str(problem) for problem in error.problems])
        return
    if loaded.config_hash != lane.loaded.config_hash:
        log.warning("reloaded the brokers only; restart to use all of the changed lane file")
    lane.renew_port(loaded.brokers)
    log.info("reloaded", brokers=[broker.name for broker in loaded.brokers])


def _log_start(loaded: Loaded) -> None:
    """Which lane this is, of which version, by which file, and who it will talk to."""
    structlog.get_logger("lanecontrol").info(
        "lane controller starts",
        port=loaded.setup.port,
        lane=loaded.setup.lane,
        version=__version__,
        configuration=loaded.config_hash,
        brokers=[broker.name for broker in loaded.brokers],
        simulated=loaded.simulated,
    )


def _log_failure(error: BaseException) -> None:
    """What ended the core, in a line each. The text of a foreign exception may quote data: only its type is told."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _log_failure(inner)
        return
    told = str(error) if isinstance(error, LaneControlError) else type(error).__name__
    structlog.get_logger("lanecontrol").critical("lane controller failed", error=told, where=_where(error))


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
