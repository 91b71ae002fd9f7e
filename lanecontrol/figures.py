"""The figures that a lane tells of its traffic: the parts of `PassageClosed` and `LaneNumbers` that are not general.

Every duration is monotonic seconds: setting the clock changes none. docs/explanation/numbers.md defines each of them.
A figure that could not be measured is None or not there, with the reason in `Absent`; it is never 0 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What is measured of each vehicle."""

    TO_APPROACH = "to_approach"
    """First seen (at the portal, say) until it takes its first loop."""
    TO_BOOTH = "to_booth"
    """First loop until it takes the booth's loop: the wait that the lane can see, and the way."""
    TO_FIRST_CARD = "to_first_card"
    """First seen until the first read of a person's card that it took with it, unambiguously."""
    TO_RECOMMENDATION = "to_recommendation"
    """At the booth until the lane first recommended a referral, or called it mandatory."""
    TO_DECISION = "to_decision"
    """At the booth until the officer's first disposition."""
    TO_REFERRAL = "to_referral"
    """At the booth until an officer first referred it."""
    SERVICE = "service"
    """At the booth until it has left the booth's loop."""
    CLEARING = "clearing"
    """From leaving the booth's loop until it has left the last loop."""
    CYCLE = "cycle"
    """First seen until it has left the last loop."""
    HEADWAY = "headway"
    """From its predecessor's coming to the booth to its own."""
    QUEUED_HEADWAY = "queued_headway"
    """The same of vehicles that were in the lane already when the predecessor left: what the booth can do at most."""


@dataclass(frozen=True, slots=True)
class PassageTimes:
    """How long a passage took, by stage, in monotonic seconds; see `Stage`. None where that was not measured."""

    to_approach_s: float | None = None
    to_booth_s: float | None = None
    to_first_card_s: float | None = None
    to_recommendation_s: float | None = None
    to_decision_s: float | None = None
    to_referral_s: float | None = None
    service_s: float | None = None
    clearing_s: float | None = None
    cycle_s: float | None = None
    headway_s: float | None = None
    queued: bool = False
    """It was in the lane already when its predecessor left the booth."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How one stage's durations were spread. `median_s` and `p90_s` come from bins: within 2.5 %; the rest is exact."""

    stage: Stage
    count: int
    mean_s: float
    median_s: float
    p90_s: float
    least_s: float
    most_s: float


class QueueClaim(StrEnum):
    """What an estimate of the queue claims."""

    ESTIMATE = "estimate"
    """So many, and between `low` and `high` in nine cases out of ten, if arrivals go on as they have been."""
    AT_LEAST = "at_least"
    """So many or more; how many more, this lane cannot know."""


@dataclass(frozen=True, slots=True)
class QueueEstimate:
    """Vehicles that wait to come to the booth, at one moment: by which method, and how sure. Never a waiting time."""

    method: str
    claim: QueueClaim
    vehicles: float
    low: int
    high: int | None
    """None: no upper limit is known."""
    in_sight: int
    """Of these, so many stand or roll between the lane's first sensor and the booth: tracked, not estimated."""
    arrivals_per_h: float | None
    """On which the rest rests."""
    since_clear_s: float | None
    """How long ago the entry was last seen to be clear, so that nobody can have waited before it."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that is not there, and why."""

    figure: str
    why: str


@dataclass(frozen=True, slots=True)
class Lasted:
    """How much of a window the lane was in this state."""

    state: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """How many vehicles were served as this lane type."""

    lane_type: str
    vehicles: int
