"""Driver `rfid.llrp`: RFID readers that speak LLRP 1.0.1 over TCP (5084) or TLS (5085).

Called by the supervisor. Reports every tag that the reader tells of; whose card it is, is the lane's matter. Must never
write to, lock or kill a tag: there is no code and no setting for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from drivers.rfid_llrp_codec import FRAME_LIMIT, Frames, Message, decode, encode
from drivers.rfid_llrp_reports import RO_ACCESS_REPORT, tag_reads
from drivers.rfid_llrp_session import Faults, Plan, Session
from lanecontrol.driver import DeviceConfig, Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, InputChanged, TagRead

_FORBIDDEN = re.compile(r"write|kill|lock|erase|password", re.IGNORECASE)

_SILENT_PERIODS = 2.5
"""Keep-alive periods without a frame after which the reader counts as frozen."""

_CAPTURE_FRAME_LIMIT = 1 << 24
"""Stored captures hold frames beyond what a live reader may send."""

Antenna = Annotated[int, Field(ge=1, le=0xFFFF)]


class LlrpConfig(DeviceConfig):
    """An RFID reader with LLRP 1.0.1."""

    kind: Literal["rfid.llrp"] = "rfid.llrp"
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
    gpi: dict[Antenna, str] = Field(default_factory=dict)
    """Names of contacts on the reader's input ports, by port number."""
    frame_limit_bytes: int = Field(default=FRAME_LIMIT, ge=1024, le=_CAPTURE_FRAME_LIMIT)
    """A longer frame ends the session."""

    @model_validator(mode="before")
    @classmethod
    def _never_alters_a_tag(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if _FORBIDDEN.search(str(key)):
                raise ValueError(f"{key}: this driver never writes to, locks, kills or erases a tag; remove it")
        return data

    @model_validator(mode="after")
    def _powers_belong_to_antennas(self) -> LlrpConfig:
        odd = sorted(self.power_dbm.keys() - set(self.antennas)) if self.antennas else []
        if odd:
            raise ValueError(f"power_dbm sets antennas {odd}, which are not among antennas")
        if len(set(self.gpi.values())) < len(self.gpi):
            raise ValueError("two gpi ports have the same name")
        return self


class LlrpReader(Driver):
    """One reader. Online once its inventory runs."""

    Config = LlrpConfig
    config: LlrpConfig
    reports = frozenset({TagRead, InputChanged, DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=True, silence_s=12.5)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._faults = Faults()
        self._sessions = 0

    async def session(self, out: Reporter) -> None:
        config = self.config
        self._sessions += 1
        async with self.links.open(config.url, timeout_s=config.connect_timeout_s) as link:
            await Session(link, out, self._plan(), self._faults).run()

    def _plan(self) -> Plan:
        config = self.config
        return Plan(
            rospec=1 + (self._sessions - 1) % 1000,  # another one each time: events of the last one can come late
            antennas=config.antennas,
            power_dbm=config.power_dbm,
            keepalive_s=config.keepalive_s,
            answer_s=config.answer_timeout_s,
            silence_s=_SILENT_PERIODS * config.keepalive_s,
            read_tid=config.read_tid,
            gpi=config.gpi,
            frame_limit=config.frame_limit_bytes,
        )

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[TagRead]:
        """The tag reads in concatenated frames. Frames that do not fit are left out."""
        for _, message in _stored(raw):
            if message is not None and message.type == RO_ACCESS_REPORT:
                yield from tag_reads(message)

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


def _stored(raw: bytes) -> Iterator[tuple[bytes, Message | None]]:
    """Every frame of a capture with its message, None where it has none."""
    cutter = Frames(_CAPTURE_FRAME_LIMIT)
    for frame in cutter.feed(raw):
        message = decode(frame) if isinstance(frame, bytes) else None
        yield (frame if isinstance(frame, bytes) else frame.raw), (message if isinstance(message, Message) else None)
    if cutter.pending:
        yield b"", None
