"""Card numbers and plates: what is shown of them, and the keyed hash that stands for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.identifier import DAY_S, Identifier, RotatingKey, keyed_hash

EPC = Identifier("f0000000000000000000beef")
PLATE = Identifier("7KRM482")
SECRET = b"the secret of a site"


def test_the_hash_is_hmac_sha_256_cut_to_eight_bytes() -> None:
    """Reckoned by hand once: key 00..1f, the twelve bytes of the number."""
    assert keyed_hash(bytes(range(32)), bytes.fromhex("f0000000000000000000beef")) == "889f71f54005c4ba"


def test_a_tags_number_is_hashed_as_its_bytes_and_a_plate_as_its_text() -> None:
    assert EPC.number == bytes.fromhex(EPC.clear)
    assert PLATE.number == b"7KRM482"
    assert Identifier("12345678").number == b"12345678"
    assert Identifier("F0000000000000000000BEEF").number == b"F0000000000000000000BEEF"
    assert Identifier("f0000000000000000000bee").number == b"f0000000000000000000bee"


@given(st.text())
def test_any_text_has_a_number(text: str) -> None:
    assert isinstance(Identifier(text).number, bytes)


@pytest.mark.parametrize("shown", [str(EPC), repr(EPC), f"{EPC}", f"{EPC!r:>40}", f"{EPC!s}", repr([EPC])])
def test_nothing_but_clear_shows_it(shown: str) -> None:
    assert EPC.clear not in shown
    assert "beef" not in shown


# --- the key of the day ----------------------------------------------------------------------------------------------


class At:
    def __init__(self, utc_s: float) -> None:
        self.utc_s = utc_s

    def __call__(self) -> float:
        return self.utc_s


def test_a_key_holds_from_midnight_to_midnight_utc() -> None:
    now = At(20_000 * DAY_S)
    key = RotatingKey(SECRET, now)
    first = key()
    now.utc_s += DAY_S - 1.0
    assert key() == first
    now.utc_s += 1.0
    assert key() != first


def test_hashes_link_within_a_day_and_not_beyond_it() -> None:
    now = At(20_000 * DAY_S + 100.0)
    key = RotatingKey(SECRET, now)
    morning = keyed_hash(key, EPC.number)
    now.utc_s += 10 * 3600.0
    assert keyed_hash(key, EPC.number) == morning
    now.utc_s += DAY_S
    assert keyed_hash(key, EPC.number) != morning
    now.utc_s -= DAY_S
    assert keyed_hash(key, EPC.number) == morning, "a clock that is set back finds the day's key again"


def test_the_same_secret_makes_the_same_key_in_every_process_and_another_one_another() -> None:
    now = At(20_000 * DAY_S)
    assert RotatingKey(SECRET, now)() == RotatingKey(SECRET, now)()
    assert RotatingKey(SECRET, now)() != RotatingKey(b"another", now)()
    assert RotatingKey(SECRET, now, 3600.0)() != RotatingKey(SECRET, now)()


def test_the_key_of_a_day_is_not_the_secret() -> None:
    assert SECRET not in RotatingKey(SECRET, At(0.0))()
    assert len(RotatingKey(SECRET, At(0.0))()) == 32
