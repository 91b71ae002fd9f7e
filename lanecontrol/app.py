"""The composition root: from a loaded lane file to a lane at work. The only module that knows everything.

Any number of lanes can be built in one process; there are no globals. Devices run in an outer task group and the core
(lane, relay, health) in an inner one, so that on any way out the safe state is commanded while the devices' sessions
are still there to carry it. A device may fail for ever without touching the lane; a failure of the core ends `run`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from signal import SIGINT, SIGTERM
from typing import Any

import structlog
from pydantic import ValidationError

from lanecontrol import __version__, driver, forms
from lanecontrol.announcements import Announcement, DeviceStateChanged, OrderRejected
from lanecontrol.clock import Clock, Instant, LoopClock, RealWork
from lanecontrol.commands import Command, Outcome, Result, WriteOutputs
from lanecontrol.config.load import Loaded
from lanecontrol.errors import StorageUnavailable
from lanecontrol.events import DeviceState, Event, Started, StoreChanged
from lanecontrol.lane.runner import LaneRunner
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import initial
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.records import Entry
from lanecontrol.links import LinkOpener, MemoryNet
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.orders import Orders
from lanecontrol.port.payloads import EVENT_TYPES, event_bytes
from lanecontrol.port.relay import DeadLetter, Relay
from lanecontrol.port.session import Birth, PortSession, PortStatus
from lanecontrol.port.topics import LaneAddress, class_of
from lanecontrol.port.transport import Connect
from lanecontrol.recorder import Recorder
from lanecontrol.scaled_loop import scaled_utc
from lanecontrol.service.boot import ClockDiscipline, boot_id
from lanecontrol.service.health import LAG_LIMIT_S, Health
from lanecontrol.service.notify import Notifier
from lanecontrol.supervisor import DeviceStatus, Supervisor

SAFE_STATE_LIMIT_S = 1.0
"""Commanding the safe state may take this long on the way out; the whole stop must be over within 2 s."""
FAREWELL_LIMIT_S = 0.5
"""Telling the port that we stop, and what is on its way to it."""
STORE_RETRY_S = 2.0
INPUT_AGE_LIMIT_S = 0.25
"""An input that waits longer is as stale as an input module's (fail-safe rule 4 of the lane's I/O)."""
STATUS_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a lane is built into: everything that a test or a simulation wants to put in place of the real thing."""

    clock: Clock
    rng: random.Random
    boot: str
    memory: MemoryNet | None = None
    work: RealWork = field(default_factory=RealWork)
    inline_store: bool = False
    """SQL on the calling thread: for simulations on a virtual clock, where order must not depend on threads."""
    salt: Callable[[int], bytes] = os.urandom
    connect: Connect | None = None
    """The MQTT client; the daemon's own if not given."""
    recorded: Callable[[int], object] = lambda seq: None
    """Told of each sequence number as it is given to an event: for measuring."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lane now, for status lines and the terminal."""

    state: LaneState
    devices: tuple[DeviceStatus, ...]
    recorded: int
    delivered: int
    undelivered: int
    port: PortStatus


