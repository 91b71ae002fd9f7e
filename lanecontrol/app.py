"""The composition root: from a loaded lane file to a lane at work. The only module that knows everything.

Any number of lanes can be built in one process; there are no globals. Devices run in an outer task group and the core
(lane, relay, health) in an inner one, so that on any way out the safe state is commanded while the devices' sessions
are still there to carry it. A device may fail for ever without touching the lane; a failure of the core ends `run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, get_args

import structlog
from pydantic import ValidationError

from lanecontrol import __version__, forms, status
from lanecontrol.announcements import Announcement, DeviceStateChanged, OverrideTold
from lanecontrol.backing import LaneBacking
from lanecontrol.commands import Command, Outcome, Result
from lanecontrol.config.load import Loaded
from lanecontrol.ending import end_all, unless
from lanecontrol.events import Event, Input, Started
from lanecontrol.housekeeping import Housekeeper
from lanecontrol.journal import LedgerJournal
from lanecontrol.lane.effects import Answer, Ask, Drive, ShowCards
from lanecontrol.lane.runner import LaneRunner
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import initial
from lanecontrol.links import LinkOpener
from lanecontrol.making import Maker, Surroundings
from lanecontrol.own_events import OwnEvents
from lanecontrol.port.answered import answered_since
from lanecontrol.port.evidence_out import ChunkSender, Dispatch
from lanecontrol.port.former import KEPT as NAMES
from lanecontrol.port.former import FormerNames, Names, Presence
from lanecontrol.port.orders import AHEAD_LIMIT_S
from lanecontrol.port.payloads import EVENT_TYPES
from lanecontrol.port.relay import Relay
from lanecontrol.port.session import Birth, Companion, PortSession
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker
from lanecontrol.safe_state import last_words
from lanecontrol.sealing import Sealer
from lanecontrol.service.health import LAG_LIMIT_S, Health
from lanecontrol.standby import stay_red
from lanecontrol.store_watch import StoreWatch
from lanecontrol.supervisor import Supervisor

__all__ = ["Lane", "Surroundings"]

STOP_LIMIT_S = 1.4
"""Everything from being asked to stop to the last file closed; the process must be gone within 2 s.

All of these limits are real seconds.
"""
SAFE_STATE_LIMIT_S = 0.5
"""What the lane withdraws on the way out, and what is on its way to the port meanwhile."""
RED_LIMIT_S = 0.25
"""Our own last red."""
FAREWELL_LIMIT_S = 0.3
"""Telling the port that we stop."""
LEAVE_LIMIT_S = 0.2
"""Closing the links to the devices; also the least time for closing the store."""
STORE_RETRY_S = 2.0
STORE_LIMIT_S = 5.0
"""A commit takes 5 ms, on a tired disk 1 s. One that takes longer than this hangs."""
INPUT_AGE_LIMIT_S = 0.25
"""An input that waits longer is as stale as an input module's (fail-safe rule 4 of the lane's I/O)."""
_AT_WORK = (LaneState, LaneSetup, Input, Answer, Ask, ShowCards, *get_args(Command), *EVENT_TYPES)
"""What the lane writes down while it works: checkpoints, the recorder's inputs and effects, announcements."""


