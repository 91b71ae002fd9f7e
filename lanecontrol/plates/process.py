"""The daemon's end of the worker process: start it, ask it with a deadline, kill it when it does not answer.

Blocking: `reader` calls it in a thread of its own. One question at a time. A worker that was killed or has died is
started again by the next question.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import IO

from lanecontrol.clock import stopwatch_s
from lanecontrol.errors import LaneControlError
from lanecontrol.plates import PlatesUnavailable, messages
from lanecontrol.plates.answers import Reading
from lanecontrol.plates.messages import Failed, Ready, Request
from lanecontrol.plates.weights import Weights

START_S = 30.0
"""Loading the weights takes about a second; a box that is starting up has other things to do as well."""
END_S = 2.0
_SHARE = 0.6
"""Of the deadline: after it the worker makes do with what it has seen, as a step it has begun takes a while to end."""


class ReadFailed(LaneControlError):
    """These pictures could not be read; the text says why. The next ones may be."""


class Process:
    """A worker process, started by the first question. Used by one thread at a time; `kill` may come from any."""

    def __init__(
        self,
        *,
        memory_mib: int = 500,
        detector: Weights | None = None,
        recogniser: Weights | None = None,
        program: Sequence[str] = (sys.executable, "-m", "lanecontrol.plates.worker"),
    ) -> None:
        self._command = [*program, "--memory-mib", str(memory_mib)]
        for name, weights in (("--detector", detector), ("--recogniser", recogniser)):
            if weights is not None:
                self._command += [name, f"{weights.sha256}:{weights.path}"]
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self.engine = ""
        self.starts = 0

    def warm(self) -> str:
        """Have a worker with its weights loaded; answers which engine it is. Raises PlatesUnavailable, ReadFailed."""
        if self._child is None or self._child.poll() is not None:
            self._start()
        return self.engine

    def ask(self, wanted: Request, deadline_s: float) -> Reading:
        """The reading of these pictures. Raises PlatesUnavailable, ReadFailed."""
        self.warm()
        options = replace(wanted.options, budget_s=wanted.options.budget_s or _SHARE * deadline_s)
        answer = self._exchange(messages.request(replace(wanted, options=options)), deadline_s)
        match answer:
            case Reading():
                return answer
            case Failed("picture", why):
                raise ReadFailed(why)
            case Failed(_, why):
                raise PlatesUnavailable(why)
            case Ready():
                self.kill()
                raise ReadFailed("the worker started over in the middle")

    def kill(self) -> None:
        """End the worker now."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            _gone(child)

    def close(self) -> None:
        """End the worker for good."""
        self._closed = True
        self.kill()

    def _start(self) -> None:
        if self._closed:
            raise ReadFailed("the reader is closed")
        self.kill()
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self.starts += 1
        match self._exchange(b"", START_S):
            case Ready(engine):
                self.engine = engine
            case Failed(_, why):
                self.kill()
                raise PlatesUnavailable(why)
            case _:
                self.kill()
                raise ReadFailed("the worker did not begin as it should")

    def _exchange(self, data: bytes, within_s: float) -> Reading | Failed | Ready:
        """Send, and wait for one line. A worker that is late or gone is killed. Raises ReadFailed."""
        child = self._child
        if child is None:
            raise ReadFailed("the worker was stopped")
        assert child.stdin is not None and child.stdout is not None
        try:
            line = _converse(child.stdin, child.stdout, data, stopwatch_s() + within_s)
            return messages.reply(line)
        except TimeoutError:
            self.kill()
            raise ReadFailed(f"not read within {within_s:g} s; the worker was killed") from None
        except (OSError, ValueError):
            code = child.poll()
            self.kill()
            raise ReadFailed(f"the worker has died{'' if code is None else f' (exit code {code})'}") from None


def _converse(to: IO[bytes], back: IO[bytes], data: bytes, until_s: float) -> bytes:
    """Write all, then read a line; both with the deadline. Raises TimeoutError, OSError, ValueError (end, too long)."""
    os.set_blocking(to.fileno(), False)
    rest, line = memoryview(data), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(back, selectors.EVENT_READ)
        if rest:
            selector.register(to, selectors.EVENT_WRITE)
        while not line.endswith(b"\n"):
            left_s = until_s - stopwatch_s()
            if left_s <= 0:
                raise TimeoutError
            for key, _ in selector.select(left_s):
                if key.fileobj is to:
                    rest = rest[os.write(to.fileno(), rest[: 1 << 16]) :]
                    if not rest:
                        selector.unregister(to)
                else:
                    line += _more(back, len(line))
    return bytes(line)


def _more(back: IO[bytes], have: int) -> bytes:
    data = os.read(back.fileno(), 1 << 16)
    if not data or have > messages.LINE_LIMIT:
        raise ValueError("the worker has ended, or says more than it may")
    return data


def _gone(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(OSError):  # what was left to write has nobody to go to
                stream.close()
    with suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nothing helps
        child.wait(END_S)
