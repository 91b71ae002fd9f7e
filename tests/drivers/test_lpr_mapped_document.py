"""Documents of cameras, JSON and XML: what a path finds in them, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.lpr_mapped_document import Path, Refused, read_json, read_xml


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1),
        ("a.c[1].d", 3),
        ("//d", 2),
        ("//c[1].d", 3),
        ("//c.d", 2),
        ("a.c[7]", None),
        ("a.b.x", None),
        ("//nothing", None),
        ("e", None),
    ],
)
def test_a_path_leads_to_its_value_or_nowhere(path: str, value: Any) -> None:
    (document,) = read_json(b'{"a": {"b": 1, "c": [{"d": 2}, {"d": 3}]}, "e": null}')
    assert document.find(Path.of(path)) == value


def test_an_xml_element_that_could_repeat_is_found_with_an_index_even_if_it_does_not() -> None:
    one, two = read_xml(b"<r><p><n>1</n></p></r>"), read_xml(b"<r><p><n>1</n></p><p><n>2</n></p></r>")
    assert one.find(Path.of("p[0].n")) == two.find(Path.of("p[0].n")) == "1"
    assert two.find(Path.of("p[1].n")) == "2"
    assert one.find(Path.of("p[1].n")) is None


@pytest.mark.parametrize(
    "text",
    [
        b"<a>",
        b"<a></b>",
        b"<a>&x;</a>",
        b"<a>" * 100 + b"</a>" * 100,
        b"<a/>" * 30_000,
        b'<?xml version="1.0" encoding="x"?><a/>',
    ],
)
def test_xml_that_is_broken_too_deep_or_too_much_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        read_xml(text)