class Lane:
    """One lane. `run` is its life; `ready` is set when it is at work."""

    def __init__(self, loaded: Loaded, around: Surroundings) -> None:
        self.loaded = loaded
        self.setup = loaded.setup
        self.address = LaneAddress(loaded.setup.port, loaded.setup.lane, loaded.simulated)
        self.ready = asyncio.Event()
        # Limits are real time; on a loop that runs faster than real time they count for more of its seconds.
        self._scale = loaded.clock.scale
        self.health = Health(lambda: asyncio.get_running_loop().time(), lag_limit_s=LAG_LIMIT_S * self._scale)
        self._around = around
        self._over_by_s: float | None = None
        self._log: Any = structlog.get_logger("lanecontrol.lane").bind(lane=self.setup.lane)
        self._sealer = Sealer(loaded.store.keys)
        self._store = StoreWatch(
            loaded.store.path, self._log, self._emit, lambda why: self._session.store_changed(why), self._scale
        )
        self._own = OwnEvents(self._log, around.clock, self._tell_port, self._emit)
        if not self._sealer.seals and not loaded.simulated:
            self._log.warning("kept in clear on disk", remedy="give the lane file's store a key: keys: [!secret name]")

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then withdraw every permission and end.

        Raises what the core fails with, StorageError when the store is beyond use. Cancelled, it also leaves the safe
        state behind.
        """
        async with AsyncExitStack() as stack:
            if await unless(stop, self._open(stack)) and not stop.is_set():
                await self._work(stop)
            self._begin_to_end()

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as devices:
            sessions = [devices.create_task(s.run(), name=s.device) for s in self._supervisors.values()]
            try:
                await self._core(stop)
            finally:
                await end_all(sessions, self._within(LEAVE_LIMIT_S))

    async def _core(self, stop: asyncio.Event) -> None:
        """Lane, port and health, until asked to stop. Cancelled or failing, all of it ends, after showing red."""
        async with asyncio.TaskGroup() as core:
            works = [
                core.create_task(self._session.run(), name="port"),
                core.create_task(self.runner.run(), name="lane"),
                core.create_task(self.health.measure(), name="health"),
                core.create_task(self._store.until_ruined(), name="store"),
                core.create_task(self._store.watch_room(), name="room"),
                core.create_task(self._housekeeper.run(), name="housekeeping"),
            ]
            if self._snapshot is not None:
                works.append(core.create_task(self._snapshot.run(), name="snapshot"))
            if self._putting is not None:
                works.append(core.create_task(self._putting.run(), name="pictures"))
            self._own.store_opened(self._ledger.opened, self._ledger.epoch)
            self._store.begin()
            self.ready.set()
            try:
                await stop.wait()
                self._begin_to_end()
                await self._withdraw()
            finally:
                self._begin_to_end()
                await self._show_red()
                await end_all(works, self._within(FAREWELL_LIMIT_S))

    async def _withdraw(self) -> None:
        """The lane's own last step, and that its events, and whatever else is under way to the port, arrive."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._within(SAFE_STATE_LIMIT_S)):
                await self.runner.stop("the lane controller stops")
                await self._deliver_the_rest()

    async def _deliver_the_rest(self) -> None:
        await self._journal.settled()
        await self._relay.wait_delivered()

    async def _show_red(self) -> None:
        """Whatever happened: red and no request, straight to the devices, before their sessions end.

        The gate is left to the module's watchdog and to the lane's own last step: nobody here knows what stands under
        the arm.
        """
        limit_s = self._within(RED_LIMIT_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s), asyncio.TaskGroup() as tasks:
                for device, command in last_words(self.setup).items():
                    last = Drive("the-end", device, command, grants=False, timeout_s=limit_s)
                    tasks.create_task(self.runner.drives.carry_out(last))

    def _begin_to_end(self) -> None:
        """From here on the time is short."""
        if self._over_by_s is None:
            self._over_by_s = asyncio.get_running_loop().time() + STOP_LIMIT_S * self._scale

    def _within(self, limit_s: float) -> float:
        """A limit in seconds of the loop, no longer than what is left of the time to end."""
        left_s = (self._over_by_s or 0.0) - asyncio.get_running_loop().time()
        return max(min(limit_s * self._scale, left_s), 0.01)

    async def _closed_in_time(self, close: Callable[[], Awaitable[None]]) -> None:
        """A disk that hangs must not keep us; what is not on disk then was never told to be."""
        self._begin_to_end()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._within(STOP_LIMIT_S), LEAVE_LIMIT_S * self._scale)):
                await close()

    def renew_port(self, brokers: Sequence[Broker]) -> None:
        """Reach the port anew, by these from now on. Call it only after `ready`."""
        self._housekeeper.watch([broker.url for broker in brokers])
        self._session.renew(brokers)

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> bool:
        """Open what is kept on disk and build the lane from it. True, in the end."""
        forms.prepare(_AT_WORK)
        self._make = Maker(self.loaded, self._around, self._sealer)
        async with asyncio.TaskGroup() as tasks:
            standby = tasks.create_task(self._stand_by(), name="stand by")
            self._ledger = await self._store.open(self._make.ledger, STORE_RETRY_S)
            stack.push_async_callback(self._closed_in_time, self._ledger.close)
            standby.cancel()
        self._recorder = self._make.recorder(self._own.recorder_trouble)
        stack.push_async_callback(self._closed_in_time, self._recorder.close)
        checkpoint = await self._ledger.load_checkpoint()
        self._names = Names.after(await self._kept_names(), Presence(self.address, ""))
        # From here to the runner nothing is awaited: a store of pictures in trouble says so to the lane at once.
        self._evidence = self._make.evidence(self._tell_port, partial(self._own.picture_trouble, "not_kept"))
        stack.push_async_callback(self._closed_in_time, self._evidence.close)
        self._build(self._state_from(checkpoint))
        self._keep_names(Names(Presence(self.address, self._session.run_name), self._names.before))
        oldest_utc_s = self._around.clock.now().utc_s - AHEAD_LIMIT_S
        self.orders.remember(await self._ledger.ask(answered_since, oldest_utc_s))
        # The first input of a run, before any device can say a word: the lane must know that time has passed.
        self.runner.take("lane", Started(checkpoint is None, self._around.boot))
        return True

    async def _stand_by(self) -> None:
        """Should opening the store take long: show red meanwhile."""
        await asyncio.sleep(STORE_RETRY_S * self._scale)
        red = last_words(self.setup)
        async with asyncio.TaskGroup() as tasks:
            for config in self.loaded.devices:
                if config.id in red:
                    tasks.create_task(stay_red(red[config.id], partial(self._make.unhealthy_supervisor, config)))

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
        around, loaded, own = self._around, self.loaded, self._own
        self._relay = Relay(
            self._ledger,
            self.address,
            loaded.delivery.policy,
            on_dead=own.dead_letter,
            on_backlog=partial(own.backlog, loaded.delivery.policy.backlog_per_s),
        )
        self.orders = self._make.orders(self._emit, self._tell_port)
        pictures = Dispatch(
            self._evidence, self._relay.wait_sent, own.picture_given_up, partial(own.picture_trouble, "not_sent")
        )
        self._putting = self._make.object_store(pictures)
        self._snapshot = self._make.snapshot(self._emit)
        self.asker = self._make.asker(self._emit, self._snapshot)
        self._neighbours = self._make.neighbours(self._emit)
        chunks = ChunkSender(pictures, self.address, loaded.pictures.policy)
        self._session = PortSession(
            connect=self._make.connect(),
            brokers=loaded.brokers,
            address=self.address,
            birth=Birth(self._ledger.epoch, {"lanecontrol": __version__}, loaded.config_hash),
            relay=self._relay,
            orders=self.orders,
            clock=around.clock,
            rng=self._make.random(),
            emit=own.from_port,
            devices=[device.id for device in loaded.devices],
            consumer=loaded.delivery.consumer,
            pictures=chunks.send if loaded.pictures.publish and self._putting is None else None,
            companions=self._companions(),
        )
        self._journal = LedgerJournal(self._ledger, self.address, self._stands, around.recorded)
        self._housekeeper = Housekeeper(
            self._ledger, loaded.store.keep, around.clock, self._record_one, self._log.bind(part="store")
        )
        self._housekeeper.watch([broker.url for broker in loaded.brokers])
        self._supervisors = self._make_supervisors()
        self.runner = LaneRunner(
            self.setup,
            state,
            clock=around.clock,
            journal=self._journal,
            trace=self._recorder,
            perform=self._perform,
            reply=self.orders.answer,
            unfit=lambda: "; ".join(self.health.verdict().reasons),
            ask=self._ask,
        )
        self.health.check("lane", self._lane_keeps_up)
        self.health.check("ledger", self._ledger_keeps_up)

    async def _kept_names(self) -> bytes | None:
        """What earlier runs kept of the lane's names; a copy from another box has none of its own."""
        return None if self._ledger.opened.moved else await self._ledger.get(NAMES)

    def _keep_names(self, names: Names) -> None:
        self._names = names
        self._ledger.put(NAMES, forms.to_json(names))

    def _companions(self) -> list[Companion]:
        former = FormerNames(self._names.before, lambda gone: self._keep_names(self._names.without(gone)))
        notices = self._make.notices(self._emit, self._tell_port)
        kept = former if self._names.before else None
        found: tuple[Companion | None, ...] = (self.asker, self._neighbours, notices, kept)
        return [one for one in found if one is not None]

    def _ask(self, asked: Ask | ShowCards) -> None:
        match asked:
            case Ask() if self.asker is not None:
                self.asker.ask(asked)
            case ShowCards() if self._neighbours is not None:
                self._neighbours.show(asked)

    def _make_supervisors(self) -> dict[str, Supervisor]:
        around = self._around
        backing = LaneBacking(
            self.loaded.store.path / "spool",
            self._evidence.keep,
            self._settled,
            lambda: self.runner.losses,
            self._sealer,
        )
        opener = LinkOpener(
            around.memory, lambda device, way, data: self._recorder.wire(device, way, data, around.clock.now())
        )
        return {
            config.id: self._make.supervisor(
                config,
                opener.for_device(config.id),
                self._emit,
                lambda: self.health.verdict().good,
                backing.of(config.id),
            )
            for config in self.loaded.devices
        }

    # --- between the parts -------------------------------------------------------------------------------------------

    def _stands(self, told: DeviceStateChanged | OverrideTold) -> None:
        """What the port finds retained."""
        match told:
            case DeviceStateChanged():
                self._session.device_changed(told)
            case OverrideTold():
                self._session.overridden(told)

    def _emit(self, source: str, event: Event) -> None:
        self.runner.take(source, event)

    async def _settled(self) -> None:
        """What devices have told so far is on disk, their pictures first: the ledger names them."""
        await self._evidence.settled()
        await self.runner.settled()

    async def _record_one(self, told: Announcement) -> None:
        await self._journal.write((told,), self._around.clock.now(), None)

    async def _perform(self, device: str, command: Command, timeout_s: float) -> Outcome:
        supervisor = self._supervisors.get(device)
        if supervisor is None:
            return Outcome(Result.REFUSED, f"there is no device {device}")
        return await supervisor.perform(command, timeout_s)

    def _lane_keeps_up(self) -> str:
        waiting_s = self.runner.waiting_s() / self._scale
        return f"inputs wait for {waiting_s:.2f} s" if waiting_s > INPUT_AGE_LIMIT_S else ""

    def _ledger_keeps_up(self) -> str:
        waiting_s = self._journal.waiting_s() / self._scale
        return f"a commit takes {waiting_s:.0f} s" if waiting_s > STORE_LIMIT_S else ""

    def _tell_port(self, told: Announcement) -> None:
        self._journal.write((told,), self._around.clock.now(), None)

    @property
    def delivered(self) -> int:
        """How many events the broker has taken so far."""
        return self._relay.counts.delivered if self.ready.is_set() else 0

    @property
    def awaits_answers(self) -> bool:
        """The port was asked something that it can still answer in time."""
        return self.ready.is_set() and self.asker is not None and self.asker.awaited > 0

    def status_line(self) -> str:
        """The lane in a line, for `systemctl status`. Call it only after `ready`."""
        return status.line(self.snapshot())

    def snapshot(self) -> status.Snapshot:
        """The lane now. Call it only after `ready`."""
        return status.Snapshot(
            state=self.runner.state,
            devices=tuple(s.status for s in self._supervisors.values()),
            recorded=self._journal.recorded,
            delivered=self._relay.counts.delivered,
            undelivered=self._ledger.undelivered_count,
            port=self._session.status(),
        )
