"""What names the configuration of everything that a lane commands: `LaneSetup.equipment_hash` is made of this.

Called by `lanecontrol.config.load`. Only what decides what is commanded, and through which contacts, is in it: a new
plate camera, or another address of a simulated module, must not ask for a supervisor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SECTIONS = ("signal", "lane_signal", "gate", "beacon", "booth_button", "emergency_button", "scanner", "loops")
"""The sections of a lane file that decide what is commanded, and through which contacts."""


def equipment(values: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    """That part of a lane file's plain `values`; secrets stand in it by name.

    A simulated lane's modules get new addresses in each run, so that theirs do not count.
    """
    chosen: dict[str, Any] = {name: values.get(name) for name in SECTIONS}
    named = set(_devices(chosen))
    left_out = {"url"} if simulated else set()
    stanzas = values.get("devices") or ()
    chosen["devices"] = [
        {key: value for key, value in stanza.items() if key not in left_out}
        for stanza in stanzas
        if isinstance(stanza, Mapping) and stanza.get("id") in named
    ]
    return chosen


def _devices(value: Any) -> Iterator[str]:
    """Ids of the devices that these sections mention: under `device`, or before the stroke of a point."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "device" and isinstance(item, str):
                yield item
            yield from _devices(item)
    elif isinstance(value, str):
        device, stroke, _ = value.partition("/")
        if stroke:
            yield device
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _devices(item)
