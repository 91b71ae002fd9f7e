"""What a lane remembers of its radiation portals: a part of `lane.state`, changed by `lane.radiation` and its like."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.commands import Actor
from lanecontrol.events import Level
from lanecontrol.lane.record import quick
from lanecontrol.radiation_statistics import ALPHA, NEUTRON_STEPS, USUAL, Groups, Sequential, Sums

MAX_PANELS = 16
MAX_WINDOW = 50


@quick
@dataclass(frozen=True, slots=True)
class Background:
    """What the portal measured while vacant, and when it last said so."""

    gamma_cps: tuple[int, ...] = ()
    gamma_level: Level = Level.NORMAL
    gamma_s: float | None = None
    neutron_cps: tuple[float, ...] = ()
    neutron_level: Level = Level.NORMAL
    neutron_s: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Counting:
    """The part of an occupancy that every count renews."""

    last_s: float
    intervals: int = 0
    window: tuple[Sums, ...] = ()
    """The last gamma intervals by groups of panels, and their sum below."""
    total: Sums = ()
    gamma_max: int = 0
    sigma_max: float | None = None
    sigma_group: str = ""
    neutron_max: int = 0
    gamma_alarm: bool = False
    neutron_alarm: bool = False
    disagreements: int = 0
    """Gamma intervals with a full window that our own figures decide otherwise than the controller."""
    least_share: float | None = None
    """The least that a full window of all panels had, as a share of the background: a vehicle's mass keeps it off."""
    neutron_tests: tuple[Sequential, ...] = ()
    neutron_score: float | None = None
    """The highest score of our own sequential test."""


@quick
@dataclass(frozen=True, slots=True)
class Occupancy:
    """A vehicle in the portal. `another_after_s`: counts after this moment must be a further vehicle's."""

    id: str
    started_s: float
    started_utc_s: float
    background: Background
    background_stale: bool
    expected: tuple[float, ...]
    """Background counts in one interval, by the portal's groups."""
    passages: tuple[str, ...]
    another_after_s: float | None = None
    speed_mps: float | None = None
    tamper: bool = False
    crowded: bool = False
    """Another vehicle stood so close that it may have kept off background, when that was measured."""
    check: str = ""
    """It is part of this source check: nobody's vehicle."""


@quick
@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Somebody holds a source to the portal, which has to tell of it by `until_s`. `gamma`, `neutron`: what it has to
    alarm of, and what it has."""

    id: str
    actor: Actor
    source: str
    until_s: float
    gamma: bool
    neutron: bool
    gamma_seen: bool = False
    neutron_seen: bool = False
    sigma_max: float | None = None
    occupancies: tuple[str, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class PastOccupancy:
    """The occupancy before: a vehicle found without one of its own may have been in it."""

    id: str
    ended_s: float
    gamma_alarm: bool
    neutron_alarm: bool
    faulty: bool


@quick
@dataclass(frozen=True, slots=True)
class PortalState:
    """One portal. `n_sigma`, `intervals`, `hold_in_s` and `groups` follow its setup lines once they were seen."""

    n_sigma: float
    intervals: int
    hold_in_s: float = 2.0
    background: Background = Background()
    occupancy: Occupancy | None = None
    counting: Counting | None = None
    past: PastOccupancy | None = None
    tamper: bool = False
    early_speed: tuple[float, float] | None = None
    """The last speed told while vacant, m/s, and when."""
    groups: Groups = USUAL
    """Which groups of panels its gamma decision goes by."""
    gamma_standing: bool = False
    neutron_standing: bool = False
    """Alarms that the controller told by themselves and has not cleared."""
    neutron_steps: int = NEUTRON_STEPS
    neutron_alpha: float = ALPHA
    check: SourceCheck | None = None
    check_due_s: float | None = None
    """By when a source check has to be passed, or the portal is told as unchecked."""
