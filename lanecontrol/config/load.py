"""From a lane file to what the daemon is built from, or to every problem of it at once.

Called by the command line and the composition root. Loads only the drivers that the file names; opens no connection
and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from lanecontrol import driver as drivers
from lanecontrol.commands import TakePicture
from lanecontrol.config import schedule_model
from lanecontrol.config.document import Items, Leaf, Table, Tree, find, leaves, plain, read
from lanecontrol.config.equipment_hash import equipment
from lanecontrol.config.equipment_model import ScannerSection
from lanecontrol.config.lenient import as_far_as_right
from lanecontrol.config.model import BrokerSection, DeliverySection, EvidenceSection, LaneFile, StoreSection
from lanecontrol.config.overlay import read_layers
from lanecontrol.config.references import Device, Finding, check_devices, check_file, check_place, check_url
from lanecontrol.config.secrets import find_secret, variable
from lanecontrol.config.wording import close_to, problems_of
from lanecontrol.driver import DeviceConfig
from lanecontrol.errors import ConfigError, Problem
from lanecontrol.evidence.files import EvidenceLimits
from lanecontrol.identifier import RotatingKey
from lanecontrol.lane import setup as lane
from lanecontrol.ledger.retention import Keep
from lanecontrol.links.address import LinkAddress
from lanecontrol.port.evidence_policy import ObjectStore, SendPolicy
from lanecontrol.port.relay import RelayPolicy
from lanecontrol.port.topics import CLASSES, Drop
from lanecontrol.port.transport import Broker

RULES = ("lane", "tags", "limits", "questions", "plates")
"""The sections that decide what the lane finds and recommends: `rules_hash` is made of them."""

BESIDE = ("devices", "extends")
"""Keys of a lane file that are no sections: they are read before those."""

FindSecret = Callable[[str], str | None]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Store:
    """Where ledger and recorder live, and how much the recorder keeps."""

    path: Path
    recorder_mib: int
    keep: Keep
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The first seals, all of them open."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How events reach the port, and whose receipts free them (nobody's when it is empty)."""

    consumer: str
    policy: RelayPolicy


@dataclass(frozen=True, slots=True)
class PicturesOut:
    """Whether the bytes of pictures go to the port, and where they are put; without a store they go over the broker."""

    publish: bool
    store: ObjectStore | None
    policy: SendPolicy


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """Where the local snapshot lies, who may have signed it, and how old it may be."""

    path: Path
    signers: tuple[bytes, ...]
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Log:
    """`format` is auto, json or console."""

    level: str
    format: str


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Lane seconds per real second, from which real UTC on. 1 and 0 for a real lane."""

    scale: float = 1.0
    anchor_utc_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A lane file that is right in every part."""

    path: Path
    setup: lane.LaneSetup
    direction: str
    devices: tuple[DeviceConfig, ...]
    brokers: tuple[Broker, ...]
    store: Store
    evidence: EvidenceLimits
    pictures: PicturesOut
    delivery: Delivery
    log: Log
    clock: ClockSettings
    hash_key: bytes
    """Secret behind the hashes that stand for card numbers and plates; new in each run unless the site gives one."""
    hash_rotation_s: float
    """How long a key made of it lasts."""
    config_hash: str
    """16 hex digits over the file and what it extends; secrets count by name. An identical file has the same."""
    snapshot: SnapshotPlace | None = None
    shared_hash_key: bool = False
    """The site gives the key of the hashes, so that the lanes of a port can compare them."""

    @property
    def simulated(self) -> bool:
        return self.setup.simulated

    def hash_keys(self, utc_s: Callable[[], float]) -> RotatingKey:
        """The key of the hashes, by the time that `utc_s` tells."""
        return RotatingKey(self.hash_key, utc_s, self.hash_rotation_s)


def load(path: Path | str, *, secret: FindSecret = find_secret) -> Loaded:
    """The lane in the file at `path`. Raises ConfigError with every problem, in the file that it comes from."""
    problems: list[Problem] = []
    root = read_layers(Path(path), problems)
    return _Loading(Path(path), root, problems, secret).done()


def load_text(text: str, path: Path | str = "lane.yaml", *, secret: FindSecret = find_secret) -> Loaded:
    """The same from a text that extends nothing; `path` is what messages name. Raises ConfigError."""
    problems: list[Problem] = []
    root = read(text, str(path), problems)
    return _Loading(Path(path), root, problems, secret).done()


