"""What happens in the simulated lane: who comes, how they drive, what they carry, what misbehaves, the officer.

One YAML file per scenario, loaded by `sim.simfile.load_scenario`. Together with the scene and the seed it settles
everything the world does. `python -m sim.world.scenario` prints the table of keys for docs/reference/scenarios.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_jsonable_python

from sim.mischief import Mischief
from sim.world.mishaps import FAULTS, HEADS, LAMP_FAULTS, Mishap

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the first of the two numbers must not exceed the second")
    return span


Span = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ascending)]
"""Least and most; drawn evenly in between."""


class Section(BaseModel):
    """A section of a scenario: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Mix(Section):
    """Weights of the vehicle classes; only their proportion counts."""

    motorcycle: NotNegative = 3.0
    """Motorcycles, 2.0 to 2.4 m."""
    car: NotNegative = 50.0
    """Cars, 4.0 to 5.0 m."""
    suv: NotNegative = 35.0
    """SUVs, 4.5 to 5.3 m."""
    van: NotNegative = 12.0
    """Vans and pickups, 5.1 to 6.2 m."""
    bus: NotNegative = 0.0
    """Buses, 10 to 13.5 m."""
    truck: NotNegative = 0.0
    """Trucks without a trailer, 7 to 11 m."""
    truck_trailer: NotNegative = 0.0
    """Trucks with a trailer, 16 to 22 m, with a plate of its own at the rear."""
    truck_semi: NotNegative = 0.0
    """Trucks with a short semi-trailer, 12 to 16 m, with a plate of its own at the rear."""

    @model_validator(mode="after")
    def _somebody_comes(self) -> Self:
        if not any(value for _, value in self):
            raise ValueError("at least one vehicle class needs a weight above 0")
        return self


class Traffic(Section):
    """How many vehicles come, and how ordinary drivers drive."""

    vehicles_per_h: Positive = 300.0
    """Arrivals per hour. More than the booth can serve makes a queue that stretches upstream out of the world."""
    least_headway_s: NotNegative = 6.0
    """Shortest time between two arrivals; the rest is exponential."""
    mix: Mix = Mix()
    """Vehicle classes."""
    wish_speed_mps: Span = (3.5, 6.5)
    """Speed a driver wants in the free lane."""
    portal_speed_mps: Span = (1.8, 3.2)
    """Speed a driver wants through the portal."""
    acceleration_mps2: Span = (1.5, 2.5)
    """Acceleration of a car; buses and trucks reach 0.6 of it."""
    time_gap_s: Span = (1.0, 1.6)
    """Time gap a driver keeps to the vehicle ahead while moving."""
    standstill_gap_m: Span = (1.5, 2.5)
    """Distance a driver keeps to the vehicle ahead while standing."""
    start_delay_s: Span = (0.7, 1.2)
    """Reaction from the vehicle ahead moving off, or from the signal, to moving off."""
    undisciplined_share: Share = 0.0
    """Share of drivers who stop in the portal when there is no room behind it, and crowd into the booth zone."""


class Behaviour(Section):
    """Shares of vehicles that do not drive like the rest. Each vehicle does at most one of these, the first drawn."""

    tailgating_share: Share = 0.0
    """Follow the vehicle ahead closely, through the portal and the lane."""
    tailgating_gap_s: Span = (0.5, 2.0)
    """Time gap between a tailgater and the vehicle ahead, from rear bumper to front bumper, while moving."""
    tailgating_through_share: Share = 0.5
    """Share of tailgaters who follow a released vehicle past the booth without stopping; the others stop there."""
    back_out_share: Share = 0.0
    """Stop on the approach, reverse off it and leave the lane."""
    lane_change_share: Share = 0.0
    """Leave the lane sideways between approach and booth."""
    reversing_share: Share = 0.0
    """Roll into the booth zone, back out of it onto the approach, then drive on as usual."""
    runner_share: Share = 0.0
    """Stop for nobody: neither the signal nor a closed gate (port runners)."""
    abreast_share: Share = 0.0
    """Come side by side with the vehicle ahead, bumper to bumper level, all through the lane (use motorcycles)."""


