"""The session: present at the port for ever, whatever the broker does; and the tools' client on the other side.

The memory broker is another hand's reading of the standard; only its public class is used.
"""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise

import pytest
from port_bench import DISCONNECT, PUBLISH, Peer, Raw, connack
from session_bench import PORTAL, ROOT, Port

from lanecontrol.announcements import DeviceStateChanged, OverridePhase, OverrideTold
from lanecontrol.commands import Actor, OverridePart, Role
from lanecontrol.events import DeviceState, Identity
from lanecontrol.links import Link
from lanecontrol.port.session import CAP_S, SLOW_S
from lanecontrol.port.transport import Broker, Message
from sim.broker import MemoryBroker


@pytest.fixture
def port() -> Port:
    return Port()


# --- receipts --------------------------------------------------------------------------------------------------------


async def say(port: Port, topic: str, payload: bytes) -> None:
    async with port.connect(Broker("mem://broker", "consumer")) as transport:
        await transport.publish(Message(topic, payload, retain=True))


async def test_a_retained_receipt_frees_what_it_covers_at_once_when_the_lane_comes_back() -> None:
    port = Port(consumer="archive")
    port.serve()
    port.outbox.commit("passage", "passage", "alarm")
    await say(port, f"{ROOT}/receipt/archive", b'{"epoch": 1, "seq": 2}')
    async with port.running():
        await asyncio.sleep(1)
        assert sorted(port.outbox.delivered) == [1, 2]
        await say(port, f"{ROOT}/receipt/archive", b'{"epoch": 1, "seq": 3}')
        await asyncio.sleep(1)
    assert sorted(port.outbox.delivered) == [1, 2, 3]


async def test_the_receipt_of_another_consumer_frees_nothing() -> None:
    port = Port(consumer="archive")
    port.serve()
    port.outbox.commit("passage")
    async with port.running():
        await say(port, f"{ROOT}/receipt/somebody", b'{"epoch": 1, "seq": 1}')
        await asyncio.sleep(1)
    assert port.outbox.delivered == []


# --- presence --------------------------------------------------------------------------------------------------------


async def test_the_birth_stands_retained_and_says_who_is_there(port: Port) -> None:
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        status = (await port.retained())[f"{ROOT}/status"]
    assert status == {
        "state": "online",
        "epoch": 3,
        "versions": {"lanecontrol": "0.1.0"},
        "config_hash": "abcd",
        "simulated": True,
        "at_utc_s": 1_800_000_000.0,
        "run": status["run"],
        "run_since_utc_s": 1_800_000_000.0,
        "turn": -1,
        "serial": 0,
        "store_fault": "",
        "overrides": [],
    }
    assert len(status["run"]) == 16
    assert port.reached == [True]
    assert port.session.status().connected is False


async def test_what_is_overridden_stands_in_the_status_until_it_ends(port: Port) -> None:
    def told(phase: OverridePhase, at_utc_s: float, left_s: float) -> OverrideTold:
        part, by = OverridePart.LOOP_OUT, Actor("somebody", Role.TECHNICIAN)
        return OverrideTold("07-o000001", part, "exit", phase, "it chatters", by, left_s, "", at_utc_s)

    port.serve()
    async with port.central() as central, port.running():
        await central.subscribe([f"{ROOT}/status"])
        events = central.events()
        shown = [json.loads((await anext(events)).raw)["overrides"]]
        for each in (
            told(OverridePhase.SET, 100.0, 900.0),
            told(OverridePhase.STANDS, 700.1, 299.9),
            told(OverridePhase.ENDED, 800.0, 0.0),
        ):
            port.session.overridden(each)
            await asyncio.sleep(1)
        shown += [json.loads((await anext(events)).raw)["overrides"] for _ in range(2)]
    row = {"override": "07-o000001", "part": "loop_out", "name": "exit", "reason": "it chatters", "until_utc_s": 1000.0}
    assert shown == [[], [row], []], "nothing is published anew for a reminder"


async def test_a_store_that_takes_no_events_stands_in_the_status_while_it_does_not(port: Port) -> None:
    """The one thing that can be told then: what is not on disk is not sent."""
    port.serve()
    async with port.central() as central, port.running():
        await central.subscribe([f"{ROOT}/status"])
        events = central.events()
        faults = [json.loads((await anext(events)).raw)["store_fault"]]
        for fault in ("disk full", "disk full", "I/O error", ""):
            port.session.store_changed(fault)
            await asyncio.sleep(1)
        faults += [json.loads((await anext(events)).raw)["store_fault"] for _ in range(3)]
        assert faults == ["", "disk full", "I/O error", ""]
        port.session.store_changed("disk full")
        port.cut()
        await asyncio.sleep(3)
        assert (await port.retained())[f"{ROOT}/status"]["store_fault"] == "disk full"


