"""The lane file of a simulation: the shipped one, with the fakes' addresses in place of the devices'.

It extends the real lane file and replaces only what a simulation must: so what is tried is what will be deployed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a simulated lane has of its own."""

    lane: str
    urls: Mapping[str, str]
    broker: str
    store: Path
    scale: float = 1.0
    anchor_utc_s: float = 0.0


def lane_file(base: Path, own: Replaced) -> str:
    """The text of a lane file that extends `base`. Every value is JSON, which is YAML too."""
    lines = [
        "# Written by `lanecontrol sim`: the lane's devices are fakes, everything published is marked as simulated.",
        f"extends: {json.dumps(str(base.resolve()))}",
        "simulated: true",
        f"lane: {json.dumps({'id': own.lane})}",
        "devices:",
        *(f"  - {json.dumps({'id': device, 'url': url})}" for device, url in own.urls.items()),
        f"brokers: {json.dumps([{'url': own.broker}])}",
        f"store: {json.dumps({'path': str(own.store)})}",
    ]
    if own.scale != 1.0:
        lines.append(f"clock: {json.dumps({'scale': own.scale, 'anchor_utc_s': own.anchor_utc_s})}")
    return "\n".join(lines) + "\n"
