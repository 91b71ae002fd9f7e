"""A lane under test, told in the words of the lane: cars come, are read, are released and leave.

Time moves only by `wait`, which also gives the ticks that the lane asked for. Every input that was given is kept, so
that any scene can be replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from lanecontrol.announcements import (
    Announcement,
    BoundTag,
    LaneType,
    PassageAssessed,
    PassageClosed,
    TagKind,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    Actor,
    Dispose,
    Disposition,
    Order,
    Outcome,
    Request,
    Result,
    Role,
    WriteOutputs,
)
from lanecontrol.events import (
    CommandEnded,
    DeviceChanged,
    DeviceState,
    Event,
    GammaBackground,
    GammaCounts,
    Input,
    InputChanged,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    OrderGiven,
    Started,
    TagRead,
    Tick,
)
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.setup import (
    Antenna,
    BoothButton,
    Gate,
    LaneSetup,
    Limits,
    Loop,
    Portal,
    Signal,
    TagRule,
    Zone,
)
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline, initial, step, still_granted

UTC_S = 1_800_000_000.0
OFFICER = Actor("officer-12", Role.OFFICER)
SUPERVISOR = Actor("supervisor-3", Role.SUPERVISOR)
BACKGROUND = (382, 381, 426, 367)

GATE = Gate("io1", "gate_open", "gate_opened", "gate_closed")

A = TypeVar("A")


def setup(
    *,
    lane_type: LaneType = LaneType.SENTRI,
    portals: tuple[Portal, ...] = (Portal("rpm1", "portal"),),
    gate: Gate | None = GATE,
    button: BoothButton | None = None,
    limits: Limits | None = None,
    opens_at_start: bool = True,
    loops: tuple[str, ...] = ("approach", "booth", "exit"),
) -> LaneSetup:
    return LaneSetup(
        port="SYS",
        lane="07",
        lane_type=lane_type,
        zones=(Zone("portal", 8, 10), Zone("approach", 20, 22), Zone("booth", 25, 29), Zone("exit", 33, 35)),
        booth_zone="booth",
        loops=tuple(Loop(name, "io1", f"loop_{name}", name) for name in loops),
        portals=portals,
        antennas=(Antenna("rfid1", 1, "booth"),),
        signal=Signal("io1", "signal_green", "signal_red"),
        gate=gate,
        booth_button=button,
        tag_rules=(TagRule("f000000001", TagKind.PERSON), TagRule("f000000002", TagKind.VEHICLE)),
        device_kinds=(("io1", "io.modbus"), ("rpm1", "rpm.rapiscan"), ("rfid1", "rfid.llrp")),
        opens_at_start=opens_at_start,
        simulated=True,
        limits=limits if limits is not None else Limits(),
    )


def card(number: int) -> str:
    """The number of a person's card."""
    return f"f000000001{number:014x}"


