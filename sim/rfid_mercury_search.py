"""What a client asks the fake module to search for: the data of a search, alone or in a continuous reading. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from sim.rfid_mercury_tags import ALL_META, GEN2, MemoryRead
from sim.rfid_mercury_wire import Fields, Op, Refused, Status, u16

WITH_METADATA = 0x10
"""Bit of the option: a word of metadata flags follows. No other option is known to this fake: no tag is selected."""
START, STOP = 0x01, 0x02


class Search(IntFlag):
    """Search flags."""

    CONFIGURED_LIST = 0x0003
    EMBEDDED = 0x0004
    STREAMING = 0x0008
    LARGE_POPULATION = 0x0010
    STATUS_STREAM = 0x0020
    STOP_AFTER_N = 0x0040
    FAST = 0x0080
    STATISTICS = 0x0100
    GPI_TRIGGER = 0x0200
    DUTY_CYCLE = 0x0400


KNOWN_FLAGS = 0x05FF
"""All but the trigger by a general purpose input, whose form no source tells."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search: how long, with which antennas, and what its records shall tell."""

    option: int
    flags: int
    time_ms: int
    off_ms: int
    metadata: int
    reports: int
    """Content flags of the status or statistics reports; 0 for none."""
    stop_after: int
    """End after so many tags; 0 for no such end."""
    memory: MemoryRead | None
    """Read this from each tag."""

    @property
    def head(self) -> bytes:
        """How every answer to it begins."""
        return bytes((self.option,)) + u16(self.flags)

    @property
    def stream_head(self) -> bytes:
        """How every frame of its stream begins."""
        return self.head + (u16(self.metadata) if self.option & WITH_METADATA else b"")


def read_search(data: bytes, *, streaming: bool) -> SearchRequest:
    """Data of op 22. Raises Refused."""
    fields = Fields(data)
    option, flags, time_ms = fields.number(1), fields.number(2), fields.number(2)
    if option & ~WITH_METADATA or flags & ~KNOWN_FLAGS or streaming != bool(flags & Search.STREAMING):
        raise Refused(Status.BAD_PARAMETER)
    off_ms = fields.number(2) if flags & Search.DUTY_CYCLE else 0
    wanted = fields.number(2) if option & WITH_METADATA else 0
    reporting = streaming and flags & (Search.STATUS_STREAM | Search.STATISTICS)
    reports = fields.number(2) if reporting else 0
    stop_after = fields.number(4) if flags & Search.STOP_AFTER_N else 0
    memory = _embedded(fields) if flags & Search.EMBEDDED else None
    fields.end()
    if wanted & ~ALL_META or (streaming and not time_ms):
        raise Refused(Status.BAD_PARAMETER)
    return SearchRequest(option, flags, time_ms, off_ms, wanted, reports, stop_after, memory)


def _embedded(fields: Fields) -> MemoryRead:
    """One embedded command: how many there are, its length without the op code, op code, data."""
    count, length, op = fields.number(1), fields.number(1), fields.number(1)
    if count != 1:
        raise Refused(Status.BAD_PARAMETER)
    if op != Op.READ_MEMORY:
        raise Refused(Status.UNIMPLEMENTED)
    command = Fields(fields.take(length))
    command.number(2)  # its own time limit
    if command.number(1):
        raise Refused(Status.BAD_PARAMETER)
    return read_place(command)


def read_place(fields: Fields) -> MemoryRead:
    """Bank, first word and number of words, which end the data. Raises Refused."""
    bank, word, words = fields.number(1), fields.number(4), fields.number(1)
    fields.end()
    return MemoryRead(bank, word, words)


def read_start(fields: Fields) -> SearchRequest:
    """Data of op 2F after the option that starts a continuous reading. Raises Refused."""
    if fields.number(1) != Op.SEARCH:
        raise Refused(Status.UNIMPLEMENTED)
    if fields.number(2) & Search.STOP_AFTER_N:
        fields.number(4)  # the same number follows in the search itself
    if fields.number(1) != GEN2:
        raise Refused(Status.NO_PROTOCOL)
    length = fields.number(1)
    if fields.number(1) != Op.SEARCH:
        raise Refused(Status.UNIMPLEMENTED)
    inner = fields.rest()
    if len(inner) != length:
        raise Refused(Status.WRONG_LENGTH)
    return read_search(inner, streaming=True)
