"""Names that this lane had before: what still stands retained under one of them is taken away.

A lane that is given another name leaves a `stopped` or `lost` and the states of its devices behind, for ever. The store
remembers the names; on each connection what a run of this very lane left is cleared, and what another lane has put
there since is left alone. A companion of the session. A broker that lets this lane neither read nor write there keeps
it: then somebody has to clear it by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from lanecontrol import forms
from lanecontrol.port.payloads import LaneStatus, StatusDocument
from lanecontrol.port.topics import LaneAddress
from lanecontrol.port.transport import REFUSED, Message, Received, Transport

KEPT = "presence"
"""Under this name the ledger keeps `Names`."""
_NAMES_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Presence:
    """Under which address a run of this lane told of itself at the port, and what the run was called there."""

    address: LaneAddress
    run: str


@dataclass(frozen=True, slots=True)
class Names:
    """The present one, and earlier ones of which something may still stand at the broker."""

    now: Presence
    before: tuple[Presence, ...] = ()

    @classmethod
    def after(cls, stored: bytes | None, now: Presence) -> Names:
        """With what an earlier run stored, which may be nothing, or nonsense."""
        try:
            known = forms.from_json(cls, stored) if stored else None
        except (ValidationError, ValueError):
            known = None
        if known is None:
            return cls(now)
        before = [one for one in (*known.before, known.now) if one.address != now.address]
        return cls(now, tuple(before[-_NAMES_LIMIT:]))

    def without(self, gone: Presence) -> Names:
        return Names(self.now, tuple(one for one in self.before if one != gone))


@dataclass(slots=True)
class _Former:
    left: Presence
    devices: list[str] = field(default_factory=list)


class FormerNames:
    """Clears what stands under former names. `gone` is told of each of which nothing of ours is left."""

    def __init__(self, names: Iterable[Presence], gone: Callable[[Presence], None]) -> None:
        self._formers = [_Former(left) for left in names]
        self._gone = gone
        self._to_clear: list[tuple[str, Presence]] = []
        self._news = asyncio.Event()
        # In this order: when the status comes, the devices have come.
        addresses = [former.left.address for former in self._formers]
        self.topics = tuple(topic for address in addresses for topic in (address.device("+"), address.status))

    def take(self, received: Received) -> None:
        for former in self._formers if received.retained and received.payload else ():
            address = former.left.address
            if received.topic == address.status:
                self._judge(former, received.payload)
            elif received.topic.startswith(address.device("")) and received.topic not in former.devices:
                former.devices.append(received.topic)

    def _judge(self, former: _Former, status: bytes) -> None:
        try:
            found = forms.from_json(StatusDocument, status)
        except ValidationError:
            return
        if found.run != former.left.run:  # another lane has the name now, and tidies for itself
            self._gone(former.left)
        elif found.state is not LaneStatus.ONLINE:  # or this store is a copy, and the lane it comes from is at work
            wanted = [*former.devices, former.left.address.status]  # the status last: by it the next run knows
            self._to_clear += [(topic, former.left) for topic in wanted]
            self._news.set()

    async def send(self, transport: Transport) -> None:
        """For the life of one connection. Raises LinkLost: the next connection hears of it all anew."""
        while True:
            self._news.clear()
            wanted, self._to_clear = self._to_clear, []
            for topic, left in wanted:
                code = await transport.publish(Message(topic, b"", retain=True))
                if code < REFUSED and topic == left.address.status:
                    self._gone(left)
            await self._news.wait()  # without a limit: mostly there is nothing
