"""sllurp as a client: connects, reads what its own inventory reports, and tells it as JSON lines.

sllurp is GPL-3.0: this script is only ever run as a process of its own, in sllurp's own environment. (Its command line
would do, but sllurp 3.0.5 as published lacks the package `sllurp.verb` that every command of it imports.)
"""

# mypy: disable-error-code="import-not-found,misc"
from __future__ import annotations

import json
import logging
import sys
from typing import Any

from sllurp.llrp import C1G2Read, LLRPReaderClient, LLRPReaderConfig, LLRPReaderState


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """What JSON can carry."""
    match value:
        case bytes():
            return value.decode("ascii") if value.isascii() and value.decode("ascii").isalnum() else value.hex()
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def told(_: Any, tags: list[dict[str, Any]]) -> None:
    for tag in tags:
        say("tag", **plain(tag))


def main() -> None:
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING)
    asked = ("AntennaID", "ChannelIndex", "PeakRSSI", "FirstSeenTimestamp", "LastSeenTimestamp", "TagSeenCount")
    content = {f"Enable{name}": True for name in (*asked, "ROSpecID", "SpecIndex", "InventoryParameterSpecID")}
    config = LLRPReaderConfig(
        {
            "antennas": settings.get("antennas", [0]),
            "report_every_n_tags": 1,
            "tag_content_selector": {**content, "EnableAccessSpecID": True},
            "start_inventory": True,
            "reset_on_connect": True,
            "keepalive_interval": 500,
            **settings.get("config", {}),
        }
    )
    client = LLRPReaderClient("127.0.0.1", settings["port"], config, timeout=10)
    client.add_tag_report_callback(told)
    client.add_message_callback("KEEPALIVE", lambda _, message: say("keepalive"))
    client.add_state_callback(LLRPReaderState.STATE_INVENTORYING, lambda _, state: say("inventorying"))
    client.add_disconnected_callback(lambda _: say("disconnected"))
    client.connect()
    say("connected")
    for line in sys.stdin:
        match json.loads(line)["what"]:
            case "read_tid":
                client.start_access_spec(C1G2Read(OpSpecID=1, MB=2, WordPtr=0, WordCount=6), stop_after_count=0)
            case "capabilities":
                say("capabilities", **plain(client.llrp.capabilities))
            case "leave":
                client.disconnect(timeout=10)
                say("left")
                return


if __name__ == "__main__":
    main()
