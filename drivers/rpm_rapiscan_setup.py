"""A portal's setup, watched: what differs from what was approved, what changed, and when its controller began anew.

Used by the `rpm.rapiscan` session with each setup line and each end of an occupancy. Pure but for `load` and `save`,
which work in a thread. The setup block comes once a day and after a restart of the controller, never on connecting:
so what was told last is kept on disk, and compared with also after a restart of ours. Must never change a setting.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from lanecontrol.events import DeviceFault, OccupancyEnded, PortalSetup
from lanecontrol.radiation_setup import SETUP, TAG_OF, Value, named

_FILE = "setup.json"
_LIMIT_BYTES = 64 * 1024
_WRAPS_ABOVE = 999_000
"""The occupancy counter has six digits: from here on it may come back to its beginning by itself."""

RESTARTED = "controller_restarted"


def approved(given: Mapping[str, Value]) -> dict[str, Value]:
    """What was approved, as the portal's own lines would be read. Raises ValueError."""
    made: dict[str, Value] = {}
    for name, value in given.items():
        tag = TAG_OF.get(name)
        if tag is None:
            raise ValueError(f"the portal's setup has no field {name!r}; it has {', '.join(TAG_OF)}")
        reader = dict(SETUP[tag])[name]
        read = reader(str(value))
        if read is None:
            raise ValueError(f"{name} cannot be {value!r}")
        made[name] = read
    return made


class SetupWatch:
    """Lives as long as the driver. What no report told of yet is told in any case, also that there is no fault:
    a process before this one may have left it standing at the lane."""

    def __init__(self, approved: Mapping[str, Value]) -> None:
        self._approved = dict(approved)
        self._last: dict[str, tuple[str, ...]] = {}
        self._told: dict[str, bool] = {}
        self._counter: int | None = None
        self.loaded = False
        """Whether the setup that was kept has been looked for."""
        self.unsaved = False

    def setup(self, event: PortalSetup) -> list[DeviceFault]:
        """A setup line."""
        before, self._last[event.tag] = self._last.get(event.tag), event.fields
        self.unsaved |= before != event.fields
        changes = _changes(event.tag, before, event.fields) if before is not None else ""
        changed = self._state(f"setup_changed_{event.tag.lower()}", changes)
        return [*self._drifts(event.tag, event.fields), *([changed] if changed else [])]

    def remembered(self) -> list[DeviceFault]:
        """The setup as it was told last: what was approved may have changed since."""
        return [fault for tag, fields in self._last.items() for fault in self._drifts(tag, fields)]

    def _drifts(self, tag: str, fields: tuple[str, ...]) -> list[DeviceFault]:
        values = named(tag, fields)
        states = (
            self._state(f"setup_{name}", _drift(name, wanted, values.get(name)))
            for name, wanted in self._approved.items()
            if TAG_OF[name] == tag
        )
        return [fault for fault in states if fault]

    def end(self, event: OccupancyEnded) -> list[DeviceFault]:
        """The end of an occupancy. A counter that went back is all that tells of a controller's restart at once."""
        before, now = self._counter, event.counter
        if now is None:
            return []
        self._counter = now
        back = before is not None and now < before <= _WRAPS_ABOVE
        why = f"the occupancy counter went from {before} to {now}: the controller has restarted, or set it back"
        fault = self._state(RESTARTED, why if back else "")
        return [fault] if fault else []

    def trouble(self, code: str, why: str) -> list[DeviceFault]:
        """A fault of our own with the portal's lines; empty words clear it."""
        fault = self._state(code, why)
        return [fault] if fault else []

    def _state(self, code: str, why: str) -> DeviceFault | None:
        """What has to be told; empty words clear the fault."""
        if self._told.get(code) is bool(why):
            return None
        self._told[code] = bool(why)
        return DeviceFault(code, why, bool(why))

    # --- kept on disk ------------------------------------------------------------------------------------------------

    def load(self, folder: Path) -> None:
        """The setup that was told last, if it was kept. Lines of this run go before it."""
        self.loaded = True
        try:
            with (folder / _FILE).open("rb") as file:
                kept = json.loads(file.read(_LIMIT_BYTES))
        except (OSError, ValueError, RecursionError):
            return
        if isinstance(kept, dict):
            for tag in SETUP.keys() & kept.keys():
                if isinstance(kept[tag], list) and all(isinstance(field, str) for field in kept[tag]):
                    self._last.setdefault(tag, tuple(kept[tag]))

    def save(self, folder: Path) -> None:
        """Keep the setup, for nobody else to read. Raises OSError."""
        self.unsaved = False
        fresh = folder / f"{_FILE}.new"
        fresh.unlink(missing_ok=True)  # one left behind would keep its own mode
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(self._last, indent=1))
        fresh.replace(folder / _FILE)


def _drift(name: str, wanted: Value, found: Value | None) -> str:
    """Words for the difference; empty where there is none."""
    told = "nothing that can be read" if found is None else found
    return "" if found == wanted else f"{name} ({TAG_OF[name]}): approved {wanted}, the portal has {told}"


def _changes(tag: str, before: tuple[str, ...], now: tuple[str, ...]) -> str:
    """Words for what differs between two lines."""
    old, new = named(tag, before), named(tag, now)
    names = [name for name in (*new, *(old.keys() - new.keys())) if old.get(name) != new.get(name)]
    told = [f"{name} was {old.get(name, 'not there')}, is {new.get(name, 'not there')}" for name in names]
    if not told and before != now:
        told = [f"was {','.join(before)}, is {','.join(now)}"]
    return f"{tag}: {'; '.join(told)}" if told else ""
