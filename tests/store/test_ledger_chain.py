"""The hash chain as pure functions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.ledger import BadRecord, Loss, Position, Row, chain
from lanecontrol.ledger.chain_check import ChainCheck
from lanecontrol.ledger.records import Epoch

EPOCH = Epoch.fresh(1, 0)


def chained(count: int, epoch: Epoch = EPOCH) -> list[Row]:
    rows: list[Row] = []
    link = epoch.anchor_link
    for seq in range(1, count + 1):
        salt, body = bytes([seq]) * 16, b"body %d" % seq
        digest = chain.digest(salt, body)
        link = chain.link(link, seq, "alarm", "k", float(seq), digest)
        position = Position(epoch.base + seq)
        total = chain.row_sum(position, epoch.number, seq, "alarm", "k", float(seq), digest, link)
        rows.append(Row(position, epoch.number, seq, "alarm", "k", float(seq), digest, link, total, salt, body))
    return rows


def resummed(row: Row) -> Row:
    total = chain.row_sum(
        row.position, row.epoch, row.seq, row.topic_class, row.kind, row.time_utc_s, row.digest, row.link
    )
    return replace(row, sum=total)


def first_bad(rows: list[Row], losses: tuple[Loss, ...] = ()) -> BadRecord | None:
    check = ChainCheck([EPOCH, Epoch.fresh(2, 100)], losses)
    check.take_all(rows)
    return check.verdict().first_bad


def test_an_untouched_chain_verifies() -> None:
    assert first_bad(chained(20)) is None


@pytest.mark.parametrize("victim", [0, 7, 19])
def test_a_changed_body_is_named(victim: int) -> None:
    rows = chained(20)
    rows[victim] = replace(rows[victim], body=b"another")
    bad = first_bad(rows)
    assert bad is not None
    assert (bad.epoch, bad.seq) == (1, victim + 1)


@pytest.mark.parametrize("change", [{"topic_class": "audit"}, {"kind": "x"}, {"time_utc_s": 5.5}])
def test_a_changed_head_is_named_even_with_its_checksum_made_right(change: dict[str, object]) -> None:
    rows = chained(20)
    rows[4] = resummed(replace(rows[4], **change))  # type: ignore[arg-type]
    assert first_bad(rows) == BadRecord(1, 5, "the chain is broken here")


def test_a_rewritten_body_with_a_fresh_digest_breaks_the_chain() -> None:
    rows = chained(20)
    rows[4] = resummed(replace(rows[4], body=b"forged", digest=chain.digest(rows[4].salt or b"", b"forged")))
    assert first_bad(rows) == BadRecord(1, 5, "the chain is broken here")


def test_a_removed_record_is_noticed_at_the_next_one() -> None:
    rows = chained(20)
    del rows[9]
    assert first_bad(rows) == BadRecord(1, 11, "records 10 to 10 before it are missing")


def test_two_swapped_records_are_noticed() -> None:
    rows = chained(20)
    rows[9], rows[10] = rows[10], rows[9]
    assert first_bad(rows) is not None


def test_an_erased_body_leaves_the_chain_good() -> None:
    rows = chained(20)
    rows[9] = replace(rows[9], salt=None, body=None)
    check = ChainCheck([EPOCH], ())
    assert check.take_all(rows)
    assert check.verdict().erased == 1


def test_a_declared_loss_is_no_fault_and_an_undeclared_one_beside_it_is() -> None:
    rows = chained(20)
    del rows[4:7]
    assert first_bad(rows, (Loss(1, 5, 7, "damage"),)) is None
    assert first_bad(rows, (Loss(1, 5, 6, "damage"),)) is not None


def test_a_second_epoch_starts_its_own_chain() -> None:
    assert first_bad(chained(5) + chained(5, Epoch.fresh(2, 100))) is None
    assert first_bad(chained(5) + chained(5, Epoch.fresh(2, 90))) is not None


def test_epochs_never_share_a_chain() -> None:
    assert chain.genesis(1) != chain.genesis(2)


@given(
    st.tuples(st.text(), st.text()),
    st.tuples(st.text(), st.text()),
)
def test_names_cannot_be_shifted_between_fields(one: tuple[str, str], other: tuple[str, str]) -> None:
    """`("ab", "c")` and `("a", "bc")` are different rows."""
    links = [chain.link(b"", 1, *names, 0.0, b"") for names in (one, other)]
    assert (links[0] == links[1]) == (one == other)
