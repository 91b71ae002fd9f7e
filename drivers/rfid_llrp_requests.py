"""What the `rfid.llrp` driver asks of a reader, as LLRP messages. Pure; called by the session.

There is nothing here, and must never be anything, that writes to, locks or kills a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from drivers.rfid_llrp_codec import Message, Parameter
from drivers.rfid_llrp_reports import TID_OP

ACCESSSPEC = 1

_GEN2 = 1
_EVENTS = (1, 2, 3, 4, 8)
"""GPI, ROSpec, buffer level, reader exception, antenna."""
_EPC_START_BIT = 32
"""In its bank the EPC lies behind CRC and PC."""
_TID_BANK = 2

VERSION_1_1 = 2
"""The number that the header of a 1.1 message has."""


def get_supported_version() -> Message:
    """Always with the header of 1.1 (its section 9): a reader of 1.0.1 refuses that, and so tells what it is."""
    return Message(46, version=VERSION_1_1)


def set_protocol_version() -> Message:
    return Message(47, values=(VERSION_1_1,), version=VERSION_1_1)


def get_capabilities() -> Message:
    return Message(1, values=(0,))


def get_configuration() -> Message:
    """Everything of every antenna and port: wanted are the antennas' and the inputs' states."""
    return Message(2, values=(0, 0, 0, 0))


def set_configuration(keepalive_ms: int, gpi_ports: Iterable[int]) -> Message:
    """Keep-alive, the events the driver understands, hold events for a client that comes back, inputs switched on."""
    events = Parameter(244, parameters=tuple(Parameter(245, (event, 1, 0)) for event in _EVENTS))
    ports = tuple(Parameter(225, (port, 1, 0, 2)) for port in gpi_ports)
    parameters = (events, Parameter(220, (1, keepalive_ms)), *ports, Parameter(226, (1, 0)))
    return Message(3, values=(0, 0), parameters=parameters)


def delete_rospecs() -> Message:
    return Message(21, values=(0,))


def add_rospec(rospec: int, antennas: Iterable[int], transmitters: Mapping[int, tuple[int, int, int]]) -> Message:
    """Inventory without end, every tag reported at once with its inventory, antenna, RSSI, times and count.

    No antennas means all. `transmitters` gives hop table, channel and power index for antennas whose power is set.
    """
    powers = tuple(
        Parameter(222, (antenna,), (Parameter(224, transmitter),)) for antenna, transmitter in transmitters.items()
    )
    inventory = Parameter(186, (1, _GEN2), powers)
    boundary = Parameter(178, parameters=(Parameter(179, (0,)), Parameter(182, (0, 0))))
    antenna_spec = Parameter(183, (tuple(antennas) or (0,),), (Parameter(184, (0, 0)), inventory))
    content = Parameter(238, (1, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0))
    report = Parameter(237, (2, 1), (content,))
    return Message(20, parameters=(Parameter(177, (rospec, 0, 0), (boundary, antenna_spec, report)),))


def enable_rospec(rospec: int) -> Message:
    return Message(24, values=(rospec,))


def start_rospec(rospec: int) -> Message:
    return Message(22, values=(rospec,))


def disable_rospec(rospec: int) -> Message:
    return Message(25, values=(rospec,))


def delete_accessspecs() -> Message:
    return Message(41, values=(0,))


def add_tid_read(words: int) -> Message:
    """Read so many words of the TID bank of every tag (0: all of it), whichever antenna sees it. Reading only."""
    every_tag = Parameter(339, (1, 1, 0, _EPC_START_BIT, (0, b""), (0, b"")))
    read = Parameter(341, (TID_OP, 0, _TID_BANK, 0, 0, words))
    command = Parameter(209, parameters=(Parameter(338, parameters=(every_tag,)), read))
    stop = Parameter(208, (0, 0))
    return Message(40, parameters=(Parameter(207, (ACCESSSPEC, 0, _GEN2, 0, 0, 0), (stop, command)),))


def enable_tid_read() -> Message:
    return Message(42, values=(ACCESSSPEC,))


def enable_events_and_reports() -> Message:
    return Message(64)


def keepalive_ack(number: int) -> Message:
    return Message(72, number)


def close_connection() -> Message:
    return Message(14)


# --- what a reader answers -------------------------------------------------------------------------------------------

ERROR_MESSAGE = 100

ANSWERS = {1: 11, 2: 12, 3: 13, 14: 4, 20: 30, 21: 31, 22: 32, 24: 34, 25: 35, 40: 50, 41: 51, 42: 52, 46: 56, 47: 57}
"""The message type that answers each request."""


def complaint(answer: Message) -> str:
    """Why the reader refused, or empty where it did what was asked."""
    status = next(answer.find(287), None)
    if status is None:
        return "an answer without a status"
    if answer.type != ERROR_MESSAGE and status["code"] == 0:
        return ""
    text = words(status["text"])
    return f"status {status['code']}" + (f": {text}" if text else "")


_NUMBERS = re.compile(r"(?:[0-9a-f]{2}[ :_-]?){3,}[0-9a-f]{2}", re.IGNORECASE)


def words(text: str) -> str:
    """What a reader says in words, fit for logs: printable, short, and without what may be the number of a tag."""
    return _NUMBERS.sub("<redacted>", printable(text[:200]))


def printable(text: str) -> str:
    """Text without what no log or screen can show, bytes that were no UTF-8 among it."""
    return "".join(letter for letter in text if letter.isprintable())
