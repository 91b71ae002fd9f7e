"""An event loop whose time runs faster than real time by a constant factor.

For simulated lanes only: daemon and fakes in two processes cannot share a virtual clock, but can both run, say, ten
times as fast. The lane file asks for it with `clock: {scale: 10}`, which is refused unless `simulated: true`.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any


class OtherSelector(selectors.BaseSelector):
    """Stands before the real selector; how long it waits is for the classes that come of it."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class _HastySelector(OtherSelector):
    """Waits a `scale`th of what the loop thinks."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self._scale = scale

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._real.select(None if timeout is None else timeout / self._scale)


class ScaledLoop(asyncio.SelectorEventLoop):
    """The loop; `scale` seconds of its time pass in one real second."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        super().__init__(_HastySelector(scale))

    def time(self) -> float:
        return time.monotonic() * self._scale


def scaled_utc(scale: float, anchor_utc_s: float) -> Callable[[], float]:
    """UTC that runs `scale` times as fast since the real moment `anchor_utc_s`: the same in every process."""
    return lambda: anchor_utc_s + (time.time() - anchor_utc_s) * scale
