"""Which boot this is, and whether the clock is kept right."""

from __future__ import annotations

from pathlib import Path

from lanecontrol.service.boot import ASK_EVERY_S, ClockDiscipline, boot_id, clock_synchronised


def test_the_boot_id_of_the_unit_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "boot_id"
    file.write_text("11111111-2222\n")
    assert boot_id({"LANECONTROL_BOOT_ID": "aaaa-bbbb"}, file) == "aaaabbbb"
    assert boot_id({}, file) == "111111112222"


def test_where_no_boot_id_is_to_be_had_every_start_counts_as_a_boot(tmp_path: Path) -> None:
    assert boot_id({}, tmp_path / "none") != boot_id({}, tmp_path / "none")


def test_the_mark_of_the_time_service_counts(tmp_path: Path) -> None:
    (tmp_path / "synchronized").touch()
    assert clock_synchronised(tmp_path / "synchronized")


def test_asking_the_kernel_gives_an_answer_on_every_system(tmp_path: Path) -> None:
    assert clock_synchronised(tmp_path / "none") in (True, False)


async def test_the_clock_is_not_asked_about_at_every_stamp() -> None:
    asked = 0

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return True

    discipline = ClockDiscipline(ask)
    assert [discipline() for _ in range(1000)] == [True] * 1000
    assert asked == 1
    assert ASK_EVERY_S > 1
