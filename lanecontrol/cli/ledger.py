"""`lanecontrol ledger verify|export|status|dead-letters|prune CONFIG`: a lane's ledger.

All but `prune` only read, also while the daemon writes. `prune` forgets as the daemon does, by the same policy, and
wants the store for itself. `verify` also holds the store against the witness beside it, which knows how far it had
come.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.cli import FAILED, GOOD, arguments, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lanecontrol.ledger.reader import Reader
    from lanecontrol.ledger.records import Head, Row
    from lanecontrol.ledger.sidefiles import Witness
    from lanecontrol.sealing import Sealer

LEDGER_FILE = "ledger.db"
ROOM_BYTES = 64 * 1024
"""With less free on its disk no commit is to be expected: it needs some pages."""


def main(argv: list[str]) -> int:
    parser = arguments.parser("ledger", "The hash chain, the events, the undelivered tail of a lane's ledger.")
    parser.add_argument("what", choices=("verify", "export", "status", "dead-letters", "prune"))
    parser.add_argument("config", help="the lane file; for all but prune also the folder of a store, or of a copy")
    parser.add_argument("--undelivered", action="store_true", help="export: only what the port has not got yet")
    parser.add_argument("--lookouts", action="store_true", help="export: lookouts too; for those who are authorised")
    parser.add_argument("--older-than", type=float, metavar="DAYS", help="prune: instead of the lane file's keep_days")
    parser.add_argument("--dry-run", action="store_true", help="prune: only tell what would go")
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    if options.older_than is not None and not options.older_than > 0:
        parser.error("--older-than wants days, more than 0")

    folder = _store_folder(options.config)
    if folder is not None and options.what == "prune":
        parser.error("prune wants the lane file: it says how long events are kept")
    if options.what == "prune":
        return _prune(options)

    keys: tuple[bytes, ...] = ()
    if folder is None:
        if _is_database(Path(options.config)):
            parser.error(f"a store is named by its folder, in which its file is called {LEDGER_FILE}")
        from lanecontrol.config import load

        store = load(options.config, secret=_secret_or_stand_in).store
        folder, keys = store.path, store.keys
    path = folder / LEDGER_FILE
    return _look(options, path, keys) if path.is_file() else _no_ledger(path)


def _store_folder(given: str) -> Path | None:
    """The folder of a store, or of a copy of one, that was named in the place of a lane file."""
    path = Path(given)
    return path if path.is_dir() else path.parent if path.name == LEDGER_FILE else None


def _is_database(path: Path) -> bool:
    """A copy of a store's file by another name: not the lane file that it would be taken for."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _secret_or_stand_in(name: str) -> str:
    """Looking at the chain needs no key: where the secrets are not known, bodies stay sealed."""
    from lanecontrol.config.secrets import find_secret, stand_in

    return find_secret(name) or stand_in(name)


def _no_ledger(path: Path) -> int:
    output.note(f"lanecontrol ledger: there is no ledger at {path}")
    return FAILED


def _prune(options: argparse.Namespace) -> int:
    from lanecontrol.cli.ledger_prune import preview, prune
    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.sealing import Sealer

    loaded = load(options.config, secret=_secret_or_stand_in if options.dry_run else find_secret)
    path = loaded.store.path / LEDGER_FILE
    if not path.is_file():
        return _no_ledger(path)
    if not options.dry_run:
        return prune(loaded, path, options.older_than, as_json=options.json)
    with Reader.open(path, sealer=Sealer(loaded.store.keys)) as reader:
        return preview(loaded, reader, options.older_than, as_json=options.json)


def _look(options: argparse.Namespace, path: Path, keys: tuple[bytes, ...]) -> int:
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.sealing import Sealer

    if options.what == "verify":
        return _verify(path, Sealer(keys), as_json=options.json)
    with Reader.open(path, sealer=Sealer(keys)) as reader:
        match options.what:
            case "dead-letters":
                return _dead_letters(reader, as_json=options.json)
            case "export":
                return _export(reader, undelivered=options.undelivered, lookouts=options.lookouts)
            case _:
                return _status(reader, path, as_json=options.json)


