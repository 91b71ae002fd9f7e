"""The local snapshot: it is used only if it is signed, young, of this port and whole; and it names nobody."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lanecontrol.cli import main
from lanecontrol.clock import Instant
from lanecontrol.events import DeviceFault, Event
from lanecontrol.identifier import Identifier
from lanecontrol.port.snapshot import SOME_OTHER_VEHICLE, Snapshot, Unusable, opened, packed, too_old
from lanecontrol.port.snapshot_file import PIECE_BYTES, PIECES, SnapshotFile, sealed, unsealed
from lanecontrol.questions import AskKind, Enrolments, Hit, Lookouts, NumberFact, Question, Standing
from lanecontrol.sealing import NO_KEY, Sealer

SECRET = b"the site's secret"
SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = SIGNING.public_key().public_bytes_raw()
NOW_S = 1_800_000_000.0
CARD, CARD_2, GONE = (Identifier(f"e28011606000020{n:09d}") for n in (1, 2, 3))
PLATE, OTHER = Identifier("7ABC123"), Identifier("QRS9O87")


def a_file(**changes: Any) -> bytes:
    whole: dict[str, Any] = {
        "port": "SYS",
        "made_utc_s": NOW_S - 3600.0,
        "salt": "00ff",
        "facts": (
            NumberFact(CARD, Standing.VALID, ("SENTRI",), (PLATE, OTHER)),
            NumberFact(CARD_2, Standing.REVOKED, ("NEXUS", "SENTRI")),
        ),
        "hits": (Hit(OTHER, "stolen", armed=True), Hit(CARD_2, "wanted")),
    }
    return packed(SECRET, SIGNING, **(whole | changes))


def read(raw: bytes, **changes: Any) -> Snapshot:
    return opened(raw, **({"signers": (SIGNER,), "secret": SECRET} | changes))


def asking(kind: AskKind, *numbers: Identifier, plates: tuple[Identifier, ...] = ()) -> Question:
    return Question("q", kind, "p", numbers, (), plates)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_it_tells_standing_programmes_and_the_vehicles_that_were_asked_about() -> None:
    answer = read(a_file()).answer(asking(AskKind.ENROLMENT, CARD, CARD_2, GONE, plates=(PLATE,)))
    assert isinstance(answer, Enrolments)
    assert answer.facts == (
        NumberFact(CARD, Standing.VALID, ("SENTRI",), (PLATE, SOME_OTHER_VEHICLE)),
        NumberFact(CARD_2, Standing.REVOKED, ("NEXUS", "SENTRI")),
        NumberFact(GONE, Standing.UNKNOWN),
        NumberFact(PLATE, Standing.UNKNOWN),
    )
    assert answer.cargo.manifest is None


def test_it_tells_which_numbers_are_looked_out_for() -> None:
    answer = read(a_file()).answer(asking(AskKind.LOOKOUT, CARD, CARD_2, plates=(PLATE, OTHER)))
    assert answer == Lookouts((Hit(CARD_2, "wanted"), Hit(OTHER, "stolen", armed=True)))


def test_letter_and_digit_are_the_same_where_the_file_was_made_so() -> None:
    alike = Identifier("QRS9087")
    assert read(a_file()).answer(asking(AskKind.LOOKOUT, plates=(alike,))) == Lookouts(())
    found = read(a_file(o_is_zero=True)).answer(asking(AskKind.LOOKOUT, plates=(alike,)))
    assert found == Lookouts((Hit(alike, "stolen", armed=True),))


def test_no_number_stands_in_it() -> None:
    raw = a_file()
    for number in (CARD, CARD_2, PLATE, OTHER):
        assert number.clear.encode() not in raw
        assert number.number not in raw


def test_another_secret_finds_nothing() -> None:
    assert read(a_file(), secret=b"other").answer(asking(AskKind.LOOKOUT, CARD_2)) == Lookouts(())


def test_every_one_of_many_is_found() -> None:
    rng = random.Random(1)
    cards = [Identifier(f"e2{rng.getrandbits(80):020x}00") for _ in range(500)]
    snapshot = read(a_file(facts=[NumberFact(card, Standing.VALID, ("NEXUS",)) for card in cards], hits=()))
    for card in cards:
        answer = snapshot.answer(asking(AskKind.ENROLMENT, card))
        assert isinstance(answer, Enrolments)
        assert answer.facts[0].standing is Standing.VALID


# --- what makes it useless -------------------------------------------------------------------------------------------


def test_a_file_signed_by_somebody_else_is_not_used() -> None:
    with pytest.raises(Unusable, match="does not name"):
        read(a_file(), signers=(bytes(32),))


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=150)
def test_no_changed_bit_goes_unnoticed(at: int, bit: int) -> None:
    raw = bytearray(a_file())
    raw[at % len(raw)] ^= 1 << bit
    with pytest.raises(Unusable):
        read(bytes(raw))


@given(st.binary(max_size=300), st.integers(0, 300))
def test_nothing_that_is_no_snapshot_is_taken_for_one(junk: bytes, cut: int) -> None:
    for raw in (junk, a_file()[:cut], a_file() + junk + b"x"):
        with pytest.raises(Unusable):
            read(raw)


def test_what_is_signed_and_wrong_in_form_is_not_used() -> None:
    for body in (b"", (5).to_bytes(4, "big") + b"12345", (9999999).to_bytes(4, "big")):
        raw = b"LCSN1\n" + SIGNER + SIGNING.sign(body) + body
        with pytest.raises(Unusable):
            read(raw)


@pytest.mark.parametrize(
    ("made_utc_s", "usable"), [(NOW_S - 23 * 3600, True), (NOW_S - 25 * 3600, False), (NOW_S + 900, False)]
)
def test_it_has_an_age_limit_both_ways(made_utc_s: float, usable: bool) -> None:
    assert (too_old(read(a_file(made_utc_s=made_utc_s)).head, NOW_S, 24 * 3600.0) == "") is usable


# --- the file --------------------------------------------------------------------------------------------------------


class Clock:
    utc_s = NOW_S

    def now(self) -> Instant:
        return Instant(0.0, self.utc_s)


class Desk:
    """A snapshot's file, and what the lane is told of it."""

    def __init__(self, path: Path, sealer: Sealer = NO_KEY, port: str = "SYS") -> None:
        self.told: list[DeviceFault] = []
        self.clock = Clock()
        self.file = SnapshotFile(
            path,
            port=port,
            signers=(SIGNER,),
            max_age_s=24 * 3600.0,
            secret=SECRET,
            sealer=sealer,
            clock=self.clock,
            emit=self._emit,
        )

    def _emit(self, source: str, event: Event) -> None:
        assert source == "snapshot"
        assert isinstance(event, DeviceFault)
        self.told.append(event)

    @property
    def usable(self) -> bool:
        return self.file.lookup(asking(AskKind.LOOKOUT, CARD)) is not None


