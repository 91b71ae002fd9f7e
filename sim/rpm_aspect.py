"""Fake radiation portal with the Aspect register map: holding registers on Modbus/TCP, polled by any number of clients.

Written from the register map (sim.rpm_aspect_map), never from our driver. A portal answers function 3 inside its two
blocks, address 2 is refused anywhere else, other functions are refused with code 1, and another unit id with code 11.
What no source tells is this fake's own choice: elapsed time counts milliseconds since power-on, counts are those of
the last second summed over the detectors, the variance is that of a Poisson count, all occupancy sensors act together,
one of the two alarm bits stands for every alarm.

The world owns counts, alarms and moments. An occupancy begins with its first interval, which moves the object counter
on and sets the occupancy and direction bits; alarm bits rise with the first interval in alarm and stay until the
occupancy is over. They are shown for at least `show_s`, or a client that polls could miss them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from lanecontrol.links import Link
from sim.fake import Fake, FakeConfig
from sim.io_modbus_wire import Framer, Function, Read, Refusal, Request, frame, parse, refused, words_answer
from sim.outbox import Outbox, serve_client
from sim.readings import Deed, GammaInterval, NeutronSecond, OccupancyOver, Reading, SpeedMeasured, Tamper, Vacant
from sim.rpm_aspect_map import (
    DESCRIPTION_REGISTERS,
    MONITOR_REGISTERS,
    Channel,
    Description,
    Input,
    Monitor,
    Output,
    Reckoning,
    detectors,
)

INTERVALS_PER_S = 5
FAULTS = Input.POWER_FAIL | Input.LOW_BATTERY | Input.OPEN | Input.ERROR
DIRECTIONS = {"01": Input.DIRECTION_01, "10": Input.DIRECTION_10}


class AspectConfig(FakeConfig):
    """Settings of the portal."""

    kind: Literal["rpm.aspect"] = "rpm.aspect"
    unit: int = Field(default=1, ge=0, le=255)
    """Unit id that it answers to."""
    signature: int = Field(default=0x4153, ge=0, le=0xFFFF)
    """First register of its description. Which one a real portal has is not known."""
    block_id: int = Field(default=1, ge=0, le=0xFFFF)
    """Id of the monitor block."""
    base: int = Field(default=100, ge=DESCRIPTION_REGISTERS, le=0x10000 - MONITOR_REGISTERS)
    """Address of the monitor block."""
    gamma_detectors: int = Field(default=4, ge=1, le=8)
    """Gamma detectors that it says are there; the world gives the counts of those that are."""
    neutron_detectors: int = Field(default=2, ge=1, le=8)
    """Neutron detectors that it says are there."""
    occupancy_sensors: int = Field(default=1, ge=1, le=4)
    """Occupancy sensors, each with a bit of its own."""
    direction: Literal["01", "10"] = "01"
    """Which direction bit a vehicle of this lane sets."""
    wheels: int = Field(default=4, ge=0, le=0xFFFF)
    """Mark of every object: this world's vehicles all have as many wheels."""
    gamma_low_fault_cps: float = Field(default=50.0, ge=0)
    """LowCount below this in any gamma detector."""
    gamma_high_fault_cps: float = Field(default=20_000.0, ge=0)
    """HighCount above this in any gamma detector."""
    gamma_overload_cps: float = Field(default=100_000.0, ge=0)
    """Overload above this in any gamma detector."""
    neutron_high_fault_cps: float = Field(default=100.0, ge=0)
    """HighCount above this in any neutron detector."""
    neutron_overload_cps: float = Field(default=10_000.0, ge=0)
    """Overload above this in any neutron detector."""
    elapsed_at_start: int = Field(default=0, ge=0, le=0xFFFF_FFFF)
    """Elapsed time when the simulation begins, for a portal that has been running for long."""
    counter_at_start: int = Field(default=0, ge=0, le=0xFFFF)
    """Object counter when the simulation begins."""
    show_s: float = Field(default=0.5, ge=0)
    """How long an alarm is shown at least."""
    alarm_bit: Literal[1, 2] = 1
    """Which of the two alarm bits it sets. What tells them apart on a real portal is not known."""
    words: Literal["low_first", "high_first"] = "low_first"
    """Which half of a value of two registers comes first."""
    delay_s: float = Field(default=0.0, ge=0, le=60)
    """How long it takes to answer. Requests wait for their turn."""
    outbox_bytes: int = Field(default=64 * 1024, gt=0)
    """A client that lets more answers than this pile up is dropped."""


