"""What the commands that talk to a broker share: how to connect, and how a lane is named."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lanecontrol.cli.arguments import PASSWORD
from lanecontrol.clock import LoopClock
from lanecontrol.errors import DeviceError
from lanecontrol.links import LinkOpener
from lanecontrol.port.central import PortClient
from lanecontrol.port.mqtt_client import MqttConnector
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker

FIND_LANE_S = 2.0
"""Retained statuses come at once; a broker that has none for a lane stays silent."""


@asynccontextmanager
async def port_client(options: argparse.Namespace, command: str) -> AsyncIterator[PortClient]:
    """A tool's connection. Each has its own client id: two tools must not throw each other out.

    Raises what `PortClient` does, with the broker's url in it.
    """
    broker = Broker(
        url=options.broker,
        client_id=f"lanecontrol-{command}-{secrets.token_hex(6)}",
        username=options.username,
        password=os.environ.get(PASSWORD, ""),
    )
    client = PortClient(
        MqttConnector(LinkOpener()), broker, clock=LoopClock(), new_key=lambda: f"cli-{secrets.token_hex(12)}"
    )
    try:
        async with client:
            yield client
    except DeviceError as error:
        raise type(error)(f"{options.broker}: {error.deed}", error.why) from error


def person() -> str:
    """Who sits here, as the system knows him."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"[:64]
    except (OSError, KeyError):
        return socket.gethostname()[:64]


def lane_address(text: str) -> LaneAddress | None:
    """`PORT/LANE` or `sim/PORT/LANE`; None for a bare lane. Raises ValueError."""
    match text.split("/"):
        case [_]:
            return None
        case [port, lane]:
            return LaneAddress(port, lane)
        case ["sim", port, lane]:
            return LaneAddress(port, lane, simulated=True)
        case _:
            raise ValueError(f"{text!r} is no lane; write 07, SYS/07 or sim/SYS/07")


async def find_lane(port: PortClient, name: str) -> LaneAddress:
    """The one lane of this name that has told its status to the broker. Raises ValueError for none or several."""
    await port.subscribe([f"poe/+/lane/{name}/status", f"sim/poe/+/lane/{name}/status"])
    found: set[LaneAddress] = set()
    try:
        async with asyncio.timeout(FIND_LANE_S) as limit:
            async for arrival in port.events():
                found.add(_from_topic(arrival.topic))
                limit.reschedule(asyncio.get_running_loop().time() + 0.2)  # retained statuses come together
    except TimeoutError:
        pass
    if len(found) == 1:
        return found.pop()
    if not found:
        raise ValueError(f"no lane {name!r} has told this broker of itself; write PORT/LANE or sim/PORT/LANE")
    names = ", ".join(sorted(address.root for address in found))
    raise ValueError(f"there are several lanes {name!r}: {names}; write PORT/LANE or sim/PORT/LANE")


async def has_told(port: PortClient, lane: LaneAddress) -> bool:
    """Whether the broker has a status of this lane: without one its name is wrong, or it was never here."""
    await port.subscribe([lane.status])
    try:
        async with asyncio.timeout(FIND_LANE_S):
            async for _ in port.events():
                return True
    except TimeoutError:
        return False
    except DeviceError:  # what became of the order is told; this was only a hint
        pass
    return True


def _from_topic(topic: str) -> LaneAddress:
    *tree, port, _lane, lane, _status = topic.split("/")
    return LaneAddress(port, lane, simulated=tree[:1] == ["sim"])
