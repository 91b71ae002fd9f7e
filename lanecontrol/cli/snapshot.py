"""`lanecontrol snapshot verify FILE`: whether a local snapshot is one, who signed it, how old it is. Shows no number.

With `--config` it is judged as the lane would: signers, age and port from the lane file, opened with the store's keys.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lanecontrol.cli import FAILED, GOOD, arguments, output


def main(argv: list[str]) -> int:
    parser = arguments.parser("snapshot", "A local snapshot of enrolments and lookouts: is it one, whose, how old?")
    parser.add_argument("what", choices=("verify",))
    parser.add_argument("file", type=Path)
    parser.add_argument("--config", help="judge it as the lane of this lane file would")
    parser.add_argument("--signer", action="append", default=[], metavar="HEX", help="an Ed25519 public key to accept")
    arguments.add_json(parser)
    options = parser.parse_args(argv)
    facts = _verified(options)
    if options.json:
        output.json_line(facts)
    else:
        output.pairs(facts)
    return GOOD if facts["good"] else FAILED


def _verified(options: argparse.Namespace) -> dict[str, Any]:
    from lanecontrol.port.snapshot import KEY_BYTES, MAGIC, Unusable, opened, too_old
    from lanecontrol.port.snapshot_file import read_bounded, unsealed
    from lanecontrol.sealing import Sealer

    keys: tuple[bytes, ...] = ()
    signers, max_age_s, port = _hex(options.signer), float("inf"), ""
    if options.config:
        from lanecontrol.config import load

        loaded = load(options.config)
        keys, port = loaded.store.keys, loaded.setup.port
        if loaded.snapshot is not None:
            signers, max_age_s = (*signers, *loaded.snapshot.signers), loaded.snapshot.max_age_s
    raw = unsealed(Sealer(keys), read_bounded(options.file))
    if raw is None:
        return {"good": False, "why": "it is sealed; give the lane file with --config, where its secrets are known"}
    named = bool(signers)
    if not named:  # nobody to compare with: whoever signed it, did they sign this?
        signers = (raw[len(MAGIC) : len(MAGIC) + KEY_BYTES],)
    try:
        snapshot = opened(raw, signers=signers, secret=b"")
    except Unusable as error:
        return {"good": False, "why": str(error)}
    head = snapshot.head
    now_utc_s = time.time()
    why = too_old(head, now_utc_s, max_age_s) or (
        f"it is of the port {head.port}" if port not in ("", head.port) else ""
    )
    return {
        "good": not why,
        "why": why,
        "signer": snapshot.signer.hex(),
        "signer_accepted": named,
        "port": head.port,
        "age_h": round((now_utc_s - head.made_utc_s) / 3600, 2),
        "enrolments": head.enrolments,
        "lookouts": head.lookouts,
        "programmes": ", ".join(head.programmes),
    }


def _hex(given: list[str]) -> tuple[bytes, ...]:
    try:
        return tuple(bytes.fromhex(text) for text in given)
    except ValueError:
        raise SystemExit("lanecontrol snapshot: --signer wants 64 hexadecimal digits") from None
