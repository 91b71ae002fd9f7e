"""What one part of a lane file says about another: names that must exist, an order that must hold.

Pure; used by `lanecontrol.config.load`. Each finding is where it stands in the file (as a location), what is wrong, and
what would be right. A part that is wrong in itself comes as None or nan and is passed over: it has been told already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lanecontrol.commands import TakePicture, WriteOutputs
from lanecontrol.config import schedule_model, time_zone
from lanecontrol.config.model import LaneFile, ZoneSection
from lanecontrol.config.wording import close_to
from lanecontrol.driver import DeviceConfig, Driver
from lanecontrol.events import GammaCounts, InputChanged, PlateRead, TagRead
from lanecontrol.links.address import LinkAddress, ListenAddress, MemoryAddress, TlsListenAddress, parse_url

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    location: Location
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A device stanza that is right for itself, and its driver."""

    config: DeviceConfig
    driver: type[Driver]


Devices = Mapping[str, Device]


def check_file(lane: LaneFile) -> Iterator[Finding]:
    """What can be said without knowing the devices."""
    yield from _zones(lane)
    yield from _twice("loops", "name", [loop.name for loop in lane.loops])
    yield from _twice("antennas", "number", [(antenna.device, antenna.number) for antenna in lane.antennas])
    yield from _twice("portals", "device", [portal.device for portal in lane.portals])
    yield from _twice("cameras", "device", [camera.device for camera in lane.cameras])
    yield from _twice("tags", "prefix", [tag.prefix for tag in lane.tags])
    yield from _twice("brokers", "url", [broker.url for broker in lane.brokers])
    if lane.signal is not None and lane.signal.green is not None and lane.signal.green == lane.signal.red:
        yield Finding(("signal", "red"), "green and red are the same output", "give each lamp its own")
    if lane.gate is not None and lane.gate.opened_input == lane.gate.closed_input is not None:
        yield Finding(("gate", "closed_input"), "both limit switches are the same input", "give each its own")
    yield from _pictures(lane)
    yield from _scanner(lane)
    yield from _lookouts(lane)
    yield from _hours(lane)
    if lane.clock.scale > 1 and lane.simulated is False:
        yield Finding(
            ("clock", "scale"), "a real lane's clock cannot be scaled", "set `simulated: true` or leave it out"
        )


def _hours(lane: LaneFile) -> Iterator[Finding]:
    """When the lane opens and closes by itself."""
    yield from _twice("resumption", "stage", [stage.stage for stage in lane.resumption])
    if lane.time_zone and not time_zone.known(lane.time_zone):
        yield Finding(("time_zone",), f"no time zone '{lane.time_zone}' is known here", "one like America/Tijuana")
    if lane.schedule is None:
        return
    types = (lane.lane.type, *(lane.lane.other_types or ()))
    for told in schedule_model.check(lane.schedule, lane.time_zone, types):
        yield Finding(*told)
    if lane.lane.opens_at_start:
        what = "the lane cannot go by its schedule and open at every start"
        yield Finding(("lane", "opens_at_start"), what, "leave one of them out")


def _scanner(lane: LaneFile) -> Iterator[Finding]:
    """Nobody binds a real scanner without the names of those who agreed."""
    if lane.scanner is not None and lane.scanner.consent is None and lane.simulated is False:
        what = "a real scanner needs the written consent of its maker and of the radiation safety officer"
        yield Finding(("scanner",), what, "name both under `consent`, or set `simulated: true`")


def _lookouts(lane: LaneFile) -> Iterator[Finding]:
    """What is known of lookouts is kept on disk, by ledger and recorder: never in clear. A snapshot's hashes need the
    key that it was made with."""
    questions, in_clear = lane.questions, not lane.store.keys and lane.simulated is False
    if questions is None:
        return
    if questions.snapshot is not None and lane.privacy.hash_key is None:
        what = "the snapshot's hashes cannot be compared without the site's key"
        yield Finding(("questions", "snapshot"), what, "give it: privacy: {hash_key: !secret name}")
    if questions.snapshot is not None and in_clear:
        what = "the snapshot would be kept in clear on disk"
        yield Finding(("questions", "snapshot"), what, "give the store a key: keys: [!secret name]")
    if questions.lookouts is not False and in_clear:
        what = "lookouts would be kept in clear on disk"
        yield Finding(("questions",), what, "give the store a key: keys: [!secret name], or say lookouts: false")


