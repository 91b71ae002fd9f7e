"""An I/O module that knows when its contact changed, when a poll first told so, and when the answering write came.

Also a bare poll loop to hold the daemon against: as little as a client can do, in a process of its own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable

from lanecontrol.errors import LinkLost
from lanecontrol.links import Link

POLL_S = 0.02
CONTACT, LAMP = 0, 0
PRESSED_READ = bytes.fromhex("000000000006010200000001")


class Box:
    """Serves clients; one contact is pressed and let go by the measurer. All moments are `time.perf_counter`."""

    def __init__(self) -> None:
        self.coils = bytearray(64)
        self.pressed = False
        self.pressed_s = self.shown_s = 0.0
        self._seen_up = asyncio.Event()
        self._written: asyncio.Future[float] | None = None

    async def serve(self, link: Link) -> None:
        pending = b""
        try:
            while True:
                pending += await link.read()
                while len(pending) >= 6 and len(pending) >= 6 + pending[5]:
                    frame, pending = pending[: 6 + pending[5]], pending[6 + pending[5] :]
                    await link.write(self._answer(frame))
        except LinkLost:
            pass

    def _answer(self, frame: bytes) -> bytes:
        function, address, value = frame[7], frame[8] << 8 | frame[9], frame[10] << 8 | frame[11]
        if function in (5, 15):
            self._write(function, address, value, frame)
            return frame[:4] + b"\0\x06" + frame[6:12]
        size = (value + 7) // 8
        bits = self._inputs() if function == 2 else self._outputs(address, value)
        return frame[:4] + bytes((0, 3 + size, frame[6], function, size)) + bits.to_bytes(size, "little")

    def _inputs(self) -> int:
        if not self.pressed:
            self._seen_up.set()
        elif not self.shown_s:
            self.shown_s = time.perf_counter()
        return int(self.pressed) << CONTACT

    def _outputs(self, address: int, count: int) -> int:
        return sum(self.coils[address + n] << n for n in range(count)) if address + count <= len(self.coils) else 0

    def _write(self, function: int, address: int, value: int, frame: bytes) -> None:
        now_s = time.perf_counter()
        if function == 5:
            self.coils[address] = value == 0xFF00
        else:
            for n in range(value):
                self.coils[address + n] = frame[13 + n // 8] >> n % 8 & 1
        if self.pressed and self._written is not None and not self._written.done():
            self._written.set_result(now_s)

    async def trial(self, pause_s: float, limit_s: float) -> tuple[float, float] | None:
        """Press so long after a poll, wait for the write, let go; None where none came in time.

        Gives the seconds from the press, and from the poll that told of it, to the write.
        """
        await self.let_go(limit_s)
        await asyncio.sleep(pause_s)
        self._written = asyncio.get_running_loop().create_future()
        self.shown_s, self.pressed, self.pressed_s = 0.0, True, time.perf_counter()
        try:
            async with asyncio.timeout(limit_s):
                written_s = await self._written
        except TimeoutError:
            return None
        finally:
            self.pressed = False
        return written_s - self.pressed_s, written_s - self.shown_s

    async def let_go(self, limit_s: float) -> None:
        """Until a poll has seen the contact open."""
        self._seen_up.clear()
        async with asyncio.timeout(limit_s):
            await self._seen_up.wait()


async def trials(
    box: Box, count: int, limit_s: float, pause_s: Callable[[], float], tick: Callable[[], Awaitable[None]]
) -> list[tuple[float, float] | None]:
    """So many, at random moments of the poll."""
    found = []
    for _ in range(count):
        found.append(await box.trial(pause_s(), limit_s))
        await tick()
    return found


def poll_for_ever(port: int) -> None:
    """The bare loop: read the contact every 20 ms; when it has closed, write the lamp. Nothing else."""
    with socket.create_connection(("127.0.0.1", port)) as box:
        box.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before, due_s = 0, time.monotonic()
        while True:
            box.sendall(PRESSED_READ)
            now = box.recv(64)[-1]
            if now and not before:
                box.sendall(bytes.fromhex("0001000000060105") + bytes((0, LAMP, 0xFF, 0)))
                box.recv(64)
            before, due_s = now, max(due_s + POLL_S, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    poll_for_ever(int(sys.argv[1]))
