"""Fake RFID module of the ThingMagic/Jadak M6e family: the Mercury protocol on a serial line.

Written from the vendor's C SDK and from frames of real modules in the comments of an open library, never from our
driver. A serial line knows no connections: whoever is on it hears all that the module says, and the module goes on
streaming, with all its settings, when a client goes and another one comes. Only a restart makes it forget.

After power-on it has neither region nor protocol, and searches with antenna 1 only: a client has to do its whole
set-up. It obeys one command at a time: what comes during a search waits for its end. What it answers where the sources
are silent is this fake's own choice: while it streams, every command but op 2F is refused as invalid; a command
wrapped into op 2F is refused as unimplemented, for its form is not known; with a missing antenna among those it uses
it goes on, and each cycle ends with `high return loss` (`antenna missing` where the antenna check is on). It never
writes, locks, kills or erases a tag, and cannot select tags by their memory.

The world gives `TagAnswer` (heard while an antenna that is connected is in use) and `Contact` (a pin, where one is
wired).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from lanecontrol.links import Link
from sim.fake import Fake
from sim.outbox import Outbox, serve_client
from sim.readings import Contact, Deed, OutputSet, Reading, TagAnswer
from sim.rfid_mercury_radio import Radio
from sim.rfid_mercury_search import read_search
from sim.rfid_mercury_settings import MercuryConfig, Settings
from sim.rfid_mercury_tags import MAX_EPC_BYTES
from sim.rfid_mercury_wire import UNIMPLEMENTED, Command, Fields, Framer, Op, Refused, Status, answer

BOOT_LOADER, APPLICATION = 0x11, 0x12
COMMANDS_WAITING = 16
"""How many commands wait for the end of a search; more than a module's receive buffer holds are lost."""
_KNOWN_OPS = frozenset(Op)


class FakeMercury(Fake):
    """The module."""

    Config = MercuryConfig
    config: MercuryConfig

    def __init__(self, config: MercuryConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._clients: set[Outbox] = set()
        self._waiting: deque[Command] = deque()
        self._settings = Settings(config, self._switched)
        self._radio = Radio(config, self._settings, self._say, self._obey_waiting)
        self._loaded = config.program == "boot loader"

    # --- the world's side --------------------------------------------------------------------------------------------

    def sense(self, reading: Reading) -> None:
        match reading:
            case TagAnswer(_, epc) if len(epc) <= MAX_EPC_BYTES:
                self._radio.heard(reading)
            case Contact(point, on) if point in self.config.gpi:
                self._settings.levels[self.config.gpi[point]] = on
            case _:
                pass  # a module has no sensor for it

    def set_antenna(self, port: int, *, connected: bool) -> None:
        """An antenna cable comes off, or is plugged in again."""
        (self._radio.missing.discard if connected else self._radio.missing.add)(port)

    def set_temperature(self, temperature_c: int) -> None:
        """The module warms up or cools down."""
        self._radio.temperature_c = temperature_c

    def restart(self) -> None:
        """Power comes back, or the module's own watchdog bit: everything is forgotten, and the host is told."""
        before = self._settings
        self._settings = Settings(self.config, self._switched)
        for pin, on in before.levels.items():
            if pin in self.config.gpi.values():
                self._settings.levels[pin] = on
            elif on:
                self._switched(pin, False)
        self._radio.restart(self._settings)
        self._waiting.clear()
        self._loaded = self.config.program == "boot loader"
        self._say(answer(Op.BOOT_FIRMWARE))

    @property
    def baud(self) -> int:
        """The speed that it was told to use; a link has none."""
        return self._settings.baud

    def _switched(self, pin: int, on: bool) -> None:
        for name, at in self.config.gpo.items():
            if at == pin:
                self.act(OutputSet(name, on))

    # --- the host's side ---------------------------------------------------------------------------------------------

    async def serve(self, link: Link) -> None:
        outbox = Outbox(self.config.outbox_bytes)
        self._clients.add(outbox)
        try:
            await serve_client(link, outbox, self._listen(link))
        finally:
            self._clients.discard(outbox)

    async def _listen(self, link: Link) -> None:
        """Obey until the client goes. Waits without limit: a module waits for its host."""
        framer = Framer(self.config.byte_gap_s)
        while True:
            for command in framer.feed(await link.read(), _now_s()):
                if not self._radio.searching:
                    self._obey(command)
                elif len(self._waiting) < COMMANDS_WAITING:
                    self._waiting.append(command)

    def _say(self, data: bytes) -> None:
        for client in tuple(self._clients):
            client.put(data)

    def _obey_waiting(self) -> None:
        """A search is over: what came meanwhile is obeyed now."""
        while self._waiting and not self._radio.searching:
            self._obey(self._waiting.popleft())

    def _obey(self, command: Command) -> None:
        try:
            data = self._carry_out(command.op, Fields(command.data))
        except Refused as refusal:
            self._say(answer(command.op, refusal.status))
            return
        if data is not None:
            self._say(answer(command.op, Status.OK, data))

    def _carry_out(self, op: int, fields: Fields) -> bytes | None:
        """Data of the answer; None for a command that is answered later. Raises Refused."""
        if self._radio.streaming and op != Op.CONTINUOUS:
            raise Refused(Status.INVALID_OP)
        if op in UNIMPLEMENTED and not self._loaded:
            raise Refused(Status.UNIMPLEMENTED)
        if op not in _KNOWN_OPS:
            raise Refused(Status.INVALID_OP)
        if (data := self._program(Op(op), fields)) is not None:
            return data
        if self._loaded:
            raise Refused(Status.INVALID_OP)
        return self._application(Op(op), fields)

    def _program(self, op: Op, fields: Fields) -> bytes | None:
        """What both programs answer; None for all else."""
        match op:
            case Op.VERSION | Op.BOOT_FIRMWARE:
                fields.end()
                self._loaded &= op == Op.VERSION
                return self._settings.version()
            case Op.BOOT_LOADER:
                fields.end()
                self._loaded = True
                return b""
            case Op.CURRENT_PROGRAM:
                fields.end()
                return bytes((BOOT_LOADER if self._loaded else APPLICATION,))
            case Op.SET_BAUD:
                return self._settings.change(op, fields)
            case _:
                return None

    def _application(self, op: Op, fields: Fields) -> bytes | None:
        match op:
            case Op.SEARCH:
                self._radio.begin_search(op, read_search(fields.rest(), streaming=False))
                return None
            case Op.READ_MEMORY:
                self._radio.begin_read(fields)
                return None
            case Op.GET_BUFFER:
                return self._radio.fetch(fields)
            case Op.CLEAR_BUFFER:
                fields.end()
                self._radio.buffer.clear()
                return b""
            case Op.CONTINUOUS:
                return self._radio.continuous(fields)
        answered = self._settings.ask(op, fields, self._radio.missing, self._radio.temperature_c)
        return self._settings.change(op, fields) if answered is None else answered


def _now_s() -> float:
    return asyncio.get_running_loop().time()
