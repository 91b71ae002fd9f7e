"""Settings of the fake module, and the commands that only read or change them. No tag and no time in here."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Literal

from pydantic import Field

from sim.fake import FakeConfig
from sim.rfid_mercury_tags import GEN2
from sim.rfid_mercury_wire import Fields, Op, Refused, Status, u16

PINS = 4
POWER_MIN_CDBM, POWER_MAX_CDBM = 500, 3150
BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
POWER_MODES = 5
"""0 full, then three savings, then sleep."""
MODEL = {"m6e": 0x18, "m6e-i": 0x19, "micro": 0x20, "nano": 0x30}
BOOT_VERSION, FIRMWARE_DATE, FIRMWARE = "15011200", "20200101", "011b0205"

UNIQUE_BY_ANTENNA, ANTENNA_CHECK, TEMPERATURE_CHECK, NEWEST_TIME, UNIQUE_BY_DATA = 0x00, 0x04, 0x05, 0x06, 0x08
READ_FILTER, FILTER_TIMEOUT, TRANSPORT, PRODUCT_GROUP, SEND_CRC = 0x0C, 0x0D, 0x0E, 0x12, 0x1B
_OPTIONS = {
    UNIQUE_BY_ANTENNA: (1, 0), 0x01: (1, 0), 0x02: (1, 1), ANTENNA_CHECK: (1, 0), TEMPERATURE_CHECK: (1, 1),
    NEWEST_TIME: (1, 0), UNIQUE_BY_DATA: (1, 0), 0x09: (1, 1), 0x0A: (1, 0), READ_FILTER: (1, 1),
    FILTER_TIMEOUT: (4, 0), TRANSPORT: (1, 0), PRODUCT_GROUP: (2, 0), SEND_CRC: (1, 1),
}  # fmt: skip
"""Each option's size in bytes and its value after power-on. The transport is the serial line (0)."""
_FIXED = frozenset((TRANSPORT, PRODUCT_GROUP, SEND_CRC))
"""Options that cannot be changed. A serial line keeps its CRC: only native USB may do without."""


class MercuryConfig(FakeConfig):
    """Settings of the module, most of them as they are after power-on."""

    kind: Literal["rfid.mercury"] = "rfid.mercury"
    model: Literal["m6e", "m6e-i", "micro", "nano"] = "m6e"
    """Hardware that it says it is."""
    antennas: int = Field(default=4, ge=1, le=4)
    """Antenna ports."""
    unconnected: tuple[int, ...] = ()
    """Ports without an antenna."""
    region: int = Field(default=0, ge=0, le=255)
    """Region after power-on; 0 for none, as modules are sold, and without one nothing is transmitted."""
    regions: tuple[int, ...] = (0x01, 0x0D, 0x0E)
    """Regions that it can be set to."""
    power_cdbm: int = Field(default=2700, ge=POWER_MIN_CDBM, le=POWER_MAX_CDBM)
    """Read power after power-on, in hundredths of a dBm."""
    program: Literal["application", "boot loader"] = "application"
    """What runs after power-on."""
    temperature_c: int = Field(default=35, ge=-40, le=127)
    """Temperature of the module."""
    hot_above_c: int = Field(default=85, ge=0, le=127)
    """Above this it does not transmit."""
    gpi: dict[str, int] = {}
    """Pin of each contact that is wired to a general purpose input."""
    gpo: dict[str, int] = {}
    """Pin of each output of the world that the module switches."""
    buffer_tags: int = Field(default=1024, ge=1, le=4096)
    """How many records the tag buffer holds."""
    byte_gap_s: float = Field(default=0.1, gt=0)
    """A command whose bytes come later than this after one another is forgotten."""
    outbox_bytes: int = Field(default=64 * 1024, gt=0)
    """A client that lets more than this pile up is dropped."""


