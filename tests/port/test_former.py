"""A lane that was given another name takes away what it left under the old one, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from session_bench import PORTAL, Port

from lanecontrol import forms
from lanecontrol.port.former import FormerNames, Names, Presence
from lanecontrol.port.session import PortSession
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Broker, Message

OLD = LaneAddress("laredo", "06", simulated=True)
NEW = LaneAddress("laredo", "07", simulated=True)
"""The address of `Port`."""


@asynccontextmanager
async def renamed(port: Port, run: str) -> AsyncIterator[list[Presence]]:
    """The lane at work under its new name; what it counts as gone."""
    gone: list[Presence] = []
    session: PortSession = port.session
    session._companions = (FormerNames([Presence(OLD, run)], gone.append),)
    async with port.running():
        await asyncio.sleep(2)
        yield gone


async def leave(port: Port, address: LaneAddress, run: str, state: str = "stopped") -> None:
    """What a lane of this name leaves behind."""
    status = {"epoch": 1, "versions": {}, "config_hash": "", "simulated": True, "at_utc_s": 1.0, "run": run}
    async with port.connect(Broker("mem://broker", f"was-{address.lane}")) as transport:
        for topic in (address.device("portal"), address.device("gone")):
            await transport.publish(Message(topic, b"{}", retain=True))
        await transport.publish(Message(address.status, json.dumps({**status, "state": state}).encode(), retain=True))


def under(found: dict[str, Any], address: LaneAddress) -> set[str]:
    return {topic.removeprefix(f"{address.root}/") for topic in found if topic.startswith(f"{address.root}/")}


@pytest.mark.parametrize("state", ["stopped", "lost"])
async def test_nothing_is_left_standing_under_the_old_name(state: str) -> None:
    port = Port()
    port.serve()
    await leave(port, OLD, "r1", state)
    port.session.device_changed(PORTAL)
    async with renamed(port, "r1") as gone:
        found = await port.retained()
    assert under(found, OLD) == set()
    assert under(found, NEW) == {"status", "device/portal"}
    assert gone == [Presence(OLD, "r1")]


async def test_a_lane_that_has_the_name_now_is_left_alone() -> None:
    port = Port()
    port.serve()
    await leave(port, OLD, "of another lane")
    async with renamed(port, "r1") as gone:
        assert under(await port.retained(), OLD) == {"status", "device/portal", "device/gone"}
    assert gone == [Presence(OLD, "r1")], "there is nothing of ours to look for any more"


async def test_a_lane_that_is_at_work_under_that_name_is_left_alone_even_if_its_store_was_copied() -> None:
    port = Port()
    port.serve()
    await leave(port, OLD, "r1", "online")
    async with renamed(port, "r1") as gone:
        assert under(await port.retained(), OLD) == {"status", "device/portal", "device/gone"}
    assert gone == []


async def test_a_connection_lost_while_it_is_cleared_is_no_end_of_it() -> None:
    port = Port()
    port.serve()
    await leave(port, OLD, "r1")
    async with renamed(port, "r1"):
        for _ in range(3):
            port.cut()
            await asyncio.sleep(1)
        assert under(await port.retained(), OLD) == set()


def test_names_are_remembered_until_nothing_is_left_of_them() -> None:
    one, two = LaneAddress("p", "1"), LaneAddress("p", "2")
    first = Names.after(None, Presence(one, "a"))
    assert first.before == ()
    second = Names.after(forms.to_json(first), Presence(one, "b"))
    assert second.before == (), "the same name"
    third = Names.after(forms.to_json(second), Presence(two, "c"))
    assert third.before == (Presence(one, "b"),)
    fourth = Names.after(forms.to_json(third), Presence(two, "d"))
    assert fourth.before == (Presence(one, "b"),)
    assert fourth.without(Presence(one, "b")).before == ()
    back = Names.after(forms.to_json(fourth), Presence(one, "e"))
    assert back.before == (Presence(two, "d"),)


@pytest.mark.parametrize(
    "stored", [b"", b"{", b"[]", b"null", b'{"now": {"address": {"port": "#", "lane": "+"}, "run": ""}}']
)
def test_what_cannot_be_read_is_no_name(stored: bytes) -> None:
    assert Names.after(stored, Presence(NEW, "a")) == Names(Presence(NEW, "a"))