def _verify(path: Path, sealer: Sealer, *, as_json: bool) -> int:
    """The verdict, also on a file that cannot be read as a ledger any more."""
    from lanecontrol.errors import StorageCorrupt
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.ledger.sidefiles import Paths, read_witness

    try:
        witness = read_witness(Paths(path))  # before the store: it is never ahead of what is on disk
        with Reader.open(path, sealer=sealer) as reader:
            facts = _verdict(reader, witness)
        if witness.epoch == 0:
            output.note("lanecontrol ledger: no readable ledger.head here: rows gone from the end would not show")
    except StorageCorrupt as error:
        facts = {"good": False, "first_bad": f"cannot be read: {error.why}"}
    if as_json:
        output.json_line(facts)
    else:
        output.pairs(facts)
    return GOOD if facts["good"] else FAILED


def _verdict(reader: Reader, witness: Witness) -> dict[str, Any]:
    check = reader.chain_check()
    check.take_all(_with_progress(reader.every_row(), reader.row_count()))
    verdict, head = check.verdict(), reader.head()
    bad = str(verdict.first_bad) if verdict.first_bad else _cut_off(head, witness)
    return {
        "good": verdict.good and bad is None,
        "rows": verdict.rows,
        "erased": verdict.erased,
        "sealed": verdict.sealed,
        "declared_losses": [dataclasses.asdict(loss) for loss in verdict.losses],
        "first_bad": bad,
        "chain_head": head.link.hex(),
    }


def _cut_off(head: Head, witness: Witness) -> str | None:
    """Whether the store once was further than it is, as the small file beside it knows."""
    if (witness.epoch, witness.seq) <= (head.epoch, head.seq):
        return None
    if witness.epoch > head.epoch:
        return f"epoch {head.epoch} is over: this is an older copy of the store"
    return f"records {head.epoch}-{head.seq + 1} to {witness.epoch}-{witness.seq} are gone from the end"


def _with_progress(rows: Iterator[Row], total: int) -> Iterable[Row]:
    if not sys.stderr.isatty():
        return rows
    from rich.console import Console
    from rich.progress import track

    return track(rows, "verifying", total=total, console=Console(stderr=True))


def _export(reader: Reader, *, undelivered: bool, lookouts: bool) -> int:
    """Each event as it was, or will be, sent: one a line. Of those that are not shown there is the digest."""
    sealed = 0
    for row in _tail(reader) if undelivered else reader.every_row():
        if row.topic_class == "lookout" and not lookouts:
            output.json_line({"id": f"{row.epoch}-{row.seq}", "withheld": True, "digest": row.digest.hex()})
        elif row.body is not None:
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


def _status(reader: Reader, path: Path, *, as_json: bool) -> int:
    facts = dataclasses.asdict(reader.status())
    if shutil.disk_usage(path.parent).free < ROOM_BYTES:
        facts |= {"writable": False, "reason": "the store's disk is full"}
    if as_json:
        output.json_line(facts)
    else:
        output.pairs(facts)
    return GOOD


def _dead_letters(reader: Reader, *, as_json: bool) -> int:
    """What the broker refused for good. The events themselves are in the ledger: `export` shows them by their id."""
    from lanecontrol import forms
    from lanecontrol.ledger.reader import kept_key
    from lanecontrol.port.outbox import DEAD_LETTERS, DeadLetters

    stored = reader.value(kept_key(DEAD_LETTERS))
    letters = forms.from_json(DeadLetters, stored) if stored else DeadLetters()
    facts = [
        {"id": f"{one.epoch}-{one.seq}", "topic_class": one.topic_class, "code": one.code, "why": one.why}
        for one in letters.latest
    ]
    if as_json:
        for each in facts:
            output.json_line(each)
    else:
        output.table(("id", "class", "why"), [[each["id"], each["topic_class"], each["why"]] for each in facts])
    if letters.count > len(facts):
        output.note(f"the latest {len(facts)} of {letters.count}")
    return GOOD
