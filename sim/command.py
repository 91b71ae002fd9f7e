"""`lanecontrol sim` and `lanecontrol fake`: the simulator's commands, found through the entry-point group."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

GOOD, FAILED, USAGE = 0, 1, 2
DEMO_VEHICLES = 20
DEMO_SPEED = 10.0
MOST_LANES = 90
"""Their names are two digits, from 07 on."""


def sim(argv: list[str]) -> int:
    """A lane, its fakes, a broker and traffic, in one process; the score at the end."""
    parser = _sim_parser()
    options = parser.parse_args(argv)
    for wrong in _at_odds(options):
        parser.error(wrong)
    try:
        return _sim(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "iotcore":
            raise
        print("lanecontrol sim: no broker; install the extra `sim`, or give one with --broker URL", file=sys.stderr)
        return FAILED
    except BaseExceptionGroup as group:
        raise _told(group) from None


def _sim(options: argparse.Namespace) -> int:
    from sim.simfile import load_scenario, load_simfile

    simulation = load_simfile(options.config or _shipped("sim.yaml"))
    scenario = load_scenario(options.scenario or simulation.scenario, simulation.devices)
    update = {"vehicles": options.vehicles, "duration_s": options.duration}
    if options.vehicles is None and options.duration is None and scenario.vehicles is None:
        update["vehicles"] = DEMO_VEHICLES if scenario.duration_s is None else None
    scenario = scenario.model_copy(update={key: value for key, value in update.items() if value is not None})
    if options.typed:
        return _typed(options, simulation, scenario)
    if options.fakes_only:
        return _fakes_only(options, simulation, scenario)
    if options.recording:
        return _recording(options, simulation)
    return _whole(options, simulation, scenario)


def _told(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one of our own errors that the command line knows how to tell; a bug comes first and keeps its trace."""
    from lanecontrol.errors import LaneControlError

    ours, bugs = group.split((LaneControlError, OSError))
    if bugs is not None or ours is None:
        return group
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


_NOT_WITH = {
    "typed": ("fakes_only", "recording", "broker", "state"),
    "recording": ("fakes_only", "vehicles", "duration", "scenario", "state"),
    "fakes_only": ("state",),
}
"""Options that mean nothing in another one's way of running: refused rather than passed over."""


def _at_odds(options: argparse.Namespace) -> Iterator[str]:
    """What is wrong with these options taken together."""
    for way in (way for way in _NOT_WITH if getattr(options, way)):
        for other in (name for name in _NOT_WITH[way] if getattr(options, name)):
            yield f"{_flag(way)} and {_flag(other)} do not go together"
        if options.lanes > 1:
            yield f"{_flag(way)} has one lane"
    if options.fakes_only and (options.write_config is None or not options.broker or options.speed is None):
        yield "--fakes-only needs --write-config, --broker and a --speed that is a number"
    if options.runs > 1 and not options.typed:
        yield "--runs goes with --typed"
    if options.write_config is not None and not options.fakes_only:
        yield "--write-config goes with --fakes-only"
    for path in (path for path in (options.report, options.write_config) if path is not None):
        if not path.absolute().parent.is_dir():
            yield f"there is no folder {path.absolute().parent}"
        elif path.is_dir():
            yield f"{path} is a folder, name a file"
    if options.state is not None and options.state.exists() and not options.state.is_dir():
        yield f"{options.state} is a file, name a folder"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _sim_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lanecontrol sim", description=sim.__doc__)
    parser.add_argument("--config", type=Path, help="the simulation (default: the shipped sim.yaml)")
    parser.add_argument("--scenario", type=Path, help="what happens in the lane (default: the simulation's)")
    parser.add_argument("--seed", type=int, default=7, help="settles everything that is drawn by chance (7)")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--vehicles", type=_positive(int), help=f"how many come ({DEMO_VEHICLES})")
    amount.add_argument("--duration", type=_positive(float), metavar="S", help="for how many lane seconds they come")
    parser.add_argument(
        "--speed", type=_speed, default=DEMO_SPEED, metavar="X|max", help="lane seconds per second (10)"
    )
    parser.add_argument("--lanes", type=_lanes, default=1, help="lanes in this process (1)")
    parser.add_argument("--broker", type=_broker, metavar="URL", help="a broker to use instead of an own one")
    parser.add_argument("--links", choices=("tcp", "mem"), default="tcp", help="real sockets, or links in memory")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep the lanes' stores here")
    parser.add_argument("--recording", metavar="KIND=FILE", help="a recorded device instead of a fake one")
    parser.add_argument("--typed", action="store_true", help="readings straight into the lane core, without the wire")
    parser.add_argument(
        "--runs", type=_positive(int), default=1, help="with --typed: runs side by side, seeds counting up (1)"
    )
    parser.add_argument("--fakes-only", action="store_true", help="only world and fakes; the daemon runs elsewhere")
    parser.add_argument(
        "--write-config", type=Path, metavar="F", help="with --fakes-only: the lane file for the daemon"
    )
    parser.add_argument("--report", type=Path, metavar="F", help="write the score as JSON")
    parser.add_argument("--quiet", action="store_true", help="nothing but the score")
    return parser