class People(Section):
    """Who sits in the vehicles, and what they carry."""

    occupants: tuple[NotNegative, ...] = Field(default=(45.0, 30.0, 15.0, 10.0), min_length=1, max_length=9)
    """Weights of one, two, three ... persons in a vehicle."""
    card_share: Share = 1.0
    """Share of persons who carry a card."""
    cardless_vehicle_share: Share = 0.0
    """Share of vehicles in which nobody carries a card."""
    vehicle_transponder_share: Share = 0.0
    """Share of vehicles with a vehicle transponder (EPC f000000002...)."""
    toll_tag_share: Share = 0.0
    """Share of vehicles with a toll tag (EPC f000000003...)."""


class Radiation(Section):
    """What the portal meets."""

    gamma_share: Share = 0.0
    """Share of vehicles with a gamma source that no controller overlooks."""
    gamma_source_cps: Span = (2500.0, 8000.0)
    """Such a source in the middle of the portal, all four panels together."""
    marginal_share: Share = 0.0
    """Share of vehicles with a gamma source near the alarm threshold: the controller may alarm or not."""
    marginal_source_cps: Span = (400.0, 900.0)
    """Such a source in the middle of the portal, all four panels together."""
    neutron_share: Share = 0.0
    """Share of vehicles with a neutron source that no controller overlooks."""
    neutron_source_cps: Span = (120.0, 400.0)
    """Such a source in the middle of the portal, all channels together."""
    suppression: Span = (0.18, 0.23)
    """Share of the gamma background that a vehicle's body takes away while it fills the portal."""
    waiting_suppression: Share = 0.0
    """Share of the gamma background taken away by a vehicle standing within 3 m of the portal."""
    missed_occupancy_share: Share = 0.0
    """Share of vehicles that the portal's occupancy sensor does not see."""


class Reads(Section):
    """How well tags are read."""

    reread_s: Positive = 1.0
    """How often an antenna reads the same tag, on average."""
    miss_share: Share = 0.1
    """Share of these reads that fail."""
    rssi_noise_db: NotNegative = 3.0
    """Standard deviation of the signal strength."""
    wrong_zone_share: Share = 0.0
    """Share of all reads that come from a vehicle outside the antenna's stretch, as strong as one inside."""
    neighbour_reads_per_h: NotNegative = 0.0
    """Reads per hour of cards in a neighbour lane (they belong to no vehicle of this lane)."""


class Plates(Section):
    """How well plates are read, where the scene has cameras."""

    miss_share: Share = 0.03
    """Share of vehicles whose plate is not read at all."""
    character_error_share: Share = 0.005
    """Share of characters read wrong."""
    confidence: Span = (0.8, 0.99)
    """Confidence of a right read; a wrong one has 0.25 less."""
    unread_share: Share = 0.0
    """Share of the vehicles seen whose plate the camera says it cannot read."""
    second_look_share: Share = 0.0
    """Share of misread plates that the camera corrects a metre further on."""


class LoopTrouble(Section):
    """What is wrong with one loop."""

    missed_share: Share = 0.0
    """Share of vehicles that it does not notice at all."""
    chatter_per_min: NotNegative = 0.0
    """Short false changes per minute, each of 0.1 to 0.3 s."""
    dead: bool = False
    """It never notices anything."""
    stuck: bool = False
    """It always says that it is occupied."""
    from_s: NotNegative = 0.0
    """When `dead`, `stuck` and `chatter_per_min` begin."""
    until_s: Positive | None = None
    """When they end; never, if not given."""


class Officer(Section):
    """The automatic officer who stands in for a person, and lives outside the world."""

    present: bool = True
    """False: nobody opens the lane and nobody decides."""
    service_time_s: NotNegative = 2.0
    """From the lane's assessment to the decision, mean."""
    service_time_sd_s: NotNegative = 0.6
    """Its standard deviation."""
    service_time_least_s: NotNegative = 0.8
    """Never faster than this."""
    wrong_share: Share = 0.0
    """Share of decisions that do not follow the recommendation."""
    scanner_share: Share = 0.0
    """Share of vehicles without a recommended referral that are sent to the scanner, where the scene has one."""


class Central(Section):
    """What the port's central system knows of the vehicles. With it in the scenario, the lane asks."""

    not_enrolled_share: Share = 0.0
    """Share of vehicles whose people, transponder and plates are not enrolled."""
    wrong_programme_share: Share = 0.0
    """Share of vehicles whose people are enrolled in another programme."""
    lookout_share: Share = 0.0
    """Share of vehicles that somebody looks for."""
    armed_share: Share = 0.0
    """Share of these whose people are said to be armed and dangerous."""
    no_manifest_share: Share = 0.0
    """Share of vehicles without an e-Manifest."""
    no_seal_share: Share = 0.0
    """Share of vehicles without a seal on file."""
    hazmat_share: Share = 0.0
    """Share of vehicles with hazardous cargo."""
    silent_share: Share = 0.0
    """Share of questions that it does not answer."""


