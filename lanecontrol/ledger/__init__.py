"""The ledger: every announcement of a lane, numbered and chained, durable before it is sent.

`Ledger` is what a daemon uses; `Reader` reads a store from another process, for the command line.
"""

from lanecontrol.ledger.committer import Limits
from lanecontrol.ledger.ledger import Ledger
from lanecontrol.ledger.reader import Reader
from lanecontrol.ledger.records import (
    START,
    BadRecord,
    Entry,
    Head,
    Loss,
    OpenReport,
    Position,
    Row,
    Status,
    Verdict,
)
from lanecontrol.ledger.store import Checkpoint

__all__ = [
    "START",
    "BadRecord",
    "Checkpoint",
    "Entry",
    "Head",
    "Ledger",
    "Limits",
    "Loss",
    "OpenReport",
    "Position",
    "Reader",
    "Row",
    "Status",
    "Verdict",
]
