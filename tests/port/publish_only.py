"""A transport on which nobody subscribes, receives or closes: what the fakes of the benches build upon."""

from __future__ import annotations

from collections.abc import Sequence

from lanecontrol.port.transport import Received, Transport


class PublishOnly(Transport):
    """`publish` is the bench's own."""

    async def subscribe(self, filters: Sequence[str], *, retain_as_published: bool = False) -> None:
        raise NotImplementedError

    async def receive(self) -> Received:
        raise NotImplementedError

    async def close(self, *, with_will: bool = False) -> None:
        raise NotImplementedError
