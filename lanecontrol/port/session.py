"""The lane's presence at the port: connected for ever, with birth, will and everything retained made good each time.

The composition root runs one `PortSession` per lane. It owns reconnection and nothing else: the relay owns the events,
`Orders` what comes in, `RetainedState` what must stand at the broker. A transport is used for one connection only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Never, Protocol

from lanecontrol import forms
from lanecontrol.announcements import DeviceStateChanged, OverridePhase, OverrideTold
from lanecontrol.clock import Clock, Instant
from lanecontrol.errors import CredentialsRefused, DeviceError, LinkLost, ProtocolViolation
from lanecontrol.events import CentralChanged, Event
from lanecontrol.port.mqtt_packets import reason_text
from lanecontrol.port.orders import Orders
from lanecontrol.port.payloads import JSON, LaneStatus, Overridden, StatusDocument, device_bytes
from lanecontrol.port.relay import Relay
from lanecontrol.port.retained import RetainedState
from lanecontrol.port.rival import Rivals
from lanecontrol.port.tasks import together
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import REFUSED, Broker, Connect, Message, Received, TakenOver, Transport

SOURCE = "port"
BASE_S = 0.1
CAP_S = 0.8
"""Longest wait after an outage of any length, so that the first event is through a second after the broker is back. A
refused or unreachable TCP connection costs a packet or two; the jitter keeps the lanes of a port apart."""
PATIENCE = 0.03
"""The wait as a part of the outage so far: a link that flaps is used however short it is up."""
SLOW_S = 15.0
"""Wait after a refusal of who we are, or when somebody else uses our client id: sooner would not help."""
LOOK_S = 2.0
"""For a retained status to arrive; where none stands, none comes."""
RIVAL = "another daemon works under this lane's name at the port: two booths have one lane file"
FAREWELL_S = 0.5
"""For the retained `stopped`: the whole daemon has 2 s to stop. Without it the broker publishes the will."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What the retained status says of this run."""

    epoch: int
    versions: dict[str, str]
    config_hash: str


class Companion(Protocol):
    """Somebody else who talks over the lane's connection: asks questions, tells neighbours. Owns what it sends."""

    topics: tuple[str, ...]
    """What it wants to hear; `+` only as one whole level. A broker that forbids it is told of in the status."""

    def take(self, received: Received) -> None:
        """One of these came in. Never raises or blocks."""

    async def send(self, transport: Transport) -> None:
        """Send for the life of one connection. Raises LinkLost."""


def heard_by(companion: Companion, topic: str) -> bool:
    """Whether this topic is among those that it wants to hear."""
    levels = topic.split("/")
    return any(_matches(wanted.split("/"), levels) for wanted in companion.topics)


def _matches(wanted: list[str], levels: list[str]) -> bool:
    return len(wanted) == len(levels) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))


@dataclass(frozen=True, slots=True)
class PortStatus:
    """The connection's condition, for health, screens and logs."""

    connected: bool
    broker: str
    reason: str
    since: Instant | None
    attempts: int
    """Failed attempts since the last connection."""
    connections: int
    retained_refused: tuple[str, ...] = ()
    """Retained topics that the broker refused, with the reason."""


class _Yielded(LinkLost):
    """Another daemon, started before this one, works under this lane's name: the place is its."""


class _Renewed(LinkLost):
    """We left on purpose, to come back at once with new settings."""


