"""What every driver of an RFID reader refuses: a setting that asks for a change of a tag.

Used by the configurations of the `rfid.*` drivers. There is no code for it either; this tells whoever looks for it.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import model_validator

from lanecontrol.driver import DeviceConfig

_FORBIDDEN = re.compile(r"write|kill|lock|erase|password|recommission", re.IGNORECASE)


class ReadOnlyConfig(DeviceConfig):
    """A reader that only reads."""

    @model_validator(mode="before")
    @classmethod
    def _never_alters_a_tag(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if _FORBIDDEN.search(str(key)):
                raise ValueError(f"{key}: this driver never writes to, locks, kills or erases a tag; remove it")
        return data