class _Loading:
    """One run over one file; gathers problems until nothing more can be said."""

    def __init__(self, path: Path, root: Table, problems: list[Problem], secret: FindSecret) -> None:
        self.path = path
        self.root = root
        self.problems = problems
        self._find_secret = secret
        self._places: dict[str, LinkAddress] = {}

    def done(self) -> Loaded:
        if self.problems and not self.root.entries:
            raise ConfigError(tuple(self.problems))  # a file that cannot be read has no further problems
        if other := _other_file(self.root):
            raise ConfigError((other,))  # as a lane file all of it would be wrong
        self._tell_missing_secrets()
        values = plain(self.root, self._secret)
        stanzas = values.pop("devices", None)
        file = self._section(LaneFile, values, self.root, BESIDE)
        devices, broken = self._devices(stanzas, simulated=file.simulated is not False)
        self._tell(check_file(file))
        self._tell(check_devices(file, devices, broken))
        if self.problems:
            raise ConfigError(_in_order(self.problems))
        return self._loaded(file, tuple(device.config for device in devices.values()))

    # --- secrets -----------------------------------------------------------------------------------------------------

    def _tell_missing_secrets(self) -> None:
        for leaf in leaves(self.root):
            if leaf.secret and self._find_secret(leaf.secret) is None:
                remedy = f"give it as a systemd credential or in ${variable(leaf.secret)}"
                self.problems.append(leaf.place.problem(f"the secret '{leaf.secret}' is not known here", remedy))

    def _secret(self, leaf: Leaf) -> str:
        """An unknown one has been told already; its stand-in offends nothing else."""
        found = self._find_secret(leaf.secret)
        return "unknown-secret-0" if found is None else found

    # --- sections and devices ----------------------------------------------------------------------------------------

    def _section(self, model: type[M], values: Any, at: Tree, beside: tuple[str, ...] = ()) -> M:
        """The section, or as much of it as is right. A driver's may name files, which are relative to the lane file."""
        try:
            return model.model_validate(values, context={"folder": self.path.parent})
        except ConfigError as error:
            self.problems.extend(error.problems)
        except ValidationError as error:
            self.problems.extend(problems_of(error, at, model, beside))
        return as_far_as_right(model, values)

    def _devices(self, stanzas: Any, *, simulated: bool) -> tuple[dict[str, Device], frozenset[str]]:
        """The devices by id, and the ids of those of which nothing more is known."""
        entry = self.root.entries.get("devices")
        if entry is None or not isinstance(entry.node, Items) or not entry.node.nodes:
            place = self.root.place if entry is None else entry.node.place
            self.problems.append(place.problem("no devices", "list them under `devices`, each with kind, id and url"))
            return {}, frozenset()
        found: dict[str, Device] = {}
        broken: set[str] = set()
        for stanza, node in zip(stanzas, entry.node.nodes, strict=True):
            name = stanza.get("id") if isinstance(stanza, dict) else None
            device = self._device(stanza, node, simulated=simulated)
            if device is not None and device.config.id is not None:
                found[device.config.id] = device
            elif isinstance(name, str):
                broken.add(name)
        return found, frozenset(broken)

    def _device(self, stanza: Any, node: Tree, *, simulated: bool) -> Device | None:
        if not isinstance(node, Table):
            self.problems.append(node.place.problem("a device is a mapping", "write kind, id and url"))
            return None
        driver = self._driver(node)
        if driver is None:
            return None
        config = self._section(driver.Config, stanza, node)
        if config.url is not None:
            self._tell(check_url((), config.url, listens=driver.traits.listens, simulated=simulated), node)
            self._tell(check_place((), config.id or "", config.url, self._places), node)
        return Device(config, driver)

    def _driver(self, node: Table) -> type[drivers.Driver] | None:
        """The driver that the stanza names; loads no other."""
        kind = node.leaf("kind")
        if kind is None or not isinstance(kind.value, str):
            place = node.place if "kind" not in node.entries else node.entries["kind"].node.place
            self.problems.append(place.problem("a device without a kind", _kinds("")))
            return None
        try:
            return drivers.load(kind.value)
        except KeyError:
            self.problems.append(kind.place.problem(f"no driver for '{kind.value}' is installed", _kinds(kind.value)))
        except (ImportError, AttributeError) as error:
            what = f"the driver '{kind.value}' cannot be loaded: {error}"
            self.problems.append(kind.place.problem(what, "install it again"))
        return None

    def _tell(self, findings: Iterable[Finding], at: Tree | None = None) -> None:
        for finding in findings:
            node, _ = find(self.root if at is None else at, finding.location)
            self.problems.append(node.place.problem(finding.what, finding.remedy))

    # --- the result --------------------------------------------------------------------------------------------------

    def _loaded(self, file: LaneFile, devices: tuple[DeviceConfig, ...]) -> Loaded:
        named = plain(self.root, lambda leaf: f"!secret {leaf.secret}")
        files = {device.id: device.files_digest for device in devices if device.files_digest}
        beside = {"files": files} if files else {}
        return Loaded(
            path=self.path,
            setup=lane_setup(
                file,
                devices,
                rules_hash=_digest({name: named.get(name) for name in RULES}),
                equipment_hash=_digest(equipment(named, simulated=file.simulated) | beside),
            ),
            direction=file.lane.direction,
            devices=devices,
            brokers=tuple(_broker(file, section, self.path.parent) for section in file.brokers),
            store=_store(self.path.parent, file.store),
            evidence=_evidence(file.evidence),
            pictures=_pictures(file, self.path.parent),
            delivery=_delivery(file.delivery),
            log=Log(file.log.level, file.log.format),
            clock=ClockSettings(file.clock.scale, file.clock.anchor_utc_s),
            hash_key=_hash_key(file),
            hash_rotation_s=3600.0 * file.privacy.rotate_h,
            config_hash=_digest(named | beside),
            snapshot=_snapshot(file, self.path.parent),
            shared_hash_key=file.privacy.hash_key is not None,
        )


