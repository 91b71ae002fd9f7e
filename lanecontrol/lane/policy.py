"""From what is known about a vehicle to findings and a recommended referral. Pure; no rule here releases anything.

The rules are data: what a finding weighs stands in `WEIGHT`, which lane type asks for which cards in `CARD_RULES`.
Their hash, together with the site's tag table, is stamped on every passage.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lanecontrol.announcements import (
    BoundOccupancy,
    BoundPlate,
    BoundTag,
    Finding,
    LaneType,
    Quality,
    Referral,
    Severity,
    TagKind,
)
from lanecontrol.lane.setup import LaneSetup

RULES_VERSION = "2"

WEIGHT: dict[str, tuple[Severity, Referral]] = {
    "rpm.neutron_alarm": (Severity.CRITICAL, Referral.MANDATORY),
    "rpm.gamma_alarm": (Severity.HIGH, Referral.MANDATORY),
    "rpm.fault": (Severity.MEDIUM, Referral.RECOMMENDED),
    "rpm.alarm_missing": (Severity.MEDIUM, Referral.RECOMMENDED),
    "rpm.alarm_unconfirmed": (Severity.INFO, Referral.NONE),
    "rpm.buffer_zone_occupied": (Severity.INFO, Referral.NONE),
    "rpm.no_measurement": (Severity.MEDIUM, Referral.RECOMMENDED),
    "card.missing_for_occupants": (Severity.HIGH, Referral.RECOMMENDED),
    "card.simulated": (Severity.HIGH, Referral.RECOMMENDED),
    "card.clone_suspect": (Severity.HIGH, Referral.RECOMMENDED),
    "card.unknown_class": (Severity.MEDIUM, Referral.RECOMMENDED),
    "plate.unread": (Severity.LOW, Referral.RECOMMENDED),
    "passage.ambiguous": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "correlation.degraded": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "equipment.override": (Severity.MEDIUM, Referral.OFFICER_CONFIRMS),
}
"""What each finding weighs and what it recommends (lane operating rules)."""

PORTAL_NOTES = {
    "rpm.fault": "background fault, tamper or an incomplete measurement",
    "rpm.alarm_missing": "by its own counts the portal should have raised an alarm, and did not",
    "rpm.alarm_unconfirmed": "the portal's counts by themselves would not have been an alarm",
    "rpm.buffer_zone_occupied": "another vehicle by the portal kept off background: the alarm may be due to it",
}
"""What there is to say of a measurement. None of it takes an alarm back."""

CARD_RULES: dict[LaneType, str] = {
    LaneType.SENTRI: "every person",
    LaneType.NEXUS: "every person",
    LaneType.READY: "every adult",
    LaneType.FAST: "driver",
}
"""Who has to show a person's card in lanes of this type; lanes that are not named ask for none."""

SIMULATED_PREFIX = "f0000000"
"""Cards of the simulator; on a lane that is not declared simulated they are a finding."""

_SEVERITY = {severity: rank for rank, severity in enumerate(reversed(Severity))}
_REFERRAL = {referral: rank for rank, referral in enumerate(Referral)}


@dataclass(frozen=True, slots=True)
class Known:
    """What the lane knows about one vehicle when it is judged."""

    tags: tuple[BoundTag, ...]
    plates: tuple[BoundPlate, ...]
    occupancies: tuple[BoundOccupancy, ...]
    occupants: int | None
    portal_notes: tuple[str, ...]
    tids_differ: bool
    quality: Quality
    overrides: tuple[str, ...] = ()
    """Manual overrides that stood while the vehicle was in the lane."""


