"""What an officer does who looks up and finds a vehicle still standing there."""

from __future__ import annotations

from sim.second_look import LOOKS, Deed, SecondLook


def looks(*seen: int | None, red: bool = True, decided: bool = False) -> list[Deed]:
    look = SecondLook[int]()
    return [look.at(there, red=red, decided=decided) for there in seen]


def test_a_vehicle_that_the_lane_does_not_know_of_is_called_by_hand_at_the_third_look() -> None:
    assert looks(*[7] * LOOKS) == [Deed.NOTHING] * (LOOKS - 1) + [Deed.CALL]


def test_after_that_it_takes_as_many_looks_again() -> None:
    assert looks(*[7] * 2 * LOOKS).count(Deed.CALL) == 2


def test_another_vehicle_or_none_begins_anew() -> None:
    assert looks(7, 7, 8, 8, 7, 7, None, 7, 7) == [Deed.NOTHING] * 9


def test_before_any_signal_but_red_nothing_is_done_and_nothing_counted() -> None:
    assert looks(*[7] * 9, red=False, decided=True) == [Deed.NOTHING] * 9
    look = SecondLook[int]()
    deeds = [look.at(7, red=red, decided=False) for red in (True, True, False, True, True)]
    assert deeds == [Deed.NOTHING] * 5


def test_who_was_decided_about_is_decided_about_anew_at_once() -> None:
    assert looks(7, 7, 7, 7, decided=True) == [Deed.DECIDE] * 4


def test_looks_count_on_while_it_is_decided_about() -> None:
    look = SecondLook[int]()
    for _ in range(LOOKS):
        assert look.at(7, red=True, decided=True) is Deed.DECIDE
    assert look.at(7, red=True, decided=False) is Deed.CALL


def test_a_vehicle_that_the_lane_has_lost_sight_of_is_called_by_hand_at_the_third_refusal() -> None:
    look = SecondLook[int]()
    deeds = [look.refused(7, "its vehicle is not at the booth") for _ in range(LOOKS)]
    assert deeds == [Deed.NOTHING] * (LOOKS - 1) + [Deed.CALL]


def test_another_refusal_or_nobody_there_begins_anew() -> None:
    look = SecondLook[int]()
    why = "its vehicle is not at the booth"
    refused = [(7, why), (7, why), (7, "io1 is offline"), (7, why), (7, why), (None, why), (7, why), (7, why)]
    assert [look.refused(*one) for one in refused] == [Deed.NOTHING] * 8