class Scenario(Section):
    """One scenario."""

    title: str
    """What it shows, in a line."""
    vehicles: Annotated[int, Field(ge=1)] | None = None
    """Stop the arrivals after so many vehicles."""
    duration_s: Positive | None = None
    """Stop the arrivals after so much lane time. With neither this nor `vehicles`, it goes on for ever."""
    drain_limit_s: NotNegative = 300.0
    """How long after the last arrival and departure it still waits; with no officer only where it is `--fakes-only`."""
    traffic: Traffic = Traffic()
    """Who comes, and how."""
    behaviour: Behaviour = Behaviour()
    """Who drives otherwise."""
    people: People = People()
    """Who sits inside."""
    radiation: Radiation = Radiation()
    """What the portal meets."""
    reads: Reads = Reads()
    """How tags are read."""
    plates: Plates = Plates()
    """How plates are read."""
    loops: dict[str, LoopTrouble] = Field(default_factory=dict)
    """Trouble of single loops, by the name of their contact (`loop_approach`)."""
    officer: Officer = Officer()
    """The automatic officer."""
    central: Central | None = None
    """The port's central system; without it the lane asks nothing."""
    mischief: tuple[Mischief, ...] = ()
    """Faults of devices and of the lines to them: a list, each for some time."""
    mishaps: tuple[Mishap, ...] = ()
    """What befalls gate, signals, buttons and scanner themselves: a list, each for some time."""


_PLURAL: dict[type[BaseModel], str] = {LoopTrouble: ".<contact>", Mischief: "[]", Mishap: "[]"}
"""How a key reads that stands for several of the same."""


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key of a model, depth first: dotted name, default as in YAML, meaning."""
    for name, field in model.model_fields.items():
        inner = _inner(field.annotation)
        name = f"{prefix}{name}" + (_PLURAL.get(inner, "") if inner is not None else "")
        if inner is not None:
            yield name, "", field.description or ""
            yield from keys(inner, name + ".")
        else:
            yield name, _default(field), field.description or ""


def _inner(annotation: Any) -> type[BaseModel] | None:
    if annotation == dict[str, LoopTrouble]:
        return LoopTrouble
    if annotation == (Central | None):
        return Central
    if annotation == tuple[Mischief, ...]:
        return Mischief
    if annotation == tuple[Mishap, ...]:
        return Mishap
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = to_jsonable_python(field.get_default(call_default_factory=True))
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return "[" + ", ".join(f"{item:g}" for item in value) + "]"
        case int() | float():
            return f"{value:g}"
        case _:
            return str(value)


HEAD = """# Scenarios: every key

Generated by `python -m sim.world.scenario > docs/reference/scenarios.md`; edit the docstrings there, not this page.

A scenario says who comes to the simulated lane, how they drive, what they carry, what misbehaves and how the automatic
officer works. With a scene (`sim.yaml`) and a seed it settles everything that the world does. A key that
is left out has its default; an unknown key is an error. `[a, b]` is a span: drawn evenly between the two. A share is
a probability from 0 to 1. Units stand in the names.

The scenarios that come with the project lie in `configs/scenarios/`.

| key | default | meaning |
|---|---|---|
"""


MISHAPS = """
## Mishaps: what befalls which part

Each begins at `at_s`, or when the scanner is found in `phase`, and lasts for `for_s`. The parts with lamps are
`signal`, `lane_signal`, `driver_signal` and `beacon`. Faults of devices and of the lines to them are `mischief`.

| part | what | meaning |
|---|---|---|
"""


def reference_page() -> str:
    """The text of docs/reference/scenarios.md."""
    rows = (f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in keys(Scenario))
    befall = (
        f"| {part} | `{what}` | {meaning} |\n"
        for part, faults in FAULTS.items()
        if part not in HEADS
        for what, meaning in faults.items()
    )
    lamps = (f"| any lamp | `{what}` | {meaning} |\n" for what, meaning in LAMP_FAULTS.items())
    return HEAD + "".join(rows) + MISHAPS + "".join(befall) + "".join(lamps)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference_page())