async def test_stopping_on_purpose_says_stopped(port: Port) -> None:
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
    assert (await port.retained())[f"{ROOT}/status"]["state"] == "stopped"
    assert port.work.outstanding == 0


async def test_a_lane_that_is_cut_off_is_lost_to_the_port_until_it_is_back(port: Port) -> None:
    port.serve()
    async with port.central() as central:
        await central.subscribe([f"{ROOT}/status"])
        session = asyncio.ensure_future(port.session.run())
        events = central.events()
        assert json.loads((await anext(events)).raw)["state"] == "online"
        port.cut()
        assert json.loads((await anext(events)).raw)["state"] == "lost"
        assert json.loads((await anext(events)).raw)["state"] == "online"
        session.cancel()
        assert json.loads((await anext(events)).raw)["state"] == "stopped"
        await asyncio.wait((session,))


async def test_device_states_stand_retained_and_the_newest_counts(port: Port) -> None:
    port.serve()
    port.session.device_changed(PORTAL)
    async with port.running():
        await asyncio.sleep(1)
        changed = DeviceStateChanged("portal", "rpm.rapiscan", DeviceState.OFFLINE, "silent", 9.0, Identity())
        port.session.device_changed(changed)
        await asyncio.sleep(1)
        found = (await port.retained())[f"{ROOT}/device/portal"]
    assert (found["state"]["state"], found["state"]["reason"]) == ("offline", "silent")
    assert found["simulated"] is True


async def test_everything_retained_is_published_again_to_a_broker_that_lost_it(port: Port) -> None:
    port.serve()
    port.session.device_changed(PORTAL)
    async with port.running():
        await asyncio.sleep(1)
        await port.net.unlisten_and_wait("broker")
        await asyncio.sleep(30)
        port.serve()  # a new one, with nothing in it
        await asyncio.sleep(CAP_S)
        assert set(await port.retained()) == {f"{ROOT}/status", f"{ROOT}/device/portal"}
    assert port.reached == [True, False, True]


async def test_the_state_of_a_device_that_is_no_longer_there_is_cleared_away(port: Port) -> None:
    port.serve()
    async with port.connect(Broker("mem://broker", "earlier-run")) as transport:
        for name in ("portal", "reader", "scanner"):
            await transport.publish(Message(f"{ROOT}/device/{name}", b'{"old":1}', retain=True))
    port.session.device_changed(PORTAL)
    async with port.running():
        await asyncio.sleep(1)
        found = await port.retained()
    assert set(found) == {f"{ROOT}/status", f"{ROOT}/device/portal", f"{ROOT}/device/reader"}
    assert "old" not in found[f"{ROOT}/device/portal"]
    assert "old" in found[f"{ROOT}/device/reader"]  # known, and will be replaced when it has a state


# --- reconnecting ----------------------------------------------------------------------------------------------------


async def test_without_a_broker_the_port_is_reported_unreachable_once_and_tried_for_ever(port: Port) -> None:
    async with port.running():
        await asyncio.sleep(600)
        assert port.reached == [False]
        assert 600 <= port.session.status().attempts <= 1600
        assert "nobody listens" in port.session.status().reason
        port.serve()
        await asyncio.sleep(1.0)  # after an outage of any length
        assert port.reached == [False, True]


async def test_waits_between_attempts_grow_and_are_jittered(port: Port) -> None:
    attempts: list[float] = []

    async def refuse(link: Link) -> None:
        attempts.append(asyncio.get_running_loop().time())
        await link.close()

    port.net.listen("broker", refuse)
    async with port.running():
        await asyncio.sleep(120)
    waits = [after - before for before, after in pairwise(attempts)]
    assert waits[0] <= 0.1
    assert max(waits) > CAP_S / 2
    assert max(waits) <= CAP_S + 0.1
    assert len({round(wait, 6) for wait in waits}) > len(waits) - 2


async def test_a_connection_that_had_worked_is_made_again_at_once(port: Port) -> None:
    port.serve()
    async with port.running():
        for n in range(1, 6):
            await asyncio.sleep(3)
            assert port.session.status().connections == n
            port.net.drop("broker")
        await asyncio.sleep(0.3)
        assert port.session.status().connected


