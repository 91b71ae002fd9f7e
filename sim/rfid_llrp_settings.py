"""What the fake reader is and how it is set: its configuration, its capabilities, GET and SET_READER_CONFIG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from sim.fake import FakeConfig
from sim.rfid_llrp_access import read_access_report_spec
from sim.rfid_llrp_filters import MAX_FILTERS
from sim.rfid_llrp_specs import Bounds, Content, ReportSpec, read_report_spec
from sim.rfid_llrp_wire import (
    V1_0_1,
    V1_1,
    Code,
    Fields,
    P,
    Param,
    Refused,
    flag,
    inside,
    parameters,
    s16,
    tlv,
    u8,
    u8_array,
    u16,
    u32,
    utf8,
)

EVENT_TYPES = range(9)
EVENT_GPI, EVENT_ROSPEC, EVENT_BUFFER, EVENT_EXCEPTION, EVENT_AISPEC, EVENT_ANTENNA = 1, 2, 3, 4, 6, 8
GEN2 = 1
ALL_FIELDS = 0xFFC0
MAX_SENSITIVITY_DBM = -84
"""MaximumReceiveSensitivity, which LLRP 1.1 has and 1.0.1 has not; the value is invented."""


class ReaderConfig(FakeConfig):
    """Settings of the reader."""

    kind: Literal["rfid.llrp"] = "rfid.llrp"
    version: Literal["1.0.1", "1.1"] = "1.0.1"
    """Highest version of LLRP that it speaks."""
    antennas: int = Field(default=4, ge=1, le=32)
    """Number of antenna ports."""
    gpis: int = Field(default=4, ge=0, le=16)
    """Number of general purpose inputs."""
    gpos: int = Field(default=4, ge=0, le=16)
    """Number of general purpose outputs."""
    gpi: dict[str, int] = {}
    """Contacts of the world that are wired to a GPI: name to port."""
    gpo: dict[str, int] = {}
    """Outputs of the world that are wired to a GPO: name to port."""
    maker: int = Field(default=0, ge=0, le=0xFFFF_FFFF)
    """Private enterprise number of the maker."""
    model: int = Field(default=1, ge=0, le=0xFFFF_FFFF)
    """Model number."""
    firmware: str = "1.0.0"
    """Version text."""
    reader_id: str = Field(default="0000000000000001", pattern="^([0-9a-f]{2}){1,32}$")
    """MAC address in hex."""
    max_rospecs: int = Field(default=1, ge=1, le=1000)
    """How many ROSpecs it holds; common readers hold one."""
    specs_per_rospec: int = Field(default=1, ge=1, le=100)
    """How many AISpecs a ROSpec may have."""
    priorities: int = Field(default=1, ge=1, le=8)
    """How many ROSpec priorities there are."""
    max_accessspecs: int = Field(default=4, ge=1, le=1000)
    """How many AccessSpecs it holds."""
    utc_clock: bool = True
    """Reports UTC; without a clock, time since start."""
    utc_at_zero_s: float = 1_767_225_600.0
    """Its UTC when the event loop's time is zero, unless it is given a clock."""
    buffer_tags: int = Field(default=500, ge=1, le=10_000)
    """How many report entries it keeps while nobody takes them."""
    keepalive_misses: int = Field(default=3, ge=1, le=100)
    """After so many unanswered keep-alives it closes the connection."""
    max_frame_bytes: int = Field(default=1024 * 1024, ge=64)
    """A longer message ends the connection."""
    outbox_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    """A client that lets more than this pile up is dropped."""

    @property
    def highest_version(self) -> int:
        """Version bits of the highest version."""
        return V1_1 if self.version == "1.1" else V1_0_1

    @property
    def bounds(self) -> Bounds:
        """What specifications are checked against."""
        return Bounds(self.antennas, self.gpis, self.priorities, self.specs_per_rospec, 1)


# --- capabilities ----------------------------------------------------------------------------------------------------


def capabilities(config: ReaderConfig, what: int) -> bytes:
    """The parameters of GET_READER_CAPABILITIES_RESPONSE: 0 all, else one group. Raises Refused."""
    groups = {1: _general, 2: _llrp, 3: _regulatory, 4: _air_protocol}
    if what == 0:
        return b"".join(group(config) for group in groups.values())
    if what not in groups:
        raise Refused(Code.FIELD_ERROR, f"there are no capabilities {what}")
    return groups[what](config)


