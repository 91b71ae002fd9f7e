"""Pieces of argument parsing that several commands share. Standard library only."""

from __future__ import annotations

import argparse
from typing import Any

DEFAULT_BROKER = "mqtt://127.0.0.1:1883"
PASSWORD = "LANECONTROL_BROKER_PASSWORD"


def parser(command: str, text: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"lanecontrol {command}", description=text)


def add_json(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="JSON on stdout, one object a line")


def add_settings(to: argparse.ArgumentParser, what: str) -> None:
    to.add_argument(
        "--set", action="append", default=[], type=setting, metavar="KEY=VALUE", dest="settings", help=f"{what}; repeat"
    )


def setting(text: str) -> tuple[str, str]:
    """`key=value` as a pair, for argparse."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key.strip(), value


def add_broker(to: argparse.ArgumentParser) -> None:
    """`--broker` and who we are to it. The password comes from the environment: arguments can be seen by everybody."""
    to.add_argument("--broker", default=DEFAULT_BROKER, metavar="URL", help=f"the port's broker ({DEFAULT_BROKER})")
    to.add_argument("--username", default="", help=f"who we are to the broker; the password is ${PASSWORD}")


def nested(settings: list[tuple[str, str]]) -> dict[str, Any]:
    """`inputs.loop=0` as `{"inputs": {"loop": "0"}}`. Raises argparse.ArgumentTypeError when two of them clash."""
    made: dict[str, Any] = {}
    for key, value in settings:
        *path, last = key.split(".")
        at = made
        for part in path:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise argparse.ArgumentTypeError(f"{key} clashes with another --set")
        at[last] = value
    return made
