"""Brokers for a machine without one: `MemoryBroker` in this process, `iotcore_broker` in a child process.

The demo uses the second (a real broker, rumqttd, from a wheel); tests and simulations on memory links use the first.
`python -m sim.broker` serves either until interrupted, for a bench. Everything binds to loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lanecontrol.links import serve_tcp
from sim.mqtt_broker import MemoryBroker, Settings

__all__ = ["LOOPBACK", "MemoryBroker", "Settings", "iotcore_broker", "iotcore_settings"]

LOOPBACK = "127.0.0.1"
MAX_PAYLOAD_BYTES = 1024 * 1024
START_ATTEMPTS = 3
"""Somebody else may take the free port between our finding it and the broker binding it."""

_TOML = """\
id = 0

[router]
id = 0
max_connections = {max_connections}
max_outgoing_packet_count = 1000
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_payload_bytes}
max_inflight_count = 200
dynamic_filters = true
"""


def iotcore_settings(port: int) -> str:
    """The broker's own configuration: MQTT 5 on loopback only."""
    return _TOML.format(host=LOOPBACK, port=port, max_payload_bytes=MAX_PAYLOAD_BYTES, max_connections=1000)


@contextmanager
def iotcore_broker(port: int = 0, *, start_timeout_s: float = 10.0) -> Iterator[int]:
    """A real MQTT 5 broker on loopback while the context lasts; gives its port (0 takes a free one).

    It runs in a child process, which ends with the context and also when this process dies. Starting blocks for about
    a tenth of a second: call it before the event loop runs, or in a thread. Raises OSError when the port is taken,
    RuntimeError when the broker does not come up, ImportError when the extra `sim` is not installed.

    What it cannot do: it never answers that nobody subscribed, and refuses no publish. Use `MemoryBroker` for those.
    """
    from iotcore import Broker

    with tempfile.TemporaryDirectory(prefix="lanecontrol-broker-") as folder:
        settings = Path(folder) / "broker.toml"
        for attempt in range(1, START_ATTEMPTS + 1):
            taken = port or free_port()
            settings.write_text(iotcore_settings(taken))
            broker = Broker(config_path=str(settings))
            try:
                broker.start(start_timeout_s)
                break
            except (OSError, RuntimeError):
                if port or attempt == START_ATTEMPTS:
                    raise
        try:
            yield taken
        finally:
            broker.stop()


def free_port() -> int:
    """A port of loopback that nobody used a moment ago."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _serve_memory_broker(port: int) -> None:
    async with serve_tcp(LOOPBACK, port, MemoryBroker().serve) as taken:
        await _announce_and_wait(taken)


async def _announce_and_wait(port: int) -> None:
    """Say where the broker is, and wait for SIGINT or SIGTERM without limit."""
    sys.stdout.write(f"mqtt://{LOOPBACK}:{port}\n")
    sys.stdout.flush()
    told = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # where a loop has no signal handlers, SIGINT still ends us
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m sim.broker [--port 1883] [--memory]`: prints the broker's URL once it accepts connections."""
    parser = argparse.ArgumentParser(prog="python -m sim.broker", description="An MQTT broker on loopback.")
    parser.add_argument("--port", type=_port, default=1883, help="0 takes a free one (1883)")
    parser.add_argument("--memory", action="store_true", help="the small broker of the tests, which can refuse")
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            _serve(options.port, options.memory)
        except (OSError, RuntimeError) as error:  # the port is taken, or the broker does not come up
            sys.exit(f"python -m sim.broker: {error}")


def _serve(port: int, memory: bool) -> None:
    if memory:
        asyncio.run(_serve_memory_broker(port))
        return
    with iotcore_broker(port) as taken:
        asyncio.run(_announce_and_wait(taken))


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; one is between 0 and 65535")


if __name__ == "__main__":
    main()
