"""What must stand retained at the broker for a lane, and what of it is still to be published.

Kept by the session, which publishes it. Nothing here does I/O.
"""

from __future__ import annotations

import asyncio


class RetainedState:
    """What must stand retained at the broker, by topic. Changed at any time, published whole at every connect."""

    def __init__(self) -> None:
        self._wanted: dict[str, bytes] = {}
        self._changed: dict[str, bytes] = {}
        self._event = asyncio.Event()

    def put(self, topic: str, payload: bytes) -> None:
        """From now on this stands there. Never blocks; of several changes only the last is published."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._note(topic, payload)

    def clear(self, topic: str) -> None:
        """Nothing stands there any more."""
        self._wanted.pop(topic, None)
        self._note(topic, b"")

    def _note(self, topic: str, payload: bytes) -> None:
        self._changed[topic] = payload
        self._event.set()

    def __contains__(self, topic: str) -> bool:
        return topic in self._wanted

    def everything(self) -> None:
        """All of it has to be published again: the broker may have lost it."""
        for topic, payload in self._wanted.items():
            self._note(topic, payload)

    async def next_changes(self) -> dict[str, bytes]:
        """What has to be published, once there is something: waits without limit, as nothing need change."""
        await self._event.wait()
        self._event.clear()
        changed, self._changed = self._changed, {}
        return changed

    def return_changes(self, changes: dict[str, bytes]) -> None:
        """These could not be published; what was changed since is newer."""
        for topic, payload in changes.items():
            if topic not in self._changed:
                self._note(topic, payload)