class LaneBench:
    """A lane, its outputs, and everything that it said."""

    def __init__(self, lane_setup: LaneSetup | None = None) -> None:
        self.setup = lane_setup if lane_setup is not None else setup()
        self.state: LaneState = initial(self.setup)
        self.now_s = 100.0
        self.given: list[Input] = []
        self.effects: list[Effect] = []
        self.outputs: dict[str, bool] = {}
        self.last: tuple[Effect, ...] = ()
        self._orders = 0
        self._open: list[str] = []
        self.carries_out = True
        """Devices carry out what they are told, at once."""

    # --- giving inputs ---

    def give(self, source: str, event: Event) -> tuple[Effect, ...]:
        given = Input(self.instant(), source, event)
        self.given.append(given)
        self.state, effects = step(self.setup, self.state, given)
        self.last = effects
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Drive):
                self._perform(effect)
        return effects

    def instant(self) -> Instant:
        """What the lane's clock says now."""
        return Instant(self.now_s, UTC_S + self.now_s)

    def _perform(self, drive: Drive) -> None:
        if not self.carries_out:
            return
        if drive.grants and not still_granted(self.state, drive.command_id):
            return
        if isinstance(drive.command, WriteOutputs):
            self.outputs |= dict(drive.command.points)
        self._open.append(drive.command_id)

    def _answer_commands(self) -> None:
        while self._open:
            self.give("io1", CommandEnded(self._open.pop(0), DONE))

    def wait(self, duration_s: float) -> None:
        """Let time pass; the lane gets every tick it asked for, at its moment."""
        until_s = self.now_s + duration_s
        self._answer_commands()
        for _ in range(10_000):
            due_s = deadline(self.state)
            if due_s is None or due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            self.give("lane", Tick())
            self._answer_commands()
        else:
            raise AssertionError("the lane asks for ticks without end")
        self.now_s = until_s

    def started(self, *, cold: bool = True, boot: str = "boot-1") -> LaneBench:
        """The software starts, every device comes online, every contact is read."""
        self.give("lane", Started(cold, boot))
        for device in ("io1", "rpm1", "rfid1"):
            self.give(device, DeviceChanged(DeviceState.ONLINE, "connected"))
        for loop in self.setup.loops:
            self.contact(loop.point, False)
        self.contact("gate_opened", False)
        self.contact("gate_closed", True)
        if self.setup.booth_button is not None:
            self.contact(self.setup.booth_button.point, False)
        self.give("rpm1", NeutronBackground((4.0, 0.0, 2.7, 0.0), exact=True))
        self.give("rpm1", GammaBackground(BACKGROUND))
        self.wait(2.0)
        return self

    def contact(self, point: str, on: bool) -> None:
        self.give("io1", InputChanged(point, on))

    def loop(self, name: str, on: bool) -> None:
        self.contact(f"loop_{name}", on)

    def read(self, number: int, rssi_dbm: float = -52.0) -> None:
        """A person's card answers."""
        self.give("rfid1", TagRead(1, Identifier(card(number)), rssi_dbm))

    def read_for(self, seconds: int, *numbers: int, rssi_dbm: float = -52.0) -> None:
        """These cards answer once a second."""
        for _ in range(seconds):
            for number in numbers:
                self.read(number, rssi_dbm)
            self.wait(1.0)

    # --- vehicles ---

    def through_portal(self, *, gamma: bool = False, neutron: bool = False) -> None:
        """A vehicle drives through the portal; afterwards it is on its way to the approach."""
        self.give("rpm1", NeutronCounts((4, 0, 3, 0), False))
        for _ in range(5):
            self.give("rpm1", GammaCounts((76, 76, 85, 73), False))
        for tick in range(10):
            self.wait(0.2)
            self.give("rpm1", GammaCounts((170, 180, 190, 160) if gamma else (70, 70, 80, 70), gamma and tick > 3))
            if neutron and tick == 5:
                self.give("rpm1", NeutronCounts((30, 0, 28, 0), True))
        self.give("rpm1", OccupancyEnded(1))

    def to_approach(self) -> None:
        self.wait(1.5)
        self.loop("approach", True)

    def to_booth(self) -> None:
        self.wait(1.0)
        self.loop("booth", True)
        self.wait(0.5)
        self.loop("approach", False)

    def arrives(self, *cards: int, gamma: bool = False, neutron: bool = False) -> str:
        """A car comes through portal and approach to the booth, is read there, and is assessed. Its passage."""
        self.through_portal(gamma=gamma, neutron=neutron)
        self.to_approach()
        self.to_booth()
        self.read_for(4, *cards)
        return self.at_booth

    def leaves(self) -> None:
        """The car at the booth drives off over the exit loop."""
        self.wait(1.0)
        self.loop("exit", True)
        self.wait(0.3)
        self.loop("booth", False)
        self.wait(1.5)
        self.loop("exit", False)
        self.wait(4.0)

    # --- people ---

    def order(
        self, request: Request, actor: Actor = OFFICER, *, key: str | None = None, within_s: float = 10.0
    ) -> Outcome:
        self._orders += 1
        key = key if key is not None else f"key-{self._orders}"
        self.give("port", OrderGiven(Order(key, actor, request, UTC_S + self.now_s + within_s)))
        return next(effect.outcome for effect in self.last if isinstance(effect, Answer) and effect.key == key)

    def dispose(
        self,
        passage: str | None = None,
        disposition: Disposition = Disposition.RELEASED,
        actor: Actor = OFFICER,
        justification: str = "",
    ) -> Outcome:
        name = passage if passage is not None else self.at_booth
        return self.order(Dispose(name, disposition, justification=justification), actor)

    def releases(self) -> None:
        assert self.dispose() == DONE
        self.gate_goes_up()

    def gate_goes_up(self) -> None:
        self.wait(0.2)
        self.contact("gate_closed", False)
        self.wait(1.0)
        self.contact("gate_opened", True)

    def gate_goes_down(self) -> None:
        self.wait(0.2)
        self.contact("gate_opened", False)
        self.wait(1.0)
        self.contact("gate_closed", True)

    # --- looking ---

    def told(self, kind: type[A]) -> list[A]:
        """Everything of this kind that the lane published, in order."""
        return [a for a in self.announcements() if isinstance(a, kind)]

    def announcements(self) -> Iterator[Announcement]:
        for effect in self.effects:
            if isinstance(effect, Publish):
                yield effect.announcement

    def drives(self, *, grants: bool) -> list[Drive]:
        return [effect for effect in self.effects if isinstance(effect, Drive) and effect.grants is grants]

    @property
    def at_booth(self) -> str:
        return self.told(PassageAssessed)[-1].passage if self.told(PassageAssessed) else ""

    @property
    def assessment(self) -> PassageAssessed:
        return self.told(PassageAssessed)[-1]

    @property
    def closed(self) -> list[PassageClosed]:
        return self.told(PassageClosed)

    @property
    def green(self) -> bool:
        return self.outputs.get("signal_green", False)

    @property
    def red(self) -> bool:
        return self.outputs.get("signal_red", False)

    @property
    def gate(self) -> bool:
        """The gate's output."""
        return self.outputs.get("gate_open", False)


def numbers(tags: tuple[BoundTag, ...], *, ambiguous: bool = False) -> set[int]:
    """The cards among these tags, by the number given to `card`."""
    return {int(tag.epc.clear[10:], 16) for tag in tags if tag.ambiguous is ambiguous}


def refused(outcome: Outcome) -> str:
    """The reason of a refusal; fails when it was none."""
    assert outcome.result is Result.REFUSED
    return outcome.reason