def _other_file(root: Table) -> Problem | None:
    """What to say where somebody gives a file of another kind: a simulation's, or a port's without a lane on top."""
    if "fakes" in root.entries and "devices" not in root.entries:
        lane_file = root.leaf("lane")
        named = f", which is {lane_file.text}" if lane_file is not None else ""
        return root.place.problem("a simulation's file, not a lane file", f"name the lane file that it names{named}")
    if "port" in root.entries and not {"lane", "zones", "loops", "devices", "store"} & root.entries.keys():
        return root.place.problem("a port file without a lane", "name a lane file that extends it")
    return None


def _kinds(wrong: str) -> str:
    known = drivers.installed()
    near = close_to(wrong, known) if wrong else ""
    listed = f"installed: {', '.join(known)}"
    return f"{near} {listed}" if near.startswith("did you") else listed


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.column, problem.what)))


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tls_files(section: BrokerSection | EvidenceSection, folder: Path) -> str:
    """The files for TLS as they stand behind the question mark of a url."""
    named = {"ca": section.ca, "cert": section.cert, "key": section.key}
    return urlencode({name: str((folder / path).absolute()) for name, path in named.items() if path})


def _broker(file: LaneFile, section: BrokerSection, folder: Path) -> Broker:
    files = _tls_files(section, folder)
    simulated = "sim-" if file.simulated else ""
    return Broker(
        url=f"{section.url}?{files}" if files else section.url,
        client_id=f"{simulated}lanecontrol-{file.port}-{file.lane.id}",
        protocol=section.protocol,
        keepalive_s=section.keepalive_s,
        username=section.username,
        password=section.password.get_secret_value(),
    )


def _delivery(section: DeliverySection) -> Delivery:
    policy = RelayPolicy(
        hold=_held(section),
        backlog_per_s=section.backlog_per_s,
        receipts=bool(section.consumer),
        receipt_patience_s=section.receipt_patience_s,
    )
    return Delivery(section.consumer, policy)


def _held(section: DeliverySection) -> frozenset[str]:
    """Classes whose events are kept while nobody has subscribed to them."""
    held = section.hold_without_subscribers
    if isinstance(held, bool):
        return frozenset(CLASSES) if held else frozenset()
    return frozenset(held)


def _store(folder: Path, section: StoreSection) -> Store:
    keys = tuple(key.get_secret_value().encode() for key in section.keys)
    shares = {policy.name: policy.share for policy in CLASSES.values() if policy.drop is not Drop.NEVER}
    first_to_go = tuple(sorted(shares, key=lambda name: shares[name]))
    keep = Keep(section.keep_days, int(section.limit_gib * 1024**3), first_to_go, shares)
    return Store(folder / section.path, section.recorder_mib, keep, keys)


def _evidence(section: EvidenceSection) -> EvidenceLimits:
    return EvidenceLimits(
        quota_bytes=int(section.quota_gib * 1024**3),
        keep_s=section.keep_days * 86400.0,
        least_s=section.least_hours * 3600.0,
        spare_bytes=int(section.spare_gib * 1024**3),
    )


