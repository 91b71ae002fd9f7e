"""Driver `lpr.mapped`: cameras whose push is described by a mapping: Hikvision ISAPI, Verkada, Milesight, templates.

Called by the supervisor. Listens for HTTP posts of JSON or XML, bare or multipart. Must never contain anything of one
make: that is in `mappings/`, or in the lane file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from drivers.lpr_mapped_codec import read_body
from drivers.lpr_mapped_mapping import Mapping, find, load, shipped
from drivers.push import stored
from drivers.push.config import PushConfig
from drivers.push.reception import Codec, Reception, Standing
from drivers.push.sightings import PlateReport, Teller
from lanecontrol.driver import Driver, Reporter, Traits
from lanecontrol.events import DeviceFault, PictureTaken, PlateRead, PlateUnread


class MappedConfig(PushConfig):
    """A camera that pushes plates in a form of its own."""

    kind: Literal["lpr.mapped"] = "lpr.mapped"
    mapping: str | Mapping
    """What its push means: the name of a mapping that comes with the driver (`isapi`, `verkada`, ...), or a mapping."""

    @field_validator("mapping")
    @classmethod
    def _mapping_is_known(cls, value: str | Mapping) -> str | Mapping:
        if isinstance(value, str) and value not in shipped():
            raise ValueError(f"there is no mapping {value!r}; there are {', '.join(shipped())}, or write one here")
        return value

    def meaning(self) -> Mapping:
        """The mapping itself."""
        return load(self.mapping) if isinstance(self.mapping, str) else self.mapping


class MappedCamera(Driver):
    """One camera. Online with its first document, whatever that tells."""

    Config = MappedConfig
    config: MappedConfig
    reports = frozenset({PlateRead, PlateUnread, PictureTaken, DeviceFault})
    traits: ClassVar[Traits] = Traits(has_handshake=False, speaks_unasked=True, silence_s=60.0, listens=True)

    def __init__(self, config: Any, links: Any) -> None:
        super().__init__(config, links)
        name = config.mapping if isinstance(config.mapping, str) else "own"
        self._standing = Standing(Teller(engine=f"mapped:{name}", track_limit_s=None, skew_limit_s=config.skew_limit_s))

    async def session(self, out: Reporter) -> None:
        codec = Codec(partial(read_body, mapping=self.config.meaning()))
        await Reception(self.config, self.links, out, self._standing, codec).run()

    @classmethod
    def decode(cls, raw: bytes, settings: dict[str, str]) -> Iterator[PlateReport]:
        """The events in a stored body, a file of the spool or a recorded connection.

        Setting `mapping`: a mapping's name, or a file of one. Raises ValueError where there is none.
        """
        mapping = _setting(settings)
        teller = Teller(engine=f"mapped:{settings['mapping']}", track_limit_s=None, skew_limit_s=2.0)
        return (
            report
            for body, content_type in stored.bodies(raw)
            for report in stored.reports(read_body(body, content_type, mapping), teller)
        )

    @classmethod
    def summarise(cls, raw: bytes, settings: dict[str, str]) -> dict[str, Any]:
        """Counts over the same: sightings, pictures, signs of life, and what was in doubt."""
        return stored.tally(stored.bodies(raw), partial(read_body, mapping=_setting(settings)))


def _setting(settings: dict[str, str]) -> Mapping:
    if "mapping" not in settings:
        raise ValueError(f"say how to read it: mapping=NAME (of {', '.join(shipped())}) or mapping=FILE.yaml")
    return find(settings["mapping"])
