"""A lane with all its equipment and a schedule: the clock on the wall, divert notices, and a camera or two."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from equipped_bench import EquippedLane, equipped
from lane_bench import OFFICER, UTC_S

from lanecontrol import forms
from lanecontrol.announcements import LaneAspect, LaneLife, LaneLifeChanged, LaneType, ScheduleTold
from lanecontrol.clock import Instant
from lanecontrol.commands import DONE, Actor, OpenLane, Outcome, Request, Role, TakePicture
from lanecontrol.config import time_zone
from lanecontrol.events import DivertHeard
from lanecontrol.lane.effects import Drive
from lanecontrol.lane.schedule import Hours, Schedule, WeeklyHours
from lanecontrol.lane.setup import LaneSetup, Stage
from lanecontrol.lane.state import LaneState

ZONE = "America/Tijuana"
TECHNICIAN = Actor("technician-7", Role.TECHNICIAN)
CENTRAL = Actor("port", Role.CENTRAL)
EVERY_DAY = tuple(range(7))
SHIFTS = time_zone.shifts(ZONE)
STAGES = (
    Stage("shutdown", ()),
    Stage("trusted", (LaneType.SENTRI, LaneType.NEXUS, LaneType.FAST)),
    Stage("all", tuple(LaneType)),
)


def wall(text: str) -> float:
    """UTC of a time on the port's wall: `2027-01-20 06:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp()


def daily(opens: int, closes: int, lane_type: LaneType | None = None) -> WeeklyHours:
    """Hours of every day, in whole hours."""
    return WeeklyHours(EVERY_DAY, Hours(60 * opens, 60 * closes, lane_type))


def living(*weekly: WeeklyHours, **changes: Any) -> LaneSetup:
    """A closed lane with everything, and these hours; without any it has no schedule."""
    made: dict[str, Any] = {
        "opens_at_start": False,
        "other_types": (LaneType.READY,),
        "schedule": Schedule(ZONE, SHIFTS, weekly, officer_required=False) if weekly else None,
        "resumption": STAGES,
        "picture_devices": ("cam1", "cam2"),
    }
    return replace(equipped(), **(made | changes))


class LivingLane(EquippedLane):
    """The bench with a wall clock that can be wrong, and with notices."""

    def __init__(self, lane_setup: LaneSetup | None = None, *, starts: str = "2027-01-20 05:00") -> None:
        super().__init__(lane_setup if lane_setup is not None else living())
        self.ahead_s = wall(starts) - UTC_S - self.now_s
        self.synchronised = True
        self._notices = 0

    def instant(self) -> Instant:
        return Instant(self.now_s, self.utc_s, self.synchronised)

    def started(self, *, cold: bool = True, boot: str = "boot-1") -> LivingLane:
        super().started(cold=cold, boot=boot)
        return self

    def restarts(self) -> None:
        """The software starts anew from its checkpoint, as it stands in the ledger."""
        self.state = forms.from_json(LaneState, forms.to_json(self.state))
        self.started(cold=False)

    def order(
        self, request: Request, actor: Actor = OFFICER, *, key: str | None = None, within_s: float = 10.0
    ) -> Outcome:
        return super().order(request, actor, key=key, within_s=within_s + self.ahead_s)

    @property
    def utc_s(self) -> float:
        return UTC_S + self.now_s + self.ahead_s

    def until(self, text: str) -> None:
        """Wait until the wall shows this."""
        self.wait(wall(text) - self.utc_s)

    def set_clock(self, text: str) -> None:
        self.ahead_s += wall(text) - self.utc_s

    # --- the port ---

    def divert(self, for_s: float = 3600.0, *, active: bool = True, issued_s: float | None = None) -> None:
        self._notices += 1
        issued_utc_s = self.utc_s if issued_s is None else issued_s
        name = f"divert-{self._notices}"
        self.give("port", DivertHeard(name, active, "flood", "OTM", CENTRAL, issued_utc_s, self.utc_s + for_s))

    # --- looking ---

    @property
    def life(self) -> LaneLife:
        return self.state.desk.life

    def lives(self) -> list[LaneLife]:
        return [change.life for change in self.told(LaneLifeChanged)]

    @property
    def serves(self) -> LaneType:
        return self.state.regime.serves or self.setup.lane_type

    def schedule_told(self) -> list[tuple[str, str]]:
        return [(told.phase.value, told.why) for told in self.told(ScheduleTold)]

    def pictures(self) -> list[str]:
        """Which devices were asked for a picture."""
        return [e.device for e in self.effects if isinstance(e, Drive) and isinstance(e.command, TakePicture)]


def opened() -> LivingLane:
    """An open lane without a schedule."""
    lane = LivingLane().started()
    assert lane.order(OpenLane()) == DONE
    lane.wait(5.0)
    assert (lane.life, lane.overhead()) == (LaneLife.OPEN, LaneAspect.OPEN)
    return lane


def scheduled(*weekly: WeeklyHours, starts: str = "2027-01-20 05:00") -> LivingLane:
    """A lane that goes by these hours."""
    return LivingLane(living(*weekly), starts=starts).started()
