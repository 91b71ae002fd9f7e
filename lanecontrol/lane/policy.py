"""From what is known about a vehicle to findings and a recommended referral. Pure; no rule here releases anything.

The rules are data: what a finding weighs stands in `rules.weights`, what lanes of each type ask for in `rules.table`.
Their hash, together with the site's tag table, is stamped on every passage. Lookouts are not among the findings: they
are for `lane.lookouts` alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

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
from lanecontrol.lane.rules import enrolment
from lanecontrol.lane.rules.table import INBOUND, OUTBOUND, LaneRules, Who, rules_of
from lanecontrol.lane.rules.weights import DEGRADED, SILENT, WEIGHT, finding
from lanecontrol.lane.same_plate import misread
from lanecontrol.lane.setup import LaneSetup
from lanecontrol.lane.state import Dossier, Elsewhere

__all__ = ["WEIGHT", "Known", "findings", "referral", "rules_hash"]

RULES_VERSION = "4"

PORTAL_NOTES = {
    "rpm.fault": "background fault, tamper or an incomplete measurement",
    "rpm.alarm_missing": "by its own counts the portal should have raised an alarm, and did not",
    "rpm.alarm_unconfirmed": "the portal's counts by themselves would not have been an alarm",
    "rpm.buffer_zone_occupied": "another vehicle by the portal kept off background: the alarm may be due to it",
}
"""What there is to say of a measurement. None of it takes an alarm back."""

SIMULATED_PREFIX = "f0000000"
"""Cards of the simulator; on a lane that is not declared simulated they are a finding."""

SPARE_CARDS = 2
"""A person may carry more than one card: so many more than there are people are no finding (rules for cards)."""
SURE_PLATE = 0.6
"""A plate that was read with less confidence says nothing about another one."""

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
    dossier: Dossier | None = None
    """What the port was asked, and what it answered; None where nothing was asked."""
    minors: int = 0
    """Occupants who need no card where only adults do."""
    scanned: bool = False
    """A scan of it was completed."""
    at_booth: bool = True
    """It has come to the booth: before that nobody is asked about it."""
    degraded: bool = False
    """The lane works without the port's central system: what is unknown is referred."""
    lane_type: LaneType | None = None
    """What the lane serves, where it is not its file's type."""


def rules_hash(setup: LaneSetup, lane_type: LaneType | None = None) -> str:
    """16 hex digits over everything that shapes a recommendation: the site's part, and the tables of this version.

    The site's part is the hash that the configuration gives, or what of it matters here. `lane_type` is what the lane
    serves.
    """
    site = setup.rules_hash or (
        setup.lane_type.value,
        setup.direction,
        setup.adult_cards_required,
        setup.simulated,
        bool(setup.cameras),
        setup.questions,
        sorted((rule.prefix, rule.kind.value) for rule in setup.tag_rules),
    )
    served = () if lane_type in (None, setup.lane_type) else (lane_type.value,)
    return _digest(", ".join(repr(part) for part in (site, *served)))


@lru_cache(maxsize=64)
def _digest(site: str) -> str:
    """Kept, since every passage is stamped with it and the site's part hardly ever changes."""
    text = f"({RULES_VERSION!r}, {_TABLES!r}, {site})"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tables() -> list[object]:
    """The tables as text that is the same in every run: what a set holds comes in order."""
    weights = [
        sorted((code, s.value, r.value) for code, (s, r) in table.items()) for table in (WEIGHT, DEGRADED, SILENT)
    ]
    rows = [
        sorted((lane.value, sorted(row.programmes), _plain(row)) for lane, row in table.items())
        for table in (INBOUND, OUTBOUND)
    ]
    return [weights, rows]


def _plain(row: LaneRules) -> tuple[object, ...]:
    return tuple(
        value.value if isinstance(value, Who) else value
        for name in LaneRules.__slots__
        if not isinstance(value := getattr(row, name), frozenset)
    )


_TABLES = _tables()


def findings(setup: LaneSetup, known: Known) -> tuple[Finding, ...]:
    """Everything worth noticing, the gravest first."""
    rules = rules_for(setup, known.lane_type)
    found = [*_radiation(setup, known), *_cards(setup, rules, known), *_plates(setup, rules, known), *_matching(known)]
    if rules.empty and known.at_booth and not known.scanned:
        found.append(finding("cargo.empty_unconfirmed", "rules", "not seen to be empty: no scan was completed"))
    if known.dossier is not None:
        if setup.questions is not None and known.at_booth:
            found += enrolment.findings(setup, rules, known.dossier, known.tags, known.plates, degraded=known.degraded)
        found += _elsewhere(setup, known.dossier.elsewhere)
    return tuple(sorted(found, key=lambda finding: _SEVERITY[finding.severity]))


def rules_for(setup: LaneSetup, lane_type: LaneType | None = None) -> LaneRules:
    """The row of the table for this lane (as the type it serves), with what the site has put in its place."""
    programmes = setup.questions.programmes if setup.questions is not None else ()
    return rules_of(lane_type or setup.lane_type, setup.direction, programmes)