async def test_a_link_that_flaps_makes_progress_in_every_window(port: Port) -> None:
    port.serve()
    port.outbox.commit(*["passage"] * 5000)
    async with port.running():
        rng = random.Random(1)
        before = 0
        for _ in range(8):
            await asyncio.sleep(0.3 + rng.random())
            port.net.drop("broker")
            assert len(port.outbox.delivered) > before or port.outbox.undelivered_count == 0
            before = len(port.outbox.delivered)
        async with asyncio.timeout(60):
            await port.relay.wait_delivered()


async def test_the_brokers_are_tried_in_order() -> None:
    port = Port(brokers=("mem://first", "mem://broker"))
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        assert port.session.status().broker == "mem://broker"
        first = MemoryBroker()
        port.net.listen("first", first.serve)
        port.net.drop("broker")
        await asyncio.sleep(1)
        assert port.session.status().broker == "mem://first"


async def test_who_is_refused_tries_again_slowly(port: Port) -> None:
    attempts: list[float] = []

    async def refuse(link: Link) -> None:
        attempts.append(asyncio.get_running_loop().time())
        await Peer(link).welcome(connack(code=0x87))

    port.net.listen("broker", refuse)
    async with port.running():
        await asyncio.sleep(60)
    assert all(after - before >= SLOW_S for before, after in pairwise(attempts))
    assert "not authorised" in port.session.status().reason


async def test_two_daemons_with_one_client_id_do_not_fight(port: Port) -> None:
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        async with port.connect(Broker("mem://broker", "lane-07")):
            await asyncio.sleep(10)
            assert not port.session.status().connected
            assert "another client" in port.session.status().reason
        await asyncio.sleep(SLOW_S)
        assert port.session.status().connected


async def test_a_broker_that_forbids_some_retained_topic_is_still_used_and_this_is_visible(port: Port) -> None:
    taken: list[Raw] = []

    async def serve(link: Link) -> None:
        peer = Peer(link)
        await peer.welcome()
        for _ in range(3):
            await peer.grant()
        while True:
            packet = await peer.next()
            if packet.kind == PUBLISH:
                taken.append(packet)
                await peer.ack(packet, 0x87 if packet.topic.endswith("portal") else 0)

    port.net.listen("broker", serve)
    port.session.device_changed(PORTAL)
    port.outbox.commit("alarm")
    async with port.running():
        await asyncio.sleep(1)
        assert port.session.status().connected
        assert port.session.status().retained_refused == (f"{ROOT}/device/portal: not authorised (0x87)",)
        assert port.outbox.delivered == [1]
    assert taken[0].topic == f"{ROOT}/status"


async def test_a_stop_that_the_broker_does_not_answer_takes_half_a_second_and_leaves_the_will(port: Port) -> None:
    loop = asyncio.get_running_loop()
    ended: list[Raw] = []

    async def serve(link: Link) -> None:
        peer = Peer(link)
        await peer.welcome()
        for _ in range(3):
            await peer.grant()
        await peer.ack(await peer.expect(PUBLISH))
        while True:
            ended.append(await peer.next())

    port.net.listen("broker", serve)
    async with port.running():
        await asyncio.sleep(1)
        began_s = loop.time()
    assert loop.time() - began_s <= 1.0
    assert (ended[-1].kind, ended[-1].body) == (DISCONNECT, b"\x04")


# --- renewal ---------------------------------------------------------------------------------------------------------


async def test_a_renewed_connection_is_made_at_once_and_the_lane_never_counts_as_cut_off(port: Port) -> None:
    port.serve()
    async with port.central() as central, port.running():
        await central.subscribe([f"{ROOT}/status"])
        events = central.events()
        assert json.loads((await anext(events)).raw)["state"] == "online"
        port.session.renew([Broker("mem://broker", "lane-07")])
        async with asyncio.timeout(1):
            assert json.loads((await anext(events)).raw)["state"] == "online"
        assert port.session.status().connections == 2
    assert port.reached == [True]


async def test_a_renewal_that_finds_nobody_is_told_as_any_loss(port: Port) -> None:
    port.serve()
    async with port.running():
        await asyncio.sleep(1)
        port.session.renew([Broker("mem://elsewhere", "lane-07")])
        await asyncio.sleep(5)
        assert port.reached == [True, False]
        port.session.renew([Broker("mem://broker", "lane-07")])
        await asyncio.sleep(0.1)
        assert port.reached == [True, False, True]


async def test_a_renewal_does_not_wait_for_the_next_attempt(port: Port) -> None:
    async with port.running():
        await asyncio.sleep(120)
        port.serve()
        port.session.renew([Broker("mem://broker", "lane-07")])
        await asyncio.sleep(0.1)
        assert port.reached[-1] is True
