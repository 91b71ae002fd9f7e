"""The contract suite's case for `lpr.axis`: one car after the other, each with a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract_case import Case

from lanecontrol.events import PlateRead
from sim.readings import PlateView, Reading


def _reading(n: int) -> Reading:
    return PlateView(f"ABC{n:04d}", 0.9, "US-AZ", f"car-{n}", "in", f"ABC{n:04d}", n)


def _comparable(event: Any) -> Any:
    """The camera's clock runs on while its bytes drip."""
    return replace(event, camera_utc_s=None) if isinstance(event, PlateRead) else event


CASE = Case(
    reading=_reading,
    malformed=b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    bomb=b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    settings={},
    fake_settings={"images": ("plate",), "heartbeat_s": 5.0},
    period_s=2.0,
    comparable=_comparable,
)
