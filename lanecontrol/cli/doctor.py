"""`lanecontrol doctor [CONFIG]`: what is wrong with this box; and a support bundle without secrets or personal data.

Reads and looks only; it commands nothing and changes nothing but for one empty file in the store, removed at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from lanecontrol.config import Loaded
    from lanecontrol.sealing import Sealer

LEAST_FREE_GIB = 10
"""35 days of a busy lane."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One look: `good` is None where the question does not arise."""

    what: str
    good: bool | None
    detail: str


def main(argv: list[str]) -> int:
    parser = arguments.parser("doctor", "What is wrong with this box; --bundle writes a redacted support bundle.")
    parser.add_argument("config", nargs="?", help="the lane file; without it only the machine is looked at")
    parser.add_argument("--bundle", type=Path, metavar="F", help="a zip file to send to whoever helps")
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    findings = list(_machine())
    loaded = None
    if options.config is not None:
        loaded, config_findings = _config(options.config)
        findings += config_findings
    if loaded is not None:
        findings += [*_store(loaded), *_keys(loaded), *_pictures(loaded), *_serial_ports(loaded), *_places(loaded)]
        findings += asyncio.run(_brokers(loaded))
    _show(findings, as_json=options.json)
    if options.bundle is not None:
        _bundle(options.bundle, findings, Path(options.config) if options.config else None)
        output.note(f"wrote {options.bundle}: findings, versions and the configuration without secrets")
    return FAILED if any(finding.good is False for finding in findings) else GOOD


