"""The parts of a lane, each made from the lane file and from what the lane is built into.

Used by the composition root alone, which joins them, runs them and ends them. Nothing here keeps a part.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lanecontrol import driver
from lanecontrol.announcements import EvidenceStored, OrderRejected
from lanecontrol.backing import Backing
from lanecontrol.clock import Clock, RealWork
from lanecontrol.config.load import Loaded
from lanecontrol.driver import DeviceConfig
from lanecontrol.evidence.store import EvidenceStore
from lanecontrol.identifier import RotatingKey
from lanecontrol.ledger import database
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.opening import first_epoch
from lanecontrol.links import DeviceLinks, LinkOpener, MemoryNet
from lanecontrol.port.evidence_out import Dispatch
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.neighbours import Neighbours
from lanecontrol.port.notices import Notices
from lanecontrol.port.orders import Orders
from lanecontrol.port.questions import Asker, nothing_here
from lanecontrol.port.snapshot_file import SnapshotFile
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Connect
from lanecontrol.recorder import Recorder
from lanecontrol.sealing import Sealer
from lanecontrol.supervisor import Emit, Supervisor

if TYPE_CHECKING:
    from lanecontrol.port.evidence_put import PutSender


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
    database: database.Connect = database.connect
    """Opens the store's database."""
    recorded: Callable[[int], object] = lambda seq: None
    """Told of each sequence number as it is given to an event: for measuring."""
    box: str = ""
    """Names this machine; empty where nobody knows."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the parts of one lane."""

    loaded: Loaded
    around: Surroundings
    sealer: Sealer

    @property
    def address(self) -> LaneAddress:
        setup = self.loaded.setup
        return LaneAddress(setup.port, setup.lane, self.loaded.simulated)

    def random(self) -> random.Random:
        """One of its own for a part, so that none depends on how much another asks for."""
        return random.Random(self.around.rng.random())

    # --- what is kept on disk ----------------------------------------------------------------------------------------

    async def ledger(self, on_change: Callable[[bool, str], None], on_damage: Callable[[str], None]) -> Ledger:
        """Raises StorageError."""
        around = self.around
        return await Ledger.open(
            self.loaded.store.path / "ledger.db",
            inline=around.inline_store,
            work=around.work,
            on_change=on_change,
            on_damage=on_damage,
            salt=around.salt,
            sealer=self.sealer,
            connect=around.database,
            box=around.box,
            first_epoch=1 if self.loaded.simulated else first_epoch(around.clock.now().utc_s),
        )

    def recorder(self, on_fault: Callable[[str], None]) -> Recorder:
        return Recorder(
            self.loaded.store.path / "recorder",
            setup=self.loaded.setup,
            limit_bytes=self.loaded.store.recorder_mib * 1024 * 1024,
            inline=self.around.inline_store,
            on_fault=on_fault,
            sealer=self.sealer,
        )

    def evidence(self, stored: Callable[[EvidenceStored], None], trouble: Callable[[str], None]) -> EvidenceStore:
        return EvidenceStore(
            self.loaded.store.path / "evidence",
            self.loaded.evidence,
            clock=self.around.clock,
            stored=stored,
            trouble=trouble,
            sealer=self.sealer,
            to_port=self.loaded.pictures.publish,
            inline=self.around.inline_store,
            work=self.around.work,
        )

    # --- the port ----------------------------------------------------------------------------------------------------

    def connect(self) -> Connect:
        return self.around.connect or MqttConnector(LinkOpener(self.around.memory), self.around.work)

    def orders(self, emit: Emit, rejected: Callable[[OrderRejected], None]) -> Orders:
        around = self.around
        return Orders(self.address, clock=around.clock, emit=emit, rejected=rejected, work=around.work)

    def notices(self, emit: Emit, rejected: Callable[[OrderRejected], None]) -> Notices:
        return Notices(self.address, clock=self.around.clock, emit=emit, rejected=rejected)

    def object_store(self, dispatch: Dispatch) -> PutSender | None:
        """Who puts pictures into an object store, where the lane file names one."""
        pictures = self.loaded.pictures
        if pictures.store is None:
            return None
        from lanecontrol.port.evidence_put import PutSender  # only where it is needed: it brings a protocol of its own

        links = LinkOpener(self.around.memory).for_device("evidence")
        return PutSender(dispatch, links, pictures.store, pictures.policy)

    def snapshot(self, emit: Emit) -> SnapshotFile | None:
        """The local file of enrolments and lookouts, where the lane file names one."""
        place = self.loaded.snapshot
        if place is None:
            return None
        return SnapshotFile(
            place.path,
            port=self.loaded.setup.port,
            signers=place.signers,
            max_age_s=place.max_age_s,
            secret=self.loaded.hash_key,
            sealer=self.sealer,
            clock=self.around.clock,
            emit=emit,
        )

    def asker(self, emit: Emit, snapshot: SnapshotFile | None) -> Asker | None:
        """Who carries the lane's questions to the port, where it asks any."""
        setup = self.loaded.setup
        if setup.questions is None:
            return None
        return Asker(
            self.address,
            lane_type=setup.lane_type.value,
            direction=setup.direction,
            clock=self.around.clock,
            emit=emit,
            snapshot=snapshot.lookup if snapshot is not None else nothing_here,
        )

    def neighbours(self, emit: Emit) -> Neighbours | None:
        """Who compares cards with the port's other lanes, where they share a key."""
        if not self.loaded.shared_hash_key:
            return None
        return Neighbours(self.address, key=self._hash_keys(), clock=self.around.clock, emit=emit)

    # --- devices -----------------------------------------------------------------------------------------------------

    def supervisor(
        self,
        config: DeviceConfig,
        links: DeviceLinks,
        emit: Emit,
        healthy: Callable[[], bool],
        backing: Backing | None = None,
    ) -> Supervisor:
        return Supervisor(
            driver.load(config.kind)(config, links),
            emit,
            clock=self.around.clock,
            rng=self.random(),
            hash_key=self._hash_keys(),
            healthy=healthy,
            traffic=links.traffic,
            backing=backing,
        )

    def unhealthy_supervisor(self, config: DeviceConfig, emit: Emit) -> Supervisor:
        """One that never feeds a module's watchdog."""
        links = LinkOpener(self.around.memory).for_device(config.id)
        return self.supervisor(config, links, emit, lambda: False)

    def _hash_keys(self) -> RotatingKey:
        clock = self.around.clock
        return self.loaded.hash_keys(lambda: clock.now().utc_s)
