"""A disk that fills up is noticed while nothing is written, and told once; again once there is room to spare."""

from __future__ import annotations

from pathlib import Path

from lanecontrol.service.room import AGAIN_BYTES, LEAST_BYTES, Room, free_bytes


class Disk:
    def __init__(self) -> None:
        self.free = AGAIN_BYTES
        self.gone = False
        self.told: list[bool] = []
        self.room = Room(Path("store"), lambda enough, why: self.told.append(enough), free=self._free)

    def _free(self, folder: Path) -> int:
        if self.gone:
            raise OSError("the disk is away")
        return self.free

    def has(self, free: int) -> list[bool]:
        self.free = free
        self.room.look()
        return self.told


def test_a_full_disk_is_told_once_and_so_is_room_once_there_is_some_to_spare() -> None:
    disk = Disk()
    assert disk.has(LEAST_BYTES) == []
    assert disk.has(LEAST_BYTES - 1) == [False]
    assert disk.has(0) == [False]
    assert disk.has(LEAST_BYTES + 1) == [False], "it would come and go with every event"
    assert disk.has(AGAIN_BYTES) == [False, True]


def test_a_disk_that_cannot_be_asked_changes_nothing() -> None:
    disk = Disk()
    disk.gone = True
    assert disk.has(0) == []


def test_this_disk_tells_what_is_free(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
