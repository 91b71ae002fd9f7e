"""A lane's desk for orders, with a clock that can be set and a transport that keeps what it was given."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from publish_only import PublishOnly

from lanecontrol.announcements import OrderRejected
from lanecontrol.clock import Instant, RealWork
from lanecontrol.commands import (
    AbortScan,
    Acknowledge,
    CheckPortal,
    CloseLane,
    ConfirmDriverOut,
    ConfirmScan,
    DeclareEmergency,
    Dispose,
    Disposition,
    DrillDegraded,
    EnableEquipment,
    EnableScanner,
    EndMaintenance,
    EndOverride,
    Maintain,
    NextVehicle,
    OpenLane,
    Order,
    Override,
    OverridePart,
    Request,
    ResetLane,
    ResetScanner,
    Resume,
    ScanVehicle,
    ServeType,
    SetOccupants,
    SignOff,
    SignOn,
    SuspendLane,
)
from lanecontrol.errors import LinkLost
from lanecontrol.events import Event, OrderGiven
from lanecontrol.port.orders import Orders
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import Greeting, Message, Received

NOW_S = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


LANE = LaneAddress("laredo", "07")


FIELDS: dict[str, dict[str, Any]] = {
    "disposition": {"passage": "p1", "disposition": "RELEASED", "reasons": ["a"], "justification": "b"},
    "occupants": {"passage": "p1", "count": 3, "minors": 1},
    "acknowledge": {"alarm": "a1"},
    "open": {},
    "close": {"reason": "end of shift"},
    "sign-on": {},
    "sign-off": {},
    "suspend": {"reason": "shift change"},
    "maintenance": {"reason": "loop 2"},
    "maintenance-end": {},
    "lane-type": {"type": "READY"},
    "resumption": {"stage": "trusted"},
    "resumption-end": {},
    "reset": {},
    "emergency": {"reason": "fire"},
    "next": {},
    "scan": {"passage": "p1", "reason": "picture", "valid_s": 120.0},
    "scan-confirm": {"scan": "s1-abcdefg"},
    "driver-out": {"scan": "s1-abcdefg"},
    "scan-abort": {"reason": "somebody came back"},
    "scanner-enable": {},
    "scanner-reset": {},
    "override": {"part": "loop_out", "reason": "chatters", "for_s": 600.0, "name": "approach"},
    "override-end": {"part": "loop_out", "name": "approach"},
    "enable": {},
    "source-check": {"portal": "rpm1", "source": "Cs-137 no. 12", "neutron": True, "within_s": 60.0},
    "degraded-drill": {"for_s": 600.0, "reason": "monthly"},
}


REQUESTS: dict[str, Request] = {
    "disposition": Dispose("p1", Disposition.RELEASED, ("a",), "b"),
    "occupants": SetOccupants("p1", 3, 1),
    "acknowledge": Acknowledge("a1"),
    "open": OpenLane(),
    "close": CloseLane("end of shift"),
    "sign-on": SignOn(),
    "sign-off": SignOff(),
    "suspend": SuspendLane("shift change"),
    "maintenance": Maintain("loop 2"),
    "maintenance-end": EndMaintenance(),
    "lane-type": ServeType("READY"),
    "resumption": Resume("trusted"),
    "resumption-end": Resume(""),
    "reset": ResetLane(),
    "emergency": DeclareEmergency("fire"),
    "next": NextVehicle(),
    "scan": ScanVehicle("p1", "picture", 120.0),
    "scan-confirm": ConfirmScan("s1-abcdefg"),
    "driver-out": ConfirmDriverOut("s1-abcdefg"),
    "scan-abort": AbortScan("somebody came back"),
    "scanner-enable": EnableScanner(),
    "scanner-reset": ResetScanner(),
    "override": Override(OverridePart.LOOP_OUT, "chatters", 600.0, "approach"),
    "override-end": EndOverride(OverridePart.LOOP_OUT, "approach"),
    "enable": EnableEquipment(),
    "source-check": CheckPortal("rpm1", "Cs-137 no. 12", True, True, 60.0),
    "degraded-drill": DrillDegraded(600.0, "monthly"),
}


@dataclass
class SetClock:
    """A clock that stands where it is put."""

    utc_s: float = NOW_S
    mono_s: float = 0.0
    synchronised: bool = True

    def now(self) -> Instant:
        return Instant(self.mono_s, self.utc_s, self.synchronised)


class Sent(PublishOnly):
    """Takes every message; the first `broken` attempts fail."""

    def __init__(self, broken: int = 0) -> None:
        self.greeting = Greeting(False, 20, None, 5)
        self.messages: list[Message] = []
        self.broken = broken

    async def publish(self, message: Message) -> int:
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise LinkLost("session", "gone")
        self.messages.append(message)
        return 0


@dataclass
class Desk:
    """The orders of one lane, and all that came of them."""

    address: LaneAddress = LANE
    clock: SetClock = field(default_factory=SetClock)
    work: RealWork = field(default_factory=RealWork)
    given: list[Order] = field(default_factory=list)
    rejected: list[OrderRejected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = Orders(
            self.address, clock=self.clock, emit=self._take, rejected=self.rejected.append, work=self.work
        )

    def _take(self, source: str, event: Event) -> None:
        assert source == "port"
        assert isinstance(event, OrderGiven)
        self.given.append(event.order)

    def send(self, verb: str = "open", *, retained: bool = False, response: str = "r/1", **changes: Any) -> None:
        self.send_raw(verb, json.dumps(request(verb, **changes)).encode(), retained=retained, response=response)

    def send_raw(
        self, verb: str, body: bytes, *, retained: bool = False, response: str = "r/1", expiry_s: int | None = None
    ) -> None:
        self.orders.take(
            Received(
                self.address.command(verb),
                body,
                1,
                retained,
                False,
                response_topic=response,
                correlation=b"c",
                expiry_s=expiry_s,
            )
        )

    async def replies(self, transport: Sent | None = None) -> list[dict[str, Any]]:
        transport = transport or Sent()
        task = asyncio.ensure_future(self.orders.send_replies(transport))
        await asyncio.sleep(1)
        task.cancel()
        return [json.loads(message.payload) for message in transport.messages]

    async def refusal(self) -> str:
        """The one reply, which refuses; the record says the same."""
        [reply] = await self.replies()
        assert reply["result"] == "refused"
        assert [one.reason for one in self.rejected] == [reply["reason"]]
        assert self.given == []
        return str(reply["reason"])


def request(verb: str = "open", **changes: Any) -> dict[str, Any]:
    made = {
        "key": "key-0001",
        "by": {"name": "J. Rivera", "role": "officer"},
        "lane": "07",
        "deadline": NOW_S + 5,
        **FIELDS.get(verb, {}),
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}
