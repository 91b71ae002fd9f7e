"""A file beside the lane file that a device's stanza names, such as the profile of a module: read like the lane file.

Called by drivers whose configuration names such a file. Every problem is told at its file, line and column; nothing is
written, and no secret is known here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lanecontrol.config.document import plain, read
from lanecontrol.config.overlay import no_file
from lanecontrol.config.wording import problems_of
from lanecontrol.errors import ConfigError, Problem

M = TypeVar("M", bound=BaseModel)

LIMIT_BYTES = 1_000_000


def parse(model: type[M], text: str, file: str) -> M:
    """What the YAML `text` says, as `model`; `file` is what messages name. Raises ConfigError with every problem."""
    problems: list[Problem] = []
    root = read(text, file, problems)
    if not problems:
        try:
            return model.model_validate(plain(root, lambda leaf: leaf.text))
        except ValidationError as error:
            problems = problems_of(error, root, model)
    raise ConfigError(tuple(problems))


def read_file(model: type[M], path: Path) -> tuple[M, str]:
    """The file at `path` as `model`, and 16 hex digits over its bytes. Raises ConfigError."""
    try:
        if kind := no_file(path):
            raise ConfigError((Problem(str(path), 1, 1, f"{kind}, not a file", "name the file that is meant"),))
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            (Problem(str(path), 1, 1, f"cannot be read: {why}", "the name is relative to the lane file"),)
        ) from None
    if len(raw) > LIMIT_BYTES:
        raise ConfigError((Problem(str(path), 1, 1, f"more than {LIMIT_BYTES} bytes", "this is no such file"),))
    return parse(model, text, str(path)), hashlib.sha256(raw).hexdigest()[:16]
