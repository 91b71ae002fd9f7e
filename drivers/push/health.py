"""Asks a camera's own web server whether it is there: any answer is a sign of life.

Called by `reception` where the lane file says so. Must never send credentials, nor read more than the answer's start.
"""

from __future__ import annotations

import asyncio

from drivers.push.config import HealthPoll
from lanecontrol.errors import DeviceError, LinkLost
from lanecontrol.links import Links

_ANSWER = b"HTTP/1."


async def answers(links: Links, poll: HealthPoll) -> bool:
    """Whether the camera answers in time."""
    try:
        async with asyncio.timeout(poll.timeout_s):
            return await _ask(links, poll)
    except (TimeoutError, DeviceError):
        return False


async def _ask(links: Links, poll: HealthPoll) -> bool:
    host = poll.url.partition("://")[2].partition("?")[0]
    request = f"GET {poll.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    async with links.open(poll.url, timeout_s=poll.timeout_s) as link:
        await link.write(request.encode("ascii"))
        heard = b""
        while len(heard) < len(_ANSWER):
            try:
                heard += await link.read()
            except LinkLost:
                break
        return heard.startswith(_ANSWER)
