"""Driver `rfid.mercury`: RFID modules of the ThingMagic/Jadak M6e family on a serial port or behind a serial server.

Called by the supervisor. Reports every tag that the module tells of; whose card it is, is the lane's matter. Must never
write to, lock, kill or erase a tag: there is no code and no setting for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from drivers.rfid_mercury_faults import Faults
from drivers.rfid_mercury_records import METADATA, stored_reads
from drivers.rfid_mercury_session import Plan, Session
from drivers.rfid_readonly import ReadOnlyConfig
from lanecontrol.driver import Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, TagRead
from lanecontrol.framing import Doubt

_NEEDED_METADATA = 0x0007
"""Read count, RSSI and antenna."""

Antenna = Annotated[int, Field(ge=1, le=15)]

REGIONS = {"NA": 0x01, "NA2": 0x0D, "NA3": 0x0E}
"""Names of regions and the module's numbers for them."""


class MercuryConfig(ReadOnlyConfig):
    """An RFID module of the M6e family. The url of a serial port must say `?baud=115200`, the module's own speed."""

    kind: Literal["rfid.mercury"] = "rfid.mercury"
    mode: Literal["continuous", "polling"] = "continuous"
    """`continuous`: the module sends each read at once; `polling`: it is asked after every search."""
    region: str | int = "NA"
    """`NA`, `NA2`, `NA3`, or the module's number of a region; a module that is set to another one is refused."""
    power_dbm: float = Field(default=27.0, ge=0, le=31.5)
    """Transmit power of all antennas. Antenna gain and the region's limit are the site's to reckon with."""
    antennas: tuple[Antenna, ...] = ()
    """Ports of the antennas in use; without any, all that are connected."""
    cycle_ms: int = Field(default=250, ge=50, le=5000)
    """Length of one search; after three of these and 1 s more without any frame the link counts as lost."""
    read_tid: bool = False
    """Read the tag's own number (TID) as well, as evidence. Not yet tried on a real module."""
    metadata: int = Field(default=METADATA, ge=0, le=METADATA)
    """Which details come with each read, as the maker's bits; older firmware may refuse those above 0x01ff."""
    answer_timeout_s: float = Field(default=1.0, gt=0, le=30)
    """How long the module may take to answer a command."""
    boot_timeout_s: float = Field(default=3.0, gt=0, le=60)
    """How long its firmware may take to start where the module is in its boot loader."""
    byte_gap_ms: int = Field(default=100, ge=20, le=2000)
    """Longest pause inside a frame; serial servers on slow networks need more."""
    check_s: float = Field(default=60.0, ge=0, le=3600)
    """Time from one look at antennas and temperature to the next, put off while tags are read; 0 for never."""
    too_hot_c: int = Field(default=85, ge=0, le=125)
    """At this temperature of the module and above it is a fault, before the module itself complains."""

    @property
    def region_number(self) -> int:
        return REGIONS[self.region] if isinstance(self.region, str) else self.region

    @field_validator("region")
    @classmethod
    def _region_is_known(cls, value: str | int) -> str | int:
        if isinstance(value, str) and value not in REGIONS:
            raise ValueError(f"no such region; there are {', '.join(REGIONS)}, and the numbers 1 to 255")
        if isinstance(value, int) and not 1 <= value <= 255:
            raise ValueError("the number of a region is from 1 to 255")
        return value

    @field_validator("url")
    @classmethod
    def _speed_is_said(cls, value: str) -> str:
        if value.startswith("serial:") and "baud=" not in value:
            raise ValueError("the speed of the serial port is missing; write serial:///dev/...?baud=115200")
        return value

    @field_validator("metadata")
    @classmethod
    def _antenna_and_rssi_are_told(cls, value: int) -> int:
        if value & _NEEDED_METADATA != _NEEDED_METADATA:
            raise ValueError("metadata must hold the bits 0x0007: read count, RSSI and antenna")
        return value

    @model_validator(mode="after")
    def _antennas_are_named_once(self) -> MercuryConfig:
        if len(set(self.antennas)) < len(self.antennas):
            raise ValueError("an antenna is named twice in antennas")
        if self.read_tid and not self.metadata & 0x0080:
            raise ValueError("read_tid needs the bit 0x0080 in metadata")
        return self


class MercuryReader(Driver):
    """One module. Online once it reads."""

    Config = MercuryConfig
    config: MercuryConfig
    reports = frozenset({TagRead, DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=True, speaks_unasked=True, silence_s=2.0)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        self._faults = Faults()

    async def session(self, out: Reporter) -> None:
        config = self.config
        async with self.links.open(config.url, timeout_s=config.connect_timeout_s) as link:
            await Session(link, out, _plan(config), self._faults).run()

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[TagRead]:
        """The tag reads in the stored bytes of a module. What makes no frame is left out."""
        for _, tags in stored_reads(raw):
            yield from tags

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Frames, runs of bytes that made none, and tag reads."""
        frames = doubts = tags = 0
        for item, found in stored_reads(raw):
            doubts += isinstance(item, Doubt)
            frames += not isinstance(item, Doubt)
            tags += len(found)
        return {"frames": frames, "doubts": doubts, "tags": tags}


def _plan(config: MercuryConfig) -> Plan:
    return Plan(
        continuous=config.mode == "continuous",
        region=config.region_number,
        centi_dbm=round(config.power_dbm * 100),
        antennas=config.antennas,
        cycle_ms=config.cycle_ms,
        metadata=config.metadata,
        read_tid=config.read_tid,
        answer_s=config.answer_timeout_s,
        boot_s=config.boot_timeout_s,
        byte_gap_s=config.byte_gap_ms / 1000,
        check_s=config.check_s,
        too_hot_c=config.too_hot_c,
    )
