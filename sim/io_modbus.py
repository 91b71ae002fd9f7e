"""Fake I/O module on Modbus/TCP: contacts in, outputs out, and a watchdog that drops the outputs by itself.

Function codes 1, 2, 3, 4, 5, 6, 15 and 16, pipelined requests, any number of clients. Written from the Modbus
Application Protocol Specification V1.1b3 and from makers' manuals, never from our driver. Addresses are those on the
wire (zero based).

The register map of the `generic` module, our own:

| what | where |
|---|---|
| inputs | discrete inputs from 0 (FC 02) |
| outputs | coils from 0 (FC 01, 05, 15) |
| watchdog time, unit 100 ms, 0 = off | holding register 0 |
| heartbeat: any write feeds the watchdog | holding register 1 |
| watchdog has tripped; write 1 to clear | coil 4144 |
| number of trips since power-on | input register 0 |

An area is as large as its `count` (16, unless more points are named); reading or writing outside of it is refused with
code 2, as is writing an input. Inputs may lie in the coils too (`area: coils`), as in some ADAM modules; then the coils
between the two areas read 0. The `iologik` watchdog is fed by every valid request, its time is set in the
maker's utility (here: in the configuration), its flag is coil 4144. The `wago` one has the register block 0x1000:
time, function mask, trigger, status (0 idle, 1 active, 2 expired), restart, stop; and 0x1030, the idle time-out, which
closes a silent connection and leaves the outputs as they are. The `adam` one is set in the maker's utility too and fed
by every valid request; no address tells of a trip, and the next client that writes drives the outputs again.

After a trip the outputs stand at their safe values, and writing them is refused with code 4 until the flag is cleared.
What a real module answers then is not known for any model; a refusal hides least. At power-on every output is off.
Requests for another unit id are answered with code 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.io_modbus_watchdog import Watchdog, WatchdogConfig
from sim.io_modbus_wire import (
    Framer,
    Function,
    Read,
    Refusal,
    Request,
    WriteBits,
    WriteWords,
    bits_answer,
    frame,
    parse,
    refused,
    words_answer,
)
from sim.readings import Contact, Deed, OutputSet, Reading

TRIPS_REGISTER = 0


class AreaConfig(BaseModel):
    """Where points lie: `points` by name from `base` on, an empty name for an unused place."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    base: int = Field(default=0, ge=0, le=0xFFFF)
    """Address of the first point."""
    points: tuple[str, ...] = ()
    """Names in the order of their addresses."""
    count: int = Field(default=16, ge=0, le=2000)
    """How many addresses there are, named or not."""

    @property
    def addresses(self) -> range:
        """Every address of the area."""
        return range(self.base, self.base + max(self.count, len(self.points)))


class InputsConfig(AreaConfig):
    """Where the inputs lie."""

    area: Literal["discrete", "coils"] = "discrete"
    """Which table holds them: discrete inputs (FC 02) or coils (FC 01)."""


class ModuleConfig(FakeConfig):
    """Settings of the module."""

    kind: Literal["io.modbus"] = "io.modbus"
    unit: int = Field(default=1, ge=0, le=255)
    """Unit id that it answers to."""
    inputs: InputsConfig = InputsConfig()
    """The contacts."""
    outputs: AreaConfig = AreaConfig()
    """The outputs."""
    readback_base: int | None = Field(default=None, ge=0, le=0xFFFF)
    """Coils from here on show the outputs too, read only (0x0200 in a WAGO)."""
    invert: tuple[str, ...] = ()
    """Points whose bit on the wire is the inverse of their meaning (a contact that opens when true)."""
    watchdog: WatchdogConfig = WatchdogConfig()
    """The module's own watchdog."""


