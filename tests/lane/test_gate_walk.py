"""What must never happen with signals, gate and overrides, over 100,000 random steps; and that a broken rule shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from gate_judge import INVARIANTS, Violation
from gate_walk import Walk

from lanecontrol.announcements import LaneAspect, LaneLife, SignalAspect
from lanecontrol.commands import DONE, Outcome, OverridePart, WriteOutputs
from lanecontrol.lane import (
    authority,
    gate,
    gate_watch,
    interlock,
    life,
    orders,
    overhead,
    overrides,
    readback,
    set_aside,
    signals,
)
from lanecontrol.lane.setup import LaneSignal, Signal
from lanecontrol.lane.turn import Turn

pytestmark = pytest.mark.usefixtures("nothing_collected")

STEPS = 8000
OFTEN = 10
WANTED = (
    "grant",
    "arrow",
    "lowered",
    "all red",
    "order done",
    "order refused",
    "closed complete",
    "closed interrupted",
    "uninspected",
    "fault dark",
    "fault lamps_conflict",
    "fault forced",
    *(
        f"override {part} {phase}"
        for part in ("gate_open", "gate_held", "loop_out", "signal_red")
        for phase in ("set", "ended")
    ),
)


@pytest.mark.parametrize("seed", range(100, 103))
def test_the_invariants_hold_in_a_short_random_walk(seed: int) -> None:
    assert Walk(seed).go(1500).steps >= 1500


# Two seconds each: together they are the 100,000 steps that the invariants are held to.
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(13))
def test_the_invariants_hold_in_a_long_random_walk(seed: int) -> None:
    walk = Walk(seed).go(STEPS)
    assert walk.seen["grant"] >= OFTEN, walk.seen


@pytest.mark.slow
def test_the_random_walks_are_not_dull() -> None:
    walks = [Walk(200).go(STEPS), Walk(201).go(STEPS, Walk.override)]  # overrides are rare
    rare = {what: sum(walk.seen[what] for walk in walks) for what in WANTED}
    assert all(count >= 3 for count in rare.values()), rare


# --- every invariant is shown to bite --------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]


def _two_lamps_at_the_booth(patch: pytest.MonkeyPatch) -> None:
    def lamps(signal: Signal, aspect: SignalAspect) -> signals.Lamps:
        green = aspect is SignalAspect.PROCEED
        return ((signal.red, True), (signal.green, green))

    patch.setattr(signals, "booth_lamps", lamps)


def _what_goes_on_goes_first(patch: pytest.MonkeyPatch) -> None:
    whole = signals.lane_lamps

    def lamps(head: LaneSignal, aspect: LaneAspect) -> signals.Lamps:
        return tuple(reversed(whole(head, aspect)))

    patch.setattr(signals, "lane_lamps", lamps)


def _green_does_not_say_that_it_grants(patch: pytest.MonkeyPatch) -> None:
    whole = Turn.drive

    def drive(t: Turn, device: str, command: WriteOutputs, *, grants: bool) -> str:
        return whole(t, device, command, grants=grants and ("lane_open", True) not in command.points)

    patch.setattr(Turn, "drive", drive)


def _repeated_and_late_orders_are_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "_refused_unheard", lambda t, order: None)


def _nothing_is_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "refusal", lambda t: "")


def _anybody_may_override(patch: pytest.MonkeyPatch) -> None:
    for part in OverridePart:
        patch.setitem(authority.SETTING, part, authority.ANYBODY)


def _what_was_withdrawn_is_carried_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "standing", lambda desk, equipment, command: True)


def _a_withdrawal_shows_no_red(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(signals, "stop", lambda t, why: None)


def _the_arm_comes_down_on_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "clear_under_arm_since", lambda t: t.now_s - 10.0)


def _the_photo_eye_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    whole = gate.clear_under_arm_since

    def since(t: Turn) -> float | None:
        t.plan, kept = dataclasses.replace(t.plan, beams=()), t.plan
        try:
            return whole(t)
        finally:
            t.plan = kept

    patch.setattr(gate, "clear_under_arm_since", since)


def _the_second_after_it_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "GATE_CLEAR_S", 0.0)


def _a_loop_left_out_is_clear(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(set_aside, "gate_loop_out", lambda t: False)


def _somebody_at_the_gate_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "kept", lambda t: False)


def _overrides_never_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overrides, "on_time", lambda t: None)
    patch.setattr(overrides, "due_s", lambda t: None)


def _a_restart_begins_an_overrides_time_anew(patch: pytest.MonkeyPatch) -> None:
    whole = overrides.restarted

    def restarted(t: Turn) -> None:
        rows = tuple(
            dataclasses.replace(row, until_s=row.until_s - row.set_s + t.now_s) for row in t.equipment.overrides
        )
        t.equipment = dataclasses.replace(t.equipment, overrides=rows)
        whole(t)

    patch.setattr(overrides, "restarted", restarted)


def _the_arrow_takes_no_notice_of_the_lane(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overhead, "_wanted", lambda life, shown: LaneAspect.OPEN)


def _the_arrow_takes_no_notice_of_doubt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overhead, "_doubt", lambda t: "")


def _a_doubt_leaves_the_red_x_for_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "close_overhead", lambda t, why: None)


def _nobody_looks_at_the_lamps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(readback, "watch", lambda t: None)


def _a_release_on_a_dark_signal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interlock, "stands", lambda t, equipment, *codes: "")


def _nobody_minds_a_gate_that_opens_by_itself(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate_watch, "_odd", lambda t: "")


def _an_emergency_is_only_written_down(patch: pytest.MonkeyPatch) -> None:
    def emergency(t: Turn, reason: str) -> Outcome:
        life.change(t, LaneLife.EMERGENCY, reason)
        return DONE

    patch.setattr(life, "emergency", emergency)


def _no_finding_says_so(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(set_aside, "during", lambda t, passage: ())


BROKEN: dict[str, tuple[Break, set[int]]] = {
    "two lamps at the booth": (_two_lamps_at_the_booth, {1}),
    "what goes on goes first": (_what_goes_on_goes_first, {1}),
    "green does not say that it grants": (_green_does_not_say_that_it_grants, {2}),
    "repeated and late orders are heard": (_repeated_and_late_orders_are_heard, {3}),
    "nothing is refused": (_nothing_is_refused, {3}),
    "anybody may override": (_anybody_may_override, {3}),
    "what was withdrawn is carried out": (_what_was_withdrawn_is_carried_out, {1, 4}),
    "a withdrawal shows no red": (_a_withdrawal_shows_no_red, {4, 10}),
    "the arm comes down on anything": (_the_arm_comes_down_on_anything, {5}),
    "the photo-eye is forgotten": (_the_photo_eye_is_forgotten, {5}),
    "the second after it is forgotten": (_the_second_after_it_is_forgotten, {5}),
    "a loop left out is clear": (_a_loop_left_out_is_clear, {5}),
    "somebody at the gate is forgotten": (_somebody_at_the_gate_is_forgotten, {5}),
    "overrides never end": (_overrides_never_end, {6}),
    "a restart begins an override's time anew": (_a_restart_begins_an_overrides_time_anew, {6}),
    "the arrow takes no notice of the lane": (_the_arrow_takes_no_notice_of_the_lane, {7}),
    "the arrow takes no notice of doubt": (_the_arrow_takes_no_notice_of_doubt, {7}),
    "a doubt leaves the red X for later": (_a_doubt_leaves_the_red_x_for_later, {7, 10}),
    "nobody looks at the lamps": (_nobody_looks_at_the_lamps, {8}),
    "a release on a dark signal": (_a_release_on_a_dark_signal, {7, 8}),
    "nobody minds a gate that opens by itself": (_nobody_minds_a_gate_that_opens_by_itself, {9}),
    "an emergency is only written down": (_an_emergency_is_only_written_down, {10}),
    "no finding says so": (_no_finding_says_so, {11}),
}
"""Ways to get it wrong, and which invariants each of them breaks."""


OFTEN_FOR = {
    "a restart begins an override's time anew": (Walk.override, Walk.restart),
    "a loop left out is clear": (Walk.override,),
    "somebody at the gate is forgotten": (Walk.override,),
    "no finding says so": (Walk.override,),
    "repeated and late orders are heard": (Walk.repeat, Walk.dispose),
}
"""What has to happen more often for some of them to be found soon."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_is_found_by_walking(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking, numbers = BROKEN[what]
    breaking(monkeypatch)
    with pytest.raises(Violation) as broken:
        for seed in range(10):
            Walk(seed).go(4000, *OFTEN_FOR.get(what, ()))
    assert broken.value.number in numbers, broken.value


def test_every_invariant_is_shown_to_bite() -> None:
    assert set().union(*(numbers for _, numbers in BROKEN.values())) == set(INVARIANTS)
