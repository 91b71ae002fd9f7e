"""Logs: readable by programs or by people, and never with a card number or plate in them."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.errors import LinkLost
from lanecontrol.events import TagRead
from lanecontrol.identifier import Identifier, keyed_hash
from lanecontrol.service.logging import Redaction, configure_logging, trace_of

CARD = "e280116060000209f0000001"
KEY = b"a key of the site, not a secret"


def logged(style: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level=level, style=style, stream=stream, hash_key=KEY)
    return stream


def test_a_record_is_one_line_of_json_with_level_and_time() -> None:
    stream = logged()
    structlog.get_logger().bind(lane="07").info("lane opened", by="Ann")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["lane"], line["by"]) == ("lane opened", "info", "07", "Ann")
    assert line["timestamp"].endswith("Z")
    assert list(line)[:3] == ["timestamp", "level", "event"]


def test_records_of_the_standard_library_come_out_the_same_way() -> None:
    stream = logged()
    logging.getLogger("asyncio").error("task failed: %s", Identifier(CARD), extra={"card": Identifier(CARD)})
    line = json.loads(stream.getvalue())
    assert line["level"] == "error"
    assert CARD not in stream.getvalue()
    assert line["card"] == f"#{keyed_hash(KEY, bytes.fromhex(CARD))}"


def test_below_the_level_nothing_is_written() -> None:
    stream = logged(level="warning")
    structlog.get_logger().info("lane opened")
    assert stream.getvalue() == ""


@dataclass(frozen=True)
class Holder:
    card: Identifier
    plates: tuple[Identifier, ...]


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_card_number_reaches_a_line_however_it_is_wrapped(style: str) -> None:
    stream, card = logged(style), Identifier(CARD)
    log = structlog.get_logger()
    log.info("plain", card=card)
    log.info("nested", cards=[(card, {"deep": {card}})], holder=Holder(card, (card,)))
    log.info("as a key", reads={card: 3})
    log.info("event", read=TagRead(1, card))
    log.info("bytes", raw=CARD.encode())
    log.info(f"in the text: {card} {card!r} {card:>40}")
    try:
        raise ValueError(card)
    except ValueError:
        log.exception("an error", error=ValueError(card))
    assert stream.getvalue()
    assert CARD not in stream.getvalue()


def test_the_same_number_has_the_same_hash_so_that_lines_can_be_joined() -> None:
    redaction = Redaction(KEY)
    assert redaction.safe(Identifier(CARD)) == redaction.safe([Identifier(CARD)])[0]
    assert redaction.safe(Identifier(CARD)) != Redaction(b"another key").safe(Identifier(CARD))


class Colour(Enum):
    RED = "red"


@dataclass
class Other:
    colour: Colour


def test_what_is_no_identifier_stays_readable() -> None:
    same = {"n": 1, "x": 0.5, "on": True, "none": None, "text": "abc"}
    given = {**same, "colour": Colour.RED, "other": Other(Colour.RED)}
    told = {**same, "colour": "red", "other": {"type": "Other", "colour": "red"}}
    assert Redaction(KEY).safe(given) == told


def test_a_structure_without_an_end_is_cut() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "..." in str(Redaction(KEY).safe(endless))


wrapped = st.recursive(
    st.just(Identifier(CARD)) | st.just(CARD.encode()) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.just(Identifier(CARD)) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(wrapped)
def test_whatever_holds_a_card_number_it_never_comes_out(value: object) -> None:
    assert CARD not in json.dumps(Redaction(KEY).safe(value))


class Gone(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_log_that_nobody_reads_does_not_stop_or_disturb_anything(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", style="json", stream=Gone(), hash_key=KEY)
    structlog.get_logger().info("lane opened")
    assert capsys.readouterr().err == ""


def test_colours_only_on_a_terminal() -> None:
    stream = logged("console")
    structlog.get_logger().warning("lane closed")
    assert "\x1b" not in stream.getvalue()
    assert "lane closed" in stream.getvalue()


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_trace_shows_code_and_types_but_not_what_an_error_choked_on() -> None:
    stream = logged()
    log = structlog.get_logger()
    try:
        try:
            int(CARD)
        except ValueError as error:
            raise KeyError(CARD) from error
    except KeyError:
        log.exception("a defect")
    try:
        raise ExceptionGroup(CARD, [ValueError(CARD), LinkLost("read", "the peer closed")])
    except ExceptionGroup as group:
        logging.getLogger("asyncio").error("task failed", exc_info=group)
    assert CARD not in stream.getvalue()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert "int(CARD)" in first["exception"]
    assert first["exception"].endswith("KeyError")
    assert "ValueError" in first["exception"]
    assert "LinkLost: read: the peer closed" in second["exception"]


def test_an_error_given_as_a_value_shows_its_type_and_ours_its_text() -> None:
    redaction = Redaction(KEY)
    assert redaction.safe({"error": ValueError(CARD)}) == {"error": "ValueError"}
    assert redaction.safe(LinkLost("connect", "refused")) == "LinkLost: connect: refused"
    assert redaction.safe(FileNotFoundError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"


def test_a_cause_that_was_set_aside_is_not_told_and_one_that_was_not_is() -> None:
    def raised(*, aside: bool) -> str:
        try:
            try:
                raise LinkLost("read", "first")
            except LinkLost:
                if aside:
                    raise LinkLost("write", "second") from None
                raise LinkLost("write", "second")  # noqa: B904
        except LinkLost as error:
            return trace_of(error)

    assert "first" in raised(aside=False)
    assert "first" not in raised(aside=True)


@pytest.mark.parametrize("where", ["raise ValueError(card)", "threading.Thread(target=int, args=(card,)).start()"])
def test_what_nobody_catches_is_logged_without_the_values(where: str) -> None:
    program = (
        "import sys, threading\n"
        "from lanecontrol.service.logging import configure_logging, log_uncaught\n"
        "configure_logging(level='info', style='json', stream=sys.stdout, hash_key=b'key')\n"
        f"log_uncaught()\ncard = '{CARD}'\n{where}\n"
    )
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(done.stdout)["level"] == "critical"
    assert "ValueError" in done.stdout
    assert CARD not in done.stdout + done.stderr
