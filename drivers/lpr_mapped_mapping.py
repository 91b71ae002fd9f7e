"""What a maker's push means, as data: how to tell an event, one path per field, where the pictures are.

Loaded by the configuration of `lpr.mapped` from the YAML files in `mappings/`; a site may also write a mapping into its
lane file. Must never contain code for one make: a new make is a new file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from drivers.lpr_mapped_document import Path

Way = Literal["forward", "backward", "unknown"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_path(text: str) -> str:
    Path.of(text)
    return text


PathText = Annotated[str, AfterValidator(_is_path)]
Paths = Annotated[tuple[PathText, ...], BeforeValidator(_several)]


class Source(_Data):
    """Where a value comes from, and what is done to it. A path alone may be written in its place."""

    path: Paths = ()
    """One path, or several: the first one with a value counts."""
    constant: str = ""
    """The value itself, where no path has one."""
    optional: bool = False
    """Some firmwares leave it out; without this its absence counts as a doubt."""
    percent: bool = False
    """The number is per cent."""
    strip_prefix: str = ""
    """What is taken off in front, in any case of letters."""
    upper: bool = False
    """Make it upper case."""
    values: dict[str, str] = {}
    """Words of the camera and what they stand for; other words are left out."""

    @model_validator(mode="after")
    def _has_a_source(self) -> Source:
        if not self.path and not self.constant:
            raise ValueError("write a path or a constant")
        return self


def _path_alone(value: Any) -> Any:
    return {"path": value} if isinstance(value, (str, list)) else value


FieldSource = Annotated[Source, BeforeValidator(_path_alone)]


class Time(Source):
    """The camera's time."""

    form: Literal["iso", "s", "ms", "us", "ns"] = "iso"
    """ISO 8601 with its offset, or a count since 1970."""


class Box(_Data):
    """The plate in the first picture, in pixels: a list of four, or four paths."""

    path: Paths = ()
    """Path of a list x, y, width, height."""
    x: Paths = ()
    """Path of the left edge."""
    y: Paths = ()
    """Path of the upper edge."""
    width: Paths = ()
    """Path of the width."""
    height: Paths = ()
    """Path of the height."""


class Image(_Data):
    """Where one picture is: a part of a multipart body, or base64 within the document."""

    part: str = ""
    """Name or file name of the part, with or without its ending, in any case of letters."""
    path: Paths = ()
    """Path of the picture within the document."""
    encoding: Literal["base64"] = "base64"
    """How it is written there."""
    view: str = ""
    """What it shows."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Image:
        if bool(self.part) == bool(self.path):
            raise ValueError("write either part or path")
        return self


class Match(_Data):
    """Which documents are events. All others are signs of life."""

    content_type: str = ""
    """Content-Type of the document, where it is told at all."""
    root: str = ""
    """Local name of an XML document's root."""
    has: Paths = ()
    """One of these paths has a value."""
    equals: dict[PathText, str] = {}
    """These paths have these values, in any case of letters."""


def _one_image(value: Any) -> Any:
    return [value] if isinstance(value, (dict, Image)) else value


class Fields(_Data):
    """One source per field."""

    text: FieldSource
    """The plate."""
    confidence: FieldSource | None = None
    """Confidence 0 to 1."""
    country: FieldSource | None = None
    """Country, best as ISO 3166-1."""
    state: FieldSource | None = None
    """State or province; with a country in front of it, as in ISO 3166-2, it stands alone."""
    direction: FieldSource | None = None
    """Direction: `values` say which words are forward and backward, seen from the lane."""
    time: Annotated[Time | None, BeforeValidator(_path_alone)] = None
    """The camera's time."""
    event: FieldSource | None = None
    """The event's own id, whole: what comes twice with the same is the same event. Without one, the whole body is."""
    track: FieldSource | None = None
    """The camera's id of the car; without one, the event's."""
    camera: FieldSource | None = None
    """Serial or hardware number of the camera."""
    model: FieldSource | None = None
    """Its model."""
    picture_count: FieldSource | None = None
    """How many pictures are announced."""
    box: Annotated[Box | None, BeforeValidator(_path_alone)] = None
    """The plate in the first picture."""
    image: Annotated[tuple[Image, ...], BeforeValidator(_one_image)] = ()
    """The pictures; the first one that comes goes with the read. Pictures of other parts are kept as well."""


class Mapping(_Data):
    """One maker's push."""

    title: str = ""
    """For whom it is."""
    maker: str = ""
    """The maker, as the camera's identity tells it."""
    match: Match = Match()
    """Which documents are events."""
    ignore_case: bool = False
    """Names in any case of letters."""
    map: Fields
    """One path per field."""
    unread: tuple[str, ...] = ()
    """Words that stand for a plate that was not read, in any case of letters."""


def shipped() -> tuple[str, ...]:
    """Names of the mappings that come with this driver."""
    folder = files("drivers") / "mappings"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def load(name: str) -> Mapping:
    """The shipped mapping `name`. Raises KeyError where there is none, pydantic.ValidationError on a wrong file."""
    if name not in shipped():
        raise KeyError(name)
    return parse((files("drivers") / "mappings" / f"{name}.yaml").read_text(encoding="utf-8"))


def parse(text: str) -> Mapping:
    """A mapping from YAML. Raises ValueError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return Mapping.model_validate(YAML(typ="safe").load(text))
    except YAMLError:
        raise ValueError("the mapping is no YAML") from None


def find(name: str) -> Mapping:
    """A shipped mapping by its name, or one in a file that ends in `.yaml`. Raises ValueError."""
    if name.endswith(".yaml"):
        try:
            return parse(FilePath(name).read_text(encoding="utf-8"))
        except OSError:
            raise ValueError(f"there is no mapping file {name}") from None
    try:
        return load(name)
    except KeyError:
        raise ValueError(f"there is no mapping {name!r}; there are {', '.join(shipped())}") from None
