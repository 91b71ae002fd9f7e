"""What a lane wants done. `step` returns these in order; the runner does them."""

from __future__ import annotations

from dataclasses import dataclass

from lanecontrol.announcements import Announcement
from lanecontrol.commands import Command, Outcome
from lanecontrol.identifier import Identifier
from lanecontrol.questions import Question, Respondent


@dataclass(frozen=True, slots=True)
class Publish:
    """Write into the ledger and tell the port."""

    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Drive:
    """Send a command to a device, under an id that comes back in `CommandEnded`.

    `grants` tells whether this gives permission (green, gate open, scan request): then it waits for this step's ledger
    commit, and is dropped if a later step withdrew in the meantime. What withdraws never waits for the disk.
    """

    command_id: str
    device: str
    command: Command
    grants: bool
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell whoever gave the order under `key` how it ended. Sent after the ledger commit."""

    key: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the port's central system, or the local snapshot. Nothing waits; an answer comes as `Answered`."""

    question: Question
    of: Respondent
    within_s: float
    deadline_utc_s: float


@dataclass(frozen=True, slots=True)
class ShowCards:
    """Tell the port's other lanes by keyed hashes which cards this passage has, and what speaks for that."""

    passage: str
    cards: tuple[tuple[Identifier, float], ...]


Effect = Publish | Drive | Answer | Ask | ShowCards
