"""The contract suite's case for `rpm.aspect`: a vacant portal, a vehicle with an alarm, an open door, over and over."""

from __future__ import annotations

from contract_case import Case

from sim.readings import GammaInterval, NeutronSecond, OccupancyOver, Reading, SpeedMeasured, Tamper, Vacant


def _reading(n: int) -> Reading:
    match n % 10:
        case 0:
            return Vacant((380.0 + n % 7, 383.0, 403.0, 361.0), (4.0, 0.0, 2.7, 0.0))
        case 1 | 2 | 3:
            return GammaInterval((77, 77, 67, 60 + n % 9), alarm=False)
        case 4:
            return NeutronSecond((3, 0, 2, 0), alarm=False)
        case 5:
            return GammaInterval((177, 177, 167, 169), alarm=True)
        case 6:
            return SpeedMeasured(2.25)
        case 7:
            return OccupancyOver(n, 6.683)
        case _:
            return Tamper(active=n % 10 == 8)


CASE = Case(
    reading=_reading,
    malformed=bytes.fromhex("7b01 0000 0006 01 03 03 ff ff ff"),
    bomb=bytes.fromhex("0001 0000 ffff 01 03"),
    # A vacant portal tells its background seldom; the suite wants an event for every reading.
    settings={"background_s": 1.0},
)
