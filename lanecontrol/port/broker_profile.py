"""A port's broker, set up for its lanes: the configuration of a mosquitto and its access list. Pure text.

For `lanecontrol broker-profile`. Each booth has its own topics and no others; whoever consumes only reads, and writes
nothing but receipts; only a desk gives orders. Nobody is let in without a name. `Rights` is the whole of it; the access
list says the same in mosquitto's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from lanecontrol.port.topics import CLASSES, LaneAddress, is_level

MAX_PACKET_BYTES = 1024 * 1024
"""A chunk of 256 KiB in base64 is a third of it; the longest event a hundredth."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")


class Role(StrEnum):
    """Who is somebody at the port."""

    CONSUMER = "consumer"
    """Takes events and pictures, and says by receipts how far it has got."""
    DESK = "desk"
    """Sees events, gives orders and hears how they ended."""
    CENTRAL = "central"
    """Answers the lanes' questions about enrolments and lookouts."""
    VIEWER = "viewer"
    """Sees events and states but for lookouts, and can do nothing."""


class Access(StrEnum):
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Booth:
    """A lane and the name it has at the broker: its certificate's common name, or its user name.

    Raises ValueError for a name that an access list cannot hold.
    """

    name: str
    address: LaneAddress

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be a name at the broker; use letters, digits, _ . @ or -")


@dataclass(frozen=True, slots=True)
class Somebody:
    """Who is no lane. Raises ValueError for a name that cannot be part of a topic."""

    name: str
    role: Role

    def __post_init__(self) -> None:
        if not is_level(self.name):
            raise ValueError(f"{self.name!r} is no name for a {self.role}; use letters, digits, _ . or -")


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody may do. `+` stands for one level, `#` for the rest."""

    name: str
    access: Access
    topic: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the broker listens, and where its files lie."""

    port: int = 8883
    folder: PurePosixPath = PurePosixPath("/etc/mosquitto/lanecontrol")
    data: PurePosixPath = PurePosixPath("/var/lib/mosquitto")
    passwords: bool = False
    """Names are proven by passwords, and not by certificates."""


def rights(booths: Sequence[Booth], others: Sequence[Somebody]) -> tuple[Right, ...]:
    """Every right there is."""
    found = [right for booth in booths for right in _of_booth(booth)]
    found += [right for one in others for booth in booths for right in _of_somebody(one, booth.address)]
    return tuple(dict.fromkeys(found))


def neighbours(address: LaneAddress) -> str:
    """Below this the lanes of a port tell each other things."""
    return f"{address.root.partition('/lane/')[0]}/neighbour"


def _of_booth(booth: Booth) -> Iterator[Right]:
    lane = booth.address
    for topic in (lane.status, lane.device("+"), lane.event("+"), lane.reply("+"), lane.evidence("+"), lane.ask("+")):
        yield Right(booth.name, Access.WRITE, topic)
    for topic in (lane.command("+"), lane.receipt("+"), lane.device("+"), lane.status, lane.answer("+")):
        yield Right(booth.name, Access.READ, topic)
    yield Right(booth.name, Access.READ, f"{neighbours(lane)}/#")
    yield Right(booth.name, Access.WRITE, f"{neighbours(lane)}/{lane.lane}/#")
    yield Right(booth.name, Access.READ, lane.notice("+"))


def _of_somebody(one: Somebody, lane: LaneAddress) -> Iterator[Right]:
    for topic in (lane.status, lane.device("+")):
        yield Right(one.name, Access.READ, topic)
    open_to_all = [lane.event(name) for name in CLASSES if name != "lookout"]
    for topic in open_to_all if one.role is Role.VIEWER else [lane.event("+")]:
        yield Right(one.name, Access.READ, topic)
    match one.role:
        case Role.CENTRAL:
            yield Right(one.name, Access.READ, lane.ask("+"))
            yield Right(one.name, Access.WRITE, lane.answer("+"))
        case Role.CONSUMER:
            yield Right(one.name, Access.READ, lane.evidence("+"))
            yield Right(one.name, Access.READ, lane.receipt(one.name))  # its own, to go on where it was
            yield Right(one.name, Access.WRITE, lane.receipt(one.name))
        case Role.DESK:
            yield Right(one.name, Access.READ, lane.reply("+"))
            yield Right(one.name, Access.WRITE, lane.command("+"))
            yield Right(one.name, Access.WRITE, lane.notice("+"))
        case Role.VIEWER:
            pass


def acl_text(given: Iterable[Right]) -> str:
    """mosquitto's access list. What is not in it is forbidden, to everybody."""
    lines = ["# Written by `lanecontrol broker-profile`; change the lane files and write it anew.", ""]
    by_name: dict[str, list[Right]] = {}
    for right in given:
        by_name.setdefault(right.name, []).append(right)
    for name, own in by_name.items():
        lines += [f"user {name}", *(f"topic {right.access} {right.topic}" for right in own), ""]
    return "\n".join(lines)


def conf_text(place: Place) -> str:
    """mosquitto's configuration, for version 2."""
    folder = place.folder
    proof = (
        [f"password_file {folder}/passwords"]
        if place.passwords
        else [f"cafile {folder}/ca.pem", "require_certificate true", "use_identity_as_username true"]
    )
    return _CONF.format(
        port=place.port,
        folder=folder,
        data=place.data,
        packet=MAX_PACKET_BYTES,
        proof="\n".join(proof),
    )


_CONF = """\
# Written by `lanecontrol broker-profile`: put it into /etc/mosquitto/conf.d/.

listener {port}
certfile {folder}/broker.pem
keyfile {folder}/broker.key
tls_version tlsv1.2
{proof}

# Nobody without a name, and nobody beyond what the access list says.
allow_anonymous false
acl_file {folder}/acl

# Without this, small acknowledged messages wait for each other on every round trip.
set_tcp_nodelay true

# The lane keeps to the smaller of its own window and this one.
max_inflight_messages 200
max_packet_size {packet}
max_keepalive 300

# For consumers that are away. The lanes' ledgers are the safety: this is lost with the last minute of a power cut, and
# the receipts of a consumer say what is to be sent again.
persistence true
persistence_location {data}/
autosave_interval 60
max_queued_messages 200000
persistent_client_expiration 14d
"""
