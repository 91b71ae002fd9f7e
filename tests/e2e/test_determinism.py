"""On memory links and a virtual clock a seed settles everything: each published byte, and the order of all of them."""

from __future__ import annotations

import os

import pytest
from busy_machine import busy
from whole_system import in_memory, lanecontrol, scenario


def published(seed: int, vehicles: int = 6, lanes: int = 1) -> list[bytes]:
    """What arrived at the broker, as it arrived, topic first."""
    report = in_memory(scenario(vehicles=vehicles), seed, lanes=lanes)
    arrivals = [heard.arrival for run in report.runs for heard in run.desk.heard]
    return [arrival.topic.encode() + b" " + arrival.raw for arrival in arrivals]


def first_difference(one: list[bytes], other: list[bytes]) -> str:
    """Where two runs part, for whoever has to find out why; empty if they do not."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return f"event {number}:\n{a.decode()}\n{b.decode()}"
    return "" if len(one) == len(other) else f"{len(one)} and {len(other)} events"


def test_the_same_seed_twice_publishes_the_same_bytes() -> None:
    first = published(seed=11)
    assert len(first) > 50
    assert first_difference(first, published(seed=11)) == ""


def test_the_next_seed_publishes_others() -> None:
    assert first_difference(published(seed=11, vehicles=2), published(seed=12, vehicles=2)) != ""


@pytest.mark.slow
def test_two_processes_publish_the_same_bytes_whatever_the_order_of_their_sets() -> None:
    command = ("sim", "--links", "mem", "--speed", "max", "--vehicles", "10", "--seed", "9")
    one, other = (lanecontrol(*command, env={**os.environ, "PYTHONHASHSEED": seed}) for seed in ("1", "2"))
    assert one.returncode == other.returncode == 0, one.stderr + other.stderr
    assert len(one.stdout.splitlines()) > 100
    assert one.stdout == other.stdout


@pytest.mark.slow
def test_the_same_seed_publishes_the_same_bytes_on_a_busy_machine_too() -> None:
    quiet = published(seed=13, vehicles=10, lanes=2)
    with busy():
        loaded = published(seed=13, vehicles=10, lanes=2)
    assert len(quiet) > 200
    assert first_difference(quiet, loaded) == ""
