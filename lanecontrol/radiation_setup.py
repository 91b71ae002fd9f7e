"""What a portal's setup lines say, field by field, with names and units.

Used by the lane core, which lets them override the lane file, and by drivers, which compare them with what was
approved. Pure; must never raise on what a portal sends, and never change a figure: N is a decimal, 7.5 stays 7.5.

Fields: gamma setup SG1 to SG3 and neutron setup SN1 and SN2 of Rapiscan/TSA portal controllers. They are told apart by
comma alone, because their widths come from a single recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

Value = int | float | str


def _number(text: str) -> float | None:
    try:
        value = float(text[:32])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _count(text: str) -> int | None:
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) <= 9 else None


def _mask(text: str) -> str | None:
    plain = text.strip()
    return plain if plain and not set(plain) - {"0", "1"} else None


def _text(text: str) -> str | None:
    return text.strip() or None


_Field = tuple[str, Callable[[str], Value | None]]

SETUP: dict[str, tuple[_Field, ...]] = {
    "SG1": (
        ("gamma_high_fault_cps", _count),
        ("gamma_low_fault_cps", _count),
        ("intervals", _count),
        ("hold_in_intervals", _count),
        ("n_sigma", _number),
    ),
    "SG2": (
        ("detectors", _mask),
        ("gamma_master_lower_v", _number),
        ("gamma_master_upper_v", _number),
        ("relay", _count),
        ("algorithms", _mask),
        ("program", _text),
    ),
    "SG3": (
        ("gamma_slave_lower_v", _number),
        ("gamma_slave_upper_v", _number),
        ("gamma_background_s", _number),
        ("background_sigma", _number),
        ("firmware", _text),
    ),
    "SN1": (
        ("neutron_high_fault_cps", _count),
        ("neutron_intervals", _count),
        ("neutron_alpha_1e6", _number),
        ("neutron_zmax", _number),
        ("sequential_intervals", _count),
        ("neutron_background_s", _number),
    ),
    "SN2": (
        ("neutron_master_lower_v", _number),
        ("neutron_master_upper_v", _number),
        ("neutron_slave_lower_v", _number),
        ("neutron_slave_upper_v", _number),
    ),
}
"""Fields by tag, in the order of the line. `intervals` and `hold_in_intervals` are of 200 ms; `algorithms` is sum,
horizontal, vertical, single; `relay` 0 is off, 1 on, 3 automatic; `_lower_v`, `_upper_v` are discriminator levels. That
the unit of `neutron_alpha_1e6` is a millionth is inferred. Placeholders at the end of a line are not named."""

TAG_OF: dict[str, str] = {name: tag for tag, fields in SETUP.items() for name, _ in fields}
"""The line in which each field stands."""


def named(tag: str, fields: Sequence[str]) -> dict[str, Value]:
    """The fields of a setup line by name; those that cannot be read, and lines of an unknown tag, are left out."""
    read = ((name, reader(text)) for (name, reader), text in zip(SETUP.get(tag, ()), fields, strict=False))
    return {name: value for name, value in read if value is not None}


def number(values: dict[str, Value], name: str, least: float, most: float, otherwise: float) -> float:
    """A figure within what can be reckoned with, or `otherwise`."""
    value = values.get(name)
    return value if isinstance(value, int | float) and least <= value <= most else otherwise
