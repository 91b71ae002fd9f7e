"""Driver `rfid.llrp`: RFID readers that speak LLRP 1.0.1 or 1.1 over TCP (5084) or TLS (5085).

Called by the supervisor. Reports every tag that the reader tells of; whose card it is, is the lane's matter. Must never
write to, lock or kill a tag: there is no code and no setting for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from drivers.rfid_llrp_codec import FRAME_LIMIT, Frames, Message, decode, encode
from drivers.rfid_llrp_reports import RO_ACCESS_REPORT, ReportReader, tag_reads
from drivers.rfid_llrp_session import Memory, Plan, Session
from drivers.rfid_readonly import ReadOnlyConfig
from lanecontrol.clock import Instant
from lanecontrol.driver import Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, InputChanged, TagRead

_POINT = re.compile(r"[a-z][a-z0-9_]{0,31}")

_SILENT_PERIODS = 2.5
"""Keep-alive periods without a frame after which the reader counts as frozen."""

_CAPTURE_FRAME_LIMIT = 1 << 24
"""Stored captures hold frames beyond what a live reader may send."""

Antenna = Annotated[int, Field(ge=1, le=0xFFFF)]


class LlrpConfig(ReadOnlyConfig):
    """An RFID reader with LLRP. The url is `tls://host:5085` where the reader can do it: the protocol has no login."""

    kind: Literal["rfid.llrp"] = "rfid.llrp"
    version: Literal["auto", "1.0.1", "1.1"] = "auto"
    """Of the protocol. `auto`: 1.1 where the reader says that it has it; `1.0.1`: it is not asked, for readers that
    take the question amiss; `1.1`: a reader without it is a fault."""
    antennas: tuple[Antenna, ...] = ()
    """Numbers of the antennas in use; without any, all that the reader has."""
    power_dbm: dict[Antenna, float] = Field(default_factory=dict)
    """Transmit power of single antennas; the reader's nearest step at or below it is taken."""
    keepalive_s: float = Field(default=5.0, ge=0.5, le=60)
    """The reader sends a sign of life this often; after 2.5 times this without any frame the link counts as lost."""
    answer_timeout_s: float = Field(default=2.0, gt=0, le=30)
    """How long the reader may take to answer a request."""
    read_tid: bool = False
    """Read the tag's own number (TID) as well, as evidence; costs air time for every tag."""
    tid_words: int = Field(default=6, ge=0, le=32)
    """How many words of 16 bits of it: tags with fewer answer with an error and go without. 0: all that it has."""
    gpi: dict[Antenna, str] = Field(default_factory=dict)
    """Names of contacts on the reader's input ports, by port number: `{1: loop_booth}`."""
    invert: tuple[str, ...] = ()
    """Names that are on when their input is low, such as normally closed contacts."""
    frame_limit_bytes: int = Field(default=FRAME_LIMIT, ge=1024, le=_CAPTURE_FRAME_LIMIT)
    """A longer frame ends the session."""

    @model_validator(mode="after")
    def _powers_belong_to_antennas(self) -> LlrpConfig:
        odd = sorted(self.power_dbm.keys() - set(self.antennas)) if self.antennas else []
        if odd:
            raise ValueError(f"power_dbm sets antennas {odd}, which are not among antennas")
        return self

    @model_validator(mode="after")
    def _contacts_are_named(self) -> LlrpConfig:
        for name in self.gpi.values():
            if not _POINT.fullmatch(name):
                raise ValueError(f"{name!r}: a contact is lower-case letters, digits and _")
        if len(set(self.gpi.values())) < len(self.gpi):
            raise ValueError("two gpi ports have the same name")
        strangers = [name for name in self.invert if name not in self.gpi.values()]
        if strangers:
            raise ValueError(f"invert names {strangers[0]!r}, which is none of gpi")
        return self

    @property
    def inputs(self) -> Mapping[str, int]:
        """Ports by the names of their contacts: what a loop of the lane may refer to."""
        return {name: port for port, name in self.gpi.items()}


class LlrpReader(Driver):
    """One reader. Online once its inventory runs."""

    Config = LlrpConfig
    config: LlrpConfig
    reports = frozenset({TagRead, InputChanged, DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=True, silence_s=12.5)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._memory = Memory()
        self._rospec = 0

    async def session(self, out: Reporter) -> None:
        config = self.config
        self._rospec = _next_rospec(self._rospec, out.clock.now())
        async with self.links.open(config.url, timeout_s=config.connect_timeout_s) as link:
            await Session(link, out, self._plan(), self._memory).run()

    def _plan(self) -> Plan:
        config = self.config
        return Plan(
            rospec=self._rospec,
            version=config.version,
            antennas=config.antennas,
            power_dbm=config.power_dbm,
            keepalive_s=config.keepalive_s,
            answer_s=config.answer_timeout_s,
            silence_s=_SILENT_PERIODS * config.keepalive_s,
            tid_words=config.tid_words if config.read_tid else None,
            gpi=config.gpi,
            inverted=frozenset(config.invert),
            frame_limit=config.frame_limit_bytes,
        )

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[TagRead]:
        """The tag reads in concatenated frames. What does not fit is left out."""
        for item in ReportReader(_CAPTURE_FRAME_LIMIT).feed(raw):
            if isinstance(item, TagRead):
                yield item

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Frames, those that encode to the same bytes again from their typed form, and tag reads.

        What makes no frame (a broken stream, a cut end) counts as one frame that is not identical.
        """
        frames = identical = tags = 0
        for frame, message in _stored(raw):
            frames += 1
            if message is not None:
                identical += encode(message) == frame
                tags += sum(1 for _ in tag_reads(message)) if message.type == RO_ACCESS_REPORT else 0
        return {"frames": frames, "identical": identical, "tags": tags}


def _next_rospec(before: int, now: Instant) -> int:
    """An id that no inventory had before, also not one of a process before this one: its late reports tell by it.

    Seconds since 1970, or one more than the last where a second has not passed.
    """
    return max(before + 1, int(now.utc_s)) % (1 << 32) or 1


def _stored(raw: bytes) -> Iterator[tuple[bytes, Message | None]]:
    """Every frame of a capture with its message, None where it has none."""
    cutter = Frames(_CAPTURE_FRAME_LIMIT)
    for frame in cutter.feed(raw):
        message = decode(frame) if isinstance(frame, bytes) else None
        yield (frame if isinstance(frame, bytes) else frame.raw), (message if isinstance(message, Message) else None)
    if cutter.pending:
        yield b"", None
