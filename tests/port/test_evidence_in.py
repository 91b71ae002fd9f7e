"""Pictures at the port's side: chunks in any order make the picture, and nothing odd is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evidence_bench import chunks, digest, picture
from hypothesis import given
from hypothesis import strategies as st

from lanecontrol.port.evidence_chunks import parse_chunk
from lanecontrol.port.evidence_in import UNFINISHED_LIMIT, PictureDesk, Took


@given(st.data())
def test_chunks_in_any_order_repeated_and_cut_in_other_ways_make_the_picture(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    one = picture(1, data.draw(st.integers(1, 5000)))
    sent = [
        payload for size in data.draw(st.lists(st.integers(100, 2000), max_size=2)) for payload in chunks(one, size)
    ]
    sent = data.draw(st.permutations([*sent, *chunks(one)]))
    folder = tmp_path_factory.mktemp("port")
    took = [PictureDesk(folder).take(payload).took for payload in sent]  # a consumer that starts anew for each
    assert took.count(Took.WHOLE) == 1
    assert set(took[took.index(Took.WHOLE) + 1 :]) <= {Took.REPEATED}
    assert (folder / digest(one)).read_bytes() == one


def test_a_picture_that_is_not_what_its_hash_says_is_thrown_away_and_may_come_anew(tmp_path: Path) -> None:
    desk, one = PictureDesk(tmp_path), picture(1, 2000)
    body = json.loads(chunks(one)[0])
    wrong = json.dumps({**body, "data": "A" * len(body["data"])}).encode()
    assert [desk.take(wrong).took, desk.take(chunks(one)[1]).took] == [Took.WAITING, Took.WRONG]
    assert [desk.take(payload).took for payload in chunks(one)] == [Took.WAITING, Took.WHOLE]


def test_incomplete_pictures_do_not_pile_up(tmp_path: Path) -> None:
    desk = PictureDesk(tmp_path)
    for n in range(UNFINISHED_LIMIT + 20):
        desk.take(chunks(picture(n, 2000))[0])
    assert len(list((tmp_path / "unfinished").iterdir())) <= UNFINISHED_LIMIT


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_a_chunk_raise(raw: bytes) -> None:
    assert parse_chunk(raw) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "sha256:../../etc/passwd"},
        {"reference": f"sha256:{'F' * 64}"},
        {"offset": -1},
        {"offset": 1001},
        {"offset": 10**12},
        {"size_bytes": 10**12},
        {"size_bytes": 0},
        {"index": 2},
        {"count": 0},
        {"data": ""},
        {"data": "!!!!"},
        {"media_type": "x" * 1000},
    ],
)
def test_a_chunk_that_cannot_be_true_is_not_taken(tmp_path: Path, changes: dict[str, object]) -> None:
    body = {**json.loads(chunks(picture(1, 2000))[0]), **changes}
    assert PictureDesk(tmp_path).take(json.dumps(body).encode()).took is Took.NOT_OURS
    assert list(tmp_path.iterdir()) == []
