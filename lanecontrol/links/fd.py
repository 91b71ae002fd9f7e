"""Links over a file descriptor on the event loop: serial ports and ptys.

Reading and writing never block: the descriptor is non-blocking, and the loop says when it is ready.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from lanecontrol.links.buffer import CLOSE_S, CLOSED_HERE, CUT, BufferedLink, plain_words

_CHUNK = 4096
_UNSENT_LIMIT = 4096
"""Serial lines are slow: at 9600 baud this is four seconds."""
_DRAIN_CHECK_S = 0.01
_HUNG_UP = "the line hung up (unplugged, or the other end is gone)"


class FdLink(BufferedLink):
    """A link over an open, non-blocking descriptor. `release` gives the descriptor back when the link is closed.

    `unsent_below` answers how many bytes the system still holds below us, where it can be asked.
    """

    def __init__(
        self, fd: int, peer: str, release: Callable[[], None], unsent_below: Callable[[], int] = lambda: 0
    ) -> None:
        super().__init__(peer)
        self._fd = fd
        self._release = release
        self._unsent_below = unsent_below
        self._unsent = bytearray()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(plain_words(error))
            return
        if data:
            self._feed(data)
        else:
            self._fail(_HUNG_UP)  # said to be readable, and nothing there

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(plain_words(error))
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._fd)
        if len(self._unsent) <= _UNSENT_LIMIT:
            self._make_room()

    def _fail(self, why: str) -> None:
        self._end(why)
        self._detach()

    def _detach(self) -> None:
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._unsent.clear()

    def _hold(self) -> None:
        self._loop.remove_reader(self._fd)

    def _go_on(self) -> None:
        if not self._read_end:
            self._loop.add_reader(self._fd, self._readable)

    def drop(self) -> None:
        self._fail(CUT)

    async def write(self, data: bytes) -> None:
        self._check_writable()
        was_empty = not self._unsent
        self._unsent += data
        if was_empty:
            self._loop.add_writer(self._fd, self._writable)
            self._writable()
        if len(self._unsent) > _UNSENT_LIMIT:
            self._fill()
        self._check_writable()
        await self._wait_for_room()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._drained()
        finally:
            self._end(CLOSED_HERE)
            self._detach()
            self._release()

    async def _drained(self) -> None:
        """Give the last bytes the time to leave; what is still there after it is lost."""
        self._end_reading(CLOSED_HERE)
        self._loop.remove_reader(self._fd)
        give_up = self._loop.time() + CLOSE_S
        # Looked at again and again, because the system does not tell when its buffer is empty.
        while self._anything_unsent() and self._loop.time() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_CHECK_S)

    def _anything_unsent(self) -> bool:
        if self._write_end:
            return False
        if self._unsent:
            return True
        try:
            return self._unsent_below() > 0
        except OSError:
            return False
