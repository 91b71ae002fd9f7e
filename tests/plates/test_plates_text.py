"""From a recogniser's table to candidates: beam search, voting, the grammar's prior. No weights, no pictures."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.plates import beam, confidence, grammar
from lanecontrol.plates.confidence import Sample
from lanecontrol.plates.jurisdiction import edits, told

pytest.importorskip("numpy", reason="needs lanecontrol[plates]")
vote: Any = pytest.importorskip("lanecontrol.plates.vote", reason="needs lanecontrol[plates]")

AB = "AB"
KNOWN = grammar.load()


def _tables(steps: int) -> st.SearchStrategy[list[list[float]]]:
    row = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda r: [p / sum(r) for p in r])
    return st.lists(row, min_size=steps, max_size=steps)


def _read(path: tuple[int, ...]) -> str:
    """What a path through the table spells: repeats count once, gaps not at all."""
    return "".join(AB[step] for step, _ in itertools.groupby(path) if step < len(AB))


# --- beam -------------------------------------------------------------------------------------------------------------


@given(_tables(4))
def test_a_beam_wide_enough_gives_the_exact_probability_of_every_text(table: list[list[float]]) -> None:
    exact: dict[str, float] = {}
    for path in itertools.product(range(3), repeat=len(table)):
        p = math.prod(row[step] for row, step in zip(table, path, strict=True))
        exact[_read(path)] = exact.get(_read(path), 0.0) + p
    found = beam.search(table, AB, width=100)
    assert found == pytest.approx(exact)
    assert list(found) == sorted(found, key=lambda text: -found[text])


@given(_tables(6))
def test_a_narrow_beam_never_claims_more_than_there_is(table: list[list[float]]) -> None:
    found = beam.search(table, AB, width=3)
    assert 0 < len(found) <= 3
    assert sum(found.values()) <= 1 + 1e-9


def test_the_same_character_twice_needs_a_gap_between() -> None:
    sure, gap = [0.98, 0.01, 0.01], [0.01, 0.01, 0.98]
    assert next(iter(beam.search([sure, sure], AB))) == "A"
    assert next(iter(beam.search([sure, gap, sure], AB))) == "AA"


def test_an_empty_table_says_nothing() -> None:
    assert beam.search([], AB) == {"": 1.0}


# --- grammar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plate", ["7ABC123", "ABC1234", "ABC12D", "123ABC", "AB1C2D", "ABC123D", "AB12345", "12AB3C", "123AB4"]
)
def test_plates_of_states_on_both_sides_of_the_border_are_usual(plate: str) -> None:
    assert KNOWN.usual(plate)
    assert KNOWN.log_prior(plate) > KNOWN.log_prior("A1B2C3D")


@given(st.text("ABC123", max_size=12))
def test_the_prior_never_rules_a_text_out(text: str) -> None:
    assert math.isfinite(KNOWN.log_prior(text))


def test_a_lane_with_a_mix_of_its_own_expects_other_plates() -> None:
    at_home, mexican = "ABC1234", "ABC123D"
    border = grammar.load({"MX-BCN": 500})
    assert border.log_prior(mexican) - border.log_prior(at_home) > KNOWN.log_prior(mexican) - KNOWN.log_prior(at_home)


def test_an_unknown_jurisdiction_in_a_mix_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="US-ZZ"):
        grammar.load({"US-ZZ": 1})


def test_the_shares_of_every_jurisdiction_are_at_most_one() -> None:
    from importlib.resources import files

    from ruamel.yaml import YAML

    text = files("lanecontrol.plates").joinpath("formats.yaml").read_text(encoding="utf-8")
    table = YAML(typ="safe", pure=True).load(text)["jurisdictions"]
    assert [code for code, entry in table.items() if not 0 < sum(entry["formats"].values()) <= 1.001] == []
    assert [code for code, entry in table.items() if set("".join(map(str, entry["formats"]))) - set("A9")] == []
    assert sum(code.startswith("US-") for code in table) == 51
    assert sum(code.startswith("MX-") for code in table) >= 32


# --- votes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "10MPH",
        "110KMH",
        "14FT",
        "1159PM",
        "51000LB",
        "LANE7",
        "EXIT25",
        "SALIDA25",
        "CARRIL3",
        "BUS207",
        "VISIT247",
        "I35",
        "USDOT12",
        "DOT3043",
        "MC179335",
        "ALTO",
        "ADUANA",
        "RAV4",
        "ES350",
        "MAX14",
        "MAX14FT",
        "EXIT25A",
    ],
)
def test_measures_labels_and_models_are_what_signs_and_vehicles_say(text: str) -> None:
    assert KNOWN.inscription(text)


@pytest.mark.parametrize(
    "plate", ["8ABC123", "BVK4821", "123TON", "AB1234", "1234AB", "BUS1234", "VTB123A", "12AB3C", "MC12345", "LANE1AB"]
)
def test_numbers_of_plates_are_not_taken_for_measures(plate: str) -> None:
    assert not KNOWN.inscription(plate)


def test_the_prior_decides_between_texts_that_look_alike() -> None:
    ranked = vote.ranked({"AB1I2D": 0.5, "AB112D": 0.45}, KNOWN)
    assert ranked[0][0] == "AB112D" or KNOWN.usual(ranked[0][0])


def test_a_clear_read_beats_the_prior() -> None:
    assert vote.ranked({"A1B2C3D": 0.98, "ABC1234": 0.0001}, KNOWN)[0][0] == "A1B2C3D"


def test_o_and_0_are_one_candidate_and_their_shares_add_up() -> None:
    ranked = vote.ranked({"ABC1O34": 0.3, "ABC1034": 0.6, "ABC1934": 0.1}, KNOWN)
    assert [text for text, _ in ranked] == ["ABC1034", "ABC1934"]
    assert sum(share for _, share in ranked) == pytest.approx(1.0)


def test_one_bad_frame_does_not_outvote_two_good_ones() -> None:
    good, bad = {"ABC1234": 0.9}, {"A8C1234": 0.95}
    votes = vote.over_frames([good, bad, good])
    assert max(votes, key=lambda text: votes[text]) == "ABC1234"


def test_no_votes_rank_nothing() -> None:
    assert vote.ranked({}, KNOWN) == []


# --- jurisdiction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plate", "words", "code"),
    [
        ("ABC1234", ["TEXAS"], "US-TX"),
        ("ABC1234", ["TEXA5"], "US-TX"),
        ("1AB234", ["WESTVIRGINIA"], "US-WV"),
        ("ABC1234", ["VIRGINIA"], "US-VA"),
        ("CC2881", ["TAXATIONWITHOUTREPRESENTATION"], "US-DC"),
        ("ABC123D", ["BAJACALIFORNIA"], "MX-BCN"),
        ("7ABC123", ["CALIFORNIA"], "US-CA"),
        ("VTA123A", [], "MX-SON"),
        ("ABC1234", ["HYUNDAI", "2014"], ""),
        ("ABC1234", [], ""),
    ],
)
def test_the_words_around_a_plate_tell_where_it_is_from(plate: str, words: list[str], code: str) -> None:
    assert told(plate, words, KNOWN) == code


@given(st.text("AB1", max_size=6), st.text("AB1", max_size=6))
def test_edits_are_symmetric_and_bounded(one: str, other: str) -> None:
    found = edits(one, other, limit=10)
    assert found == edits(other, one, limit=10)
    assert found is not None
    assert abs(len(one) - len(other)) <= found <= max(len(one), len(other))
    assert (found == 0) is (one == other)


# --- confidence -------------------------------------------------------------------------------------------------------


def test_a_confidence_is_a_probability_whatever_the_features() -> None:
    calibration = confidence.load()
    assert set(calibration.plate.weights) | set(calibration.right.weights) <= set(confidence.FEATURES)
    for value in (-1e9, -1.0, 0.0, 1.0, 1e9):
        assert 0 <= calibration.confidence(dict.fromkeys(confidence.FEATURES, value)) <= 1


def test_a_fit_tells_good_reads_from_bad_ones_and_signs_from_plates() -> None:
    good: dict[str, float] = {"certainty": 0.0, "agreement": 1.0}
    bad: dict[str, float] = {"certainty": -1.5, "agreement": 0.3}
    sign = {**good, "word": 0.8}
    samples = [Sample(good, True, True), Sample(bad, True, False), Sample(sign, False, False)] * 20
    judge = confidence.fitted(samples)
    assert judge.confidence(good) > 0.8 > 0.2 > judge.confidence(bad)
    assert judge.confidence(sign) < 0.2
    assert judge.right(sign) > 0.8, "read right, but no plate"
