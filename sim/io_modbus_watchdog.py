"""Watchdogs of I/O modules as data: what feeds them, how they are set, seen and cleared.

A module's watchdog drops the outputs to their safe values when the client goes quiet, and keeps them there until it is
cleared. It starts with the first feed, so that a module that nobody has talked to yet has not tripped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sim.io_modbus_wire import Refusal

TICK_S = 0.1
"""Unit of the time registers."""

WAGO_TIME, WAGO_MASK_LOW, WAGO_MASK_HIGH, WAGO_TRIGGER = 0x1000, 0x1001, 0x1002, 0x1003
WAGO_STATUS, WAGO_RESTART, WAGO_STOP = 0x1006, 0x1007, 0x1008
WAGO_REGISTERS = range(0x1000, 0x100C)
WAGO_IDLE = 0x1030
"""Idle time-out of a connection, also in units of 100 ms: no watchdog, the outputs keep their last state."""


class WatchdogConfig(BaseModel):
    """The watchdog of a module."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["generic", "iologik", "wago", "adam"] = "generic"
    """Which registers it has; the module's docstring describes each."""
    time_s: float = Field(default=2.0, ge=0, le=6553.5)
    """Without a feed for so long the outputs drop; 0 is off. `generic` and `wago` can be set over the wire too."""
    fed_by: Literal["heartbeat", "any"] = "heartbeat"
    """`generic` only: fed by writes to the heartbeat register, or by any valid request."""
    safe: dict[str, bool] = {}
    """Safe value of each output by name; an output that is not named drops to off."""
    flag_coil: int = Field(default=4144, ge=0, le=0xFFFF)
    """`generic` and `iologik`: coil that reads 1 after a trip; writing 1 clears it."""
    time_register: int = Field(default=0, ge=0, le=0xFFFF)
    """`generic`: holding register with the time in units of 100 ms."""
    heartbeat_register: int = Field(default=1, ge=0, le=0xFFFF)
    """`generic`: any write to this holding register feeds."""


class Watchdog:
    """The timer and its registers. `on_trip` is called when it trips."""

    def __init__(
        self, config: WatchdogConfig, on_trip: Callable[[], None], pace: Callable[[], float] = lambda: 1.0
    ) -> None:
        """`pace`: the loop's seconds per real second; the client is no faster for it, and is given so much longer."""
        self.config = config
        self._pace = pace
        self.time_s = config.time_s
        self.tripped = False
        self.trips = 0
        self._on_trip = on_trip
        self._deadline_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._words = dict.fromkeys((*WAGO_REGISTERS, WAGO_IDLE), 0) if config.kind == "wago" else {}
        self._words.update({config.heartbeat_register: 0} if config.kind == "generic" else {})

    @property
    def holds(self) -> bool:
        """Tripped, and outputs cannot be driven before it is cleared."""
        return self.tripped and self.config.kind != "adam"

    @property
    def has_coil(self) -> bool:
        """A coil tells of the trip."""
        return self.config.kind in ("generic", "iologik")

    @property
    def idle_s(self) -> float:
        """A connection on which nothing came for so long is closed; 0 is never."""
        return self._words.get(WAGO_IDLE, 0) * TICK_S

    @property
    def running(self) -> bool:
        """Fed at least once, and neither tripped nor switched off."""
        return self._deadline_s is not None

    def feed(self) -> None:
        """The client is alive. Does not clear a trip."""
        if self.tripped or not self.time_s:
            return
        loop = asyncio.get_running_loop()
        self._deadline_s = loop.time() + self.time_s * self._pace()
        if self._timer is None or self._timer.when() > self._deadline_s:
            self._arm(loop)

    def clear(self) -> None:
        """Let outputs be driven again. Counts as a feed."""
        self.tripped = False
        self.feed()

    def stop(self) -> None:
        """Switch off, without a trip."""
        self._deadline_s = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        assert self._deadline_s is not None
        self._timer = loop.call_at(self._deadline_s, self._look)

    def _look(self) -> None:
        """One timer per period instead of one per feed: when it fires early, it is set again."""
        self._timer = None
        if self._deadline_s is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline_s:
            self._arm(loop)
            return
        self._deadline_s = None
        self.tripped = True
        self.trips += 1
        self._on_trip()

    def heard(self, function: int) -> None:
        """A valid request with this function code came; whether it feeds depends on the kind."""
        match self.config.kind:
            case "iologik":
                self.feed()
            case "adam":
                self.clear()
            case "generic" if self.config.fed_by == "any":
                self.feed()
            case "wago" if self.running and self._masked(function):
                self.feed()
            case _:
                pass

    def _masked(self, function: int) -> bool:
        mask = self._words[WAGO_MASK_LOW] | self._words[WAGO_MASK_HIGH] << 16
        return bool(mask >> (function - 1) & 1)

    # --- its registers and its coil ----------------------------------------------------------------------------------

    def has_flag(self, address: int) -> bool:
        """Whether `address` is the coil with the tripped flag."""
        return self.has_coil and address == self.config.flag_coil

    def write_flag(self, on: bool) -> None:
        """Writing 1 clears; writing 0 does nothing."""
        if on:
            self.clear()

    def read_word(self, address: int) -> int | None:
        """The register, or None where there is none."""
        time_register = WAGO_TIME if self.config.kind == "wago" else self.config.time_register
        if address == time_register and self.config.kind in ("generic", "wago"):
            return round(self.time_s / TICK_S)
        if address == WAGO_STATUS and self.config.kind == "wago":
            return 2 if self.tripped else int(self.running)
        return self._words.get(address)

    def write_word(self, address: int, value: int) -> Refusal | None:
        """Write the register; answers why not."""
        if self.config.kind == "wago":
            return self._write_wago(address, value)
        if self.config.kind == "generic" and address == self.config.time_register:
            self._set_time(value)
        elif self.config.kind == "generic" and address == self.config.heartbeat_register:
            self._words[address] = value
            self.feed()
        else:
            return Refusal.ILLEGAL_ADDRESS
        return None

    def _set_time(self, ticks: int) -> None:
        self.time_s = ticks * TICK_S
        if ticks:
            self.feed()
        else:
            self.stop()

    def _write_wago(self, address: int, value: int) -> Refusal | None:
        if address == WAGO_STATUS or address not in self._words:
            return Refusal.ILLEGAL_ADDRESS
        was, self._words[address] = self._words[address], value
        match address:
            case 0x1000:
                if self.running:  # the time cannot be changed under a running watchdog
                    return Refusal.ILLEGAL_VALUE
                self.time_s = value * TICK_S
            case 0x1003 if value and value != was:
                self.feed()
            case 0x1007 if value == 1:
                self.clear()
            case 0x1008 if (was, value) in ((0xAA55, 0x55AA), (0x55AA, 0xAA55)):
                self.stop()
            case _:
                pass
        return None