class _Counting:
    """One channel: what its detectors count, and its alarm."""

    def __init__(self, intervals: int, counting: int, alarm_bit: Channel) -> None:
        self.alarm = False
        self._alarm_bit = alarm_bit
        self.background_cps = 0.0
        self.forced = Channel(0)
        self.ready = True
        self._detectors = detectors(counting)
        self._fault = Channel(0)
        self._window: deque[int] = deque(maxlen=intervals)
        self._vacant_count = 0

    def vacant(self, cps: Sequence[float], low_cps: float, high_cps: float, overload_cps: float) -> None:
        self.background_cps = sum(cps)
        self._vacant_count = round(self.background_cps)
        self._fault = Channel.LOW_COUNT if min(cps, default=0.0) < low_cps else Channel(0)
        self._fault |= Channel.HIGH_COUNT if max(cps, default=0.0) > high_cps else Channel(0)
        self._fault |= Channel.OVERLOAD if max(cps, default=0.0) > overload_cps else Channel(0)

    def counted(self, counts: Sequence[int]) -> None:
        self._window.append(sum(counts))

    def begin(self) -> None:
        self.alarm = False
        self._window.clear()

    def reckoning(self, occupied: bool) -> Reckoning:
        status = self._detectors | self._fault | self.forced
        status |= Channel.READY if self.ready else Channel(0)
        status |= self._alarm_bit if self.alarm and occupied else Channel(0)
        count = sum(self._window) if occupied and self._window else self._vacant_count
        return Reckoning(status, count, self.background_cps, self.background_cps)


