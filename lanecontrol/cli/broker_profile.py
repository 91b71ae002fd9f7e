"""`lanecontrol broker-profile LANEFILE...`: a mosquitto set up for the lanes of a port, as two files.

Connects to nothing and needs no secret. Without --out both are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lanecontrol.cli import GOOD, USAGE, arguments, output

if TYPE_CHECKING:
    from lanecontrol.port.broker_profile import Booth, Somebody

CONF, ACL = "lanecontrol.conf", "acl"


def main(argv: list[str]) -> int:
    parser = arguments.parser("broker-profile", "The configuration and access list of a port's mosquitto.")
    parser.add_argument("lanes", nargs="+", metavar="LANEFILE", help="the lane files of the port")
    for role, what in (
        ("consumer", "takes events and pictures and writes receipts"),
        ("desk", "sees events and gives orders"),
        ("central", "answers the lanes' questions"),
        ("viewer", "only sees events, and none about lookouts"),
    ):
        parser.add_argument(f"--{role}", action="append", default=[], metavar="NAME", help=f"somebody who {what}")
    parser.add_argument("--passwords", action="store_true", help="names are proven by passwords, not by certificates")
    parser.add_argument("--port", type=_port, default=8883, metavar="N", help="where the broker listens (8883)")
    parser.add_argument(
        "--folder", default="/etc/mosquitto/lanecontrol", metavar="DIR", help="its files on its machine"
    )
    parser.add_argument("--data", default="/var/lib/mosquitto", metavar="DIR", help="where it keeps messages")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"write {CONF} and {ACL} there")
    options = parser.parse_args(argv)

    from lanecontrol.port.broker_profile import Place, acl_text, conf_text, rights

    try:
        given = rights(_booths(options.lanes), _others(options))
    except ValueError as error:
        output.note(f"lanecontrol broker-profile: {error}")
        return USAGE
    place = Place(options.port, PurePosixPath(options.folder), PurePosixPath(options.data), options.passwords)
    files = {CONF: conf_text(place), ACL: acl_text(given)}
    for name, text in files.items():
        if options.out is None:
            print(f"# --- {name}\n{text}")
        else:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / name).write_text(text, encoding="utf-8")
            output.note(f"wrote {options.out / name}")
    return GOOD


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, which is from 1 to 65535")
    return int(text)


def _booths(files: list[str]) -> list[Booth]:
    """The lanes by the names that they have at the broker. Raises ValueError when two have the same."""
    from lanecontrol.config import load
    from lanecontrol.config.secrets import stand_in
    from lanecontrol.port.broker_profile import Booth
    from lanecontrol.port.topics import LaneAddress

    found: dict[str, Booth] = {}
    for file in files:
        loaded = load(file, secret=stand_in)
        name = loaded.brokers[0].username or loaded.brokers[0].client_id
        if name in found:
            raise ValueError(f"{file}: there is another lane that is {name} to the broker; each needs its own name")
        found[name] = Booth(name, LaneAddress(loaded.setup.port, loaded.setup.lane, loaded.simulated))
    return list(found.values())


def _others(options: argparse.Namespace) -> list[Somebody]:
    from lanecontrol.port.broker_profile import Role, Somebody

    return [Somebody(name, role) for role in Role for name in getattr(options, role.value)]
