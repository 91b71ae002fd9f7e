"""From a portal's lines to occupancies: the cases on which other drivers of this portal are known to break."""

from __future__ import annotations

import pytest
from lane_bench import LaneBench

from drivers.rpm_rapiscan_codec import LineCodec
from lanecontrol.announcements import AlarmKind, AlarmRaised, OccupancyRecorded
from lanecontrol.framing import Doubt

GB = "GB,000380,000383,000403,000361"
NS, NA = "NS,000003,000000,000002,000000", "NA,000030,000000,000020,000000"
GS, GA = "GS,000077,000077,000067,000069", "GA,000177,000177,000167,000169"
GX = "GX,000017,006683,000000,000000"


class Wire:
    """A lane behind the driver's own codec."""

    def __init__(self) -> None:
        self.lane = LaneBench().started()
        self.doubts: list[bytes] = []
        self._codec = LineCodec()

    def say(self, *lines: str) -> None:
        for item in self._codec.feed("".join(line + "\r\n" for line in lines).encode()):
            if isinstance(item, Doubt):
                self.doubts.append(item.raw)
            else:
                self.lane.give("rpm1", item)

    @property
    def occupancies(self) -> list[OccupancyRecorded]:
        return self.lane.told(OccupancyRecorded)

    @property
    def alarms(self) -> list[AlarmKind]:
        return [alarm.kind for alarm in self.lane.told(AlarmRaised)]


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_an_end_before_the_second_neutron_line_ends_one_occupancy_and_the_line_behind_it_begins_none(
    wire: Wire,
) -> None:
    wire.say(GB, NS, GS, GS, GX)
    wire.lane.wait(0.1)
    wire.say(NS)
    (record,) = wire.occupancies
    assert (record.intervals, record.incomplete) == (2, False)
    assert wire.lane.state.radiation[0].occupancy is None


def test_a_single_gamma_line_is_an_occupancy_without_a_decision_of_ours(wire: Wire) -> None:
    wire.say(GB, GS, GX)
    (record,) = wire.occupancies
    assert (record.intervals, record.gamma_max_counts, record.gamma_max_sigma) == (1, 290, None)
    assert record.neutron_max_counts == 0


def test_a_single_gamma_line_in_alarm_is_an_alarm(wire: Wire) -> None:
    wire.say(GB, GA, GX)
    assert wire.alarms == [AlarmKind.GAMMA]
    assert wire.occupancies[0].gamma_alarm


@pytest.mark.parametrize("end", ["GX", "GX,", "GX,000017", "GX,***,006683,000000,000000"])
def test_an_end_without_its_body_is_a_doubt_and_the_occupancy_is_closed_all_the_same(wire: Wire, end: str) -> None:
    wire.say(GB, NS, GA, GS, end)
    assert wire.doubts == [end.encode()]
    assert wire.occupancies == []
    wire.lane.wait(10.1)
    (record,) = wire.occupancies
    assert (record.incomplete, record.gamma_alarm, record.intervals) == (True, True, 2)
    wire.say(GB, GS, GX)
    assert [record.incomplete for record in wire.occupancies] == [True, False], "the next one is whole again"


@pytest.mark.parametrize("bad", ["GS,00x077,000077,000067,000069", "GS,000077", "***", "", "x" * 300])
def test_a_malformed_line_within_an_occupancy_is_a_doubt_and_nothing_else_is_lost(wire: Wire, bad: str) -> None:
    wire.say(GB, NS, GS, GS, bad, GA, GS, NS, GX)
    assert wire.doubts == [bad.encode()[:256]]
    (record,) = wire.occupancies
    assert (record.intervals, record.gamma_alarm, record.gamma_max_counts) == (4, True, 690)


@pytest.mark.parametrize(("first", "rest"), [(GA.replace("GA", "GS"), GS), (GS, GA.replace("GA", "GS"))])
def test_the_first_lines_count_for_the_maximum_like_any_other(wire: Wire, first: str, rest: str) -> None:
    most = NA.replace("NA", "NS")
    wire.say(GB, most if first != GS else NS, first, rest, rest, NS if first != GS else most, GX)
    (record,) = wire.occupancies
    assert (record.gamma_max_counts, record.neutron_max_counts) == (690, 50)


def test_n_is_a_decimal_in_setup_and_in_our_decision(wire: Wire) -> None:
    # S of the last line is 4.68: above 4.6 and above a truncated 4.7, not above 4.7.
    window = ["GS,000096,000077,000105,000063"] * 4 + ["GS,000097,000078,000105,000066"]
    for n_sigma, disagreements in (("04.7", 0), ("04.6", 1)):
        wire.say(f"SG1,020000,000050,05,10,{n_sigma},P", GB, *window, GX)
        record = wire.occupancies[-1]
        assert record.gamma_max_sigma == pytest.approx(4.6831, abs=1e-4)
        assert record.n_sigma == float(n_sigma)
        assert record.gamma_disagreements == disagreements


def test_where_our_decision_differs_it_is_counted_and_the_controllers_stands(wire: Wire) -> None:
    wire.say(GB, *[GS] * 5, *["GA,000077,000077,000067,000069"] * 3, GX)
    (record,) = wire.occupancies
    assert (record.gamma_alarm, record.gamma_disagreements) == (True, 3)
    wire.say(GB, *[GA.replace("GA", "GS")] * 8, GX)
    assert (wire.occupancies[1].gamma_alarm, wire.occupancies[1].gamma_disagreements) == (False, 4)
    assert wire.alarms == [AlarmKind.GAMMA]


def test_the_algorithm_mask_of_the_setup_says_which_groups_our_figures_go_by(wire: Wire) -> None:
    counts = "GS,000180,000180,000050,000050"
    wire.say(GB, *[counts] * 5, GX)
    assert wire.occupancies[0].gamma_max_group == "VERTICAL_1"
    wire.say("SG2,1111,0.069,5.060,03,1000,A", GB, *[counts] * 5, GX)
    assert wire.occupancies[1].gamma_max_group == "SUM"


def test_a_vehicle_close_behind_has_the_background_from_before_the_first(wire: Wire) -> None:
    wire.say(GB, *[GS] * 6, GX, *[GS] * 6, GX)
    first, second = wire.occupancies
    assert first.gamma_background_cps == second.gamma_background_cps == (380, 383, 403, 361)
    assert second.gamma_max_sigma == first.gamma_max_sigma


def test_an_occupancy_without_a_line_for_10_s_is_closed_as_incomplete_and_keeps_its_alarm(wire: Wire) -> None:
    wire.say(GB, NA, GS)
    wire.lane.wait(9.9)
    assert wire.occupancies == []
    wire.lane.wait(0.2)
    (record,) = wire.occupancies
    assert (record.incomplete, record.neutron_alarm) == (True, True)
