"""The lane file of a simulation: the shipped one, with the fakes' addresses in place of the devices'.

It extends the real lane file and replaces only what a simulation must: so what is tried is what will be deployed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanecontrol.config.document import plain
from lanecontrol.config.overlay import read_layers


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a simulated lane has of its own."""

    lane: str
    urls: Mapping[str, str]
    broker: str
    store: Path
    scale: float = 1.0
    anchor_utc_s: float = 0.0
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further settings of a device, by its id."""
    asks: bool = False
    """The lane asks the port about its vehicles."""


def module_settings(devices: Mapping[str, str], scale: float) -> dict[str, dict[str, Any]]:
    """Settings of the `devices` (id to kind) whose limits mean real time, where lane time runs `scale` times as fast.

    The wire and the machine do not run faster: an answer that takes 5 ms takes `scale` times that in lane time, and
    the limits that mean real milliseconds grow with it. A poll of 100 ms is what the world's own steps are worth.
    """
    return {device: settings for device, kind in devices.items() if (settings := _settings(kind, scale))}


_NAMES_FILES = {"evidence": ("ca", "cert", "key"), "snapshot": ("file",)}
"""Sections whose values are files, relative to the lane file."""


def _devices_files(values: Mapping[str, Any], folder: Path) -> dict[str, dict[str, str]]:
    """The files that devices name, relative to `folder`, as paths that are good anywhere; by the device's id."""
    devices = values.get("devices")
    stanzas = devices if isinstance(devices, list) else []
    return {
        stanza["id"]: {"profile": _anywhere(folder, stanza["profile"])}
        for stanza in stanzas
        if isinstance(stanza, dict) and str(stanza.get("profile", "")).endswith((".yaml", ".yml")) and "id" in stanza
    }


def _sections_files(values: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The same of sections: as much of each as goes on top of the lane file's own."""
    found: dict[str, dict[str, Any]] = {}
    for name, section in values.items():
        if isinstance(section, Mapping):
            keys = _NAMES_FILES.get(name, ())
            files = {key: _anywhere(folder, section[key]) for key in keys if isinstance(section.get(key), str)}
            if within := files | _sections_files(section, folder):
                found[name] = within
    return found


def _anywhere(folder: Path, file: str) -> str:
    return str((folder / file).resolve()) if file else ""


def _settings(kind: str, scale: float) -> dict[str, Any]:
    settings: dict[str, Any] = {"poll_ms": 100} if kind == "io.modbus" else {}
    if scale > 1:
        settings |= {name: _grown(value, scale, most) for name, (value, most) in _LIMITS.get(kind, {}).items()}
    return settings


def _grown(value: float, scale: float, most: float) -> float:
    grown = min(value * scale, most)
    return round(grown) if isinstance(value, int) else grown


_CAMERA = {"skew_limit_s": (2.0, 3600.0)}
_LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "io.modbus": {
        "request_timeout_ms": (70, 5000),
        "stale_limit_ms": (250, 10_000),
        "readback_ms": (500, 60_000),
        "silence_timeout_s": (1.0, 60.0),
    },
    "rpm.aspect": {
        "request_timeout_ms": (150, 5000),
        "stale_limit_s": (1.0, 60.0),
        "silence_timeout_s": (3.0, 600.0),
    },
    "rfid.mercury": {"answer_timeout_s": (1.0, 30.0), "byte_gap_ms": (100, 2000), "cycle_ms": (250, 1000)},
    "lpr.axis": _CAMERA,
    "lpr.mapped": _CAMERA,
}
"""Of each kind, its limits on the wire and the machine: at the pace of the real world, and the most it may be told."""


def lane_file(base: Path, own: Replaced) -> str:
    """The text of a lane file that extends `base`. Every value is JSON, which is YAML too."""
    values = plain(read_layers(base, []), lambda secret: "")
    files = _devices_files(values, base.parent)
    sections = _sections_files(values, base.parent)
    lines = [
        "# Written by `lanecontrol sim`: the lane's devices are fakes, everything published is marked as simulated.",
        f"extends: {json.dumps(str(base.resolve()))}",
        "simulated: true",
        f"lane: {json.dumps({'id': own.lane})}",
        "devices:",
        *(
            f"  - {json.dumps({'id': device, 'url': url, **files.get(device, {}), **own.settings.get(device, {})})}"
            for device, url in own.urls.items()
        ),
        f"brokers: {json.dumps([{'url': own.broker}])}",
        f"store: {json.dumps({'path': str(own.store)})}",
    ]
    if own.asks:
        # An answer within a process takes no time, on a faster clock it takes some.
        sections["questions"] = {"answer_within_s": min(30.0, 1.5 * max(1.0, own.scale))} | sections.get(
            "questions", {}
        )
    lines += [f"{name}: {json.dumps(section)}" for name, section in sections.items()]
    if own.scale != 1.0:
        lines.append(f"clock: {json.dumps({'scale': own.scale, 'anchor_utc_s': own.anchor_utc_s})}")
    return "\n".join(lines) + "\n"
