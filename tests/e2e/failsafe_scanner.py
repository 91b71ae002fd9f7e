"""The states of a scan for the fail-safe matrix: the rig with a scanner's contacts on a third module, which is watched.

The scanner stands in the zone behind the booth. Every state is reached with a vehicle of its own, from wherever the
disturbance before it has left the lane. Used by the test of it and by the benchmark `failsafe`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from failsafe_rig import PROFILE, Rig
from failsafe_watch import COMES_UP_S, FLAG, WATCHDOG_S, Door, Observer, PolledModule
from served_lane import ADDRESS

from lanecontrol.commands import Actor, Role
from lanecontrol.lane.setup import ScannerInputs
from sim.io_modbus import AreaConfig, FakeModule, InputsConfig, ModuleConfig
from sim.io_modbus_watchdog import WatchdogConfig
from sim.readings import Contact, Deed

SUPERVISOR = Actor("sim-supervisor", Role.SUPERVISOR, simulated=True)
INPUTS = tuple(part.name for part in fields(ScannerInputs))
OUTPUTS = ("scan_request", "scan_arm", "scan_abort", "warning_request", "driver_stop", "driver_go")
SAFE = {"scan_request": False, "scan_arm": False}
GOOD = dict.fromkeys(INPUTS, False) | dict.fromkeys(
    ("ready", "key_enabled", "shutter_closed", "estop_ok", "zone_clear", "barrier_closed"), True
)


class ScannerRig(Rig):
    """One lane with a scanner; made by `rig`."""

    watched = "io3"

    def __init__(self, folder: Path, store: Path) -> None:
        super().__init__(folder, store)
        watchdog = WatchdogConfig(kind="generic", time_s=WATCHDOG_S, safe={"driver_stop": True}, flag_coil=FLAG)
        config = ModuleConfig(inputs=InputsConfig(points=INPUTS), outputs=AreaConfig(points=OUTPUTS), watchdog=watchdog)
        self.io3 = PolledModule(config, self._scanner_acted)
        self.doors["io3"] = Door(self.io3.serve)
        self.scanner_contacts(**GOOD)

    def _scanner_acted(self, deed: Deed) -> None:
        """Horn and lamp confirm themselves at once."""
        if deed.point == "warning_request":
            self.scanner_contacts(warning_active=deed.on)
        self._acted(deed)

    def scanner_contacts(self, **contacts: bool) -> None:
        for name, on in contacts.items():
            self.io3.sense(Contact(name, on))

    @property
    def watched_module(self) -> FakeModule:
        return self.io3

    def make_observer(self, port: int) -> Observer:
        return Observer(port, OUTPUTS, SAFE)

    def write_lane_file(self, urls: dict[str, str], broker: str) -> None:
        super().write_lane_file({name: url for name, url in urls.items() if name != "io3"}, broker)
        profile = PROFILE.replace("count: 8", "count: 16").replace("count: 3", "count: 6")
        (self.folder / "scanner.yaml").write_text(profile, encoding="utf-8")
        module: dict[str, Any] = {"id": "io3", "kind": "io.modbus", "url": urls["io3"], "profile": "./scanner.yaml"}
        module |= {"heartbeat_ms": 250, "watchdog_ms": int(WATCHDOG_S * 1000)}
        module |= {"inputs": _numbered(INPUTS), "outputs": _numbered(OUTPUTS)}
        outputs = {name.replace("scan_abort", "abort"): name for name in OUTPUTS}
        scanner: dict[str, Any] = {"kind": "scanner.contacts", "zone": "exit", "device": "io3", "two_persons": False}
        scanner |= {"inputs": {name: name for name in INPUTS}, "outputs": outputs}
        scanner |= {"maker": "example", "model": "gantry", "modality": "gamma Cs-137, transmission"}
        text = self.lane_file.read_text(encoding="utf-8").replace("devices:\n", f"devices:\n  - {json.dumps(module)}\n")
        self.lane_file.write_text(f"{text}scanner: {json.dumps(scanner)}\n", encoding="utf-8")

    async def well(self) -> None:
        await self.observer.until(
            lambda look: not look.tripped and (look.outputs["driver_stop"] or look.outputs["driver_go"])
        )

    # --- the way to a scan -------------------------------------------------------------------------------------------

    @property
    def scanner_state(self) -> str:
        told = self.told("scanner_changed")
        return told[-1]["state"] if told else "disabled"

    async def ask(self, verb: str, **wanted: Any) -> str:
        """Ask until it is done, for as long as anything may take to come up; the order's key."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + COMES_UP_S
        while True:
            reply = await self.port.command(ADDRESS, verb, wanted, actor=SUPERVISOR)
            if reply.result == "done":
                return reply.key
            assert loop.time() < give_up_s, (verb, reply, self.scanner_state)
            await asyncio.sleep(0.1)

    async def usable(self) -> None:
        """Nobody at the scanner, the lane open, the scanner enabled and idle."""
        self.scanner_contacts(**GOOD)
        for loop in ("loop_booth", "loop_exit"):
            await self.in_turn(**{loop: False})
        async with asyncio.timeout(COMES_UP_S):
            while self.scanner_state != "idle":
                for verb in ("enable", "open", "scan-abort", "scanner-reset", "scanner-enable"):
                    if self.scanner_state != "idle":
                        await self.port.command(ADDRESS, verb, {}, actor=SUPERVISOR)

    async def ordered(self) -> str:
        """A vehicle at the booth whose scan is ordered: the scanner is armed. The scan's key."""
        await self.usable()
        await self.vehicle_at_booth()
        passage = self.told("passage_assessed")[-1]["passage"]
        key = await self.ask("scan", passage=passage, reason="measured", valid_s=600.0)
        await self.observer.until(lambda look: look.outputs["scan_arm"])
        return key

    async def warned(self) -> None:
        key = await self.ordered()
        await self.in_turn(loop_exit=True)
        await self.in_turn(loop_booth=False)
        self.scanner_contacts(vehicle_in_position=True, driver_clear=True)
        await self.ask("driver-out", scan=key)
        await self.observer.until(lambda look: look.outputs["warning_request"])

    async def requested(self) -> None:
        await self.warned()
        await self.observer.until(lambda look: look.outputs["scan_request"])

    async def scanning(self) -> None:
        await self.requested()
        self.scanner_contacts(shutter_closed=False, shutter_open=True, scan_in_progress=True)
        await self.until(lambda: self.scanner_state == "scanning")


def _numbered(names: tuple[str, ...]) -> dict[str, int]:
    return {name: at for at, name in enumerate(names)}


SCANNER_STATES: dict[str, Callable[[ScannerRig], Awaitable[object]]] = {
    "scanner armed": ScannerRig.ordered,
    "scanner warning": ScannerRig.warned,
    "scan requested": ScannerRig.requested,
    "scanning": ScannerRig.scanning,
}
"""ARMED, WARNING, TRIGGERED and SCANNING of the machine."""
