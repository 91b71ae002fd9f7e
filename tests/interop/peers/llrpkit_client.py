"""llrpkit as a client: what it is told to do one JSON line at a time, and what came of it."""

# mypy: disable-error-code="import-not-found,misc"
from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from llrpkit.client import check_status
from llrpkit.exceptions import LLRPConnectionError
from llrpkit.inventory import TagReport
from llrpkit.protocol import enums, messages, params
from llrpkit.reader import AccessResult, Reader


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


def plain(tag: TagReport) -> dict[str, Any]:
    return {"epc": tag.epc_hex, "antenna": tag.antenna, "rssi": tag.rssi_dbm}


def told(result: AccessResult) -> dict[str, Any]:
    return {"epc": result.epc_hex, "status": result.status, "data": result.data.hex() if result.data else ""}


async def inventory(reader: Reader, **wishes: Any) -> None:
    async for tag in reader.inventory(**wishes):
        say("tag", **plain(tag))
    say("inventoried")


async def windows(reader: Reader, port: int) -> None:
    """One bundle of tags for each time that somebody is on a loop that is wired to a GPI."""
    async for window in reader.windows(port, settle=0.05):
        say("window", tags=[tag.epc_hex for tag in window.tags])


async def config(reader: Reader) -> None:
    found = await reader.get_config()
    say(
        "config",
        identification=bytes(found.identification.reader_id).hex() if found.identification else "",
        antennas=len(found.antenna_properties),
        keepalive_ms=found.keepalive_spec.periodic_trigger_value if found.keepalive_spec else None,
    )


async def events(reader: Reader) -> None:
    """Switch every event on, and tell which kinds come."""
    every = [
        params.EventNotificationState(event_type=kind, notification_state=True) for kind in enums.NotificationEventType
    ]
    spec = params.ReaderEventNotificationSpec(event_notification_states=every)
    request = messages.SET_READER_CONFIG(reset_to_factory_default=False, reader_event_notification_spec=spec)
    check_status(await reader.client.transact(request))
    say("events on")
    async for message in reader.events():
        data = message.reader_event_notification_data
        kinds = [name for name in data.__dataclass_fields__ if name != "timestamp" and getattr(data, name)]
        say("event", kinds=kinds)


async def obey(reader: Reader, what: str, wishes: dict[str, Any]) -> None:
    match what:
        case "inventory":
            await inventory(reader, **wishes)
        case "windows":
            await windows(reader, **wishes)
        case "read":
            say("read", **told(await reader.read_memory(**wishes)))
        case "write":
            say("wrote", **told(await reader.write_memory(**wishes)))
        case "kill":
            say("killed", **told(await reader.kill_tag(**wishes)))
        case "keepalive":
            await reader.set_keepalive(wishes["ms"])
            say("keepalive set")
        case "config":
            await config(reader)
        case "events":
            await events(reader)
        case "gpo":
            await reader.set_gpo(wishes["port"], wishes["state"])
            state = await reader.get_gpio()
            say("gpio", gpis=state.gpis, gpos=state.gpos)


async def main() -> None:
    settings = json.loads(sys.argv[1])
    reader = Reader("127.0.0.1", settings["port"])
    try:
        await reader.connect()
    except LLRPConnectionError as error:
        say("refused", why=str(error))
        return
    able = reader.capabilities
    say(
        "connected",
        antennas=able.max_antennas,
        powers=able.transmit_powers,
        modes=[mode.mode_id for mode in able.modes],
        hopping=able.hopping,
        firmware=able.firmware,
    )
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    working: set[asyncio.Task[None]] = set()
    while line := await lines.readline():
        order = json.loads(line)
        what = order.pop("what")
        if what == "leave":
            break
        working.add(asyncio.create_task(obey(reader, what, order)))
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await reader.close()
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