async def test_a_good_file_is_used_and_sealed_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.bin"
    path.write_bytes(a_file())
    sealer = Sealer((b"0123456789abcdef",))
    desk = Desk(path, sealer)
    await desk.file.look()
    assert desk.usable
    assert path.read_bytes().startswith(PIECES)
    again = Desk(path, sealer)
    await again.file.look()
    assert again.usable
    assert not Desk(path).usable


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 7])
def test_what_was_sealed_in_pieces_comes_back_and_no_piece_fits_elsewhere(size: int) -> None:
    sealer, other = Sealer((b"one",)), Sealer((b"another",))
    plain = bytes(range(251)) * (size // 251) + bytes(size % 251)
    stored = b"".join(sealed(sealer, plain))
    assert unsealed(sealer, stored) == plain
    assert unsealed(sealer, plain) == plain
    assert unsealed(other, stored) == (None if size else b"")
    assert unsealed(sealer, stored[:-1]) != plain or not size
    fewer = stored[: len(PIECES)] + (1).to_bytes(4, "big") + stored[len(PIECES) + 4 :]
    assert size <= PIECE_BYTES or unsealed(sealer, fewer) != plain[:PIECE_BYTES]


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_no_sealed_file_makes_opening_raise(junk: bytes) -> None:
    unsealed(Sealer((b"one",)), PIECES + junk)


async def test_what_is_no_plain_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    for name, make in (("pipe", os.mkfifo), ("folder", os.mkdir)):
        make(tmp_path / name)
        desk = Desk(tmp_path / name)
        async with asyncio.timeout(5):
            await desk.file.look()
        assert "cannot be read" in desk.told[-1].detail
        assert not desk.usable


async def test_a_newer_file_that_comes_while_one_is_sealed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, newer = tmp_path / "snapshot.bin", a_file(made_utc_s=NOW_S - 1.0)
    path.write_bytes(a_file())
    desk = Desk(path, Sealer((b"0123456789abcdef",)))

    def meanwhile(sealer: Sealer, plain: bytes) -> Iterator[bytes]:
        (tmp_path / "newer").write_bytes(newer)
        (tmp_path / "newer").replace(path)
        return sealed(sealer, plain)

    monkeypatch.setattr("lanecontrol.port.snapshot_file.sealed", meanwhile)
    await desk.file.look()
    assert path.read_bytes() == newer
    monkeypatch.undo()
    await desk.file.look()
    assert path.read_bytes().startswith(PIECES)
    assert unsealed(Sealer((b"0123456789abcdef",)), path.read_bytes()) == newer


async def test_a_file_that_is_renewed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.bin"
    desk = Desk(path)
    await desk.file.look()
    assert not desk.usable
    assert desk.told[-1].active
    path.write_bytes(a_file())
    await desk.file.look()
    assert desk.usable
    assert not desk.told[-1].active


async def test_one_that_grows_too_old_is_not_used_any_more_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.bin"
    path.write_bytes(a_file())
    desk = Desk(path)
    await desk.file.look()
    desk.clock.utc_s += 24 * 3600.0
    assert not desk.usable
    for _ in range(3):
        desk.clock.utc_s += 3600.0
        await desk.file.look()
    assert [fault.active for fault in desk.told] == [False, True]


async def test_one_of_another_port_or_with_another_signature_is_told_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.bin"
    path.write_bytes(a_file())
    other_port = Desk(path, port="NOG")
    await other_port.file.look()
    assert "port" in other_port.told[-1].detail
    path.write_bytes(a_file()[:-1] + b"x")
    forged = Desk(path)
    await forged.file.look()
    assert "signature" in forged.told[-1].detail
    assert not other_port.usable
    assert not forged.usable


# --- the command line ------------------------------------------------------------------------------------------------


def test_verify_says_whose_it_is_and_how_many_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "snapshot.bin"
    path.write_bytes(a_file(made_utc_s=0.0))
    assert main(["snapshot", "verify", str(path), "--signer", SIGNER.hex(), "--json"]) == 0
    said = capsys.readouterr().out
    assert '"lookouts": 2' in said or '"lookouts":2' in said
    path.write_bytes(a_file()[:-1] + b"x")
    assert main(["snapshot", "verify", str(path)]) == 1
