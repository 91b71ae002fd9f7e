"""How the bytes of pictures go to the port: what the lane file says, as plain data.

Made by `lanecontrol.config.load`, used by `evidence_out` and `evidence_put`. Does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """How pictures go to the port."""

    chunk_bytes: int = 64 * 1024
    bytes_per_s: float = 512 * 1024
    """In the long run; 0 for as fast as the line takes them."""
    hold_without_subscribers: bool = False
    """As for events: what nobody had subscribed to is sent again later."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Where pictures are put: `http://` or `https://`, and what the names of pictures follow."""

    url: str
    token: str = field(default="", repr=False)
    """Sent as a bearer's, where there is one."""
    tls: str = ""
    """`ca=FILE&cert=FILE&key=FILE` for https, as in a broker's url."""

    @property
    def link_url(self) -> str:
        """The same place as links know it."""
        parts = urlsplit(self.url)
        if parts.scheme == "mem":
            return f"mem://{parts.netloc}"
        secure = parts.scheme == "https"
        place = f"{'tls' if secure else 'tcp'}://{_host(parts.hostname or '')}:{parts.port or (443 if secure else 80)}"
        return f"{place}?{self.tls}" if secure and self.tls else place

    def target(self, digest: str) -> str:
        return f"{quote(urlsplit(self.url).path.rstrip('/'))}/{digest}"

    def headers(self, media_type: str, size_bytes: int) -> list[tuple[str, str]]:
        found = [
            ("Host", urlsplit(self.url).netloc),
            ("Content-Type", media_type),
            ("Content-Length", str(size_bytes)),
            ("User-Agent", "lanecontrol"),
            ("Expect", "100-continue"),
            ("Connection", "close"),
        ]
        return [*found, ("Authorization", f"Bearer {self.token}")] if self.token else found


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
