"""`lanecontrol ledger verify|export|status|dead-letters|prune CONFIG`: a lane's ledger.

All but `prune` only read, also while the daemon writes. `prune` forgets as the daemon does, by the same policy, and
wants the store for itself.
"""

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
    parser.add_argument("what", choices=("verify", "export", "status", "dead-letters", "prune"))
    parser.add_argument("config", help="the lane file")
    parser.add_argument("--undelivered", action="store_true", help="export: only what the port has not got yet")
    parser.add_argument("--lookouts", action="store_true", help="export: lookouts too; for those who are authorised")
    parser.add_argument("--older-than", type=float, metavar="DAYS", help="prune: instead of the lane file's keep_days")
    parser.add_argument("--dry-run", action="store_true", help="prune: only tell what would go")
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    if options.older_than is not None and not options.older_than > 0:
        parser.error("--older-than wants days, more than 0")

    from lanecontrol.config import load
    from lanecontrol.config.secrets import find_secret, stand_in
    from lanecontrol.ledger.reader import Reader
    from lanecontrol.sealing import Sealer

    # Looking at the chain needs no key: where the secrets are not known, bodies stay sealed.
    writes = options.what == "prune" and not options.dry_run
    loaded = load(options.config, secret=find_secret if writes else lambda name: find_secret(name) or stand_in(name))
    store = loaded.store
    path = store.path / LEDGER_FILE
    if not path.is_file():
        output.note(f"lanecontrol ledger: there is no ledger at {path}")
        return FAILED
    if writes:
        from lanecontrol.cli.ledger_prune import prune

        return prune(loaded, path, options.older_than, as_json=options.json)
    with Reader.open(path, sealer=Sealer(store.keys)) as reader:
        match options.what:
            case "prune":
                from lanecontrol.cli.ledger_prune import preview

                return preview(loaded, reader, options.older_than, as_json=options.json)
            case "dead-letters":
                return _dead_letters(reader, as_json=options.json)
            case "verify":
                return _verify(reader, as_json=options.json)
            case "export":
                return _export(reader, undelivered=options.undelivered, lookouts=options.lookouts)
            case _:
                return _status(reader, as_json=options.json)


def _verify(reader: Reader, *, as_json: bool) -> int:
    check = reader.chain_check()
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


def _status(reader: Reader, *, as_json: bool) -> int:
    facts = dataclasses.asdict(reader.status())
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