def rules_hash(setup: LaneSetup) -> str:
    """16 hex digits over everything that shapes a recommendation, or the hash the configuration gives."""
    if setup.rules_hash:
        return setup.rules_hash
    site = (setup.lane_type.value, setup.adult_cards_required, setup.simulated, bool(setup.cameras))
    table = sorted((rule.prefix, rule.kind.value) for rule in setup.tag_rules)
    weights = sorted((code, severity.value, referral.value) for code, (severity, referral) in WEIGHT.items())
    cards = sorted((lane.value, who) for lane, who in CARD_RULES.items())
    text = repr((RULES_VERSION, weights, cards, site, table))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def findings(setup: LaneSetup, known: Known) -> tuple[Finding, ...]:
    """Everything worth noticing, the gravest first."""
    found = [*_radiation(setup, known), *_cards(setup, known), *_plates(setup, known), *_matching(known)]
    return tuple(sorted(found, key=lambda finding: _SEVERITY[finding.severity]))


def referral(found: tuple[Finding, ...]) -> Referral:
    """The strongest recommendation among the findings."""
    return max((f.referral for f in found), key=lambda r: _REFERRAL[r], default=Referral.NONE)


def _finding(code: str, source: str, detail: str = "") -> Finding:
    severity, recommended = WEIGHT[code]
    return Finding(code, severity, recommended, source, detail)


def _radiation(setup: LaneSetup, known: Known) -> list[Finding]:
    found: list[Finding] = []
    for code, alarmed in (
        ("rpm.neutron_alarm", [o for o in known.occupancies if o.neutron_alarm]),
        ("rpm.gamma_alarm", [o for o in known.occupancies if o.gamma_alarm]),
    ):
        if alarmed:
            shared = all(o.ambiguous for o in alarmed)
            found.append(_finding(code, "portal", "may be another vehicle's" if shared else ""))
    if setup.portals and not known.occupancies:
        found.append(_finding("rpm.no_measurement", "portal", "no occupancy was recorded for this vehicle"))
    found += [_finding(code, "portal", detail) for code, detail in PORTAL_NOTES.items() if code in known.portal_notes]
    return found


def _cards(setup: LaneSetup, known: Known) -> list[Finding]:
    found: list[Finding] = []
    persons = len({tag.epc for tag in known.tags if tag.kind is TagKind.PERSON})
    needed = _cards_needed(setup, known.occupants)
    if persons < needed:
        detail = f"{persons} cards, {needed} occupants" if known.occupants is not None else "no person's card was read"
        found.append(_finding("card.missing_for_occupants", "cards", detail))
    if any(tag.kind is TagKind.UNKNOWN for tag in known.tags):
        found.append(_finding("card.unknown_class", "cards", "a tag that the site's table does not name"))
    if known.tids_differ:
        found.append(_finding("card.clone_suspect", "cards", "one number, two chips"))
    if not setup.simulated and any(tag.epc.startswith(SIMULATED_PREFIX) for tag in known.tags):
        found.append(_finding("card.simulated", "cards", "a simulator's card on a lane that is not simulated"))
    return found


def _cards_needed(setup: LaneSetup, occupants: int | None) -> int:
    """Persons' cards this lane asks for; somebody drives, also before anybody has been counted."""
    rule = CARD_RULES.get(setup.lane_type)
    if rule is None or (rule == "every adult" and not setup.adult_cards_required):
        return 0
    return 1 if rule == "driver" or occupants is None else occupants


def _plates(setup: LaneSetup, known: Known) -> list[Finding]:
    if setup.cameras and not known.plates:
        return [_finding("plate.unread", "plates", "no plate was read")]
    return []


def _matching(known: Known) -> list[Finding]:
    found: list[Finding] = []
    readings = any(tag.ambiguous for tag in known.tags) or any(plate.ambiguous for plate in known.plates)
    alarms = any(o.ambiguous and (o.gamma_alarm or o.neutron_alarm) for o in known.occupancies)
    if readings or alarms:
        found.append(_finding("passage.ambiguous", "matching", "a reading may be another vehicle's"))
    if known.quality is not Quality.GOOD:
        found.append(_finding("correlation.degraded", "matching", f"the lane's matching is {known.quality.value}"))
    if known.overrides:
        found.append(_finding("equipment.override", "equipment", f"overridden by hand: {', '.join(known.overrides)}"))
    return found