class Settings:
    """What a client can set and ask for. `switch` is told the pin and level of every output that changes."""

    def __init__(self, config: MercuryConfig, switch: Callable[[int, bool], None]) -> None:
        self._config = config
        self._switch = switch
        self.baud = 115200
        self.region = config.region
        self.protocol = 0
        self.power_mode = 0
        self.read_power_cdbm = self.write_power_cdbm = config.power_cdbm
        self.port = 1
        self.list = [1]
        self.options = {key: start for key, (_size, start) in _OPTIONS.items()}
        self.levels = dict.fromkeys(range(1, PINS + 1), False)

    @property
    def gpio(self) -> int:
        """All pins in one byte: outputs in the low nibble, inputs in the high one."""
        outputs = self._config.gpo.values()
        return sum(on << pin - 1 + (0 if pin in outputs else PINS) for pin, on in self.levels.items())

    def version(self) -> bytes:
        """Answer to op 03: boot loader, hardware, date, firmware, protocols."""
        hardware = bytes((MODEL[self._config.model], 0, 0, 1))
        return bytes.fromhex(BOOT_VERSION) + hardware + bytes.fromhex(FIRMWARE_DATE + FIRMWARE) + b"\0\0\0\x10"

    def ask(self, op: Op, fields: Fields, missing: set[int], temperature_c: int) -> bytes | None:
        """Carry out a command that reads settings; None for another one. Raises Refused."""
        match op:
            case Op.GET_ANTENNAS:
                return self._get_antennas(fields, missing)
            case Op.GET_READ_POWER:
                return self._get_power(fields, self.read_power_cdbm)
            case Op.GET_WRITE_POWER:
                return self._get_power(fields, self.write_power_cdbm)
            case Op.GET_GPIO:
                return self._get_gpio(fields)
            case Op.GET_OPTION:
                return self._get_option(fields)
            case Op.GET_STATISTICS:
                return _statistics(fields)
        simple = {
            Op.GET_PROTOCOL: u16(self.protocol),
            Op.GET_REGION: bytes((self.region,)),
            Op.GET_POWER_MODE: bytes((self.power_mode,)),
            Op.PROTOCOLS: u16(GEN2),
            Op.REGIONS: bytes(self._config.regions),
            Op.TEMPERATURE: bytes((temperature_c & 0xFF,)),
        }
        if op in simple:
            fields.end()
        return simple.get(op)

    def change(self, op: Op, fields: Fields) -> bytes | None:
        """Carry out a command that changes settings; None for another one. Raises Refused."""
        match op:
            case Op.SET_BAUD:
                self.baud = _one_of(fields.number(4), BAUDS, Status.BAUD)
            case Op.SET_ANTENNAS:
                self._set_antennas(fields)
            case Op.SET_READ_POWER:
                self.read_power_cdbm = _power(fields)
            case Op.SET_WRITE_POWER:
                self.write_power_cdbm = _power(fields)
            case Op.SET_PROTOCOL:
                self.protocol = _one_of(fields.number(2), (0, GEN2), Status.BAD_PARAMETER)
            case Op.SET_GPIO:
                self._set_gpio(fields)
            case Op.SET_REGION:
                self.region = _one_of(fields.number(1), self._config.regions, Status.REGION)
            case Op.SET_POWER_MODE:
                self.power_mode = _one_of(fields.number(1), range(POWER_MODES), Status.BAD_PARAMETER)
            case Op.SET_OPTION:
                self._set_option(fields)
            case _:
                return None
        fields.end()
        return b""

    # --- antennas ----------------------------------------------------------------------------------------------------

    def _get_antennas(self, fields: Fields, missing: set[int]) -> bytes:
        option = fields.number(1)
        fields.end()
        ports = range(1, self._config.antennas + 1)
        match option:
            case 0:
                return bytes((self.port, self.port))
            case 2:
                return b"\2" + bytes(port for port in self.list for _ in "tr")
            case 5:
                return b"\5" + bytes(byte for port in ports for byte in (port, port not in missing))
            case _:
                raise Refused(Status.BAD_PARAMETER)

    def _set_antennas(self, fields: Fields) -> None:
        """`tx rx` of the one port, or the option 02 and the pairs of the search list."""
        data = fields.rest()
        pairs = data[1:] if len(data) % 2 else data
        if len(data) < 2 or (len(data) % 2 == 0 and len(data) > 2):
            raise Refused(Status.WRONG_LENGTH)
        ports = [tx for tx, rx in zip(pairs[::2], pairs[1::2], strict=True) if tx == rx]
        if 2 * len(ports) < len(pairs) or not all(1 <= port <= self._config.antennas for port in ports):
            raise Refused(Status.BAD_PARAMETER)
        if len(data) == 2:
            self.port = ports[0]
        elif data[0] == 2:
            self.list = list(dict.fromkeys(ports))
        else:
            raise Refused(Status.BAD_PARAMETER)

    # --- power, pins, options ----------------------------------------------------------------------------------------

    def _get_power(self, fields: Fields, power_cdbm: int) -> bytes:
        option = _one_of(fields.number(1), (0, 1), Status.BAD_PARAMETER)
        fields.end()
        return bytes((option,)) + u16(power_cdbm, *([POWER_MAX_CDBM, POWER_MIN_CDBM] if option else []))

    def _get_gpio(self, fields: Fields) -> bytes:
        _one_of(fields.number(1), (1,), Status.BAD_PARAMETER)
        fields.end()
        outputs = self._config.gpo.values()
        return b"\1" + bytes(byte for pin, on in self.levels.items() for byte in (pin, pin in outputs, on))

    def _set_gpio(self, fields: Fields) -> None:
        pin = _one_of(fields.number(1), self._config.gpo.values(), Status.BAD_PARAMETER)
        on = bool(_one_of(fields.number(1), (0, 1), Status.BAD_PARAMETER))
        fields.end()
        if self.levels[pin] != on:
            self.levels[pin] = on
            self._switch(pin, on)

    def _get_option(self, fields: Fields) -> bytes:
        _one_of(fields.number(1), (1,), Status.BAD_PARAMETER)
        key = _one_of(fields.number(1), _OPTIONS, Status.BAD_PARAMETER)
        fields.end()
        return bytes((1, key)) + self.options[key].to_bytes(_OPTIONS[key][0], "big")

    def _set_option(self, fields: Fields) -> None:
        _one_of(fields.number(1), (1,), Status.BAD_PARAMETER)
        key = _one_of(fields.number(1), _OPTIONS, Status.BAD_PARAMETER)
        value = fields.number(_OPTIONS[key][0])
        fields.end()
        if key in _FIXED and value != self.options[key]:
            raise Refused(Status.BAD_PARAMETER)
        self.options[key] = value


def _one_of(value: int, known: Container[int], otherwise: Status) -> int:
    if value not in known:
        raise Refused(otherwise)
    return value


def _power(fields: Fields) -> int:
    """A power in hundredths of a dBm, signed."""
    value = int.from_bytes(fields.take(2), "big", signed=True)
    if value > POWER_MAX_CDBM:
        raise Refused(Status.POWER_TOO_HIGH)
    if value < POWER_MIN_CDBM:
        raise Refused(Status.POWER_TOO_LOW)
    return value


def _statistics(fields: Fields) -> bytes:
    """The request given back: what a real module tells is not known, and the vendor's SDK takes this."""
    data = fields.rest()
    if len(data) < 2:
        raise Refused(Status.WRONG_LENGTH)
    return data
