"""Select filters of an inventory: which tags take part. Pure; raises `Refused` only.

Used by the fake reader alone. Only filters without tag state (C1G2TagInventoryStateUnawareFilterAction) are there, as
the reader's capabilities say. A filter that names no action is this fake's own choice: the first one selects what it
matches and nothing else, each later one adds what it matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sim.rfid_llrp_wire import Code, Fields, P, Param, inside, parameters

MAX_FILTERS = 2
"""MaxNumSelectFiltersPerQuery of the capabilities."""

_SELECT_UNSELECT, _SELECT_NOTHING = 0, 1
_DEEDS: dict[int, tuple[bool | None, bool | None]] = {
    _SELECT_UNSELECT: (True, False), _SELECT_NOTHING: (True, None), 2: (None, False),
    3: (False, None), 4: (False, True), 5: (None, True),
}  # fmt: skip
"""What becomes of a tag that matches, and of one that does not: selected, unselected, or as it was."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Tags with these bits in a bank, at the antenna (0: at all of them), and what is done with them."""

    antenna: int
    bank: int
    pointer: int
    mask: str
    action: int

    def changes(self, selected: bool, bank: bytes) -> bool:
        """Whether a tag with this bank is selected after it."""
        bits = f"{int.from_bytes(bank, 'big'):0{8 * len(bank)}b}" if bank else ""
        matches = bits[self.pointer : self.pointer + len(self.mask)] == self.mask
        deed = _DEEDS[self.action][not matches]
        return selected if deed is None else deed


def read_filters(configurations: Iterable[Param]) -> tuple[Filter, ...]:
    """Those of all AntennaConfigurations of an InventoryParameterSpec. Raises Refused."""
    return tuple(found for each in configurations for found in _of_antenna(each))


def _of_antenna(configuration: Param) -> Iterable[Filter]:
    fields = Fields(configuration.body, P.ANTENNA_CONFIGURATION)
    antenna = fields.number(2)
    commands = [each for each in fields.rest() if each.type == P.C1G2_INVENTORY_COMMAND]
    if not commands:
        return
    command = Fields(commands[0].body, P.C1G2_INVENTORY_COMMAND)
    if command.flag():
        raise inside(P.C1G2_INVENTORY_COMMAND, Code.IN_FIELD, "this reader does no inventory that knows tag states")
    found = [each for each in command.rest() if each.type == P.C1G2_FILTER]
    if len(found) > MAX_FILTERS:
        raise inside(P.C1G2_INVENTORY_COMMAND, Code.IN_OVERFLOW_PARAMETER, f"there are {len(found)} filters")
    for place, each in enumerate(found):
        yield _filter(antenna, each, _SELECT_NOTHING if place else _SELECT_UNSELECT)


def _filter(antenna: int, param: Param, otherwise: int) -> Filter:
    children = {each.type: each for each in parameters(param.body[1:])}
    if P.C1G2_INVENTORY_MASK not in children:
        raise inside(P.C1G2_FILTER, Code.IN_MISSING_PARAMETER, f"parameter {int(P.C1G2_INVENTORY_MASK)} is missing")
    fields = Fields(children[P.C1G2_INVENTORY_MASK].body, P.C1G2_INVENTORY_MASK)
    bank, pointer, mask = fields.number(1) >> 6, fields.number(2), fields.bits()
    action = otherwise
    if asked := children.get(P.C1G2_FILTER_ACTION):
        action = Fields(asked.body, P.C1G2_FILTER_ACTION).number(1)
    if action not in _DEEDS:
        raise inside(P.C1G2_FILTER_ACTION, Code.IN_FIELD, f"there is no action {action}")
    return Filter(antenna, bank, pointer, mask, action)


def selects(filters: Iterable[Filter], antenna: int, bank_of: Callable[[int], bytes]) -> bool:
    """Whether a tag with these banks takes part at an antenna."""
    asked = [each for each in filters if each.antenna in (0, antenna)]
    # Before the first one every tag is selected, unless that one only ever adds.
    selected = not asked or _DEEDS[asked[0].action] in ((None, False), (False, None))
    for each in asked:
        selected = each.changes(selected, bank_of(each.bank))
    return selected
