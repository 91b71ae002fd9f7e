"""A lane whose traffic is measured: its clock can be set, it can start anew, and its events are kept for a recount."""

from __future__ import annotations

from lane_bench import OFFICER, UTC_S, LaneBench

from lanecontrol.announcements import LaneNumbers
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Actor, Disposition, Outcome, Request
from lanecontrol.events import DeviceChanged, DeviceState, Event, Started
from lanecontrol.figures import Stage, StageTimes
from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.effects import Effect, Publish
from lanecontrol.lane.recount import Told
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import LaneState

WINDOW_S = 900.0


class Lane(LaneBench):
    """A lane whose clock can be set, and whose events are kept as the port would get them."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        super().__init__(lane_setup)
        self.ahead_s = 0.0
        self.synchronised = True
        self.events: list[Told] = []

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        at = self.instant()
        effects = super().give(source, event)
        for effect in effects:
            if isinstance(effect, Publish):
                self.events.append(Told(at.utc_s, effect.announcement, at.synchronised))
        return effects

    def instant(self) -> Instant:
        return Instant(self.now_s, UTC_S + self.now_s + self.ahead_s, self.synchronised)

    def order(
        self, request: Request, actor: Actor = OFFICER, *, key: str | None = None, within_s: float = 1e5
    ) -> Outcome:
        """As usual, but with a deadline that setting the clock does not pass."""
        return super().order(request, actor, key=key, within_s=within_s)

    def until_window_ends(self) -> LaneNumbers:
        """Wait for the figures of the window that is under way."""
        wake_s = self.state.numbers.wake_s
        assert wake_s is not None
        self.wait(max(0.0, wake_s - self.now_s) + 0.01)
        return self.windows[-1]

    def serves(self, *cards: int, disposition: Disposition = Disposition.RELEASED) -> str:
        """A car comes, is decided about four seconds after it came to the booth, and leaves."""
        passage = self.arrives(*cards)
        assert self.dispose(passage, disposition) == DONE
        self.gate_goes_up()
        self.leaves()
        self.gate_goes_down()
        self.wait(2.0)
        return passage

    @property
    def windows(self) -> list[LaneNumbers]:
        return self.told(LaneNumbers)


def restart(lane: Lane, *, away_s: float, boot: str = "boot-1") -> None:
    """The software stops dead and goes on from its checkpoint."""
    lane.state = from_json(LaneState, to_json(lane.state))
    lane.now_s += away_s
    lane.give("lane", Started(False, boot))
    for device in ("io1", "rpm1", "rfid1"):
        lane.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
    for name in ("approach", "booth", "exit"):
        lane.loop(name, False)
    lane.contact("gate_opened", False)
    lane.contact("gate_closed", True)


def stage(window: LaneNumbers, which: Stage) -> StageTimes:
    return next(times for times in window.stages if times.stage is which)


def why(window: LaneNumbers, figure: str) -> str:
    return next((absent.why for absent in window.absent if absent.figure == figure), "")


def adds_up(window: LaneNumbers) -> bool:
    gone = window.served + window.uninspected + window.unreleased + window.withdrawn + window.interrupted
    return window.inside_before + window.opened == gone + window.inside_after


def lives(window: LaneNumbers) -> dict[str, float]:
    return {lasted.state: lasted.seconds for lasted in window.lives}