def _positive(kind: Any) -> Any:
    def convert(text: str) -> Any:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    convert.__name__ = kind.__name__
    return convert


def _lanes(text: str) -> int:
    value = int(text)
    if not 0 < value <= MOST_LANES:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MOST_LANES}")
    return value


_lanes.__name__ = "number"


def _broker(text: str) -> str:
    from lanecontrol.links import parse_url
    from lanecontrol.port.mqtt_greeting import link_url

    try:
        parse_url(link_url(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if urlsplit(text).port is None:
        raise argparse.ArgumentTypeError(f"{text} has no port; write mqtt://host:1883")
    return text


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor max") from None
    if not 0.1 <= value <= 100:
        raise argparse.ArgumentTypeError("a speed lies between 0.1 and 100; max goes as fast as it can")
    return value


def _shipped(name: str) -> Path:
    """A file of configs/, which lies beside the packages in a checkout and inside `sim` in a wheel."""
    beside = Path(__file__).resolve().parent.parent / "configs" / name
    return beside if beside.is_file() else Path(str(files("sim") / "configs" / name))


# --- the ways to run -------------------------------------------------------------------------------------------------


def _whole(options: argparse.Namespace, simulation: Any, scenario: Any) -> int:
    from sim.scoring import scored
    from sim.simulate import Options, simulate
    from sim.watching import as_json_lines, on_terminal

    _quiet_logs()
    wanted = Options(
        simulation,
        scenario,
        seed=options.seed,
        lanes=options.lanes,
        speed=options.speed,
        links=options.links,
        broker=options.broker or "",
        state=options.state,
    )
    watch = None
    if not options.quiet:
        terminal = sys.stdout.isatty()
        watch = on_terminal(simulation.scene, options.speed, scenario.vehicles) if terminal else as_json_lines()
    report = simulate(wanted, watch)
    return _finish(scored(report, options.seed).to_plain(), options)


def _typed(options: argparse.Namespace, simulation: Any, scenario: Any) -> int:
    from sim.typed_run import run_typed
    from sim.typed_runs import run_many

    if scenario.mischief:
        print("lanecontrol sim: --typed has no wire for the scenario's mischief", file=sys.stderr)
        return USAGE

    if options.runs > 1:
        score = run_many(simulation, scenario, options.seed, options.runs, _progress(options))
    else:
        score = run_typed(simulation, scenario, options.seed)
    return _finish(score.to_plain(), options)


def _fakes_only(options: argparse.Namespace, simulation: Any, scenario: Any) -> int:
    from sim.fakes_only import Elsewhere, serve_fakes

    _quiet_logs()
    wanted = Elsewhere(simulation, scenario, options.seed, options.speed, options.broker, options.write_config)
    return _finish(serve_fakes(wanted, _progress(options)).to_plain(), options)


def _recording(options: argparse.Namespace, simulation: Any) -> int:
    from sim.recorded import play_recording

    kind, equals, name = options.recording.partition("=")
    if kind != "rpm.rapiscan" or not equals or not Path(name).is_file():
        print("lanecontrol sim: --recording takes rpm.rapiscan=FILE, a file that is there", file=sys.stderr)
        return USAGE
    _quiet_logs()
    score = play_recording(simulation, Path(name), speed=options.speed, broker=options.broker)
    return _finish(score.to_plain(), options)


def _quiet_logs() -> None:
    """Warnings and worse, on stderr: stdout belongs to the picture or the events."""
    import os

    from lanecontrol.service.logging import configure_logging

    level = "error" if sys.stdout.isatty() else "warning"
    configure_logging(level=level, style="auto", stream=sys.stderr, hash_key=os.urandom(32))


def _progress(options: argparse.Namespace) -> Any:
    def tell(text: str) -> None:
        if not options.quiet:
            print(text, file=sys.stderr, flush=True)

    return tell


def _finish(score: dict[str, Any], options: argparse.Namespace) -> int:
    """Write the score where it is wanted, tell it in short, and say whether anything went wrong."""
    if options.report is not None:
        options.report.write_text(json.dumps(score, indent=2) + "\n", encoding="utf-8")
    # With the daemon in another process, kept alive or not by somebody else, only delivery can be held against it.
    wrong = errors_in(score) if not options.fakes_only else errors_in({**score, "alarms": {"missed": 0}})
    if sys.stdout.isatty() or options.quiet or options.typed:
        print(json.dumps(score) if not sys.stdout.isatty() else _summary(score))
    if wrong:
        print(f"lanecontrol sim: {', '.join(wrong)}", file=sys.stderr)
    return FAILED if wrong else GOOD


def errors_in(score: dict[str, Any]) -> list[str]:
    """What must not happen in any run, whatever the traffic: lost or disordered events, missed alarms, people in a
    scanner's beam."""
    events, alarms, scans = score["events"], score["alarms"], score["scans"]
    return [
        f"{count} {what}"
        for what, count in (
            ("events lost", events["lost"]),
            ("events out of order", events["out_of_order"]),
            ("alarms missed", alarms["missed"]),
            ("people in the beam", scans["people_in_beam"]),
            ("beams without a request", scans["beam_without_request"]),
        )
        if count
    ]


def _summary(score: dict[str, Any]) -> str:
    passages, readings, alarms, events = (score[key] for key in ("passages", "readings", "alarms", "events"))
    speed, rate = (score[key] / score["wall_s"] if score["wall_s"] else 0.0 for key in ("lane_s", "vehicles"))
    plates = score["plates"]
    scans = score["scans"]
    scanned = (
        f"scans: {scans['ordered']} ordered, {scans['completed']} completed, {scans['aborted']} aborted, "
        f"{scans['cancelled']} cancelled, {scans['false_aborts']} false aborts, "
        f"{scans['people_in_beam']} people in the beam\n"
    )
    cameras = f"plates: {plates['bound']} bound, {plates['misassigned']} misassigned, {plates['misread']} misread\n"
    return (
        f"\n{score['vehicles']} vehicles in {score['lane_s'] / 60:.1f} lane minutes"
        f" (x{speed:.0f}, {rate:.0f} vehicles a second)\n"
        f"passages: {passages['complete']} complete, {passages['merged']} merged, {passages['split']} split, "
        f"{passages['missed']} missed\n"
        f"readings: {readings['bound']} bound, {readings['misassigned']} misassigned, "
        f"{readings['ambiguous']} ambiguous, {readings['orphan']} orphan\n"
        f"{cameras if any(plates.values()) else ''}"
        f"{scanned if any(scans.values()) else ''}"
        f"alarms: {alarms['true']} true, {alarms['missed']} missed, {alarms['false']} false\n"
        f"events: {events['recorded']} recorded, {events['lost']} lost, {events['duplicated']} duplicated"
    )


def fake(argv: list[str]) -> int:
    """One fake device on a port or pty, in a world of its own, for benches and other people's clients. Runs until
    Ctrl-C, or for --seconds."""
    parser = argparse.ArgumentParser(prog="lanecontrol fake", description=fake.__doc__)
    parser.add_argument("kind", help="rpm.rapiscan, io.modbus, rfid.llrp, ...")
    parser.add_argument(
        "--url",
        required=True,
        help="tcp://127.0.0.1:PORT (0 takes a free one), tls://127.0.0.1:PORT?cert=FILE&key=FILE or pty:; "
        "for a device that connects by itself, where to",
    )
    parser.add_argument("--config", type=Path, help="the simulation (default: a shipped one with such a device)")
    parser.add_argument("--scenario", type=Path, help="what happens in the lane (default: the simulation's)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="lane seconds per second (1)")
    parser.add_argument(
        "--seconds", type=_positive(float), help="end after so many real seconds (default: run until Ctrl-C)"
    )
    options = parser.parse_args(argv)
    from sim.one_fake import home_of, serve_one
    from sim.simfile import load_scenario, load_simfile

    shipped = (load_simfile(_shipped(name)) for name in ("sim.yaml", "sim-fast.yaml"))
    simulation = load_simfile(options.config) if options.config else home_of(options.kind, shipped)
    scenario = load_scenario(options.scenario or simulation.scenario, simulation.devices)

    try:
        return serve_one(options, simulation, scenario, lambda url: print(url, flush=True))
    except ValueError as error:
        print(f"lanecontrol fake: {error}", file=sys.stderr)
        return USAGE
