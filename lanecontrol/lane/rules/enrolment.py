"""What follows from the port's answers: enrolments, cargo, and from there being none. Pure; used by `lane.policy`.

Only a statement of the port makes a finding here. While a question is under way there is none; when nobody answered,
that is the finding. Several vehicles' worth of cards are judged card by card: one good card never makes up for another.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanecontrol.announcements import BoundPlate, BoundTag, Finding, TagKind
from lanecontrol.lane.rules.table import LaneRules
from lanecontrol.lane.rules.weights import finding
from lanecontrol.lane.same_plate import same_plate
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Dossier
from lanecontrol.questions import MAX_NUMBERS, MAX_ROUNDS, NumberFact, Standing

SOURCE = "port"


def findings(
    setup: LaneSetup,
    rules: LaneRules,
    dossier: Dossier,
    tags: tuple[BoundTag, ...],
    plates: tuple[BoundPlate, ...],
    *,
    degraded: bool,
) -> Iterator[Finding]:
    """What the port's answers about this vehicle come to."""
    facts = {fact.number: fact for fact in dossier.facts}
    persons = [facts[tag.epc] for tag in tags if tag.kind is TagKind.PERSON and tag.epc in facts]
    transponders = [facts[tag.epc] for tag in tags if tag.kind is TagKind.VEHICLE and tag.epc in facts]
    known_plates = [facts[plate.text] for plate in plates if plate.text in facts]
    if rules.programmes:
        yield from _persons(rules, persons)
    if rules.vehicle:
        yield from _vehicle(persons, transponders, known_plates)
    if rules.transponder:
        yield from _transponder(setup, transponders, plates)
    if rules.card_with_plate:
        yield from _card_and_plate(setup, persons, plates)
    yield from _cargo(rules, dossier, degraded=degraded)
    judged = [*persons, *transponders]
    if rules.vehicle and not any(fact.standing is not Standing.UNKNOWN for fact in (*transponders, *known_plates)):
        judged += known_plates
    why = _unasked(dossier, tags, plates)
    if rules.asks_enrolment:
        yield from _unknown(rules, dossier, judged, why, degraded=degraded)
    if setup.questions is not None and setup.questions.lookouts and (dossier.unchecked or why):
        yield finding("lookout.unchecked", SOURCE, why or "the lists could not be asked", degraded=degraded)


def _persons(rules: LaneRules, persons: list[NumberFact]) -> Iterator[Finding]:
    bad = [fact.standing.value for fact in persons if _bad(fact)]
    if bad:
        detail = f"{len(bad)} of {len(persons)} cards: {', '.join(dict.fromkeys(bad))}".replace("_", " ")
        yield finding("enrolment.person_not_valid", SOURCE, detail)
    others = [
        fact for fact in persons if fact.standing is Standing.VALID and rules.programmes.isdisjoint(fact.programmes)
    ]
    if others:
        held = sorted({name for fact in others for name in fact.programmes})
        detail = f"{len(others)} of {len(persons)} cards: {', '.join(held)[:100] or 'no programme'}"
        yield finding("enrolment.wrong_programme", SOURCE, detail)


def _bad(fact: NumberFact) -> bool:
    return fact.standing in (Standing.EXPIRED, Standing.REVOKED, Standing.NOT_ENROLLED)


def _vehicle(persons: list[NumberFact], transponders: list[NumberFact], plates: list[NumberFact]) -> Iterator[Finding]:
    """Enrolled is the vehicle one of whose plates or transponders is; what was not answered says nothing."""
    told = [fact for fact in (*transponders, *plates) if fact.standing is not Standing.UNKNOWN]
    if told and all(_bad(fact) for fact in told):
        yield finding("enrolment.vehicle_not_valid", SOURCE, told[0].standing.value.replace("_", " "))


def _transponder(setup: LaneSetup, transponders: list[NumberFact], plates: tuple[BoundPlate, ...]) -> Iterator[Finding]:
    if transponders and all(_bad(fact) for fact in transponders):
        yield finding("enrolment.vehicle_not_valid", SOURCE, transponders[0].standing.value.replace("_", " "))
    if _none_matches(setup, transponders, plates):
        yield finding("transponder.plate_mismatch", SOURCE, "the transponder was issued for another vehicle")


def _card_and_plate(setup: LaneSetup, persons: list[NumberFact], plates: tuple[BoundPlate, ...]) -> Iterator[Finding]:
    if _none_matches(setup, persons, plates):
        yield finding("card.plate_mismatch", SOURCE, "nobody's card is enrolled with this vehicle")


def _none_matches(setup: LaneSetup, facts: list[NumberFact], plates: tuple[BoundPlate, ...]) -> bool:
    """Vehicles are named, plates were read, and they are not the same ones."""
    named = [text for fact in facts if fact.standing is Standing.VALID for text in fact.vehicles]
    if not named or not plates:
        return False
    return not any(same_plate(setup, plate.text, text) for plate in plates for text in named)


def _cargo(rules: LaneRules, dossier: Dossier, *, degraded: bool) -> Iterator[Finding]:
    cargo = dossier.cargo
    if cargo is None:
        return
    if rules.manifest and cargo.manifest is False:
        yield finding("manifest.missing", SOURCE, "no e-Manifest is on file")
    if rules.seal and cargo.seal is False:
        yield finding("seal.missing", SOURCE, "no seal is on file")
    if rules.user_fee and cargo.user_fee is False:
        yield finding("transponder.user_fee_unpaid", SOURCE, "the user fee is not paid")
    if rules.hazmat and cargo.hazmat:
        yield finding("cargo.hazmat", SOURCE, "hazardous cargo is declared")
    untold = [
        name
        for name, asked, value in (
            ("manifest", rules.manifest, cargo.manifest),
            ("seal", rules.seal, cargo.seal),
            ("user fee", rules.user_fee, cargo.user_fee),
        )
        if asked and value is None
    ]
    if untold:
        yield finding("cargo.unknown", SOURCE, f"not known: {', '.join(untold)}", degraded=degraded)


def _unknown(
    rules: LaneRules, dossier: Dossier, judged: list[NumberFact], why: str, *, degraded: bool
) -> Iterator[Finding]:
    unsure = sum(fact.standing is Standing.UNKNOWN for fact in judged)
    if dossier.unknown:
        why = "nobody could be asked, or nobody answered"
    elif not why and unsure and (rules.programmes or rules.transponder or rules.vehicle):
        why = f"{unsure} numbers are not known"
    if why:
        yield finding("enrolment.unknown", SOURCE, why, degraded=degraded)


def _unasked(dossier: Dossier, tags: tuple[BoundTag, ...], plates: tuple[BoundPlate, ...]) -> str:
    """Why nobody has been asked about something that this vehicle has; empty where everything is on its way."""
    cards = [tag.epc for tag in tags if tag.kind is TagKind.PERSON]
    numbers = [*cards, *(tag.epc for tag in tags if tag.kind is TagKind.VEHICLE), *(p.text for p in plates if p.text)]
    if not numbers and not dossier.rounds:
        return "nothing was read that could be asked about"
    left = len(set(numbers) - set(dossier.numbers))
    if left and (dossier.rounds >= MAX_ROUNDS or len(cards) > MAX_NUMBERS):
        return f"{left} numbers were not asked about: there were too many"
    return ""