class FakeAspect(Fake):
    """The portal."""

    Config = AspectConfig
    config: AspectConfig

    def __init__(self, config: AspectConfig, act: Callable[[Deed], None]) -> None:
        super().__init__(config, act)
        self._clients: set[Outbox] = set()
        self._inputs = Input(0)
        alarm_bit = Channel.ALARM_1 if config.alarm_bit == 1 else Channel.ALARM_2
        self._gamma = _Counting(INTERVALS_PER_S, config.gamma_detectors, alarm_bit)
        self._neutron = _Counting(1, config.neutron_detectors, alarm_bit)
        self._frozen: list[int] | None = None
        self._on_since_s: float | None = None
        self._elapsed_base = config.elapsed_at_start
        self._counter = config.counter_at_start
        self._mark = 0
        self._speed_mm_s = 0
        self._begun = False
        self._over_s: float | None = None
        self._show_until_s = 0.0

    # --- the world's side --------------------------------------------------------------------------------------------

    def sense(self, reading: Reading) -> None:
        config = self.config
        self._elapsed()  # counts from the first reading on
        match reading:
            case Vacant(gamma_cps, neutron_cps):
                limits = config.gamma_low_fault_cps, config.gamma_high_fault_cps, config.gamma_overload_cps
                self._gamma.vacant(gamma_cps, *limits)
                self._neutron.vacant(neutron_cps, 0.0, config.neutron_high_fault_cps, config.neutron_overload_cps)
            case GammaInterval(counts, alarm):
                self._counted(self._gamma, counts, alarm)
            case NeutronSecond(counts, alarm):
                self._counted(self._neutron, counts, alarm)
            case SpeedMeasured(speed_mps):
                self._begin()
                self._speed_mm_s = round(1000 * speed_mps)
            case OccupancyOver() if self._begun:
                self._begun = False
                self._over_s = max(_now_s(), self._show_until_s)
            case Tamper(active):
                self.set_input(Input.OPEN, active)
            case _:
                pass  # a portal has no sensor for it

    def _begin(self) -> None:
        """The first reading of an occupancy. What is still shown of the one before goes."""
        if self._begun:
            return
        self._begun = True
        self._over_s = None
        self._counter += 1
        self._mark = self.config.wheels
        self._speed_mm_s = 0
        self._gamma.begin()
        self._neutron.begin()

    def _counted(self, channel: _Counting, counts: Sequence[int], alarm: bool) -> None:
        self._begin()
        channel.counted(counts)
        if alarm and not channel.alarm:
            channel.alarm = True
            self._show_until_s = _now_s() + self.config.show_s

    def set_input(self, signal: Input, on: bool) -> None:
        """An input signal comes or goes: PowerFail, LowBattery, Error, the button, ..."""
        self._inputs = self._inputs | signal if on else self._inputs & ~signal

    def set_ready(self, *, gamma: bool = True, neutron: bool = True) -> None:
        """Whether each channel is ready: not while it warms up or has no high voltage."""
        self._gamma.ready, self._neutron.ready = gamma, neutron

    def force(self, *, gamma: Channel, neutron: Channel) -> None:
        """Channel status bits that are on whatever is counted, such as an alarm outside of any occupancy."""
        self._gamma.forced, self._neutron.forced = gamma, neutron

    def freeze(self, on: bool) -> None:
        """Its processor hangs while the network part goes on: every answer has the monitor block of this moment."""
        self._frozen = self._monitor_words() if on else None

    def restart(self) -> None:
        """Power comes back: clients lose their connection, elapsed time and object counter begin at 0 again."""
        self._on_since_s = _now_s()
        self._elapsed_base = self._counter = self._mark = self._speed_mm_s = 0
        self._begun, self._over_s, self._frozen = False, None, None
        for client in tuple(self._clients):
            client.drop("the portal restarts")

    # --- the client's side -------------------------------------------------------------------------------------------

    async def serve(self, link: Link) -> None:
        self._elapsed()
        outbox = Outbox(self.config.outbox_bytes)
        self._clients.add(outbox)
        try:
            await serve_client(link, outbox, self._listen(link, outbox))
        finally:
            self._clients.discard(outbox)

    async def _listen(self, link: Link, outbox: Outbox) -> None:
        """Answer until the client goes, or sends what cannot be Modbus. Waits without limit: clients need not poll."""
        framer = Framer()
        while not framer.broken:
            for request in framer.feed(await link.read()):
                if self.config.delay_s:
                    await asyncio.sleep(self.config.delay_s)
                outbox.put(self._answer(request))

    def _answer(self, request: Request) -> bytes:
        if request.unit != self.config.unit:
            return frame(request, refused(request.pdu, Refusal.TARGET_MUTE))
        answer = self._carry_out(request.pdu)
        return frame(request, refused(request.pdu, answer) if isinstance(answer, Refusal) else answer)

    def _carry_out(self, pdu: bytes) -> bytes | Refusal:
        if pdu[0] != Function.READ_HOLDING_REGISTERS:
            return Refusal.ILLEGAL_FUNCTION
        match parse(pdu):
            case Read(function, address, count):
                words = self._read(address, count)
                return Refusal.ILLEGAL_ADDRESS if words is None else words_answer(function, words)
            case Refusal() as refusal:
                return refusal
            case _:
                return Refusal.ILLEGAL_FUNCTION

    def _read(self, address: int, count: int) -> list[int] | None:
        """The registers, all of one block and of one moment; None where there are none."""
        base = self.config.base
        if address + count <= DESCRIPTION_REGISTERS:
            return self.description().words()[address : address + count]
        if base <= address and address + count <= base + MONITOR_REGISTERS:
            words = self._monitor_words() if self._frozen is None else self._frozen
            return words[address - base : address - base + count]
        return None

    def _monitor_words(self) -> list[int]:
        return self.monitor().words(high_first=self.config.words == "high_first")

    def description(self) -> Description:
        """The device description."""
        base = self.config.base
        registers = base + MONITOR_REGISTERS
        return Description(self.config.signature, registers & 0xFFFF, self.config.block_id, base, MONITOR_REGISTERS)

    def monitor(self) -> Monitor:
        """The monitor block as it is now."""
        occupied = self._begun or (self._over_s is not None and _now_s() < self._over_s)
        gamma, neutron = self._gamma.reckoning(occupied), self._neutron.reckoning(occupied)
        inputs = self._inputs
        if occupied:
            inputs |= Input((1 << self.config.occupancy_sensors) - 1) | DIRECTIONS[self.config.direction]
        alarm = bool((gamma.status | neutron.status) & (Channel.ALARM_1 | Channel.ALARM_2))
        outputs = _outputs(occupied, alarm, bool(inputs & FAULTS))
        return Monitor(self._elapsed(), inputs, gamma, neutron, self._counter, self._mark, self._speed_mm_s, outputs)

    def _elapsed(self) -> int:
        """Milliseconds since power-on, not wrapped yet."""
        now_s = _now_s()
        if self._on_since_s is None:
            self._on_since_s = now_s
        return self._elapsed_base + round(1000 * (now_s - self._on_since_s))


def _outputs(occupied: bool, alarm: bool, fault: bool) -> Output:
    outputs = Output.ALARM if alarm else Output(0)
    outputs |= Output.BUSY if occupied else Output(0)
    outputs |= Output.YELLOW if fault else Output(0)
    return outputs or Output.ENTRY_GREEN


def _now_s() -> float:
    return asyncio.get_running_loop().time()
