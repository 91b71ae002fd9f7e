"""The scanner's invariants once more, by hypothesis: fewer steps than the random walks, and failures made small.

Every rule is one doing of `scanner_walk.Walk`, which judges each step; so a failure here is a short list of doings.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from scanner_bench import AT_REST, CENTRAL, OFFICER, SECOND, TECHNICIAN
from scanner_judge import Violation
from scanner_walk import Walk, lane

from lanecontrol.announcements import ScanCause as C
from lanecontrol.announcements import ScannerState as S
from lanecontrol.commands import AbortScan, ConfirmDriverOut, ConfirmScan, EnableScanner, ResetScanner, ScanVehicle
from lanecontrol.events import CommandEnded
from lanecontrol.lane.scanner import conditions


class ScannerMachine(RuleBasedStateMachine):
    """A lane with a vehicle in its scanner, and everything that can be done to it."""

    walk: Walk

    @initialize(two_persons=st.booleans(), seed=st.integers(0, 3), done=st.integers(0, 60))
    def begin(self, two_persons: bool, seed: int, done: int) -> None:
        """Anywhere on the way to a scan, and on the way back."""
        self.walk = Walk(lane(two_persons=two_persons), seed)
        self.go_on(done)

    @rule(times=st.integers(1, 8))
    def help_on(self, times: int) -> None:
        self.go_on(times)

    def go_on(self, times: int) -> None:
        """A good world does the next things."""
        for _ in range(times):
            self.walk.help_on()
            self.come_back()

    @rule()
    def come_back(self) -> None:
        """Commands come back, what grants reaches the disk."""
        for device, command, outcome in [self.walk.open.pop(0) for _ in range(len(self.walk.open))]:
            self.walk.step(device, CommandEnded(command, outcome))
        for drive in [self.walk.held.pop(0) for _ in range(len(self.walk.held))]:
            self.walk.commit(drive)

    @rule(most_s=st.sampled_from([0.0, 0.1, 0.3, 1.0, 5.0]))
    def time_passes(self, most_s: float) -> None:
        self.walk.tick(most_s)

    @rule(name=st.sampled_from(sorted(AT_REST)), on=st.booleans())
    def contact(self, name: str, on: bool) -> None:
        self.walk.edge(name, on)

    @rule(disturb=st.sampled_from(Walk.DISTURBANCES))
    def disturbed(self, disturb: Callable[[Walk], None]) -> None:
        disturb(self.walk)

    @rule(
        actor=st.sampled_from([OFFICER, SECOND, CENTRAL, TECHNICIAN]),
        which=st.integers(0, 5),
        valid_s=st.sampled_from([-1.0, 0.5, 300.0]),
    )
    def asked(self, actor: object, which: int, valid_s: float) -> None:
        scanner = self.walk.state.scanner
        key = scanner.scan.key if scanner is not None and scanner.scan is not None else "none"
        requests = (
            ScanVehicle(self.walk.passage, "because", valid_s),
            ConfirmScan(key),
            ConfirmDriverOut(key),
            AbortScan(),
            EnableScanner(),
            ResetScanner(),
        )
        self.walk.order(requests[which], actor)  # type: ignore[arg-type]


QUICK = settings(
    max_examples=30,
    stateful_step_count=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_the_invariants_hold_whatever_is_done() -> None:
    run_state_machine_as_test(ScannerMachine, settings=QUICK)


STATES = (S.WARNING, S.TRIGGERED, S.SCANNING)
TWICE = (C.ESTOP, S.WARNING)
"""An emergency stop asks for a reset as well: another rule that stops the warning."""
CONTACTS = {C.KEY, C.ESTOP, C.FAULT, C.READY, C.POSITION, C.DRIVER_CLEAR, C.BARRIER, C.ZONE}


# Told what to do instead of searched for: by chance such a doing comes once in fifty examples, and sometimes never.
@pytest.mark.parametrize(("broken", "state"), [each for each in product(sorted(CONTACTS), STATES) if each != TWICE])
def test_the_rule_of_a_contact_that_is_broken_is_found_as_soon_as_the_contact_falls(
    broken: C, state: S, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conditions.RULES, broken, lambda v: "")
    name, good = conditions.WANTED[broken]
    machine = ScannerMachine()
    machine.begin(True, 0, 0)
    for _ in range(80):
        if _state(machine) is state and not machine.walk.held:
            break
        machine.go_on(1)
    assert _state(machine) is state
    if state is S.WARNING:
        machine.contact("warning_active", True)
        machine.time_passes(1.0)
    with pytest.raises(Violation) as found:
        machine.contact(name, not good)
        while _state(machine) in (S.WARNING, S.TRIGGERED):
            machine.go_on(1)
    assert found.value.number == (1 if state is S.WARNING else 2)


def _state(machine: ScannerMachine) -> S:
    scanner = machine.walk.state.scanner
    assert scanner is not None
    return scanner.state