class Lane:
    """One lane. `run` is its life; `ready` is set when it is at work."""

    def __init__(self, loaded: Loaded, around: Surroundings) -> None:
        self.loaded = loaded
        self.setup = loaded.setup
        self.address = LaneAddress(loaded.setup.port, loaded.setup.lane, loaded.simulated)
        self.ready = asyncio.Event()
        # Lag is real time; on a loop that runs faster than real time it counts for more seconds.
        self.health = Health(lambda: asyncio.get_running_loop().time(), lag_limit_s=LAG_LIMIT_S * loaded.clock.scale)
        self._around = around
        self._log: Any = structlog.get_logger("lanecontrol.lane").bind(lane=self.setup.lane)

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then withdraw every permission and end.

        Raises what the core fails with, StorageFatal when there can be no store. Cancelled, it also leaves the safe
        state behind.
        """
        async with AsyncExitStack() as stack:
            self._ledger = await self._open_ledger(stack)
            self._recorder = await stack.enter_async_context(self._make_recorder())
            checkpoint = await self._ledger.load_checkpoint()
            self._build(self._state_from(checkpoint))
            # The first input of a run, before any device can say a word: the lane must know that time has passed.
            self.runner.take("lane", Started(checkpoint is None, self._around.boot))
            async with asyncio.TaskGroup() as devices:
                sessions = [devices.create_task(s.run(), name=s.device) for s in self._supervisors.values()]
                try:
                    await self._core(stop)
                finally:
                    await self._show_red()
                    for session in sessions:
                        session.cancel()

    async def _core(self, stop: asyncio.Event) -> None:
        """Lane, port and health, until asked to stop. Cancelled or failing, all of it ends."""
        async with asyncio.TaskGroup() as core:
            lane = core.create_task(self.runner.run(), name="lane")
            port = core.create_task(self._session.run(), name="port")
            lag = core.create_task(self.health.measure(), name="health")
            self._tell_of_opening()
            self.ready.set()
            await stop.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(SAFE_STATE_LIMIT_S):
                    await self.runner.stop("the lane controller stops")
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_LIMIT_S):
                    await self._relay.wait_delivered()
            for task in (port, lane, lag):
                task.cancel()

    async def _show_red(self) -> None:
        """Whatever happened: red, straight to the device, before its session ends.

        The gate is left to the module's watchdog and to the lane's own last step: nobody here knows what stands under
        the arm.
        """
        signal = self.setup.signal
        if signal is None or signal.device not in self._supervisors:
            return
        red = WriteOutputs(((signal.red, True), (signal.green, False)))
        await self._supervisors[signal.device].perform(red, SAFE_STATE_LIMIT_S)

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _open_ledger(self, stack: AsyncExitStack) -> Ledger:
        """Open the store. While it cannot be read, say so and try again: nothing is granted without it."""
        around = self._around
        while True:
            try:
                ledger = await Ledger.open(
                    self.loaded.store.path / "ledger.db",
                    inline=around.inline_store,
                    work=around.work,
                    on_change=self._store_changed,
                    on_damage=lambda why: self._log.error("store damaged", reason=why),
                    salt=around.salt,
                )
            except StorageUnavailable as error:
                self._log.error("store unavailable", reason=error.why, retry_in_s=STORE_RETRY_S)
                await asyncio.sleep(STORE_RETRY_S)
                continue
            stack.push_async_callback(ledger.close)
            return ledger

    def _make_recorder(self) -> Recorder:
        return Recorder(
            self.loaded.store.path / "recorder",
            setup=self.setup,
            limit_bytes=self.loaded.store.recorder_mib * 1024 * 1024,
            inline=self._around.inline_store,
            on_fault=lambda why: self._log.error("flight recorder", reason=why),
        )

    def _state_from(self, checkpoint: bytes | None) -> LaneState:
        """The lane as it was. A state that this version cannot read is a cold start, said loudly."""
        if checkpoint is None:
            return initial(self.setup)
        try:
            return forms.from_json(LaneState, checkpoint)
        except ValidationError as error:
            self._log.error("checkpoint unreadable, starting cold", problems=error.error_count())
            return initial(self.setup)

    def _build(self, state: LaneState) -> None:
        around, loaded = self._around, self.loaded
        self._relay = Relay(self._ledger, self.address, on_dead=self._dead_letter)
        self.orders = Orders(
            self.address, clock=around.clock, emit=self._emit, rejected=self._rejected, work=around.work
        )
        self._session = PortSession(
            connect=around.connect or MqttConnector(LinkOpener(around.memory), around.work),
            brokers=loaded.brokers,
            address=self.address,
            birth=Birth(self._ledger.epoch, {"lanecontrol": __version__}, loaded.config_hash),
            relay=self._relay,
            orders=self.orders,
            clock=around.clock,
            rng=random.Random(around.rng.random()),
            emit=self._emit,
            devices=[device.id for device in loaded.devices],
        )
        self._journal = _Journal(self._ledger, self.address, self._session.device_changed, around.recorded)
        self._supervisors = self._make_supervisors()
        self.runner = LaneRunner(
            self.setup,
            state,
            clock=around.clock,
            journal=self._journal,
            trace=self._recorder,
            perform=self._perform,
            reply=self.orders.answer,
        )
        self.health.check("lane", self._lane_keeps_up)

    def _make_supervisors(self) -> dict[str, Supervisor]:
        around = self._around
        opener = LinkOpener(
            around.memory, lambda device, way, data: self._recorder.wire(device, way, data, around.clock.now())
        )
        made: dict[str, Supervisor] = {}
        for config in self.loaded.devices:
            links = opener.for_device(config.id)
            made[config.id] = Supervisor(
                driver.load(config.kind)(config, links),
                self._emit,
                clock=around.clock,
                rng=random.Random(around.rng.random()),
                hash_key=self.loaded.hash_key,
                healthy=lambda: self.health.verdict().good,
                traffic=links.traffic,
            )
        return made

    # --- between the parts -------------------------------------------------------------------------------------------

    def _emit(self, source: str, event: Event) -> None:
        self.runner.take(source, event)

    async def _perform(self, device: str, command: Command, timeout_s: float) -> Outcome:
        supervisor = self._supervisors.get(device)
        if supervisor is None:
            return Outcome(Result.REFUSED, f"there is no device {device}")
        return await supervisor.perform(command, timeout_s)

    def _lane_keeps_up(self) -> str:
        waiting_s = self.runner.waiting_s()
        return f"inputs wait for {waiting_s:.2f} s" if waiting_s > INPUT_AGE_LIMIT_S else ""

    def _rejected(self, rejection: OrderRejected) -> None:
        self._journal.write((rejection,), self._around.clock.now(), None)

    def _store_changed(self, writable: bool, reason: str) -> None:
        self._log.log(20 if writable else 40, "store", writable=writable, reason=reason)
        if self.ready.is_set():
            self._emit("store", StoreChanged(writable, reason))

    def _tell_of_opening(self) -> None:
        """What opening the store found; a store that came up unwritable is told to the lane now."""
        report = self._ledger.opened
        if report.quarantined:
            self._log.error("store quarantined", files=report.quarantined, salvaged=report.salvaged, why=report.reason)
        if not self._ledger.writable:
            self._emit("store", StoreChanged(False, "the store came up without taking writes"))

    def _dead_letter(self, letter: DeadLetter) -> None:
        self._log.error("event refused by the broker", event=f"{letter.epoch}-{letter.seq}", reason=letter.why)

    @property
    def delivered(self) -> int:
        """How many events the broker has taken so far."""
        return self._relay.counts.delivered if self.ready.is_set() else 0

    def status_line(self) -> str:
        """The lane in a line, for `systemctl status`. Call it only after `ready`."""
        now = self.snapshot()
        away = [f"{d.device} {d.state.value}" for d in now.devices if d.state is not DeviceState.ONLINE]
        port = "port connected" if now.port.connected else f"port away: {now.port.reason}"
        devices = ", ".join(away) if away else "all devices online"
        return f"{now.state.desk.life.value}; {devices}; {port}; {now.undelivered} events undelivered"

    def snapshot(self) -> Snapshot:
        """The lane now. Call it only after `ready`."""
        return Snapshot(
            state=self.runner.state,
            devices=tuple(s.status for s in self._supervisors.values()),
            recorded=self._journal.recorded,
            delivered=self._relay.counts.delivered,
            undelivered=self._ledger.undelivered_count,
            port=self._session.status(),
        )


class _Journal:
    """Announcements into the ledger, as the very bytes that will be sent."""

    def __init__(
        self,
        ledger: Ledger,
        address: LaneAddress,
        device_changed: Callable[[DeviceStateChanged], None],
        told_of: Callable[[int], object],
    ) -> None:
        self._ledger = ledger
        self._address = address
        self._device_changed = device_changed
        self._told_of = told_of
        self.recorded = 0

    def write(
        self, announcements: Sequence[Announcement], at: Instant, checkpoint: Callable[[], bytes] | None
    ) -> asyncio.Future[None]:
        first = self._ledger.next_seq
        entries = [self._entry(told, first + n, at) for n, told in enumerate(announcements)]
        written = self._ledger.append(entries, checkpoint)
        self.recorded += self._ledger.next_seq - first
        for seq in range(first, self._ledger.next_seq):
            self._told_of(seq)
        for told in announcements:
            if isinstance(told, DeviceStateChanged):
                self._device_changed(told)
        return written

    def _entry(self, told: Announcement, seq: int, at: Instant) -> Entry:
        body = event_bytes(told, epoch=self._ledger.epoch, seq=seq, instant=at, source_lane=self._address)
        return Entry(seq, class_of(told), EVENT_TYPES[type(told)], at.utc_s, body)


# --- as a service ----------------------------------------------------------------------------------------------------


async def serve(loaded: Loaded) -> int:
    """One lane as a service, until SIGTERM or SIGINT; answers the exit code. Raises what the lane fails with."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal in (SIGTERM, SIGINT):
        with suppress(NotImplementedError):  # not on every system; there an interrupt cancels, which is as safe
            loop.add_signal_handler(signal, stop.set)
    scale = loaded.clock
    utc = time.time if scale.scale == 1 else scaled_utc(scale.scale, scale.anchor_utc_s)
    clock = LoopClock(utc, ClockDiscipline())
    lane = Lane(loaded, Surroundings(clock=clock, rng=random.SystemRandom(), boot=boot_id()))
    notifier = Notifier.from_environment()
    async with asyncio.TaskGroup() as tasks:
        telling = [
            tasks.create_task(_tell_systemd(lane, notifier, stop), name="systemd"),
            tasks.create_task(lane.health.feed(notifier), name="watchdog"),
        ]
        await lane.run(stop)
        for task in telling:
            task.cancel()
    return 0


async def _tell_systemd(lane: Lane, notifier: Notifier, stop: asyncio.Event) -> None:
    """READY when the lane is at work, a status line now and then, STOPPING at once."""
    await lane.ready.wait()
    notifier.ready(lane.status_line())
    while not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(STATUS_EVERY_S):
                await stop.wait()
        if not stop.is_set():
            notifier.status(lane.status_line())
    notifier.stopping("withdrawing every permission")
