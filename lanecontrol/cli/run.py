"""`lanecontrol run CONFIG`: the daemon of one lane, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lanecontrol.cli import FAILED, arguments, output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lanecontrol.config import Loaded


STUCK_LIMIT_S = 0.2
"""Everything that matters is closed by then."""


def main(argv: list[str]) -> int:
    parser = arguments.parser("run", "The daemon of one lane. Bad configuration exits with 78 and opens nothing.")
    parser.add_argument("config", help="the lane file")
    options = parser.parse_args(argv)
    gc.disable()  # what is imported stays; looking through it again and again is a tenth of the start
    _import_structlog_lean()

    from lanecontrol.config import load
    from lanecontrol.service.logging import configure_logging, log_uncaught

    loaded = load(options.config)
    keys = loaded.hash_keys(_utc(loaded))
    configure_logging(level=loaded.log.level, style=loaded.log.format, stream=sys.stdout, hash_key=keys)
    log_uncaught()

    from lanecontrol.serve import serve

    gc.freeze()
    gc.enable()
    try:
        with _stuck_threads_left_behind() as leave, asyncio.Runner(loop_factory=_loop(loaded)) as runner:
            code = FAILED
            try:
                code = runner.run(serve(loaded, lambda: load(options.config)))
            finally:
                leave(code)
        return code
    except BaseExceptionGroup as group:
        return _failed(group)


@contextmanager
def _stuck_threads_left_behind() -> Iterator[Callable[[int], None]]:
    """Once the lane has ended, the process ends too: asyncio would wait without limit for a resolver that hangs."""
    timers: list[threading.Timer] = []

    def leave(code: int) -> None:
        timers.append(threading.Timer(STUCK_LIMIT_S, os._exit, (code,)))
        timers[0].daemon = True
        timers[0].start()

    try:
        yield leave
    finally:
        for timer in timers:
            timer.cancel()


def _import_structlog_lean() -> None:
    """Import structlog as if rich were not installed.

    Its development renderer imports rich wherever it can, for tracebacks that a daemon never draws: a seventh of the
    time to be ready, and some megabytes.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python marks a module that cannot be imported
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def _failed(group: BaseExceptionGroup[BaseException]) -> int:
    """What ended the core, in a line each; a bug with its trace, but without the values that it choked on."""
    from lanecontrol.errors import LaneControlError
    from lanecontrol.service.logging import trace_of

    ours, bugs = group.split(LaneControlError)
    if bugs is not None or ours is None:
        output.note(trace_of(group))
        return FAILED
    for error in leaves(ours):
        output.note(f"lanecontrol run: {error}")
    return FAILED


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    """The errors in a group of groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def _utc(loaded: Loaded) -> Callable[[], float]:
    """UTC as the lane has it: what logs hash is hashed alike by the lane."""
    from lanecontrol.clock import LoopClock
    from lanecontrol.scaled_loop import scaled_utc

    scale = loaded.clock
    return LoopClock().utc if scale.scale == 1 else scaled_utc(scale.scale, scale.anchor_utc_s)


def _loop(loaded: Loaded) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """A simulated lane may ask for faster time; `load` refuses that for a real one."""
    if loaded.clock.scale == 1:
        return None
    from lanecontrol.scaled_loop import ScaledLoop

    return lambda: ScaledLoop(loaded.clock.scale)
