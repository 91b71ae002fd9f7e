"""Where the value behind `!secret name` comes from: systemd's credentials, then the environment.

Used by `lanecontrol.config.load`. A value is never written anywhere; only the name appears in messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def find_secret(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value, or None where nobody knows it. A credential's trailing newline is not part of it.

    `$CREDENTIALS_DIRECTORY/name` (systemd: LoadCredential) wins over `$LANECONTROL_SECRET_NAME`.
    """
    if not _NAME.fullmatch(name):
        return None
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (file := Path(folder, name)).is_file():
        return file.read_text(encoding="utf-8").removesuffix("\n")
    return environ.get(variable(name))


def variable(name: str) -> str:
    """The environment variable that can carry the secret."""
    return "LANECONTROL_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def stand_in(_name: str) -> str:
    """For whoever only looks at a lane file and connects to nothing."""
    return "stand-in-for-a-secret"