class PortSession:
    """The connection of one lane to the port's broker."""

    def __init__(
        self,
        *,
        connect: Connect,
        brokers: Sequence[Broker],
        address: LaneAddress,
        birth: Birth,
        relay: Relay,
        orders: Orders,
        clock: Clock,
        rng: random.Random,
        emit: Callable[[str, Event], None],
        devices: Iterable[str] = (),
        consumer: str = "",
        pictures: Callable[[Transport], Coroutine[Any, Any, None]] | None = None,
        companions: Sequence[Companion] = (),
    ) -> None:
        """`devices` are the ids of the lane file: what stands at the broker of any other is cleared away. `consumer` is
        whose receipts free events; none is asked for when it is empty. `pictures` sends what goes when the line is
        free, for the life of a connection."""
        self._connect = connect
        self._brokers = tuple(brokers)
        self._address = address
        self._birth = birth
        self._relay = relay
        self._orders = orders
        self._clock = clock
        self._rng = rng
        self._emit = emit
        self._own_devices = frozenset(map(address.device, devices))
        self._pictures = pictures
        self._companions = tuple(companions)
        self._receipts = address.receipt(consumer) if consumer else ""
        self.retained = RetainedState()
        self._refused: dict[str, str] = {}
        self._status = PortStatus(False, "", "not connected yet", None, 0, 0)
        self._reached: bool | None = None
        self._renewal = asyncio.Event()
        self._rivals = Rivals(f"{rng.getrandbits(64):016x}")
        self._since_utc_s = 0.0
        self._store_fault = ""
        self._overrides: dict[str, Overridden] = {}
        self._status_is_old = asyncio.Event()

    def status(self) -> PortStatus:
        """The present condition."""
        return replace(self._status, retained_refused=tuple(map(": ".join, self._refused.items())))

    def device_changed(self, changed: DeviceStateChanged) -> None:
        """A device has a new state: it will stand retained at the broker."""
        body = device_bytes(changed, epoch=self._birth.epoch, simulated=self._address.simulated)
        self.retained.put(self._address.device(changed.device), body)

    def overridden(self, told: OverrideTold) -> None:
        """What is set aside by hand stands in the status until it ends."""
        before = self._overrides.pop(told.override, None)
        if told.phase is not OverridePhase.ENDED:
            until_utc_s = told.at_utc_s + told.left_s if before is None else before.until_utc_s
            now = Overridden(told.override, told.part, told.name, told.reason, until_utc_s)
            self._overrides[told.override] = now
        if before != self._overrides.get(told.override):
            self._status_is_old.set()

    @property
    def run_name(self) -> str:
        """What this run is called in the status that it publishes."""
        return self._rivals.run

    def store_changed(self, fault: str) -> None:
        """Why the store takes no writes, empty when it does: nothing else can tell the port while it does not."""
        if fault != self._store_fault:
            self._store_fault = fault
            self._status_is_old.set()

    def renew(self, brokers: Sequence[Broker]) -> None:
        """Connect anew, to these from now on: with certificates as they are on disk now. The queue stays."""
        self._brokers = tuple(brokers)
        self._renewal.set()

    async def run(self) -> Never:
        """Connected for ever. Cancelling it says `stopped` and leaves, within half a second."""
        self._since_utc_s = self._clock.now().utc_s
        while True:
            for broker in self._brokers:
                failure = await self._one_connection(broker)
                if isinstance(failure, _Renewed) or self._status.attempts == 0:
                    break  # it had worked: begin with the first again
            if not isinstance(failure, _Renewed):
                await self._pause(self._wait_s(failure))
            self._renewal.clear()

    async def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt, or until there is a reason to try at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._renewal.wait()

    def _wait_s(self, failure: DeviceError) -> float:
        if isinstance(failure, (CredentialsRefused, ProtocolViolation, TakenOver, _Yielded)):
            # Whom we have just thrown out comes back after one such wait: it shall be there when we look.
            thrown_out = isinstance(failure, _Yielded) and self._status.attempts == 0
            return SLOW_S * self._rng.uniform(1.0, 1.1) * (2 if thrown_out else 1)
        since = self._status.since
        outage_s = 0.0 if since is None else self._clock.now().mono_s - since.mono_s
        return min(CAP_S, max(BASE_S, outage_s * PATIENCE)) * self._rng.uniform(0.5, 1.0)

    async def _one_connection(self, broker: Broker) -> DeviceError:
        """From dialling to the loss; answers why it ended."""
        try:
            if self._rivals.yields:
                await self._look_for_the_other(broker)
            async with self._connect(broker, will=self._will()) as transport:
                try:
                    await self._serve(broker, transport)
                except (_Renewed, _Yielded):
                    await transport.close()  # in good order, so that the broker does not publish the will
                    raise
                except asyncio.CancelledError:
                    await self._farewell(transport)
                    self._stopped(broker)
                    raise
        except DeviceError as failure:
            self._down(broker, failure)
            return failure
        raise AssertionError("a connection is only left by its loss")

    async def _serve(self, broker: Broker, transport: Transport) -> None:
        self._rivals.connected()
        await transport.subscribe([self._address.command("#")], retain_as_published=True)
        await self._watch(transport, self._address.device("+"))
        await self._watch(transport, self._address.status)
        if self._receipts:
            await self._watch(transport, self._receipts)
        for topics in [topics for companion in self._companions for topics in companion.topics]:
            await self._watch(transport, topics)
        await self._publish_status(transport)
        self.retained.everything()
        self._up(broker)
        await together(
            self._relay.drain(transport),
            self._keep_retained(transport),
            self._keep_status(transport),
            self._orders.send_replies(transport),
            self._receive(transport),
            self._leave_when_renewed(transport),
            *([self._pictures(transport)] if self._pictures is not None else []),
            *(companion.send(transport) for companion in self._companions),
        )

    async def _leave_when_renewed(self, transport: Transport) -> Never:
        """Without a limit: most connections are never renewed."""
        await self._renewal.wait()
        raise _Renewed("session", "connecting anew with new settings")

    async def _look_for_the_other(self, broker: Broker) -> None:
        """From aside, under another client id. Raises _Yielded while the other one is there."""
        aside = replace(broker, client_id=f"{broker.client_id}-aside")
        async with self._connect(aside) as transport:
            await transport.subscribe([self._address.status])
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    if not self._rivals.is_free((await transport.receive()).payload):
                        raise _Yielded("session", RIVAL)
        self._rivals.yields = 0

    # --- what stands retained ---

    def _status_bytes(self, state: LaneStatus) -> bytes:
        birth = self._birth
        return forms.to_json(
            StatusDocument(
                state,
                birth.epoch,
                birth.versions,
                birth.config_hash,
                self._address.simulated,
                self._clock.now().utc_s,
                self._rivals.run,
                self._since_utc_s,
                self._rivals.told_turn,
                self._rivals.serial,
                self._store_fault,
                tuple(self._overrides.values()),
            )
        )

    def _will(self) -> Message:
        return Message(self._address.status, self._status_bytes(LaneStatus.LOST), retain=True, content_type=JSON)

    async def _publish_status(self, transport: Transport) -> None:
        self._status_is_old.clear()
        await self._publish_retained(transport, self._address.status, self._status_bytes(LaneStatus.ONLINE))
        if self._address.status not in self._refused:
            self._rivals.published()

    async def _keep_status(self, transport: Transport) -> Never:
        """Without a limit: most statuses stay as they are."""
        while True:
            await self._status_is_old.wait()
            await self._publish_status(transport)

    async def _keep_retained(self, transport: Transport) -> None:
        while True:
            changes = await self.retained.next_changes()
            while changes:
                topic = next(iter(changes))
                try:
                    await self._publish_retained(transport, topic, changes[topic])
                except BaseException:
                    self.retained.return_changes(changes)
                    raise
                del changes[topic]

    async def _publish_retained(self, transport: Transport, topic: str, payload: bytes) -> None:
        code = await transport.publish(Message(topic, payload, retain=True, content_type=JSON if payload else ""))
        if code >= REFUSED:
            self._refused[topic] = reason_text(code)
        else:
            self._refused.pop(topic, None)

    async def _watch(self, transport: Transport, topics: str) -> None:
        """Hear of device states that stand there from an earlier run, and of receipts.

        A broker that forbids it is told of in the status: the lane then repeats what no receipt comes for.
        """
        try:
            await transport.subscribe([topics])
        except ProtocolViolation as refused:
            self._refused[topics] = refused.why

    async def _farewell(self, transport: Transport) -> None:
        """Say `stopped`; if that does not get through, leave so that the broker says `lost`."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                body = self._status_bytes(LaneStatus.STOPPED)
                code = await transport.publish(Message(self._address.status, body, retain=True, content_type=JSON))
        except (DeviceError, TimeoutError):
            return
        if code < REFUSED:
            await transport.close()

    # --- what comes in ---

    async def _receive(self, transport: Transport) -> None:
        commands, devices = self._address.command(""), self._address.device("")
        while True:
            received = await transport.receive()
            if received.topic.startswith(commands):
                self._orders.take(received)
            elif received.topic == self._receipts:
                self._relay.take_receipt(received.payload)
            elif received.topic.startswith(devices):
                self._tidy(received)
            elif received.retained and received.topic == self._address.status:
                self._meet(received.payload)
            else:
                for companion in self._companions:
                    if heard_by(companion, received.topic):
                        companion.take(received)

    def _meet(self, status: bytes) -> None:
        """What stood at our status when we came. Raises _Yielded when the place is another one's."""
        turn = self._rivals.turn
        if not self._rivals.is_ours(status):
            self._rivals.yields += 1
            raise _Yielded("session", RIVAL)
        if turn != self._rivals.turn:
            self._status_is_old.set()

    def _tidy(self, received: Received) -> None:
        """A state of a device that this lane no longer has must not stand there for ever."""
        known = received.topic in self._own_devices or received.topic in self.retained
        if received.retained and received.payload and not known:
            self.retained.clear(received.topic)

    # --- up and down ---

    def _up(self, broker: Broker) -> None:
        before = self._status
        self._status = PortStatus(True, broker.name, "", self._clock.now(), 0, before.connections + 1)
        if not self._reached:
            self._reached = True
            self._emit(SOURCE, CentralChanged(True, f"connected to {broker.name}"))

    def _stopped(self, broker: Broker) -> None:
        self._status = PortStatus(False, broker.name, "stopped", self._clock.now(), 0, self._status.connections)

    def _down(self, broker: Broker, failure: DeviceError) -> None:
        before = self._status
        reason = f"{broker.name}: {failure}"
        if self._reached is not False and not isinstance(failure, _Renewed):
            self._reached = False
            self._emit(SOURCE, CentralChanged(False, reason))
        worked = before.connected
        since = self._clock.now() if worked or before.since is None else before.since
        attempts = 0 if worked else before.attempts + 1
        self._status = PortStatus(False, broker.name, reason, since, attempts, before.connections)
