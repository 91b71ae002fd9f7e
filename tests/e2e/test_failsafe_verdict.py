"""The rule by which the fail-safe matrix judges what its independent client saw."""

from __future__ import annotations

import pytest
from failsafe_matrix import BrokerLoss, Kill, Seen, _seen
from failsafe_watch import SAFE, Look

GREEN = {"signal_green": True, "signal_red": False, "gate_open": True}


def looks(*shown: tuple[float, dict[str, bool], bool]) -> list[Look]:
    return [Look(at_s, outputs, tripped) for at_s, outputs, tripped in shown]


def killed(*shown: tuple[float, dict[str, bool], bool], before: dict[str, bool] = GREEN, gap_s: float = 0.02) -> Seen:
    return _seen(Kill(), "granted", Look(0.0, before, False), looks(*shown), 0.0, gap_s)


def test_outputs_that_fell_within_the_watchdogs_time_are_right() -> None:
    seen = killed((0.9, GREEN, False), (1.0, SAFE, True), (1.3, SAFE, True))
    assert (seen.wrong, seen.safe_after_ms) == ("", 1000)


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ([(1.0, GREEN, False), (1.15, SAFE, True)], "safe only after 1150 ms"),
        ([(0.5, SAFE, True), (1.0, GREEN, True), (1.3, SAFE, True)], "safe only after 1300 ms"),
        ([(1.0, SAFE, True), (1.3, GREEN, True)], "not safe"),
        ([(1.0, SAFE, False)], "the module's watchdog has not tripped"),
        ([(0.1, GREEN | {"signal_red": True}, False), (1.0, SAFE, True)], "green and red together"),
        ([], "not safe: nobody looked"),
    ],
)
def test_whatever_else_is_seen_is_wrong(shown: list[tuple[float, dict[str, bool], bool]], wrong: str) -> None:
    seen = killed(*shown)
    assert seen.wrong.startswith(wrong)
    assert not seen.says_nothing


def test_a_safe_value_must_not_be_left_for_a_moment() -> None:
    seen = killed((0.5, SAFE | {"gate_open": True}, False), (1.0, SAFE, True), before=SAFE)
    assert seen.wrong == "gate_open left its safe value"


def test_what_a_measurer_saw_too_late_is_neither_good_nor_bad() -> None:
    late = killed((0.5, GREEN, False), (1.2, SAFE, True), gap_s=0.7)
    assert late.wrong and late.says_nothing
    in_time = killed((0.5, GREEN, False), (0.9, SAFE, True), gap_s=0.4)
    assert not in_time.wrong and not in_time.says_nothing, "its own lateness was counted against the lane"


def test_without_the_broker_the_modules_watchdog_must_not_trip() -> None:
    seen = _seen(BrokerLoss(), "granted", Look(0.0, GREEN, False), looks((0.5, SAFE, True)), 0.0, 0.02)
    assert seen.wrong == "the module's watchdog has tripped"
