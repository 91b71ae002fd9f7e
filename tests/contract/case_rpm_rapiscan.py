"""The contract suite's case for `rpm.rapiscan`: half a minute of traffic, over and over."""

from __future__ import annotations

from contract_case import Case

from sim.readings import GammaInterval, NeutronSecond, OccupancyOver, Reading, SpeedMeasured, Tamper, Vacant


def _reading(n: int) -> Reading:
    match n % 8:
        case 0 | 1:
            return Vacant((380.0 + n % 7, 383.0, 403.0, 361.0), (4.0, 0.0, 2.7, 0.0))
        case 2:
            return SpeedMeasured(2.25)
        case 3:
            return NeutronSecond((3, 0, 2, 0), alarm=False)
        case 4:
            return GammaInterval((77, 77, 67, 60 + n % 9), alarm=False)
        case 5:
            return GammaInterval((177, 177, 167, 169), alarm=True)
        case 6:
            return OccupancyOver(n, 6.683)
        case _:
            return Tamper(active=n % 16 == 7)


CASE = Case(reading=_reading, malformed=b"GS,0000x7,,***\r\n")