def _show(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        for finding in findings:
            output.json_line(dataclasses.asdict(finding))
        return
    words = {True: "good", False: "BAD", None: "-"}
    output.table(("what", "", "detail"), [[each.what, words[each.good], each.detail] for each in findings])


# --- looks ------------------------------------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    from lanecontrol.service.boot import clock_synchronised

    yield Finding("python", sys.version_info >= (3, 11), platform.python_version())
    synchronised = clock_synchronised()
    yield Finding("clock synchronised", synchronised, "" if synchronised else "nobody disciplines the system clock")


def _config(path: str) -> tuple[Loaded | None, list[Finding]]:
    from lanecontrol.config import load
    from lanecontrol.errors import ConfigError

    try:
        loaded = load(path)
    except ConfigError as error:
        return None, [Finding("configuration", False, str(problem)) for problem in error.problems]
    return loaded, [Finding("configuration", True, f"{path}, hash {loaded.config_hash}")]


def _store(loaded: Loaded) -> Iterator[Finding]:
    folder = loaded.store.path
    while not folder.exists():
        folder = folder.parent
    probe = folder / ".lanecontrol-doctor"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        yield Finding("store writable", False, f"{folder}: {error.strerror}")
    else:
        yield Finding("store writable", True, str(loaded.store.path))
    free_gib = shutil.disk_usage(folder).free / 1024**3
    yield Finding("store room", free_gib >= LEAST_FREE_GIB, f"{free_gib:.1f} GiB free, {LEAST_FREE_GIB} wanted")


def _keys(loaded: Loaded) -> Iterator[Finding]:
    """Whether what lies in the store is sealed, and opens with the keys that are known here."""
    from lanecontrol.errors import StorageError
    from lanecontrol.sealing import Sealer

    sealer = Sealer(loaded.store.keys)
    if not sealer.seals:
        yield Finding("store sealed", None, "no keys: card numbers and plates lie on this disk in clear")
        return
    try:
        locked = _locked(loaded.store.path, sealer)
    except (OSError, StorageError) as error:
        yield Finding("store sealed", False, str(error))
        return
    with_key = f"with key {sealer.key_id}"
    what = f"{' and '.join(locked)} cannot be opened {with_key}, nor with another of the store's keys"
    yield Finding("store sealed", not locked, what if locked else f"{with_key}; opens with {len(loaded.store.keys)}")


def _locked(store: Path, sealer: Sealer) -> list[str]:
    """The parts of a store whose newest content is sealed with a key that is not here."""
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.ledger.records import Position
    from lanecontrol.recorder.segments import lines, segment_files

    found = []
    if (path := store / "ledger.db").is_file():
        with Reader.open(path, sealer=sealer) as reader:
            if any(row.is_sealed for row in reader.rows(Position(reader.last_position() - 1), 1)):
                found.append("the ledger")
    folder = store / "recorder"
    newest = segment_files(folder)[-1:] if folder.is_dir() else []
    if any(line is None for segment in newest for line in lines(segment, sealer)):
        found.append("the flight recorder")
    return found


def _pictures(loaded: Loaded) -> Iterator[Finding]:
    from lanecontrol.clock import utc_text
    from lanecontrol.evidence.files import measure

    try:
        size = measure(loaded.store.path / "evidence")
    except OSError as error:
        yield Finding("pictures kept", False, f"{loaded.store.path / 'evidence'}: {error.strerror}")
        return
    quota = f"{loaded.evidence.quota_bytes / 1024**3:g} GiB allowed"
    if size.oldest_utc_s is None:
        yield Finding("pictures kept", None, f"none, {quota}")
    else:
        oldest = utc_text(size.oldest_utc_s)[:10]
        detail = f"{size.pictures}, {size.bytes / 1024**2:.1f} MiB since {oldest}, {quota}"
        yield Finding("pictures kept", size.bytes <= loaded.evidence.quota_bytes, detail)


def _places(loaded: Loaded) -> Iterator[Finding]:
    """Where devices are to find us. A port that is taken is no fault: the daemon itself may have it."""
    from lanecontrol.errors import DeviceError
    from lanecontrol.links.address import ListenAddress, TlsListenAddress, parse_url, place
    from lanecontrol.links.stream import server_context

    for device in loaded.devices:
        address = parse_url(device.url)
        if not isinstance(address, ListenAddress | TlsListenAddress):
            continue
        try:
            if isinstance(address, TlsListenAddress):
                server_context(address)
            yield _place(f"place for {device.id}", place(address), address.host, address.port)
        except DeviceError as error:
            yield Finding(f"place for {device.id}", False, f"{place(address)}: {error.why}")


def _place(what: str, where: str, host: str, port: int) -> Finding:
    import errno
    import socket

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(found[4])
            sock.listen(1)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "in use, by the daemon if it runs" if taken else error.strerror or str(error)
        return Finding(what, None if taken else False, f"{where}: {why}")
    return Finding(what, True, f"{where}: free, nobody listens there now")


def _serial_ports(loaded: Loaded) -> Iterator[Finding]:
    from lanecontrol.cli.bench_device import serial_port_problem
    from lanecontrol.links.address import SerialAddress, parse_url

    for device in loaded.devices:
        match parse_url(device.url):
            case SerialAddress(path):
                wrong = serial_port_problem(path)
                yield Finding(f"serial port of {device.id}", not wrong, wrong or path)


async def _brokers(loaded: Loaded) -> list[Finding]:
    from lanecontrol.errors import DeviceError
    from lanecontrol.links import LinkOpener
    from lanecontrol.port.mqtt_client import MqttConnector

    findings = []
    for broker in loaded.brokers:
        # An id of its own: connecting under the daemon's would throw the daemon out.
        asker = dataclasses.replace(broker, client_id=f"{broker.client_id}-doctor")
        try:
            async with MqttConnector(LinkOpener())(asker) as transport:
                detail = f"{broker.url}, MQTT {'5' if transport.greeting.protocol == 5 else '3.1.1'}"
                findings.append(Finding("broker", True, detail))
        except DeviceError as error:
            findings.append(Finding("broker", False, f"{broker.url}: {error.deed}: {error.why}"))
    return findings


# --- the bundle -------------------------------------------------------------------------------------------------------


def _bundle(path: Path, findings: list[Finding], config: Path | None) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("findings.json", _json([dataclasses.asdict(finding) for finding in findings]))
        bundle.writestr("versions.json", _json(_versions()))
        if config is not None:
            bundle.writestr("configuration.json", _json(_redacted(config)))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _versions() -> dict[str, str]:
    from importlib.metadata import distributions

    about = {"python": sys.version, "platform": platform.platform()}
    return about | {each.metadata["Name"]: each.version for each in distributions()}


def _redacted(config: Path) -> Any:
    """The configuration as it is merged, every secret and password by name at most."""
    from lanecontrol.config.overlay import read_layers
    from lanecontrol.config.wording import hushed

    return hushed(read_layers(config, []))