def _pictures(lane: LaneFile) -> Iterator[Finding]:
    """Where pictures go."""
    evidence = lane.evidence
    if evidence.publish == "http" and evidence.url == "":
        yield Finding(("evidence", "publish"), "pictures go nowhere", "give the object store's url")
    if evidence.publish in ("none", "mqtt") and evidence.url:
        yield Finding(("evidence", "url"), "nothing is put there", "write `publish: http`, or leave the url out")
    if evidence.url is not None and evidence.url.startswith("mem://") and lane.simulated is False:
        yield Finding(("evidence", "url"), "a mem:// store is a fake", "set `simulated: true` or give a real address")


def check_url(location: Location, url: str, *, listens: bool, simulated: bool) -> Iterator[Finding]:
    """The url of one device; `listens` when the device connects to us."""
    try:
        address = parse_url(url)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding((*location, "url"), what, remedy)
        return
    if isinstance(address, MemoryAddress):
        if not simulated:
            what, remedy = "a mem:// device is a fake", "set `simulated: true` or give a real address"
            yield Finding((*location, "url"), what, remedy)
    elif listens and not isinstance(address, _LISTENING):
        what = "this device connects to us: its url says where we listen"
        yield Finding((*location, "url"), what, "write listen://0.0.0.0:port, or tls-listen://")
    elif not listens and isinstance(address, _LISTENING):
        what = "we connect to this device: its url says where it is"
        yield Finding((*location, "url"), what, "write tcp://host:port or what its driver names")


_LISTENING = (ListenAddress, TlsListenAddress)
_ANY = ("0.0.0.0", "::")


def check_place(location: Location, device: str, url: str, places: dict[str, LinkAddress]) -> Iterator[Finding]:
    """Two devices cannot be listened for at one place; `places` are those of the devices before this one."""
    try:
        address = parse_url(url)
    except ValueError:
        return  # told already
    if not isinstance(address, _LISTENING):
        return
    for other, taken in places.items():
        if (
            isinstance(taken, _LISTENING)
            and taken.port == address.port
            and (taken.host == address.host or taken.host in _ANY or address.host in _ANY)
        ):
            what = f"the port {address.port} is the one that '{other}' is listened for at"
            yield Finding((*location, "url"), what, "give each device a port of its own")
    places[device] = address


def check_devices(lane: LaneFile, devices: Devices, broken: frozenset[str]) -> Iterator[Finding]:
    """Every mention of a device or of one of its points. `broken` devices exist, but are not to be looked into."""
    look = _Look(devices, broken)
    for index, loop in enumerate(lane.loops):
        yield from look.point(("loops", index), loop.device, "point", loop.point, "inputs")
    for kind, must in _MUST_REPORT.items():
        for index, sensor in enumerate(getattr(lane, kind)):
            yield from look.reports((kind, index), sensor.device, *must)
    for index, camera in enumerate(lane.cameras):
        if camera.trigger:
            yield from look.takes_pictures(("cameras", index), camera.device)
    for use in _uses(lane):
        yield from look.point(use.section, use.device, use.key, use.point, use.side)
    yield from _points_twice(lane)
    yield from _fail_safe_times(devices) if lane.simulated is False else _scanner_age(lane, devices)


MODULE_MOST_MS = {"stale_limit_ms": 250, "watchdog_ms": 2000}
"""Fail-safe rules 4 and 1 of the lane's I/O: how old inputs may be, and when a module drops its outputs by itself."""


def _scanner_age(lane: LaneFile, devices: Devices) -> Iterator[Finding]:
    """In a simulation too the scanner's contacts are told of as old soon enough: that they were read anew between two
    samples follows from it. The limit is one of the wire: on a clock that runs faster it is so many times as long."""
    most = round(MODULE_MOST_MS["stale_limit_ms"] * max(1.0, lane.clock.scale))
    names = dict.fromkeys(use.device for use in _scanner_uses(lane) if use.side == "inputs")
    for index, (name, device) in enumerate(devices.items()):
        limit_ms = getattr(device.config, "stale_limit_ms", None)
        if name in names and limit_ms is not None and limit_ms > most:
            what = f"'{name}' reads the scanner's contacts, whose age limit is {most} ms"
            yield Finding(("devices", index, "stale_limit_ms"), what, f"at most {most}")


