"""The ROSpecs and AccessSpecs of the fake reader: their states, triggers and timers, and the one ROSpec that runs.

At most one ROSpec is active at a time; one of higher priority (a lower number) preempts it. Timers are the loop's, so
there is no task to own. What happens is told to the reader through `Owner`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from sim.rfid_llrp_access import AccessSpec, access
from sim.rfid_llrp_filters import selects
from sim.rfid_llrp_specs import Antennas, GpiTrigger, ReportSpec, ROSpec
from sim.rfid_llrp_tags import Basket, Entry, Sighting, memory_bank
from sim.rfid_llrp_wire import Code, Refused

ROSPEC_STARTED, ROSPEC_ENDED, ROSPEC_PREEMPTED = 0, 1, 2
ATTEMPT_MS = 50
"""How long one attempt of a tag observation trigger takes: an inventory round of a few tags."""


class State(IntEnum):
    """CurrentState of a ROSpec."""

    DISABLED = 0
    INACTIVE = 1
    ACTIVE = 2


class Owner(Protocol):
    """Who is told."""

    def rospec_event(self, kind: int, spec_id: int, by: int) -> None: ...

    def aispec_ended(self, spec_id: int, index: int) -> None: ...

    def reports_due(self) -> None: ...

    def basket_full(self) -> None: ...


class Operations:
    """Everything that ADD, DELETE, ENABLE, DISABLE, START and STOP act on. Those raise Refused."""

    def __init__(self, owner: Owner, basket: Basket, max_rospecs: int, max_accessspecs: int) -> None:
        self._owner = owner
        self._basket = basket
        self._max_rospecs = max_rospecs
        self._max_accessspecs = max_accessspecs
        self._rospecs: dict[int, ROSpec] = {}
        self._states: dict[int, State] = {}
        self._periods: dict[int, asyncio.TimerHandle] = {}
        self._accessspecs: dict[int, AccessSpec] = {}
        self._enabled: dict[int, int] = {}
        self._run: Run | None = None

    # --- ROSpecs -----------------------------------------------------------------------------------------------------

    def add(self, spec: ROSpec) -> None:
        if spec.id in self._rospecs:
            raise Refused(Code.FIELD_ERROR, f"ROSpec {spec.id} exists")
        if len(self._rospecs) >= self._max_rospecs:
            raise Refused(Code.PARAMETER_ERROR, f"this reader holds {self._max_rospecs} ROSpecs", (177, Code(205)))
        self._rospecs[spec.id] = spec
        self._states[spec.id] = State.DISABLED

    def rospecs(self) -> bytes:
        """All of them with their states, as parameters."""
        return b"".join(spec.encode(self._states[spec.id]) for spec in self._rospecs.values())

    def _chosen(self, spec_id: int) -> list[ROSpec]:
        """The ROSpec with this id, or all for 0."""
        if spec_id == 0:
            return list(self._rospecs.values())
        return [self._one(spec_id)]

    def _one(self, spec_id: int) -> ROSpec:
        spec = self._rospecs.get(spec_id)
        if spec is None:
            raise Refused(Code.FIELD_ERROR, f"there is no ROSpec {spec_id}")
        return spec

    def delete(self, spec_id: int) -> None:
        for spec in self._chosen(spec_id):
            self._disable(spec)
            del self._rospecs[spec.id], self._states[spec.id]

    def enable(self, spec_id: int) -> None:
        for spec in self._chosen(spec_id):
            if self._states[spec.id] == State.DISABLED:
                self._states[spec.id] = State.INACTIVE
                self._await_start(spec)

    def _await_start(self, spec: ROSpec) -> None:
        if spec.start.kind == 1:
            self._try_start(spec)
        elif spec.start.kind == 2:
            self._periods[spec.id] = _after(spec.start.offset_ms, lambda: self._period(spec))

    def _period(self, spec: ROSpec) -> None:
        self._periods.pop(spec.id, None)
        if spec.start.period_ms:
            self._periods[spec.id] = _after(spec.start.period_ms, lambda: self._period(spec))
        self._try_start(spec)

    def disable(self, spec_id: int) -> None:
        for spec in self._chosen(spec_id):
            self._disable(spec)

    def _disable(self, spec: ROSpec) -> None:
        if timer := self._periods.pop(spec.id, None):
            timer.cancel()
        self._end_run_of(spec.id)
        self._states[spec.id] = State.DISABLED

    def start(self, spec_id: int) -> None:
        spec = self._one(spec_id)
        if self._states[spec_id] == State.DISABLED:
            raise Refused(Code.FIELD_ERROR, f"ROSpec {spec_id} is disabled")
        if not self._try_start(spec):
            raise Refused(Code.FIELD_ERROR, "another ROSpec is active")

    def stop(self, spec_id: int) -> None:
        spec = self._one(spec_id)
        if self._states[spec_id] == State.DISABLED:
            raise Refused(Code.FIELD_ERROR, f"ROSpec {spec_id} is disabled")
        self._end_run_of(spec.id)

    def _try_start(self, spec: ROSpec) -> bool:
        """Start it unless one of the same or higher priority is active; True when it is active then."""
        if self._states[spec.id] == State.ACTIVE:
            return True
        if self._run is not None:
            if self._run.spec.priority <= spec.priority:
                return False
            self._end_run(ROSPEC_PREEMPTED, by=spec.id)
        self._states[spec.id] = State.ACTIVE
        self._owner.rospec_event(ROSPEC_STARTED, spec.id, 0)
        self._run = Run(spec, self._aispec_ended, lambda: self._ended_by_itself(spec))
        self._run.begin()
        return True

    def _aispec_ended(self, run: Run, index: int) -> None:
        self._owner.aispec_ended(run.spec.id, index)
        self._ripen_on(run.report, (1,))

    def _ended_by_itself(self, spec: ROSpec) -> None:
        """The start condition of an immediate start is always there: such a ROSpec goes round and round."""
        self._end_run_of(spec.id)
        if spec.start.kind == 1:
            self._try_start(spec)

    def _end_run_of(self, spec_id: int) -> None:
        if self._run is not None and self._run.spec.id == spec_id:
            self._end_run(ROSPEC_ENDED)

    def _end_run(self, kind: int, by: int = 0) -> None:
        run, self._run = self._run, None
        assert run is not None
        run.cancel()
        self._states[run.spec.id] = State.INACTIVE
        self._owner.rospec_event(kind, run.spec.id, by)
        self._ripen_on(run.report, (1, 2))

    def _ripen_on(self, report: ReportSpec | None, triggers: tuple[int, ...]) -> None:
        if report is not None and report.trigger in triggers:
            self._basket.ripen()
            self._owner.reports_due()

    # --- what the world does -----------------------------------------------------------------------------------------

    def sighted(self, sighting: Sighting, default: ReportSpec, access_trigger: int) -> None:
        """A tag answered. Nothing comes of it unless a ROSpec runs that listens to this antenna."""
        run = self._run
        if run is None or run.antennas is None or not run.antennas.cover(sighting.antenna):
            return
        if not selects(run.antennas.filters, sighting.antenna, lambda number: memory_bank(number, sighting)):
            return
        report = run.report = run.spec.report or default
        entry = Entry(
            report.content, run.spec.id, run.index + 1, run.antennas.inventory_id, sighting, sighting, sighting.rssi_dbm
        )
        done = self._access(run.spec.id, sighting)
        at_once = False
        if done is not None:
            spec, entry.results = done
            entry.access = spec.id
            at_once = (access_trigger if spec.report_trigger is None else spec.report_trigger) == 1
        if not self._basket.put(entry):
            self._owner.basket_full()
        if at_once or (report.trigger and report.n and len(self._basket.collecting) >= report.n):
            self._basket.ripen()
            self._owner.reports_due()
        run.saw(sighting.epc)

    def gpi(self, port: int, level: bool) -> None:
        """A GPI changed: it may end the running ROSpec or AISpec, and start another."""
        if self._run is not None:
            self._run.gpi(port, level)
        for spec in tuple(self._rospecs.values()):
            if self._states[spec.id] == State.INACTIVE and _fires(spec.start.gpi, port, level):
                self._try_start(spec)

    # --- AccessSpecs -------------------------------------------------------------------------------------------------

    def add_access(self, spec: AccessSpec) -> None:
        if spec.id in self._accessspecs:
            raise Refused(Code.FIELD_ERROR, f"AccessSpec {spec.id} exists")
        if len(self._accessspecs) >= self._max_accessspecs:
            raise Refused(Code.PARAMETER_ERROR, "this reader holds no more AccessSpecs", (207, Code(205)))
        self._accessspecs[spec.id] = spec

    def accessspecs(self) -> bytes:
        """All of them with their states, as parameters."""
        return b"".join(spec.encode(spec.id in self._enabled) for spec in self._accessspecs.values())

    def _chosen_access(self, spec_id: int) -> list[int]:
        if spec_id and spec_id not in self._accessspecs:
            raise Refused(Code.FIELD_ERROR, f"there is no AccessSpec {spec_id}")
        return [spec_id] if spec_id else list(self._accessspecs)

    def delete_access(self, spec_id: int) -> None:
        for each in self._chosen_access(spec_id):
            del self._accessspecs[each]
            self._enabled.pop(each, None)

    def enable_access(self, spec_id: int) -> None:
        for each in self._chosen_access(spec_id):
            self._enabled.setdefault(each, 0)

    def disable_access(self, spec_id: int) -> None:
        for each in self._chosen_access(spec_id):
            self._enabled.pop(each, None)

    def _access(self, rospec: int, sighting: Sighting) -> tuple[AccessSpec, bytes] | None:
        """Carry out the first AccessSpec that applies; one with an operation count is deleted after the last."""
        for spec_id in tuple(self._enabled):
            spec = self._accessspecs[spec_id]
            results = access(spec, rospec, sighting)
            if results is not None:
                self._enabled[spec_id] += 1
                if spec.count and self._enabled[spec_id] >= spec.count:
                    self.delete_access(spec_id)
                return spec, results
        return None


class Run:
    """One execution of a ROSpec: its AISpecs one after the other, until the last ends or the ROSpec's own trigger."""

    def __init__(self, spec: ROSpec, aispec_ended: Callable[[Run, int], None], ended: Callable[[], None]) -> None:
        self.spec = spec
        self.report = spec.report
        self.index = 0
        self.antennas: Antennas | None = None
        self._aispec_ended = aispec_ended
        self._ended = ended
        self._timers: list[asyncio.TimerHandle] = []
        self._aispec_timers: list[asyncio.TimerHandle] = []
        self._quiet: asyncio.TimerHandle | None = None
        self._seen: set[bytes] = set()

    def begin(self) -> None:
        stop = self.spec.stop
        if stop.kind == 1 and stop.duration_ms:
            self._timers.append(_after(stop.duration_ms, self._ended))
        elif stop.gpi and stop.gpi.timeout_ms:
            self._timers.append(_after(stop.gpi.timeout_ms, self._ended))
        self._begin_aispec()

    def _begin_aispec(self) -> None:
        self.antennas = self.spec.antennas[self.index]
        self._seen = set()
        stop = self.antennas.stop
        seen = stop.observation
        waits_ms = [
            stop.duration_ms if stop.kind == 1 else 0,
            stop.gpi.timeout_ms if stop.gpi else 0,
            seen.timeout_ms if seen else 0,
            seen.attempts * ATTEMPT_MS if seen and seen.kind == 2 else 0,
        ]
        self._aispec_timers = [_after(wait_ms, self._end_aispec) for wait_ms in waits_ms if wait_ms]

    def _end_aispec(self) -> None:
        self._cancel_aispec()
        self._aispec_ended(self, self.index + 1)
        if self.index + 1 < len(self.spec.antennas):
            self.index += 1
            self._begin_aispec()
        else:
            self.antennas = None
            self._ended()

    def saw(self, epc: bytes) -> None:
        """A tag was taken in: the AISpec may end on it."""
        observation = self.antennas.stop.observation if self.antennas else None
        if observation is None or epc in self._seen:
            return
        self._seen.add(epc)
        if observation.kind == 1 and observation.quiet_ms:
            if self._quiet is not None:
                self._quiet.cancel()
            self._quiet = _after(observation.quiet_ms, self._end_aispec)
        elif observation.kind == 0 and len(self._seen) >= observation.tags:
            self._end_aispec()

    def gpi(self, port: int, level: bool) -> None:
        if _fires(self.spec.stop.gpi, port, level):
            self._ended()
        elif self.antennas and _fires(self.antennas.stop.gpi, port, level):
            self._end_aispec()

    def _cancel_aispec(self) -> None:
        for timer in (*self._aispec_timers, *([self._quiet] if self._quiet else [])):
            timer.cancel()
        self._aispec_timers, self._quiet = [], None

    def cancel(self) -> None:
        """No timer of this run may fire any more."""
        self._cancel_aispec()
        for timer in self._timers:
            timer.cancel()


def _after(delay_ms: int, deed: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_ms / 1000, deed)


def _fires(trigger: GpiTrigger | None, port: int, level: bool) -> bool:
    return trigger is not None and (trigger.port, trigger.level) == (port, level)