def _general(config: ReaderConfig) -> bytes:
    antennas = range(1, config.antennas + 1)
    return tlv(
        P.GENERAL_CAPABILITIES,
        u16(config.antennas, config.utc_clock << 14),
        u32(config.maker, config.model),
        utf8(config.firmware),
        tlv(P.SENSITIVITY_ENTRY, u16(1), s16(0)),
        tlv(P.GPIO_CAPABILITIES, u16(config.gpis, config.gpos)),
        *(tlv(P.ANTENNA_PROTOCOL, u16(antenna), u8_array([GEN2])) for antenna in antennas),
        tlv(P.MAXIMUM_RECEIVE_SENSITIVITY, s16(MAX_SENSITIVITY_DBM)) if config.version == "1.1" else b"",
    )


def _llrp(config: ReaderConfig) -> bytes:
    bits = 0b0100_1000  # can warn of a filling buffer, can hold events
    counts = u32(config.max_rospecs, config.specs_per_rospec, 1, config.max_accessspecs, 1)
    return tlv(P.LLRP_CAPABILITIES, u8(bits, config.priorities), u16(0), counts)


POWER_DBM_100 = {1: 1000, 2: 3000}
HOP_KHZ = (902_750, 915_250, 927_250)


def _regulatory(config: ReaderConfig) -> bytes:
    mode = u32(0), u8(0x80, 2, 0, 2), u32(250_000, 1500, 20_000, 20_000, 0)
    band = tlv(
        P.UHF_BAND,
        *(tlv(P.POWER_LEVEL, u16(index), s16(power)) for index, power in POWER_DBM_100.items()),
        tlv(P.FREQUENCY_INFORMATION, flag(True), tlv(P.HOP_TABLE, u8(1, 0), u16(len(HOP_KHZ)), u32(*HOP_KHZ))),
        tlv(P.RF_MODE_TABLE, tlv(P.RF_MODE_ENTRY, *mode)),
    )
    return tlv(P.REGULATORY_CAPABILITIES, u16(840, 1), band)  # United States, FCC part 15


def _air_protocol(config: ReaderConfig) -> bytes:
    return tlv(P.C1G2_CAPABILITIES, u8(0), u16(MAX_FILTERS))


# --- configuration ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Settings:
    """What SET_READER_CONFIG changes. It outlives the connection."""

    events: set[int] = field(default_factory=set)
    keepalive_ms: int = 0
    hold: bool = False
    report: ReportSpec = ReportSpec(2, 1, Content(ALL_FIELDS))
    report_raw: bytes = tlv(P.RO_REPORT_SPEC, u8(2), u16(1), tlv(P.CONTENT_SELECTOR, u16(ALL_FIELDS)))
    access_report: bytes = tlv(P.ACCESS_REPORT_SPEC, u8(0))
    access_trigger: int = 0
    antennas: dict[int, bytes] = field(default_factory=dict)
    gains: dict[int, int] = field(default_factory=dict)
    gpi_off: set[int] = field(default_factory=set)
    gpos: dict[int, bool] = field(default_factory=dict)
    version: int = 0
    """LLRPConfigurationStateValue: changes with every change."""


def get_config(
    config: ReaderConfig, settings: Settings, lost: set[int], gpis: dict[int, bool], fields: Fields
) -> bytes:
    """The parameters of GET_READER_CONFIG_RESPONSE. Raises Refused."""
    antenna, what, gpi, gpo = fields.number(2), fields.number(1), fields.number(2), fields.number(2)
    antennas = _asked(antenna, config.antennas, "antenna")
    gpi_ports, gpo_ports = _asked(gpi, config.gpis, "GPI"), _asked(gpo, config.gpos, "GPO")
    groups: dict[int, Callable[[], bytes]] = {  # in the order of the answer
        1: lambda: tlv(P.IDENTIFICATION, u8(0), u8_array(bytes.fromhex(config.reader_id))),
        2: lambda: _join(_antenna_properties(settings, lost, each) for each in antennas),
        3: lambda: _join(_antenna_configuration(settings, each) for each in antennas),
        5: lambda: _event_spec(settings),
        4: lambda: settings.report_raw,
        6: lambda: settings.access_report,
        7: lambda: tlv(P.CONFIGURATION_STATE, u32(settings.version)),
        8: lambda: tlv(P.KEEPALIVE_SPEC, u8(settings.keepalive_ms > 0), u32(settings.keepalive_ms)),
        9: lambda: _join(_gpi_state(settings, gpis, each) for each in gpi_ports),
        10: lambda: _join(tlv(P.GPO_WRITE, u16(each), flag(settings.gpos.get(each, False))) for each in gpo_ports),
        11: lambda: tlv(P.EVENTS_AND_REPORTS, flag(settings.hold)),
    }
    if what and what not in groups:
        raise Refused(Code.FIELD_ERROR, f"there is no configuration {what}")
    return b"".join(group() for number, group in groups.items() if what in (0, number))


