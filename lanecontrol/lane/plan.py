"""What follows from a lane's setup: which loops form which station, and what every I/O point means.

A *station* is a zone that has a presence loop; stations stand in driving order, and -1 stands for the stretch before
the first of them, where the portal is. Worked out once per start and kept in the state, so that no input pays for it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lanecontrol.lane.setup import LaneSetup, Scanner

BEFORE = -1
"""The place before the first station: portal and queue."""
NOWHERE = -2
"""A sensor that looks at no zone of this lane."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stations of a lane and the meaning of its points. `booth` is an index into `stations`."""

    zones: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    starts_m: tuple[float, ...] = ()
    booth: int = 0
    points: tuple[tuple[str, str], ...] = ()
    """Device and point of every contact the lane knows: the loops in the order of the setup, then the rest."""
    loop_station: tuple[int, ...] = ()
    """Station of each loop, in the order of the setup."""
    opened: int = NOWHERE
    closed: int = NOWHERE
    button: int = NOWHERE
    emergency: int = NOWHERE
    beams: tuple[int, ...] = ()
    """Contacts that are on while something stands under the gate's arm."""
    gate_fault: int = NOWHERE
    booth_lamps: tuple[int, ...] = ()
    """Read-back contacts of the booth signal: green, red. Empty where it has none."""
    lane_lamps: tuple[int, ...] = ()
    """The same of the overhead signal: open, closing, closed."""
    trusted: tuple[str, ...] = ()
    """Devices whose loss withdraws permission: they carry the loops, the signals, the gate or the emergency button."""
    antenna_place: tuple[int, ...] = ()
    camera_place: tuple[int, ...] = ()
    births_at_portal: bool = False
    """The first portal stands before the first loop, so that vehicles are first seen there."""
    portal_to_loop_m: float = 0.0
    scanner: tuple[int, ...] = ()
    """Where in `points` the scanner's contacts stand, in the order of `setup.ScannerInputs`."""
    scanner_modules: tuple[str, ...] = ()
    """Devices that carry its contacts or its outputs. Their loss withdraws nothing at the booth."""
    scanner_station: int = NOWHERE
    """The station where a vehicle is scanned: the scanner's zone, or the booth where that zone has no loop."""

    @property
    def last(self) -> int:
        return len(self.stations) - 1


def make_plan(setup: LaneSetup) -> Plan:
    """The plan of `setup`. Never raises: sensors of unknown zones are put nowhere."""
    order = {zone.name: index for index, zone in enumerate(setup.zones)}
    starts = {zone.name: zone.start_m for zone in setup.zones}
    stations = tuple(sorted({loop.zone for loop in setup.loops if loop.zone in order}, key=lambda name: order[name]))
    points = [(loop.device, loop.point) for loop in setup.loops]
    gate, signal, overhead = setup.gate, setup.signal, setup.lane_signal

    def place(device: str, *names: str) -> tuple[int, ...]:
        places = []
        for name in names:
            places.append(len(points) if name else NOWHERE)
            points.extend([(device, name)] if name else [])
        return tuple(places)

    opened, closed = place(gate.device, gate.opened_input, gate.closed_input) if gate else (NOWHERE, NOWHERE)
    button, emergency = (
        place(part.device, part.point)[0] if part else NOWHERE for part in (setup.booth_button, setup.emergency_button)
    )
    beams = place(gate.device, *gate.beams) if gate else ()
    gate_fault = place(gate.device, gate.fault_input)[0] if gate else NOWHERE
    booth_lamps = place(signal.device, signal.green_input, signal.red_input) if signal else ()
    over_inputs = (overhead.open_input, overhead.closing_input, overhead.closed_input) if overhead else ()
    lane_lamps = place(overhead.device, *over_inputs) if overhead else ()
    contacts = _contacts(setup.scanner, points)
    booth = stations.index(setup.booth_zone) if setup.booth_zone in stations else len(stations)
    portal = next((p.zone for p in setup.portals if p.zone in order), "")
    upstream = bool(portal) and (not stations or order[portal] < order[stations[0]])
    return Plan(
        zones=tuple(zone.name for zone in setup.zones),
        stations=stations,
        starts_m=tuple(starts[name] for name in stations),
        booth=booth,
        points=tuple(points),
        loop_station=tuple(stations.index(loop.zone) if loop.zone in stations else NOWHERE for loop in setup.loops),
        opened=opened,
        closed=closed,
        button=button,
        emergency=emergency,
        beams=beams,
        gate_fault=gate_fault,
        booth_lamps=booth_lamps if any(at != NOWHERE for at in booth_lamps) else (),
        lane_lamps=lane_lamps if any(at != NOWHERE for at in lane_lamps) else (),
        trusted=_trusted(setup),
        antenna_place=tuple(_place(stations, order, antenna.zone) for antenna in setup.antennas),
        camera_place=tuple(_place(stations, order, camera.zone) for camera in setup.cameras),
        births_at_portal=upstream,
        portal_to_loop_m=max(0.0, starts[stations[0]] - starts[portal]) if upstream and stations else 0.0,
        scanner=contacts,
        scanner_modules=_scanner_modules(setup.scanner),
        scanner_station=_scanner_station(setup.scanner, stations, booth),
    )


def _contacts(scanner: Scanner | None, points: list[tuple[str, str]]) -> tuple[int, ...]:
    """Append the scanner's contacts to `points`, but for those that stand there already. Answers their places."""
    if scanner is None:
        return ()
    places = []
    for part in fields(scanner.inputs):
        contact = getattr(scanner.inputs, part.name)
        row = (contact.device, contact.point)
        if row not in points:
            points.append(row)
        places.append(points.index(row))
    return tuple(places)


def _scanner_modules(scanner: Scanner | None) -> tuple[str, ...]:
    if scanner is None:
        return ()
    sides = (scanner.inputs, scanner.outputs)
    return tuple(dict.fromkeys(getattr(side, part.name).device for side in sides for part in fields(side)))


def _scanner_station(scanner: Scanner | None, stations: tuple[str, ...], booth: int) -> int:
    if scanner is None:
        return NOWHERE
    return stations.index(scanner.zone) if scanner.zone in stations else booth


def _trusted(setup: LaneSetup) -> tuple[str, ...]:
    names = [loop.device for loop in setup.loops]
    parts = (setup.signal, setup.gate, setup.lane_signal, setup.emergency_button)
    names += [part.device for part in parts if part is not None]
    return tuple(dict.fromkeys(names))


def _place(stations: tuple[str, ...], order: dict[str, int], zone: str) -> int:
    """The station whose vehicles a sensor of `zone` sees best: its own, else the next one behind it."""
    if zone not in order:
        return NOWHERE
    behind = [index for index, name in enumerate(stations) if order[name] <= order[zone]]
    return behind[-1] if behind else BEFORE
