"""The shipped simulation with an ear at the fake I/O module: every output that its clients or its watchdog set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

from whole_system import shipped

from sim.fake import Fake
from sim.readings import Deed
from sim.simfile import Simulation


@dataclass(frozen=True, slots=True)
class Watched(Simulation):
    """The simulation; `deeds` is what reached the world through the fakes, in order."""

    deeds: list[Deed] = field(default_factory=list)

    def make_fake(self, device: str, act: Callable[[Deed], None]) -> Fake:
        def seen(deed: Deed) -> None:
            self.deeds.append(deed)
            act(deed)

        # Not `super()`: it does not work in a dataclass with slots.
        return Simulation.make_fake(self, device, seen)

    def switched_on(self) -> set[str]:
        """Names of the outputs that were ever on."""
        return {deed.point for deed in self.deeds if deed.on}


def watched() -> Watched:
    plain = shipped()
    return Watched(**{item.name: getattr(plain, item.name) for item in fields(plain)})
