"""What each finding weighs and what it recommends (lane operating rules). Data; nothing here admits anybody.

The board of `lanecontrol.lane.policy`. A finding that recommends nothing only informs.
"""

from __future__ import annotations

from lanecontrol.announcements import Finding, Referral, Severity

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
    "card.too_many": (Severity.MEDIUM, Referral.RECOMMENDED),
    "card.plate_mismatch": (Severity.MEDIUM, Referral.RECOMMENDED),
    "card.unknown_class": (Severity.MEDIUM, Referral.RECOMMENDED),
    "transponder.missing": (Severity.MEDIUM, Referral.RECOMMENDED),
    "transponder.plate_mismatch": (Severity.MEDIUM, Referral.RECOMMENDED),
    "transponder.user_fee_unpaid": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "plate.unread": (Severity.LOW, Referral.RECOMMENDED),
    "plate.front_rear_mismatch": (Severity.MEDIUM, Referral.RECOMMENDED),
    "enrolment.person_not_valid": (Severity.MEDIUM, Referral.RECOMMENDED),
    "enrolment.wrong_programme": (Severity.MEDIUM, Referral.RECOMMENDED),
    "enrolment.vehicle_not_valid": (Severity.MEDIUM, Referral.RECOMMENDED),
    "enrolment.unknown": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "lookout.unchecked": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "manifest.missing": (Severity.MEDIUM, Referral.RECOMMENDED),
    "seal.missing": (Severity.MEDIUM, Referral.RECOMMENDED),
    "cargo.hazmat": (Severity.MEDIUM, Referral.OFFICER_CONFIRMS),
    "cargo.unknown": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "cargo.empty_unconfirmed": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "passage.ambiguous": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "correlation.degraded": (Severity.LOW, Referral.OFFICER_CONFIRMS),
    "equipment.override": (Severity.MEDIUM, Referral.OFFICER_CONFIRMS),
}
"""Findings that everybody may see who may see a passage."""

DEGRADED: dict[str, tuple[Severity, Referral]] = {
    "enrolment.unknown": (Severity.MEDIUM, Referral.RECOMMENDED),
    "lookout.unchecked": (Severity.MEDIUM, Referral.RECOMMENDED),
    "cargo.unknown": (Severity.MEDIUM, Referral.RECOMMENDED),
}
"""What weighs more in degraded mode: whatever is not known goes to secondary."""

SILENT: dict[str, tuple[Severity, Referral]] = {
    "lookout.hit": (Severity.CRITICAL, Referral.MANDATORY),
}
"""Never among the findings of an assessment: see `lane.lookouts`."""


def finding(code: str, source: str, detail: str = "", *, degraded: bool = False) -> Finding:
    """A finding with its weight. Raises KeyError for a code that no table has."""
    severity, recommended = DEGRADED[code] if degraded and code in DEGRADED else WEIGHT[code]
    return Finding(code, severity, recommended, source, detail)