def referral(found: tuple[Finding, ...]) -> Referral:
    """The strongest recommendation among the findings."""
    return max((f.referral for f in found), key=lambda r: _REFERRAL[r], default=Referral.NONE)


def _radiation(setup: LaneSetup, known: Known) -> list[Finding]:
    found: list[Finding] = []
    for code, alarmed in (
        ("rpm.neutron_alarm", [o for o in known.occupancies if o.neutron_alarm]),
        ("rpm.gamma_alarm", [o for o in known.occupancies if o.gamma_alarm]),
    ):
        if alarmed:
            shared = all(o.ambiguous for o in alarmed)
            found.append(finding(code, "portal", "may be another vehicle's" if shared else ""))
    if setup.portals and not known.occupancies:
        found.append(finding("rpm.no_measurement", "portal", "no occupancy was recorded for this vehicle"))
    found += [finding(code, "portal", detail) for code, detail in PORTAL_NOTES.items() if code in known.portal_notes]
    return found


def _cards(setup: LaneSetup, rules: LaneRules, known: Known) -> list[Finding]:
    found: list[Finding] = []
    persons = len({tag.epc for tag in known.tags if tag.kind is TagKind.PERSON})
    needed = _cards_needed(setup, rules, known)
    if persons < needed:
        whom = "adults" if rules.cards is Who.ADULTS else "occupants"
        detail = f"{persons} cards, {needed} {whom}" if known.occupants is not None else "no person's card was read"
        found.append(finding("card.missing_for_occupants", "cards", detail))
    if known.occupants is not None and persons > known.occupants + SPARE_CARDS:
        found.append(finding("card.too_many", "cards", f"{persons} cards, {known.occupants} occupants"))
    if rules.transponder and all(tag.kind is not TagKind.VEHICLE for tag in known.tags):
        found.append(finding("transponder.missing", "cards", "no vehicle's transponder was read"))
    if any(tag.kind is TagKind.UNKNOWN for tag in known.tags):
        found.append(finding("card.unknown_class", "cards", "a tag that the site's table does not name"))
    if known.tids_differ:
        found.append(finding("card.clone_suspect", "cards", "one number, two chips"))
    if not setup.simulated and any(tag.epc.startswith(SIMULATED_PREFIX) for tag in known.tags):
        found.append(finding("card.simulated", "cards", "a simulator's card on a lane that is not simulated"))
    return found


def _cards_needed(setup: LaneSetup, rules: LaneRules, known: Known) -> int:
    """Persons' cards this lane asks for; somebody drives, also before anybody has been counted."""
    occupants = known.occupants
    match rules.cards:
        case Who.NOBODY:
            return 0
        case Who.DRIVER:
            return 1
        case Who.ADULTS if not setup.adult_cards_required:
            return 0
        case Who.ADULTS if occupants is not None:
            return max(0, occupants - known.minors)
        case _:
            return 1 if occupants is None else occupants


def _plates(setup: LaneSetup, rules: LaneRules, known: Known) -> list[Finding]:
    if setup.cameras and not known.plates:
        return [finding("plate.unread", "plates", "no plate was read")]
    different = _different(setup, [p for p in known.plates if p.confidence >= SURE_PLATE and not p.ambiguous])
    if different > (2 if rules.trailers else 1):
        return [finding("plate.front_rear_mismatch", "plates", f"{different} different plates at one vehicle")]
    return []


def _different(setup: LaneSetup, plates: list[BoundPlate]) -> int:
    """How many plates these are, those that look like one misread counted once."""
    distinct: list[BoundPlate] = []
    for plate in plates:
        if not any(misread(setup, plate.text, other.text) for other in distinct):
            distinct.append(plate)
    return len(distinct)


def _elsewhere(setup: LaneSetup, cards: tuple[Elsewhere, ...]) -> list[Finding]:
    """Lanes beside this one read its cards as a matter of course; others cannot."""
    far = [card for card in cards if card.lane not in setup.adjacent]
    if not far:
        return []
    detail = f"also read in lane {far[0].lane}, {far[0].apart_s:.0f} s apart"
    return [finding("card.clone_suspect", "neighbours", detail)]


def _matching(known: Known) -> list[Finding]:
    found: list[Finding] = []
    readings = any(tag.ambiguous for tag in known.tags) or any(plate.ambiguous for plate in known.plates)
    alarms = any(o.ambiguous and (o.gamma_alarm or o.neutron_alarm) for o in known.occupancies)
    if readings or alarms:
        found.append(finding("passage.ambiguous", "matching", "a reading may be another vehicle's"))
    if known.quality is not Quality.GOOD:
        found.append(finding("correlation.degraded", "matching", f"the lane's matching is {known.quality.value}"))
    if known.overrides:
        found.append(finding("equipment.override", "equipment", f"overridden by hand: {', '.join(known.overrides)}"))
    return found