class FakeModule(Fake):
    """The module. `act` hears of every output that changes."""

    Config = ModuleConfig
    config: ModuleConfig

    def __init__(self, config: ModuleConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._coils: dict[int, bool] = {}
        self._discretes: dict[int, bool] = {}
        self._contacts: dict[str, tuple[dict[int, bool], int]] = {}
        self._lay_out_inputs(config.inputs)
        self._outputs = _names(config.outputs)
        for at, name in self._outputs.items():
            self._put_output(at, name in config.invert)
        self.watchdog = Watchdog(config.watchdog, self._drop_outputs, lambda: self.pace)
        if self.watchdog.has_coil:
            self._coils[config.watchdog.flag_coil] = False

    def _lay_out_inputs(self, inputs: InputsConfig) -> None:
        table = self._coils if inputs.area == "coils" else self._discretes
        if inputs.area == "coils":  # what lies between the inputs and the outputs can be read
            table.update(dict.fromkeys(range(*_span(inputs.addresses, self.config.outputs.addresses)), False))
        for at, name in _names(inputs).items():
            table[at] = name in self.config.invert
            if name:
                self._contacts[name] = table, at

    def sense(self, reading: Reading) -> None:
        if isinstance(reading, Contact) and reading.point in self._contacts:
            table, at = self._contacts[reading.point]
            table[at] = reading.on != (reading.point in self.config.invert)

    def outputs(self) -> dict[str, bool]:
        """The outputs by name, as they are now."""
        return {name: self._coils[at] != (name in self.config.invert) for at, name in self._outputs.items() if name}

    async def serve(self, link: Link) -> None:
        framer = Framer()
        while not framer.broken:
            data = await self._read(link)
            if data is None:
                return
            answers = [self._answer(request) for request in framer.feed(data)]
            if answers:
                await link.write(b"".join(answers))

    async def _read(self, link: Link) -> bytes | None:
        """What comes next; None when nothing did for as long as the idle time-out says. Without one, no deadline."""
        try:
            async with asyncio.timeout(self.watchdog.idle_s or None):
                return await link.read()
        except TimeoutError:
            return None

    def _answer(self, request: Request) -> bytes:
        if request.unit != self.config.unit:
            return frame(request, refused(request.pdu, Refusal.TARGET_MUTE))
        answer = self._carry_out(request.pdu)
        if isinstance(answer, Refusal):
            return frame(request, refused(request.pdu, answer))
        self.watchdog.heard(request.pdu[0])
        return frame(request, answer)

    def _carry_out(self, pdu: bytes) -> bytes | Refusal:
        match parse(pdu):
            case Refusal() as refusal:
                return refusal
            case Read(Function.READ_COILS as function, address, count):
                return _answer_bits(function, self._coils, address, count)
            case Read(Function.READ_DISCRETE_INPUTS as function, address, count):
                return _answer_bits(function, self._discretes, address, count)
            case Read(function, address, count):
                read = self.watchdog.read_word if function is Function.READ_HOLDING_REGISTERS else self._input_word
                words = [word for at in range(address, address + count) if (word := read(at)) is not None]
                return words_answer(function, words) if len(words) == count else Refusal.ILLEGAL_ADDRESS
            case WriteBits(address, values):
                return self._write_coils(address, values) or pdu[:5]
            case WriteWords(address, values):
                return self._write_words(address, values) or pdu[:5]

    def _input_word(self, address: int) -> int | None:
        return self.watchdog.trips & 0xFFFF if address == TRIPS_REGISTER else None

    def _write_coils(self, address: int, values: tuple[bool, ...]) -> Refusal | None:
        if len(values) == 1 and self.watchdog.has_flag(address):
            self.watchdog.write_flag(values[0])
            self._coils[address] = self.watchdog.tripped
            return None
        if any(at not in self._outputs for at in range(address, address + len(values))):
            return Refusal.ILLEGAL_ADDRESS
        if self.watchdog.holds:
            return Refusal.DEVICE_FAILURE
        for at, bit in enumerate(values, address):
            self._write_output(at, bit)
        return None

    def _put_output(self, address: int, bit: bool) -> None:
        self._coils[address] = bit
        if self.config.readback_base is not None:
            self._coils[self.config.readback_base + address - self.config.outputs.base] = bit

    def _write_output(self, address: int, bit: bool) -> None:
        name = self._outputs[address]
        changed = self._coils[address] != bit
        self._put_output(address, bit)
        if changed and name:
            self.act(OutputSet(name, bit != (name in self.config.invert)))

    def _write_words(self, address: int, values: tuple[int, ...]) -> Refusal | None:
        if any(self.watchdog.read_word(at) is None for at in range(address, address + len(values))):
            return Refusal.ILLEGAL_ADDRESS
        for at, value in enumerate(values, address):
            if refusal := self.watchdog.write_word(at, value):
                return refusal
        return None

    def _drop_outputs(self) -> None:
        if self.watchdog.has_coil:
            self._coils[self.config.watchdog.flag_coil] = True
        for at, name in self._outputs.items():
            self._write_output(at, self.config.watchdog.safe.get(name, False) != (name in self.config.invert))


def _names(area: AreaConfig) -> dict[int, str]:
    """Name by address; an empty name for a place that nothing is wired to."""
    names = dict(enumerate(area.points, area.base))
    return {address: names.get(address, "") for address in area.addresses}


def _span(*areas: range) -> tuple[int, int]:
    return min(area.start for area in areas), max(area.stop for area in areas)


def _answer_bits(function: Function, table: dict[int, bool], address: int, count: int) -> bytes | Refusal:
    try:
        return bits_answer(function, [table[at] for at in range(address, address + count)])
    except KeyError:
        return Refusal.ILLEGAL_ADDRESS
