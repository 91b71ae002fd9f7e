"""A third party's driver that blocks the event loop when its device says so: how a stalled daemon is made.

The product has no such hook. `installed` writes what an installed distribution looks like into a folder for PYTHONPATH.
"""

from __future__ import annotations

from pathlib import Path

DRIVER = '''
"""Blocks the event loop for as many seconds as its device says."""

import time
from typing import Literal

from lanecontrol.driver import DeviceConfig, Driver, Traits
from lanecontrol.events import Identity


class StallConfig(DeviceConfig):
    kind: Literal["test.stall"]


class Stall(Driver):
    Config = StallConfig
    reports = frozenset()
    traits = Traits(has_handshake=False, speaks_unasked=True, silence_s=60.0)

    async def session(self, out):
        async with self.links.open(self.config.url, timeout_s=5.0) as link:
            out.online(Identity(model="stall"))
            while True:
                time.sleep(float((await link.read()).split()[-1]))
'''
ENTRY_POINTS = '[lanecontrol.drivers]\n"test.stall" = stall_driver:Stall\n'
METADATA = "Metadata-Version: 2.1\nName: stall-driver\nVersion: 1.0\n"


def installed(folder: Path) -> Path:
    """The folder with the distribution in it."""
    about = folder / "stall_driver-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "stall_driver.py").write_text(DRIVER, encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS.replace('"', ""), encoding="utf-8")
    (about / "METADATA").write_text(METADATA, encoding="utf-8")
    return folder
