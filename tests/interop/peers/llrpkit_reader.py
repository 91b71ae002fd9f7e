# mypy: disable-error-code="import-not-found,misc"
"""llrpkit's emulator as a reader, as it is published; tells what the client asks.

The emulator of llrpkit 0.3.0 differs from the standard in these: ENABLE_EVENTS_AND_REPORTS is answered (with an error);
id 0 does not stand for all ROSpecs in DELETE, ENABLE and DISABLE; an immediate start trigger does not start; DISABLE
of an active ROSpec fails; and questions about versions are answered with 109 instead of 110.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from llrpkit.emulator import EmulatedTag, LLRPEmulator


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


class Emulator(LLRPEmulator):
    """Tells what it is asked."""

    async def _handle_message(self, msg: Any) -> None:
        say("asked", by=type(msg).__name__)
        await super()._handle_message(msg)


async def main() -> None:
    settings = json.loads(sys.argv[1])
    tags = [EmulatedTag(bytes.fromhex(epc), tuple(antennas), rssi) for epc, antennas, rssi in settings["tags"]]
    emulator = Emulator(tags=tags, reads_per_sec=50.0, port=0)
    await emulator.start()
    say("serving", port=emulator.port)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        match json.loads(line):
            case {"what": "gpi", "port": port, "high": high}:
                await emulator.set_gpi(port, high)
            case {"what": "antenna", "antenna": antenna, "connected": connected}:
                await emulator.set_antenna_connected(antenna, connected)
            case {"what": "count"}:
                say("count", acks=emulator.keepalive_acks)


if __name__ == "__main__":
    asyncio.run(main())
