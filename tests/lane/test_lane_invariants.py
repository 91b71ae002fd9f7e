"""What must hold whatever happens: any events, in any order, from anybody, at any time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_bench import OFFICER, SUPERVISOR, UTC_S, card, setup

from lanecontrol.announcements import (
    AlarmEnded,
    AlarmRaised,
    PassageClosed,
    PassageOpened,
    PlateSighted,
    ReadingOrphaned,
    SignalAspect,
    TagSighted,
)
from lanecontrol.clock import Instant
from lanecontrol.commands import (
    DONE,
    Acknowledge,
    Actor,
    CloseLane,
    DeclareEmergency,
    Dispose,
    Disposition,
    NextVehicle,
    OpenLane,
    Order,
    Outcome,
    ResetLane,
    Result,
    Role,
    SetOccupants,
    WriteOutputs,
)
from lanecontrol.events import (
    Answered,
    CardElsewhere,
    CentralChanged,
    CommandEnded,
    DeviceChanged,
    DeviceFault,
    DeviceState,
    Event,
    GammaBackground,
    GammaCounts,
    Input,
    InputChanged,
    InputsFresh,
    InputsLost,
    InputsStale,
    ModuleWatchdogTripped,
    NeutronBackground,
    NeutronCounts,
    OccupancyEnded,
    OrderGiven,
    OutputsRead,
    PictureTaken,
    PlateCandidate,
    PlateRead,
    PlateTrackEnded,
    PlateUnread,
    PortalExtra,
    PortalSetup,
    PortalSpeed,
    PortalTamper,
    Started,
    Stopping,
    StoreChanged,
    TagRead,
    Tick,
)
from lanecontrol.forms import from_json, to_json
from lanecontrol.identifier import Identifier
from lanecontrol.lane.effects import Answer, Drive, Effect, Publish
from lanecontrol.lane.passages import GOING
from lanecontrol.lane.setup import BoothButton, Camera, LaneSetup, Questions
from lanecontrol.lane.state import LaneState
from lanecontrol.lane.step import deadline, initial, step, still_granted
from lanecontrol.questions import AskKind, Cargo, Enrolments, Hit, Lookouts, NumberFact, Respondent, Standing

POINTS = ("loop_approach", "loop_booth", "loop_exit", "gate_opened", "gate_closed", "booth_button", "nonsense")
counts = st.lists(st.integers(-1, 10**12), max_size=6).map(tuple) | st.just((80, 80, 80, 80))
numbers = st.floats(allow_nan=True, allow_infinity=True)
passages = st.integers(0, 12).map(lambda number: f"07-{number:06d}")
actors = st.sampled_from(
    [OFFICER, OFFICER, SUPERVISOR, Actor("t", Role.TECHNICIAN), Actor("port", Role.CENTRAL), Actor("", Role.OFFICER)]
)
requests = (
    st.builds(Dispose, passages, st.sampled_from(Disposition), st.just(()), st.sampled_from(["", "because"]))
    | st.builds(Dispose, st.just("at booth"), st.sampled_from(Disposition), st.just(()), st.just("because"))
    | st.builds(SetOccupants, passages, st.integers(-3, 500))
    | st.builds(Acknowledge, st.integers(0, 5).map(lambda number: f"07-a{number:06d}"))
    | st.sampled_from([OpenLane(), CloseLane(), ResetLane(), DeclareEmergency(), NextVehicle()])
)
orders = st.builds(
    Order,
    st.integers(0, 60).map(lambda number: f"key-{number}"),
    actors,
    requests,
    st.sampled_from([UTC_S - 1, UTC_S + 1e6, float("nan")]),
)
# Most random orders are refused for one thing or another; these are what a working officer gives.
sound_orders = st.builds(
    Order,
    st.integers(100, 100_000).map(lambda number: f"key-{number}"),
    st.just(OFFICER),
    st.builds(Dispose, st.just("at booth"), st.sampled_from([Disposition.RELEASED, Disposition.REFER_SECONDARY]))
    | st.just(OpenLane()),
    st.just(UTC_S + 1e6),
)
tracks = st.sampled_from(["", "1", "2", "3"])
pictures = st.sampled_from(["", "sha256:1", "sha256:2", "sha256:3"])
plates = st.integers(0, 6).map(lambda number: Identifier(f"7ABC{number}")) | st.just(Identifier(""))
candidates = st.lists(st.builds(PlateCandidate, plates, numbers), max_size=10).map(tuple)
sights = (
    st.builds(
        PlateRead,
        plates,
        numbers,
        track=tracks,
        picture=pictures,
        candidates=candidates,
        box=st.none() | st.tuples(*[st.integers(-1, 10**6)] * 4),
        camera_utc_s=st.none() | numbers,
        late=st.sampled_from([False, False, False, True]),
    )
    | st.builds(PlateUnread, st.text(), tracks, pictures, st.booleans())
    | st.builds(PictureTaken, pictures, tracks, st.text())
    | st.builds(PlateTrackEnded, tracks)
)
cards = st.integers(0, 9).map(lambda number: Identifier(card(number)))
facts = st.builds(
    NumberFact,
    cards | plates,
    st.sampled_from(Standing),
    st.sampled_from([(), ("SENTRI",), ("NEXUS", "FAST")]),
    st.lists(plates, max_size=2).map(tuple),
)
answers = (
    st.builds(Enrolments, st.lists(facts, max_size=4).map(tuple), st.sampled_from([Cargo(), Cargo(False, hazmat=True)]))
    | st.lists(st.builds(Hit, cards | plates), max_size=3).map(tuple).map(Lookouts)
    | st.none()
)
scores = st.sampled_from([0.2, 3.0, 500.0, -1.0, float("nan")])
# Mostly to the question that was asked last, sometimes once more, too late, or to nothing that was asked.
questions = st.sampled_from(["open", "open", "open"]) | st.integers(0, 30).map(lambda number: f"07-q{number:06d}")
traffic = (
    st.tuples(st.just("port"), st.builds(Answered, questions, st.sampled_from(Respondent), answers))
    | st.tuples(
        st.just("neighbours"),
        st.builds(CardElsewhere, cards, st.sampled_from(["06", "12", ""]), scores, st.sampled_from([0.5, 61.0])),
    )
    | st.tuples(st.just("port"), st.builds(OrderGiven, sound_orders))
    | st.tuples(st.just("io1"), st.builds(InputChanged, st.sampled_from(POINTS), st.booleans()))
    | st.tuples(st.just("io1"), st.builds(InputChanged, st.sampled_from(POINTS[:3]), st.booleans()))
    | st.tuples(
        st.sampled_from(["rfid1", "nobody"]),
        st.builds(
            TagRead,
            st.integers(0, 3),
            st.integers(0, 9).map(lambda number: Identifier(card(number))) | st.just(Identifier("")),
            st.none() | numbers,
            late=st.sampled_from([False, False, False, True]),
        ),
    )
    | st.tuples(st.sampled_from(["cam1", "cam2"]), sights)
    | st.tuples(st.just("rpm1"), st.builds(GammaCounts, counts, st.booleans()))
    | st.tuples(st.just("rpm1"), st.builds(NeutronCounts, counts, st.booleans()))
    | st.tuples(st.just("rpm1"), st.builds(OccupancyEnded, st.none() | st.integers()))
    | st.tuples(st.just("port"), st.builds(OrderGiven, orders))
    | st.tuples(st.just("lane"), st.just(Tick()))
)
trouble = (
    st.tuples(
        st.sampled_from(["io1", "rpm1", "rfid1", "?"]),
        st.builds(DeviceChanged, st.sampled_from(DeviceState), st.text()),
    )
    | st.tuples(
        st.just("io1"),
        st.sampled_from(
            [
                InputsStale(0.3),
                InputsFresh(),
                ModuleWatchdogTripped(),
                OutputsRead((("signal_green", True), ("signal_red", True), ("gate_open", True))),
                OutputsRead((("signal_green", False), ("signal_red", False), ("gate_open", False))),
                DeviceFault("hot", "61 C"),
            ]
        ),
    )
    | st.tuples(
        st.just("io1"),
        st.builds(
            CommandEnded,
            st.integers(0, 40).map(lambda number: f"07-c{number:06d}"),
            st.sampled_from([DONE, Outcome(Result.UNKNOWN, "timeout"), Outcome(Result.FAILED, "no")]),
        ),
    )
    | st.tuples(
        st.just("rpm1"),
        st.builds(GammaBackground, counts)
        | st.builds(NeutronBackground, st.lists(numbers, max_size=5).map(tuple))
        | st.builds(PortalSpeed, st.none() | numbers)
        | st.builds(PortalTamper, st.booleans())
        | st.builds(PortalSetup, st.just("SG1"), st.lists(st.text(max_size=6), max_size=7).map(tuple))
        | st.builds(PortalExtra, st.just("RW"), st.just(())),
    )
    | st.tuples(
        st.just("lane"),
        st.sampled_from(
            [
                Started(True, "boot-1"),
                Started(False, "boot-1"),
                Started(False, "boot-2"),
                Stopping("SIGTERM"),
                StoreChanged(False, "full"),
                StoreChanged(True, ""),
                InputsLost(3),
                CentralChanged(False, ""),
                CentralChanged(True, ""),
            ]
        ),
    )
)
pauses = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0, 1.6, 3.0, 9.0, 31.0, 70.0])
Scene = list[tuple[float, tuple[str, Event]]]


def _comes(
    cards_in: list[Identifier], plate: Identifier, answered: list[Enrolments | Lookouts | None], neighbour: str
) -> Scene:
    """A vehicle comes to the booth, and what is in it is read: single random events hardly ever come to that.

    The port answers, and a neighbour has a card of it too.
    """
    reads: Scene = [(0.0, ("rfid1", TagRead(1, number, -52.0))) for number in cards_in]
    return [
        (1.0, ("io1", InputChanged("loop_approach", True))),
        (0.2, ("cam1", PlateRead(plate, 0.9, track="1"))),
        (1.0, ("io1", InputChanged("loop_booth", True))),
        (0.5, ("io1", InputChanged("loop_approach", False))),
        *reads,
        (1.0, ("lane", Tick())),
        *reads,
        (1.1, ("lane", Tick())),
        *((0.1, ("port", Answered("open", Respondent.CENTRAL, answer))) for answer in answered),
        (0.1, ("neighbours", CardElsewhere(cards_in[0], neighbour, 3.0, 0.5))),
    ]


def _goes(order: Order) -> Scene:
    """An officer decides, and the vehicle goes."""
    return [
        (0.0, ("port", OrderGiven(order))),
        (0.2, ("io1", InputChanged("gate_closed", False))),
        (1.0, ("io1", InputChanged("gate_opened", True))),
        (1.0, ("io1", InputChanged("loop_exit", True))),
        (0.5, ("io1", InputChanged("loop_booth", False))),
        (1.5, ("io1", InputChanged("loop_exit", False))),
        (0.2, ("io1", InputChanged("gate_opened", False))),
        (1.0, ("io1", InputChanged("gate_closed", True))),
    ]


deeds = st.builds(
    _comes,
    st.lists(cards, min_size=1, max_size=3),
    plates,
    st.lists(answers, max_size=3),
    st.sampled_from(["06", "12"]),
) | st.builds(_goes, sound_orders)


def _scenes(*single: st.SearchStrategy[Any]) -> st.SearchStrategy[Scene]:
    """Long enough for vehicles to come and go: left to themselves, lists are six long."""
    alone: st.SearchStrategy[Scene] = st.tuples(pauses, st.one_of(*single)).map(lambda one: [one])
    parts = st.lists(st.one_of(alone, alone, alone, deeds), min_size=12, max_size=45)
    return parts.map(lambda found: [one for part in found for one in part])


scenes = _scenes(traffic)
wild_scenes = _scenes(traffic, traffic, trouble)
WITH_BUTTON = dataclasses.replace(
    setup(button=BoothButton("io1", "booth_button", "officer-12")),
    cameras=(Camera("cam1", "portal"),),
    questions=Questions(),
    adjacent=("06",),
)


class Watched:
    """A lane whose every step is checked."""

    def __init__(self, lane_setup: LaneSetup) -> None:
        self.setup = lane_setup
        self.state = initial(lane_setup)
        self.now_s = 50.0
        self.given: list[Input] = []
        self.effects: list[tuple[Effect, ...]] = []
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.alarms: set[str] = set()
        self.sighted: set[str] = set()
        self.ended: set[str] = set()
        self.outputs: dict[str, bool] = {}
        self.asked_about: set[Identifier] = set()
        self.believed: set[Hit] = set()
        """Of vehicles that the lane lost track of, the next ones may have them."""

    def give(self, source: str, event: Event) -> None:
        given = Input(Instant(self.now_s, UTC_S + self.now_s), source, event)
        before = self.state
        self.state, effects = step(self.setup, before, given)
        self.given.append(given)
        self.effects.append(effects)
        for effect in effects:
            match effect:
                case Drive():
                    self._drive(effect, before, given)
                case Publish(announcement):
                    self._published(announcement)
                case Answer():
                    assert isinstance(event, OrderGiven)
        self._check()

    def _drive(self, drive: Drive, before: LaneState, given: Input) -> None:
        if not isinstance(drive.command, WriteOutputs):
            assert not drive.grants
            return
        points = dict(drive.command.points)
        assert not (points.get("signal_green") and points.get("signal_red", True)), "green with red"
        permissive = points.get("signal_green", False) or points.get("gate_open", False)
        assert permissive is drive.grants, "what grants says so, and nothing else does"
        if drive.grants:
            assert still_granted(self.state, drive.command_id)
            self._granted_by_somebody(before, given)
        self.outputs |= points
        assert not (self.outputs.get("signal_green") and self.outputs.get("signal_red"))

    @staticmethod
    def _granted_by_somebody(before: LaneState, given: Input) -> None:
        assert before.desk.life.value in ("open", "closing")
        match given.event:
            case OrderGiven(Order(key, actor, Dispose(disposition=disposition), deadline_utc_s)):
                assert disposition in GOING
                assert actor.name and actor.role in (Role.OFFICER, Role.SUPERVISOR)
                assert key not in before.desk.keys and deadline_utc_s >= given.at.utc_s
            case InputChanged("booth_button", True):
                pass
            case other:
                raise AssertionError(f"{type(other).__name__} granted")

    def _published(self, announcement: Any) -> None:
        match announcement:
            case PassageOpened():
                self.opened.append(announcement.passage)
            case PassageClosed():
                assert announcement.passage not in self.closed, "closed twice"
                assert announcement.passage in self.opened
                self.closed.append(announcement.passage)
                self.ended |= {tag.epc.clear for tag in announcement.tags}
                self.ended |= {plate.text.clear for plate in announcement.plates}
            case TagSighted():
                self.sighted.add(announcement.epc.clear)
            case PlateSighted():
                self.sighted.add(announcement.text.clear)
                self.ended.add(announcement.replaces.clear)
            case ReadingOrphaned():
                self.ended.add(announcement.number.clear)
            case AlarmRaised():
                assert announcement.alarm not in self.alarms
                self.alarms.add(announcement.alarm)
            case AlarmEnded():
                self.alarms.remove(announcement.alarm)

    def _check(self) -> None:
        state, limits = self.state, self.setup.limits
        names = [passage.id for passage in state.tracking.passages]
        assert len(set(names)) == len(names) <= limits.max_passages
        assert state.counters.passages == len(names) + state.counters.closed
        assert sorted(names + self.closed) == sorted(self.opened)
        assert len(state.assembly.readings) <= limits.max_tags
        assert {alarm.id for alarm in state.desk.alarms} == self.alarms
        assert len(state.desk.keys) <= 256
        permission = state.desk.permission
        if permission is not None:
            assert permission.passage in names
            assert state.equipment.aspect is SignalAspect.PROCEED
            assert state.desk.writable and not state.desk.stopping
        else:
            assert state.equipment.aspect is not SignalAspect.PROCEED
        in_hand = {reading.seen.number.clear for reading in state.assembly.readings}
        assert self.sighted <= in_hand | self.ended, "a number has vanished"
        for passage in state.tracking.passages:
            assert passage.tail <= passage.head
        assert len(state.inquiry.asked) <= 32
        assert {dossier.passage for dossier in state.inquiry.dossiers} <= set(names)
        assert {asked.question.passage for asked in state.inquiry.asked} <= set(names)
        for dossier in state.inquiry.dossiers:
            self.asked_about |= set(dossier.numbers)  # a restart forgets it, and not what was answered
            asked_about = self.asked_about
            assert all(fact.number in asked_about for fact in dossier.facts)
            foreign = {hit for hit in dossier.hits if hit.number not in asked_about}
            assert foreign <= self.believed, "a hit that nobody asked about"
            self.believed |= set(dossier.hits)

    def pass_time(self, duration_s: float) -> None:
        until_s = self.now_s + duration_s
        for _ in range(2000):
            due_s = deadline(self.state)
            if due_s is None or due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            self.give("lane", Tick())
        else:
            raise AssertionError("ticks without end")
        self.now_s = until_s


def play(scene: Scene, lane_setup: LaneSetup = WITH_BUTTON) -> Watched:
    lane = Watched(lane_setup)
    lane.give("lane", Started(True, "boot-1"))
    for device in ("io1", "rpm1", "rfid1"):
        lane.give(device, DeviceChanged(DeviceState.ONLINE, ""))
    for point in POINTS[:6]:
        lane.give("io1", InputChanged(point, point == "gate_closed"))
    for pause_s, (source, event) in scene:
        lane.pass_time(pause_s)
        lane.give(source, _pointed(lane, event))
    return lane


def _pointed(lane: Watched, event: Event) -> Event:
    """Orders about whoever stands at the booth, answers to what was asked: random ones would be about nobody."""
    if isinstance(event, Answered) and event.question == "open" and lane.state.inquiry.asked:
        kinds = {Enrolments: AskKind.ENROLMENT, Lookouts: AskKind.LOOKOUT}
        fits = [a for a in lane.state.inquiry.asked if a.question.kind is kinds.get(type(event.answer))]
        asked = (fits or lane.state.inquiry.asked)[-1]
        return dataclasses.replace(event, question=asked.question.id, by=asked.of)
    if not isinstance(event, OrderGiven) or not isinstance(event.order.request, Dispose):
        return event
    order, request = event.order, event.order.request
    if request.passage != "at booth":
        return event
    here = [p.id for p in lane.state.tracking.passages if p.head == 1 and p.gone_s is None]
    name = here[0] if here else ""
    request = Dispose(name, request.disposition, request.reasons, request.justification)
    return OrderGiven(Order(order.key, order.actor, request, order.deadline_utc_s))


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def check_traffic(scene: Scene) -> None:
    lane = play(scene)
    lane.pass_time(400.0)
    assert from_json(LaneState, to_json(lane.state)) == lane.state


def check_replay(scene: Scene) -> None:
    lane = play(scene)
    state = initial(lane.setup)
    for given_again, effects in zip(lane.given, lane.effects, strict=True):
        state = from_json(LaneState, to_json(state))
        state, again = step(lane.setup, state, given_again)
        assert again == effects
    assert state == lane.state


@QUICK
@given(scenes)
def test_the_invariants_hold_in_any_traffic(scene: Scene) -> None:
    check_traffic(scene)


@QUICK
@given(wild_scenes)
def test_the_invariants_hold_in_any_trouble(scene: Scene) -> None:
    check_traffic(scene)


@settings(QUICK, max_examples=25)
@given(wild_scenes)
def test_a_replay_gives_the_same_effects_also_through_checkpoints(scene: Scene) -> None:
    check_replay(scene)


@pytest.mark.slow
@LONG
@given(wild_scenes)
def test_the_invariants_hold_in_hundreds_of_scenes(scene: Scene) -> None:
    check_traffic(scene)


def test_the_random_scenes_are_not_all_dull() -> None:
    """Scenes as drawn above grant, close, bind and alarm often enough to mean something."""
    seen: Counter[str] = Counter()

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(scenes)
    def collect(scene: Scene) -> None:
        lane = play(scene)
        lane.pass_time(100.0)
        for effect in (effect for effects in lane.effects for effect in effects):
            name = type(effect.announcement).__name__ if isinstance(effect, Publish) else type(effect).__name__
            seen[name + (" grant" if isinstance(effect, Drive) and effect.grants else "")] += 1

    collect()
    for name in (
        "Drive grant",
        "PassageClosed",
        "AlarmRaised",
        "ReadingOrphaned",
        "PassageAssessed",
        "Ask",
        "LookoutAnswered",
        "CardSuspected",
    ):
        assert seen[name] > 5, (name, seen)