def _fail_safe_times(devices: Devices) -> Iterator[Finding]:
    """No setting of a real lane lets a module's inputs grow old, or its outputs stand without us."""
    for index, (name, device) in enumerate(devices.items()):
        for key, most in MODULE_MOST_MS.items():
            if (given := getattr(device.config, key, 0)) > most:
                what = f"'{name}' with {key} {given}: a real lane's modules take {most} at most"
                yield Finding(("devices", index, key), what, f"at most {most}")
        watchdog_ms, heartbeat_ms = (getattr(device.config, key, 0) for key in ("watchdog_ms", "heartbeat_ms"))
        if 2 * heartbeat_ms > watchdog_ms:
            what = f"'{name}' is fed every {heartbeat_ms} ms, and drops its outputs after {watchdog_ms}"
            yield Finding(("devices", index, "heartbeat_ms"), what, "at most half of watchdog_ms: one may get lost")


_MUST_REPORT: dict[str, tuple[type[Any], str]] = {
    "antennas": (TagRead, "tags"),
    "portals": (GammaCounts, "radiation counts"),
    "cameras": (PlateRead, "plates"),
}


class _Look:
    """Looks devices and their points up."""

    def __init__(self, devices: Devices, broken: frozenset[str]) -> None:
        self._devices = devices
        self._broken = broken

    def reports(self, at: Location, device: str | None, event: type[Any], plural: str) -> Iterator[Finding]:
        if device is None:
            return  # told already
        found = self._devices.get(device)
        if found is not None and event not in found.driver.reports:
            what = f"device '{device}' ({found.config.kind}) reports no {plural}"
            yield Finding((*at, "device"), what, self._such(lambda driver: event in driver.reports))
        elif found is None and device not in self._broken:
            yield self._absent(at, device)

    def takes_pictures(self, at: Location, device: str | None) -> Iterator[Finding]:
        found = self._devices.get(device) if device is not None else None
        if found is not None and TakePicture not in found.driver.performs:
            what = f"device '{device}' ({found.config.kind}) takes no pictures when asked"
            yield Finding((*at, "trigger"), what, "leave it out: the camera triggers itself")

    def point(self, at: Location, device: str | None, key: str, point: str | None, side: str) -> Iterator[Finding]:
        if device is None or point is None:
            return  # told already
        found = self._devices.get(device)
        if found is None:
            if device not in self._broken:
                yield self._absent(at, device)
            return
        needed = InputChanged in found.driver.reports if side == "inputs" else WriteOutputs in found.driver.performs
        if not needed:
            yield Finding((*at, "device"), f"device '{device}' ({found.config.kind}) has no {side}")
            return
        points = getattr(found.config, side, None)
        if isinstance(points, Mapping) and point not in points:
            yield Finding((*at, key), f"'{point}' is not among the {side} of '{device}'", close_to(point, points))

    def _absent(self, at: Location, device: str) -> Finding:
        known = (*self._devices, *self._broken)
        remedy = close_to(device, known) if known else "list it under `devices`"
        return Finding((*at, "device"), f"there is no device '{device}'", remedy)

    def _such(self, fits: Any) -> str:
        names = [name for name, device in self._devices.items() if fits(device.driver)]
        return f"one of {', '.join(names)}" if names else "add such a device"


def _zones(lane: LaneFile) -> Iterator[Finding]:
    names = [zone.name for zone in lane.zones if zone.name is not None]
    yield from _twice("zones", "name", [zone.name for zone in lane.zones])
    for index, zone in enumerate(lane.zones):
        if zone.end_m <= zone.start_m:
            yield Finding(("zones", index, "end_m"), f"zone '{zone.name}' ends before it begins", "end_m above start_m")
    for index, (before, after) in enumerate(pairwise(lane.zones), start=1):
        yield from _after(index, before, after)
    for location, zone_name in _zone_mentions(lane):
        if zone_name is not None and zone_name not in names:
            yield Finding(location, f"there is no zone '{zone_name}'", close_to(zone_name, names))
    watched = {loop.zone for loop in lane.loops}
    # A misspelt zone of a loop has been told above, and is probably this one.
    if lane.lane.booth_zone in names and watched and watched <= {*names} - {lane.lane.booth_zone}:
        yield Finding(("loops",), f"no loop watches the booth zone '{lane.lane.booth_zone}'", "add one")


