"""The daily file: every line of a portal as it came, one file a day, as portal makers' tools read it.

Used by the `rpm.rapiscan` session, if its configuration names a folder. A line is followed by a comma, the moment it
was received in the port's time zone, and CRLF: the form of the recordings that Rapiscan's own simulator plays, which
always takes the last column off. A new file begins at local midnight; old ones go (`drivers.rpm_rapiscan_keep`), and a
disk that does not let them is a fault of its own. Lines are written by a thread of its own; the queue to it is bounded.
Must never hold up or end the session: a disk that is full or stuck is a fault, and lines that find no room are counted
and left out.

How safe a line is: it is handed to the system within half a second, and on the disk (fsync) within 5 s more, at the
end of a day and of a session. A file that was torn by a crash is mended at its end before anything is added.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from threading import Condition, Thread

from drivers.rpm_rapiscan_codec import LINE_LIMIT
from drivers.rpm_rapiscan_keep import Keep, prune
from lanecontrol.clock import stopwatch_s
from lanecontrol.framing import Doubt, LineFramer

QUEUE_BYTES = 4 * 1024 * 1024
"""Room for some ten thousand occupied seconds, hours of a busy lane."""
WRITE_AFTER_S = 0.5
WRITE_BYTES = 64 * 1024
SYNC_EVERY_S = 5.0
RETRY_S = 5.0
"""A disk that failed is tried again after this time."""
PRUNE_EVERY_S = 600.0
"""Old files are looked for so often, and when a file is opened."""
STOP_S = 2.0
"""How long the end of a session waits for the last lines."""


@dataclass(frozen=True, slots=True)
class Form:
    """Where the files are, what they begin with, and how a moment is written."""

    folder: Path
    name: str
    zone: tzinfo | None = None
    """None is the zone of the machine."""
    short: bool = False
    """`HH-MM-SS.mmm` instead of date, time and offset."""
    keep: Keep = Keep()
    """What stays of the files of earlier days."""

    def path(self, day: str) -> Path:
        return self.folder / f"{self.name}_{day}.csv"


def stamped(lines: list[bytes], utc_s: float, form: Form) -> tuple[str, bytes]:
    """The local day, and the rows of lines that were received at that moment."""
    milliseconds = int(utc_s * 1000)
    at = datetime.fromtimestamp(milliseconds // 1000, form.zone).astimezone(form.zone)
    stamp = f"{at:%H-%M-%S}" if form.short else f"{at:%Y-%m-%d %H:%M:%S}"
    end = f",{stamp}.{milliseconds % 1000:03d}{'' if form.short else ' ' + _offset(at)}\r\n".encode()
    return f"{at:%Y-%m-%d}", end.join(lines) + end


def _offset(at: datetime) -> str:
    """`-07`; with minutes only where there are any, as in `+05:30`."""
    text = f"{at:%z}"
    return text[:3] if text[3:5] == "00" else f"{text[:3]}:{text[3:5]}"


class DailyFile:
    """One session's writing. `take` is called on the loop; the rest is the thread's."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._framer = LineFramer(LINE_LIMIT)
        self._queue: deque[tuple[str, bytes]] = deque()
        self._queued_bytes = 0
        self._lost = 0
        self._why = ""
        self._overfull = ""
        self._ended = False
        self._changed = Condition()
        self._thread: Thread | None = None

    # --- the loop's side ---------------------------------------------------------------------------------------------

    def take(self, data: bytes, utc_s: float) -> None:
        """Bytes from the portal, as they came. Lines of more than 256 bytes are cut."""
        lines = [frame.raw if isinstance(frame, Doubt) else frame for frame in self._framer.feed(data)]
        if not lines:
            return
        day, rows = stamped(lines, utc_s, self._form)
        with self._changed:
            if self._queued_bytes + len(rows) > QUEUE_BYTES:
                self._lost += len(lines)
                self._why = self._why or "the disk is too slow"
                return
            self._queue.append((day, rows))
            self._queued_bytes += len(rows)
            self._changed.notify()
        if self._thread is None:
            self._thread = Thread(target=self._write_on, name="daily-file", daemon=True)
            self._thread.start()

    @property
    def trouble(self) -> str:
        """Why lines are not in the file, in plain words; empty while all is well."""
        with self._changed:
            lost = f"; {self._lost} lines are left out" if self._lost else ""
            return f"the daily file: {self._why}{lost}" if self._why else ""

    @property
    def overfull(self) -> str:
        """Why old files stay that should have gone, in plain words; empty while all is well."""
        with self._changed:
            return f"the daily file: {self._overfull}" if self._overfull else ""

    async def close(self) -> None:
        """Write what is left, for 2 s at most: a disk that hangs keeps nobody waiting any longer."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, STOP_S)

    # --- the thread's side -------------------------------------------------------------------------------------------

    def _write_on(self) -> None:
        with _Writer(self._form) as writer:
            while self._wait(writer):
                with self._changed:
                    batch = list(self._queue)
                written = self._write(writer, batch)
                overfull = writer.prune()
                with self._changed:
                    self._overfull = overfull
                    for _ in range(written):
                        self._queued_bytes -= len(self._queue.popleft()[1])
                    if self._ended and (not self._queue or written < len(batch)):
                        return
                if written < len(batch):
                    self._pause(RETRY_S)

    def _wait(self, writer: _Writer) -> bool:
        """For lines, and then for some more of them. Meanwhile what was written is brought to the disk."""
        with self._changed:
            while not self._queue and not self._ended:
                if not self._changed.wait(SYNC_EVERY_S if writer.dirty else None) and writer.dirty:
                    with suppress(OSError):  # the next write tells
                        writer.sync()
            if not self._ended:
                self._changed.wait_for(lambda: self._ended or self._queued_bytes >= WRITE_BYTES, WRITE_AFTER_S)
            return bool(self._queue)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended, seconds)

    def _write(self, writer: _Writer, batch: list[tuple[str, bytes]]) -> int:
        """How many of the batch are written."""
        done = 0
        try:
            for day, rows in _by_day(batch):
                writer.append(day, b"".join(rows))
                done += len(rows)
        except OSError as error:
            self._tell(error.strerror or type(error).__name__)
        else:
            self._tell("")
        return done

    def _tell(self, why: str) -> None:
        with self._changed:
            self._why = why
            if not why:
                self._lost = 0


def _by_day(batch: list[tuple[str, bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """The rows of each day on end. A batch is written in two parts at midnight, and in one otherwise."""
    start = 0
    for at in range(1, len(batch) + 1):
        if at == len(batch) or batch[at][0] != batch[start][0]:
            yield batch[start][0], [rows for _, rows in batch[start:at]]
            start = at


class _Writer:
    """Appends to the file of a day. A write that fails leaves the file as it was before it."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._day = ""
        self._file = -1
        self._synced_s = 0.0
        self._pruned_s: float | None = None
        self._overfull = ""
        self.dirty = False

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def append(self, day: str, data: bytes) -> None:
        """Raises OSError."""
        if day != self._day or self._file < 0:
            self._close()
            self._open(day)
        size = os.lseek(self._file, 0, os.SEEK_END)
        try:
            self._write_whole(data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, size)
            self._close()
            raise
        self.dirty = True
        if stopwatch_s() - self._synced_s >= SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Raises OSError."""
        self._synced_s = stopwatch_s()
        self.dirty = False
        os.fsync(self._file)

    def prune(self) -> str:
        """Remove old files, when it is time to look. Why some stay that should have gone; never raises."""
        due = self._pruned_s is None or stopwatch_s() - self._pruned_s >= PRUNE_EVERY_S
        if due and self._day:
            self._pruned_s = stopwatch_s()
            self._overfull = prune(self._form.folder, self._form.name, self._form.keep, self._form.path(self._day).name)
        return self._overfull

    def _open(self, day: str) -> None:
        self._form.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._form.path(day), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._day = day
        self._pruned_s = None
        end = os.lseek(self._file, 0, os.SEEK_END)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            self._write_whole(b"\r\n")

    def _write_whole(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file < 0:
            return
        with suppress(OSError):
            os.fsync(file)
        with suppress(OSError):
            os.close(file)
        self.dirty = False
