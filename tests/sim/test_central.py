"""The simulated central system: it answers from the truth, the same whenever it is asked, and the officer minds it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest

from lanecontrol.port.question_payloads import QuestionPayload
from lanecontrol.questions import AskKind, Enrolments, Lookouts, Standing
from sim.central import CentralSystem
from sim.officer import AutomaticOfficer, Manner, Seen
from sim.world.scenario import Central
from sim.world.truth import Fate, Truth, VehicleTruth

CARD, PLATE = "f0000000010000000000000a", "7ABC123"


def vehicle(number: int, card: str = CARD, plate: str = PLATE) -> VehicleTruth:
    return VehicleTruth(
        number,
        "car",
        4.5,
        "ordinary",
        (plate,),
        "US-CA",
        1,
        (card,),
        1,
        False,
        False,
        0.0,
        None,
        None,
        None,
        Fate.INSIDE,
        False,
    )


def central(**shares: float) -> CentralSystem:
    truth = Truth(1, 0.0, (vehicle(1),), (), 0)
    return CentralSystem(Central(**shares), lambda: truth, 1, "SENTRI")


def asked(kind: AskKind, *, cards: tuple[str, ...] = (CARD,), plates: tuple[str, ...] = (PLATE,)) -> QuestionPayload:
    return QuestionPayload(
        id="07-q000001",
        kind=kind,
        lane="07",
        lane_type="SENTRI",
        direction="inbound",
        passage="p",
        deadline=0.0,
        cards=cards,
        plates=plates,
    )


def test_whoever_is_enrolled_is_told_to_be_with_the_vehicle() -> None:
    answer = central().answer(asked(AskKind.ENROLMENT))
    assert isinstance(answer, Enrolments)
    card, plate = answer.facts
    assert (card.standing, card.programmes, card.vehicles) == (Standing.VALID, ("SENTRI",), (PLATE,))
    assert plate.standing is Standing.VALID


@pytest.mark.parametrize(("share", "standing"), [(1.0, Standing.NOT_ENROLLED), (0.0, Standing.VALID)])
def test_shares_are_drawn_per_vehicle(share: float, standing: Standing) -> None:
    answer = central(not_enrolled_share=share).answer(asked(AskKind.ENROLMENT))
    assert isinstance(answer, Enrolments)
    assert {fact.standing for fact in answer.facts} == {standing}


def test_a_number_that_nobody_has_is_not_enrolled_and_not_looked_for() -> None:
    port = central(lookout_share=1.0)
    stranger = asked(AskKind.ENROLMENT, cards=("f0",), plates=())
    answer = port.answer(stranger)
    assert isinstance(answer, Enrolments)
    assert answer.facts[0].standing is Standing.NOT_ENROLLED
    assert port.answer(stranger.model_copy(update={"kind": AskKind.LOOKOUT})) == Lookouts(())


def test_the_same_answer_comes_whenever_it_is_asked() -> None:
    port = central(lookout_share=0.5, armed_share=0.5)
    assert len({repr(port.answer(asked(AskKind.LOOKOUT))) for _ in range(5)}) == 1


def test_it_can_be_silent() -> None:
    port = central(silent_share=1.0)
    assert port.answer(asked(AskKind.LOOKOUT)) is None
    assert not port.answers_all


@pytest.mark.parametrize(("hits", "disposition"), [([{"number": "x"}], "REFER_SECONDARY"), ([], "RELEASED")])
async def test_the_officer_refers_whom_somebody_looks_for_and_does_not_write_why(
    hits: list[dict[str, str]], disposition: str
) -> None:
    given: list[Mapping[str, Any]] = []

    async def ask(lane: str, verb: str, fields: Mapping[str, Any]) -> str:
        if verb == "disposition":
            given.append(fields)
        return "done"

    manner = Manner(0.0, 0.0, 0.0)
    officer = AutomaticOfficer("07", manner, random.Random(1), ask, lambda: Seen(1, 1))
    assessed = {"passage": "p", "referral": "none", "findings": [], "occupants": 1}
    officer.hear("lookout_answered", {"passage": "p", "hits": hits})
    officer.hear("passage_assessed", assessed)
    work = asyncio.get_running_loop().create_task(officer.work())
    async with asyncio.timeout(10):
        while not given:  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait({work})
    assert given[0]["disposition"] == disposition
    assert "lookout" not in repr(given[0])
