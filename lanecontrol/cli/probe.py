"""`lanecontrol probe KIND URL`: one real driver under the real supervisor, against one device; its events as lines.

Commands nothing and feeds no watchdog. Card numbers and plates show as hashes that hold for this run only.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, USAGE, arguments, output

if TYPE_CHECKING:
    from lanecontrol.driver import DeviceConfig, Driver


def main(argv: list[str]) -> int:
    parser = arguments.parser("probe", "One real driver against one device; its events as they come.")
    parser.add_argument("kind", help="which driver, e.g. rpm.rapiscan")
    parser.add_argument("url", help="where the device is, or where to listen for it: tcp://192.0.2.31:1600")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for how long (10); 0: until Ctrl-C")
    arguments.add_settings(parser, "a setting of the driver, e.g. inputs.loop=0")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol.cli.bench_device import BadSettings, device_config, yaml_values

    try:
        driver, config = device_config(options.kind, options.url, yaml_values(arguments.nested(options.settings)))
    except (BadSettings, argparse.ArgumentTypeError) as error:
        output.note(f"lanecontrol probe: {error}")
        return USAGE
    _quiet_log()
    return asyncio.run(_probe(driver, config, options.seconds, as_json=options.json))


def _quiet_log() -> None:
    """The supervisor's log would say again, on stdout, what the events say."""
    import sys

    from lanecontrol.service.logging import configure_logging

    configure_logging(level="error", style="console", stream=sys.stderr, hash_key=secrets.token_bytes(32))


async def _probe(made: type[Driver], config: DeviceConfig, seconds: float, *, as_json: bool) -> int:
    from lanecontrol.cli.bench_device import listening_place
    from lanecontrol.clock import LoopClock
    from lanecontrol.events import DeviceChanged, DeviceState, Event
    from lanecontrol.links import LinkOpener
    from lanecontrol.service.logging import Redaction
    from lanecontrol.supervisor import Supervisor

    if where := listening_place(made, config.url):
        output.note(f"listening at {where} for the device to connect")
    clock, hash_key = LoopClock(), secrets.token_bytes(32)
    redaction = Redaction(hash_key)
    seen_online, reason = False, ""

    def show(_device: str, event: Event) -> None:
        nonlocal seen_online, reason
        if isinstance(event, DeviceChanged):
            seen_online, reason = seen_online or event.state is DeviceState.ONLINE, event.reason
        _print(clock.now().iso(), redaction.safe(event), as_json=as_json)

    links = LinkOpener().for_device(config.id)
    rng = secrets.SystemRandom()
    supervisor = Supervisor(made(config, links), show, clock=clock, rng=rng, hash_key=hash_key, healthy=lambda: False)
    try:
        async with asyncio.timeout(seconds or None):
            await supervisor.run()
    except TimeoutError:
        pass
    status = supervisor.status
    output.note(f"{status.events} events, {status.doubts} doubts, {status.rx_bytes} bytes in, {status.tx_bytes} out")
    if status.turned_away:
        output.note(f"{status.turned_away} connections turned away; the last one: {status.turned_away_why}")
    if not seen_online:
        output.note(f"never online: {reason}")
    return GOOD if seen_online else FAILED


def _print(time: str, event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.json_line({"time": time, **event})
    else:
        print(f"{time} {output.words(event)}", flush=True)
