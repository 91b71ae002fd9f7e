"""Logs: one line of JSON per event, or plain text on a terminal, with no card number or plate in it.

Set up once by the process (`lanecontrol run`), never by a library. Events live in the ledger; logs are only logs.
The redaction is the last step before the rendering, so that nothing can be added behind it.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from lanecontrol.errors import LaneControlError
from lanecontrol.identifier import HashKey, Identifier, keyed_hash

_DEEPEST = 8
"""Nesting beyond this is cut: nothing we log on purpose is deeper."""


def configure_logging(*, level: str, style: str, stream: TextIO, hash_key: HashKey) -> None:
    """Send structlog's and the standard library's records to `stream`.

    `level` is debug, info, warning or error; `style` is json, console, or auto: console where `stream` is a terminal.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace,
        Redaction(hash_key),
        _what_first,
    ]
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(style, stream)],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(number)
    structlog.configure(
        processors=[
            *(step for step in before if not isinstance(step, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def log_uncaught() -> None:
    """What nobody catches goes to the log, too: Python's own traces would quote values. For the process's entry."""

    def told(what: str, error: BaseException | None, where: object = None) -> None:
        log = structlog.get_logger("lanecontrol")
        log.critical(what, exc_info=error, where=type(where).__name__ if where is not None else "")

    sys.excepthook = lambda kind, error, trace: told("uncaught error", error)
    sys.unraisablehook = lambda lost: told("error that could not be raised", lost.exc_value, lost.object)
    threading.excepthook = lambda lost: told("uncaught error in a thread", lost.exc_value)


class _Handler(logging.StreamHandler[TextIO]):
    """A stream whose reader has gone, or whose disk is full, must not fill another one with traces of it."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


_TELLING = (LaneControlError, OSError, ImportError, TimeoutError)
"""Errors whose text is about files, addresses and our own words. Any other may quote what it choked on."""


def words_of(error: BaseException) -> str:
    """The error's type, with its text where that cannot quote a card number or plate."""
    told = str(error) if isinstance(error, _TELLING) else ""
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


def trace_of(error: BaseException, indent: str = "") -> str:
    """The trace of an error, of what caused it, and of all in a group: code only, no data."""
    lines = [f"{indent}{line}" for frame in traceback.format_tb(error.__traceback__) for line in frame.splitlines()]
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        lines = [trace_of(before, indent), f"{indent}and then:", *lines]
    lines.append(f"{indent}{words_of(error)}")
    if isinstance(error, BaseExceptionGroup):
        lines += [trace_of(inner, f"{indent}  ") for inner in error.exceptions]
    return "\n".join(lines)


def _trace(logger: Any, method: str, event: EventDict) -> EventDict:
    """`exc_info` becomes the text of a trace; the standard one would quote the values that errors choke on."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    if error is None and given is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = trace_of(error)
    return event


def _what_first(logger: Any, method: str, event: EventDict) -> EventDict:
    """When, how grave and what at the left, where an eye looks for it."""
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def _renderer(style: str, stream: TextIO) -> Processor:
    if style == "console" or (style == "auto" and stream.isatty()):
        return structlog.dev.ConsoleRenderer(
            colors=stream.isatty() and not os.environ.get("NO_COLOR"), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(ensure_ascii=False)


class Redaction:
    """A structlog processor: identifiers become their keyed hash, bytes their length and keyed hash, at any depth."""

    def __init__(self, hash_key: HashKey) -> None:
        self._key = hash_key

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        return {self._name(key): self.safe(value) for key, value in event.items()}

    def safe(self, value: Any) -> Any:
        """The value as plain data that may be shown."""
        return self._safe(value, 0)

    def _name(self, key: Any) -> str:
        return self._hash(key.number) if isinstance(key, Identifier) else str(key)

    def _hash(self, number: bytes) -> str:
        return f"#{keyed_hash(self._key, number)}"

    def _safe(self, value: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            return "..."
        match value:
            case Identifier():
                return self._hash(value.number)
            case Enum():
                return value.value
            case BaseException():
                return words_of(value)
            case None | bool() | int() | float() | str():
                return value
            case bytes() | bytearray() | memoryview():
                return f"<{len(value)} bytes {self._hash(bytes(value))}>"
            case Mapping():
                return {self._name(key): self._safe(each, depth + 1) for key, each in value.items()}
            case list() | tuple() | Set():
                return [self._safe(each, depth + 1) for each in value]
            case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
                parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
                return {"type": type(value).__name__} | {
                    name: self._safe(part, depth + 1) for name, part in parts.items()
                }
            case _:
                return str(value)
