"""The contract suite's case for `rfid.mercury`: a tag a second, each another one."""

from __future__ import annotations

from contract_case import Case

from sim.readings import Reading, TagAnswer


def _reading(n: int) -> Reading:
    return TagAnswer(1 + n % 2, bytes.fromhex("f0000000") + n.to_bytes(8, "big"), -55.0 + n % 5)


CASE = Case(
    reading=_reading,
    # The end of a cycle with a wrong checksum.
    malformed=bytes.fromhex("ff 00 22 0400 84e1"),
    # The longest frame there is, of which only the beginning comes.
    bomb=bytes.fromhex("ff f8 22 0000"),
)
