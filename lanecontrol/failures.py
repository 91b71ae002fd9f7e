"""How a device session ended: which error decides, what may be told of it, and how long to wait before the next one.

Used by the supervisor alone. Never lets the text of a foreign exception out: it may quote a card number.
"""

from __future__ import annotations

import random
from typing import Final

from lanecontrol.errors import CredentialsRefused, LinkLost, ProtocolViolation

BASE_S: Final = 0.5
"""Ceiling of the first wait; doubles with every failure in a row."""
CAP_S: Final = 30.0
"""Ceiling of every wait: a device that is switched on again is found within this time."""
SLOW_S: Final = 60.0
"""Least wait after an answer that a repetition will not change: a wrong device, a refused password."""


class Backoff:
    """How long to wait before the next attempt: full jitter under a ceiling that doubles.

    Only `online` resets it. Sessions that end by a bug of the driver go on counting through `online`, or a driver
    that fails at its first report would be restarted several times a second.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.failures = 0
        self._bugs = 0

    def online(self) -> None:
        self.failures = 0

    def after(self, failure: BaseException) -> float:
        """Seconds to wait after a session that ended so."""
        self.failures += 1
        self._bugs = self._bugs + 1 if is_bug(failure) else 0
        if isinstance(failure, (ProtocolViolation, CredentialsRefused)):
            return SLOW_S * self._rng.uniform(1.0, 1.1)
        doublings = min(max(self.failures, self._bugs) - 1, 16)
        return self._rng.uniform(0.0, min(CAP_S, BASE_S * 2**doublings))


class Bug(Exception):
    """A breach of the contract that raised nothing by itself."""


def is_bug(failure: BaseException) -> bool:
    return not isinstance(failure, (LinkLost, ProtocolViolation, CredentialsRefused))


def bug_text(failure: BaseException) -> str:
    # The text of a foreign exception may quote what it choked on, a card number for instance: only its type is told.
    return f"driver bug: {failure if isinstance(failure, Bug) else type(failure).__name__}"


def where(failure: BaseException) -> str:
    """File, line and function of the innermost frame: enough to find a bug, and no data."""
    trace = failure.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}"


def cause(failure: BaseException) -> BaseException:
    """The one error that decides, of all in an exception group: a bug before a refusal before a lost link."""
    if not isinstance(failure, BaseExceptionGroup):
        return failure
    return min(map(cause, failure.exceptions), key=_severity)


def _severity(failure: BaseException) -> int:
    match failure:
        case CredentialsRefused():
            return 1
        case ProtocolViolation():
            return 2
        case LinkLost():
            return 3
        case _:
            return 0