def _pictures(file: LaneFile, folder: Path) -> PicturesOut:
    section = file.evidence
    policy = SendPolicy(section.chunk_kib * 1024, section.rate_kib_s * 1024, "evidence" in _held(file.delivery))
    store = ObjectStore(section.url, section.token.get_secret_value(), _tls_files(section, folder))
    return PicturesOut(section.publish != "none", store if section.publish == "http" else None, policy)


def _snapshot(file: LaneFile, folder: Path) -> SnapshotPlace | None:
    section = file.questions.snapshot if file.questions is not None else None
    if section is None:
        return None
    signers = tuple(bytes.fromhex(key) for key in section.signers)
    return SnapshotPlace(folder / section.file, signers, 3600.0 * section.max_age_h)


def _questions(file: LaneFile) -> lane.Questions | None:
    section = file.questions
    if section is None:
        return None
    return lane.Questions(section.answer_within_s, section.lookouts, tuple(section.programmes))


def _hash_key(file: LaneFile) -> bytes:
    key = file.privacy.hash_key
    return secrets.token_bytes(32) if key is None else key.get_secret_value().encode()


def lane_setup(
    file: LaneFile, devices: Sequence[DeviceConfig], *, rules_hash: str = "", equipment_hash: str = ""
) -> lane.LaneSetup:
    """The lane as plain data for the lane core."""
    return lane.LaneSetup(
        port=file.port,
        lane=file.lane.id,
        lane_type=file.lane.type,
        zones=tuple(lane.Zone(**_values(zone)) for zone in file.zones),
        booth_zone=file.lane.booth_zone,
        loops=tuple(lane.Loop(**_values(loop)) for loop in file.loops),
        portals=tuple(lane.Portal(**_values(portal)) for portal in file.portals),
        antennas=tuple(lane.Antenna(**_values(antenna)) for antenna in file.antennas),
        cameras=tuple(lane.Camera(**_values(camera)) for camera in file.cameras),
        signal=lane.Signal(**_said(file.signal)) if file.signal else None,
        gate=lane.Gate(**_said(file.gate)) if file.gate else None,
        lane_signal=lane.LaneSignal(**_said(file.lane_signal)) if file.lane_signal else None,
        beacon=lane.Beacon(**_values(file.beacon)) if file.beacon else None,
        emergency_button=lane.EmergencyButton(**_values(file.emergency_button)) if file.emergency_button else None,
        scanner=_scanner(file.scanner) if file.scanner else None,
        booth_button=lane.BoothButton(**_values(file.booth_button)) if file.booth_button else None,
        tag_rules=tuple(lane.TagRule(**_values(tag)) for tag in file.tags),
        device_kinds=tuple((device.id, device.kind) for device in devices),
        opens_at_start=file.lane.opens_at_start,
        adult_cards_required=file.lane.adult_cards_required,
        simulated=file.simulated,
        rules_hash=rules_hash,
        equipment_hash=equipment_hash,
        limits=lane.Limits(**_values(file.limits)),
        readback_limit_s=lane.READBACK_LIMIT_S * file.clock.scale,
        direction=file.lane.direction,
        questions=_questions(file),
        adjacent=tuple(file.lane.adjacent),
        other_types=tuple(file.lane.other_types),
        schedule=schedule_model.schedule(file.schedule, file.time_zone),
        resumption=schedule_model.stages(file.resumption),
        picture_devices=tuple(one.id for one in devices if TakePicture in drivers.load(one.kind).performs),
        o_is_zero=file.plates.o_is_zero,
    )


def _scanner(section: ScannerSection) -> lane.Scanner:
    def points(of: BaseModel) -> dict[str, lane.Point]:
        return {name: _point(section.device, value) for name, value in of}

    return lane.Scanner(
        zone=section.zone,
        inputs=lane.ScannerInputs(**points(section.inputs)),
        outputs=lane.ScannerOutputs(**points(section.outputs)),
        times=lane.ScannerTimes(**_values(section.times)),
        two_persons=section.two_persons,
        maker=section.maker,
        model=section.model,
        serial=section.serial,
        modality=section.modality,
    )


def _point(device: str, name: str) -> lane.Point:
    """`point`, or `device/point`."""
    other, _, point = name.rpartition("/")
    return lane.Point(other or device, point)


def _said(section: BaseModel) -> dict[str, Any]:
    """What a section says; lists as tuples. What it leaves open is the setup's own default."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in section if value is not None}


def _values(section: BaseModel) -> dict[str, Any]:
    return dict(section)