def _after(index: int, before: ZoneSection, after: ZoneSection) -> Iterator[Finding]:
    if after.start_m < before.start_m:
        what = f"zone '{after.name}' begins before '{before.name}'"
        yield Finding(("zones", index, "start_m"), what, "list zones in driving order")
    elif after.start_m < before.end_m:
        what = f"zone '{after.name}' overlaps '{before.name}'"
        yield Finding(("zones", index, "start_m"), what, f"begin at {before.end_m:g} m or later")


def _zone_mentions(lane: LaneFile) -> Iterator[tuple[Location, str | None]]:
    yield ("lane", "booth_zone"), lane.lane.booth_zone
    for kind in ("loops", "portals", "antennas", "cameras"):
        for index, sensor in enumerate(getattr(lane, kind)):
            yield (kind, index, "zone"), sensor.zone
    if lane.scanner is not None:
        yield ("scanner", "zone"), lane.scanner.zone


def _twice(section: str, key: str, values: Iterable[Any]) -> Iterator[Finding]:
    seen: set[Any] = set()
    for index, value in enumerate(values):
        if value is None or (isinstance(value, tuple) and None in value):
            continue  # told already
        if value in seen:
            shown = value if isinstance(value, str) else " ".join(map(str, value))
            yield Finding((section, index, key), f"'{shown}' is listed twice under {section}", "remove or rename one")
        seen.add(value)


@dataclass(frozen=True, slots=True)
class _Use:
    """A point of a module, and the place in the lane file that names it. `point` is None where that is wrong."""

    section: Location
    key: str
    device: str | None
    point: str | None
    side: str
    """`inputs` or `outputs`."""


_POINTS = (
    ("signal", ("green_input", "red_input"), ("green", "red")),
    ("lane_signal", ("open_input", "closing_input", "closed_input"), ("open", "closing", "closed")),
    ("gate", ("opened_input", "closed_input", "fault_input"), ("open_output",)),
    ("beacon", (), ("output",)),
    ("booth_button", ("point",), ()),
    ("emergency_button", ("point",), ()),
)
"""Sections about equipment: which of their keys name inputs, and which outputs, of their module."""


def _uses(lane: LaneFile) -> Iterator[_Use]:
    """Every mention of a point but for the loops'."""
    for name, inputs, outputs in _POINTS:
        section = getattr(lane, name)
        if section is not None:
            for side, keys in (("inputs", inputs), ("outputs", outputs)):
                for key in keys:
                    yield _Use((name,), key, section.device, getattr(section, key), side)
    if lane.gate is not None:
        for beam in lane.gate.beams or ():
            yield _Use(("gate",), "beams", lane.gate.device, beam, "inputs")
    yield from _scanner_uses(lane)


def _scanner_uses(lane: LaneFile) -> Iterator[_Use]:
    scanner = lane.scanner
    if scanner is None:
        return
    for side in ("inputs", "outputs"):
        for key, value in getattr(scanner, side) or ():
            device, _, point = (value or "").rpartition("/")
            yield _Use(("scanner", side), key, device or scanner.device, point or None, side)


def _points_twice(lane: LaneFile) -> Iterator[Finding]:
    """One input cannot mean two things, and no output obey two masters."""
    seen: set[tuple[str, str, str]] = set()
    loops = [_Use(("loops", i), "point", loop.device, loop.point, "inputs") for i, loop in enumerate(lane.loops)]
    for use in (*loops, *_uses(lane)):
        if use.device is None or use.point is None:
            continue  # told already
        mine = (use.side, use.device, use.point)
        if mine in seen and (use.section, use.key) not in _TOLD:
            what = f"the {use.side[:-1]} '{use.point}' of '{use.device}' has another use already"
            yield Finding((*use.section, use.key), what, "use another")
        seen.add(mine)


_TOLD = ((("gate",), "closed_input"), (("signal",), "red"))
"""Where a pair within one section is told in words of its own."""
