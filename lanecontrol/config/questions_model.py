"""What may stand in a lane file about questions to the port, its local snapshot, and how plates are compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from lanecontrol.config.section import Section

Programme = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[A-Z0-9_-]+$")]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SnapshotSection(Section):
    """A local file of enrolments and lookouts, asked while central is silent."""

    file: Annotated[str, Field(min_length=1, max_length=4096)]
    """Where it lies; relative to the lane file. It is looked at again when it changes."""
    signers: list[PublicKey] = Field(min_length=1, max_length=8)
    """Ed25519 public keys in hex: whoever may sign one. Quote them."""
    max_age_h: float = Field(default=24.0, gt=0, le=744)
    """An older one is not used."""


class QuestionsSection(Section):
    """What the lane asks the port's central system about each vehicle. Nothing waits for an answer."""

    answer_within_s: float = Field(default=1.5, ge=0.1, le=30)
    """No answer by then: unknown, and the snapshot is asked."""
    lookouts: bool = True
    """Ask for lookouts. On a real lane that needs a store with keys: what is known of them is never kept in clear."""
    programmes: list[Programme] = Field(default=[], max_length=8)
    """Programmes whose members may use this lane, in place of those that its type has. For READY and others, none."""
    snapshot: SnapshotSection | None = None
    """A local file for the time while central is silent."""


class PlatesSection(Section):
    """How plates are compared. What is published is always as it was read."""

    o_is_zero: bool = False
    """The letter O and the digit 0 count as the same."""
