"""Quick records are frozen dataclasses in every respect but the time they take."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from lanecontrol.forms import from_json, to_json
from lanecontrol.lane.record import quick, replace


@quick
@dataclass(frozen=True, slots=True)
class Pair:
    """Two numbers and a name."""

    left: int
    right: int = 7
    kind: str = "pair"


def test_a_record_is_made_compared_and_printed_like_any_dataclass() -> None:
    assert Pair(1) == Pair(left=1, right=7, kind="pair")
    assert hash(Pair(1)) == hash(Pair(1))
    assert repr(Pair(1, 2)) == "Pair(left=1, right=2, kind='pair')"
    assert type(Pair(1)) is Pair
    assert dataclasses.asdict(Pair(1)) == {"left": 1, "right": 7, "kind": "pair"}


def test_a_record_stays_frozen() -> None:
    pair = replace(Pair(1), right=9)
    for instance in (Pair(1), pair):
        with pytest.raises(FrozenInstanceError):
            instance.left = 2  # type: ignore[misc]


def test_replace_changes_a_copy_only() -> None:
    pair = Pair(1)
    other = replace(pair, left=5)
    assert (pair.left, other.left, other.right) == (1, 5, 7)
    assert type(other) is Pair
    assert dataclasses.replace(pair, left=5) == other


def test_a_wrong_name_is_an_error() -> None:
    with pytest.raises(AttributeError):
        replace(Pair(1), middle=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Pair()  # type: ignore[call-arg]


def test_a_record_goes_through_json_and_back() -> None:
    assert from_json(Pair, to_json(Pair(1, 2, "x"))) == Pair(1, 2, "x")


def test_what_cannot_be_made_quick_is_refused() -> None:
    @dataclass(frozen=True)
    class NoSlots:
        left: int

    @dataclass(frozen=True, slots=True)
    class Factory:
        left: list[int] = field(default_factory=list)

    for kind in (NoSlots, Factory):
        with pytest.raises(TypeError):
            quick(kind)