def _join(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)


def _asked(number: int, count: int, what: str) -> range:
    """The one asked for, or all for 0."""
    if number > count:
        raise Refused(Code.FIELD_ERROR, f"there is no {what} {number}")
    return range(number, number + 1) if number else range(1, count + 1)


def _antenna_properties(settings: Settings, lost: set[int], antenna: int) -> bytes:
    gain = settings.gains.get(antenna, 0)
    return tlv(P.ANTENNA_PROPERTIES, flag(antenna not in lost), u16(antenna), s16(gain))


def _antenna_configuration(settings: Settings, antenna: int) -> bytes:
    known = settings.antennas.get(antenna)
    if known is None:
        power = tlv(P.RF_TRANSMITTER, u16(1, 0, max(POWER_DBM_100)))
        known = tlv(P.RF_RECEIVER, u16(1)) + power
    return tlv(P.ANTENNA_CONFIGURATION, u16(antenna), known)


def _event_spec(settings: Settings) -> bytes:
    return tlv(P.EVENT_SPEC, *(tlv(P.EVENT_STATE, u16(kind), flag(kind in settings.events)) for kind in EVENT_TYPES))


def _gpi_state(settings: Settings, gpis: dict[int, bool], port: int) -> bytes:
    return tlv(P.GPI_STATE, u16(port), flag(port not in settings.gpi_off), u8(gpis.get(port, False)))


def set_config(config: ReaderConfig, settings: Settings, fields: Fields) -> Settings:
    """The settings after SET_READER_CONFIG: all of it or, where it raises Refused, nothing."""
    reset = fields.flag()
    new = Settings() if reset else _copy(settings)
    new.version = (settings.version + 1) & 0xFFFF_FFFF
    for param in fields.rest():
        _apply(config, new, param)
    return new


def _copy(old: Settings) -> Settings:
    return Settings(
        set(old.events), old.keepalive_ms, old.hold, old.report, old.report_raw, old.access_report, old.access_trigger,
        dict(old.antennas), dict(old.gains), set(old.gpi_off), dict(old.gpos), old.version,
    )  # fmt: skip


def _apply(config: ReaderConfig, new: Settings, param: Param) -> None:
    fields = Fields(param.body, param.type)
    match param.type:
        case P.EVENT_SPEC:
            for state in parameters(param.body):
                _apply_event(new, Fields(state.body, state.type))
        case P.KEEPALIVE_SPEC:
            periodic, period_ms = fields.number(1), fields.number(4)
            new.keepalive_ms = period_ms if periodic else 0
        case P.EVENTS_AND_REPORTS:
            new.hold = fields.flag()
        case P.RO_REPORT_SPEC:
            new.report, new.report_raw = read_report_spec(param), param.raw
        case P.ACCESS_REPORT_SPEC:
            new.access_report, new.access_trigger = param.raw, read_access_report_spec(param)
        case P.ANTENNA_CONFIGURATION:
            for antenna in _asked(fields.number(2), config.antennas, "antenna"):
                new.antennas[antenna] = param.body[2:]
        case P.ANTENNA_PROPERTIES:
            fields.take(1)
            antenna = _numbered(param.type, fields.number(2), config.antennas)
            new.gains[antenna] = int.from_bytes(fields.take(2), "big", signed=True)
        case P.GPO_WRITE:
            port = _numbered(param.type, fields.number(2), config.gpos)
            new.gpos[port] = fields.flag()
        case P.GPI_STATE:
            port, on = _numbered(param.type, fields.number(2), config.gpis), fields.flag()
            (new.gpi_off.discard if on else new.gpi_off.add)(port)
        case P.CUSTOM:
            pass  # extensions of other makers are ignored
        case other:
            raise inside(other, Code.IN_UNEXPECTED_PARAMETER, f"parameter {other} is not expected here")


def _apply_event(new: Settings, fields: Fields) -> None:
    kind, on = fields.number(2), fields.flag()
    if kind not in EVENT_TYPES:
        raise inside(P.EVENT_STATE, Code.IN_FIELD, f"there is no event type {kind}")
    (new.events.add if on else new.events.discard)(kind)


def _numbered(parameter: int, number: int, count: int) -> int:
    if not 1 <= number <= count:
        raise inside(parameter, Code.IN_FIELD, f"there is no number {number}")
    return number
