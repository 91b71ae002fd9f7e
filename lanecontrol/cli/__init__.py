"""`lanecontrol`: the command line. Finds the command and deals with what leaves it; nothing else.

Imports the standard library only, so that `--help` is instant: each command is a module with a `main(argv)` that
imports what it needs when it runs. Other distributions add commands through the entry-point group
`lanecontrol.commands` (a callable that takes the arguments and answers the exit code).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

GOOD, FAILED, USAGE, BAD_CONFIG = 0, 1, 2, 78
INTERRUPTED, BROKEN_PIPE = 130, 141
"""As shells count a death by SIGINT and by SIGPIPE."""
ENTRY_POINTS = "lanecontrol.commands"

COMMANDS = {
    "run": "the daemon of one lane",
    "check": "every problem of a lane file, with file:line:col",
    "drivers": "the kinds of device that are installed",
    "devices": "the devices of a lane: a connection test in stages",
    "probe": "one real driver against one device; its events",
    "decode": "a raw capture through the production codec",
    "plates": "read plates on picture files",
    "watch": "the events of lanes as they are published",
    "command": "ask something of a lane: disposition, open, close, ...",
    "divert": "tell all lanes of a port that traffic is sent elsewhere",
    "record": "take the flight recorder's ring out of a lane's store",
    "replay": "feed a recording back and compare the decisions",
    "snapshot": "is a local snapshot of enrolments and lookouts good, whose, how old",
    "ledger": "verify, export or show the state of a lane's ledger",
    "numbers": "recount the figures of a lane's traffic from its events",
    "schema": "JSON schemas: lane file, events; AsyncAPI",
    "broker-profile": "a mosquitto for the lanes of a port: configuration and access list",
    "doctor": "what is wrong with this box; a redacted support bundle",
}
"""Each is a module of this package by the same name."""

KNOWN_EXTRAS = {
    "sim": "a lane, fake devices, a broker and traffic, in one process",
    "fake": "one fake device on a port or pty",
}
"""What the simulator brings, in words, so that `--help` need not load it."""

Main = Callable[[list[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by whoever started us (`>&-`): said to nobody, and no file of ours gets its number
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        return _dispatch(arguments)
    except SystemExit as end:  # argparse: help, or wrong usage
        return end.code if isinstance(end.code, int) else USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return GOOD if arguments else USAGE
    if arguments[0] == "--version":
        from lanecontrol import __version__

        print(f"lanecontrol {__version__}")
        return GOOD
    command = _command(arguments[0])
    if command is None:
        print(f"lanecontrol: no command {arguments[0]!r}; see lanecontrol --help", file=sys.stderr)
        return USAGE
    code = _guarded(command, arguments[1:])
    sys.stdout.flush()
    return code


def _command(name: str) -> Main | None:
    if name in COMMANDS:
        found: Main = importlib.import_module(f"lanecontrol.cli.{name.replace('-', '_')}").main
        return found
    for point in _extras():
        if point.name == name:
            loaded: Main = point.load()
            return loaded
    return None


def _extras() -> list[Any]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _guarded(command: Main, arguments: list[str]) -> int:
    """What our own errors mean on a command line. Anything else is a bug and shows its trace."""
    from lanecontrol.errors import ConfigError, LaneControlError

    try:
        return command(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except BrokenPipeError:
        raise
    except (LaneControlError, OSError) as error:
        print(f"lanecontrol: {_told(error)}", file=sys.stderr)
        return FAILED


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        named = error.filename and not isinstance(error.filename, int)  # of an open file it is only a number
        return f"{error.filename}: {error.strerror}" if named else error.strerror
    return str(error)


def _pipe_closed() -> int:
    """Whoever read our output has gone, as `head` does: nothing to say, and nobody to say it to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _help() -> str:
    extras = {p.name: KNOWN_EXTRAS.get(p.name, f"from {p.dist.name if p.dist else '?'}") for p in _extras()}
    every = {**COMMANDS, **extras}
    rows = "\n".join(f"  {name:{max(map(len, every)) + 2}}{meaning}" for name, meaning in every.items())
    return (
        "usage: lanecontrol COMMAND ...\n\n"
        "Lane controller for inspection lanes at land ports of entry.\n\n"
        f"{rows}\n\n"
        "lanecontrol COMMAND --help tells the rest. Exit codes: 0 good, 1 failed, 2 usage, 78 bad configuration."
    )
