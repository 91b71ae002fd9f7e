"""`lanecontrol ledger verify|export|status CONFIG`: a lane's ledger, also while the daemon writes to it. Reads only."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lanecontrol.ledger.reader import Reader
    from lanecontrol.ledger.records import Row

LEDGER_FILE = "ledger.db"


def main(argv: list[str]) -> int:
    parser = arguments.parser("ledger", "The hash chain, the events, the undelivered tail of a lane's ledger.")
    parser.add_argument("what", choices=("verify", "export", "status"))
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--undelivered", action="store_true", help="export: only what the port has not got yet")
    arguments.add_json(parser)
    options = parser.parse_args(argv)

    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret, stand_in
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.sealing import Sealer

    # Looking at the chain needs no key: where the secrets are not known, bodies stay sealed.
    store = load(options.config, secret=lambda name: find_secret(name) or stand_in(name)).store
    path = store.path / LEDGER_FILE
    if not path.is_file():
        output.note(f"lanecontrol ledger: there is no ledger at {path}")
        return FAILED
    with Reader.open(path, sealer=Sealer(store.keys)) as reader:
        match options.what:
            case "verify":
                return _verify(reader, as_json=options.json)
            case "export":
                return _export(reader, undelivered=options.undelivered)
            case _:
                return _status(reader, as_json=options.json)


def _verify(reader: Reader, *, as_json: bool) -> int:
    from lanecontrol.ledger.reader import ChainCheck

    check = ChainCheck.of(reader)
    check.take_all(_with_progress(reader.every_row(), reader.row_count()))
    verdict = check.verdict()
    facts: dict[str, Any] = {
        "good": verdict.good,
        "rows": verdict.rows,
        "erased": verdict.erased,
        "sealed": verdict.sealed,
        "declared_losses": [dataclasses.asdict(loss) for loss in verdict.losses],
        "first_bad": str(verdict.first_bad) if verdict.first_bad else None,
        "chain_head": reader.head().link.hex(),
    }
    if as_json:
        output.json_line(facts)
    else:
        output.pairs(facts)
    return GOOD if verdict.good else FAILED


def _with_progress(rows: Iterator[Row], total: int) -> Iterable[Row]:
    if not sys.stderr.isatty():
        return rows
    from rich.console import Console
    from rich.progress import track

    return track(rows, "verifying", total=total, console=Console(stderr=True))


def _export(reader: Reader, *, undelivered: bool) -> int:
    """Each event as it was, or will be, sent: one a line. Of erased and of sealed ones there is the digest."""
    sealed = 0
    for row in _tail(reader) if undelivered else reader.every_row():
        if row.body is not None:
            print(row.body.decode())
        else:
            sealed += row.is_sealed
            why = "sealed" if row.is_sealed else "erased"
            output.json_line({"id": f"{row.epoch}-{row.seq}", why: True, "digest": row.digest.hex()})
    if sealed:
        output.note(f"lanecontrol ledger: {sealed} events are sealed; run this where the lane's store keys are known")
    return FAILED if sealed else GOOD


def _tail(reader: Reader) -> Iterator[Row]:
    from lanecontrol.ledger.reader import BATCH
    from lanecontrol.ledger.records import START

    after = START
    while batch := reader.undelivered(after, BATCH):
        yield from batch
        after = batch[-1].position


def _status(reader: Reader, *, as_json: bool) -> int:
    facts = dataclasses.asdict(reader.status())
    if as_json:
        output.json_line(facts)
    else:
        output.pairs(facts)
    return GOOD
