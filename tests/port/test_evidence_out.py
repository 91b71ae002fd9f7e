"""Pictures over the broker: whole in the end whatever is lost on the way, never before an event, none forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from evidence_bench import LANE, POLICY, Kept, Lane, Line, digest, picture
from jsonschema import Draft202012Validator

from lanecontrol.announcements import EvidenceStored
from lanecontrol.clock import Instant
from lanecontrol.errors import LinkLost
from lanecontrol.evidence.files import EvidenceLimits
from lanecontrol.evidence.store import EvidenceStore
from lanecontrol.evidence.unsent import FOLDER, UnsentNotes, media_type
from lanecontrol.port.evidence_chunks import CHUNK_LIMIT, chunk_payload
from lanecontrol.port.evidence_in import PictureDesk, Took
from lanecontrol.port.evidence_out import AGAIN_S, LEAST_CHUNK_BYTES, TRIES, ChunkSender, Dispatch, Pace
from lanecontrol.port.evidence_policy import SendPolicy
from lanecontrol.port.schemas import document_schemas
from lanecontrol.port.topics import LaneAddress

# --- all goes well ---------------------------------------------------------------------------------------------------


async def test_a_picture_goes_in_chunks_below_its_hash_and_is_whole_at_the_other_end(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1))), Line(PictureDesk(tmp_path))
    async with lane.connected(line):
        await asyncio.sleep(5)
    assert {message.topic for message in line.sent} == {f"sim/poe/laredo/lane/07/evidence/{digest(picture(1))}"}
    assert line.indexes == [0, 1, 2, 3, 4]
    assert all(not message.retain and message.qos == 1 for message in line.sent)
    assert (tmp_path / digest(picture(1))).read_bytes() == picture(1)
    assert line.took[-1].took is Took.WHOLE
    assert lane.kept.settled == [digest(picture(1))]
    assert lane.troubles == [""], "what a run before may have told is over"


async def test_pictures_go_one_after_the_other_and_later_ones_when_they_come(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1), picture(2))), Line(PictureDesk(tmp_path))
    async with lane.connected(line):
        await asyncio.sleep(5)
        lane.kept.add(picture(3))
        await asyncio.sleep(5)
    assert lane.kept.settled == [digest(picture(n)) for n in (1, 2, 3)]
    assert line.indexes == [0, 1, 2, 3, 4] * 3


async def test_every_chunk_is_what_its_schema_says(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1))), Line(PictureDesk(tmp_path))
    async with lane.connected(line):
        await asyncio.sleep(5)
    validator = Draft202012Validator(document_schemas()["evidence"])
    for message in line.sent:
        body = json.loads(message.payload)
        assert validator.is_valid(body)
        assert body["reference"] == f"sha256:{digest(picture(1))}"
        assert (body["source"], body["size_bytes"], body["count"]) == (LANE.root, 10_000, 5)
        assert not validator.is_valid({**body, "index": "1"})


async def test_no_chunk_goes_while_an_event_waits(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1))), Line(PictureDesk(tmp_path))
    async with lane.connected(line):
        await asyncio.sleep(0.025)
        lane.events_wait.clear()
        await asyncio.sleep(60)
        under_way = len(line.sent)
        assert under_way < 5
        lane.events_wait.set()
        await asyncio.sleep(5)
    assert len(line.sent) == 5


async def test_pictures_keep_to_their_share_of_the_line(tmp_path: Path) -> None:
    lane = Lane(Kept(picture(1, 100_000)), SendPolicy(chunk_bytes=2048, bytes_per_s=10_000))
    line = Line(PictureDesk(tmp_path))
    began_s = asyncio.get_running_loop().time()
    async with lane.connected(line):
        await asyncio.sleep(5)
        size = sum(len(message.payload) for message in line.sent[:-1])
        assert 30_000 < size <= 10_000 * (asyncio.get_running_loop().time() - began_s)
        await asyncio.sleep(30)
    assert lane.kept.settled


async def test_a_chunk_fits_into_what_the_broker_takes(tmp_path: Path) -> None:
    lane = Lane(Kept(picture(1, 100_000)), SendPolicy(chunk_bytes=CHUNK_LIMIT, bytes_per_s=0))
    line = Line(PictureDesk(tmp_path), maximum_packet_bytes=20_000)
    async with lane.connected(line):
        await asyncio.sleep(5)
    assert lane.kept.settled
    assert 15_000 < max(len(message.payload) for message in line.sent) < 20_000 - len(line.sent[0].topic) - 100


async def test_the_longest_names_and_the_largest_picture_fit_into_the_envelope() -> None:
    """What a message has besides its data must fit into what is taken off the broker's limit for it."""
    address = LaneAddress("p" * 64, "l" * 64, simulated=True)
    payload = chunk_payload(
        bytes(16 << 20), 0, digest="f" * 64, source=address.root, media_type="a/" + "b" * 64, chunk_bytes=1024
    )
    message_bytes = len(payload) + len(address.evidence("f" * 64)) + 64
    assert message_bytes - 1024 * 4 / 3 < 1024


# --- what goes wrong on the way --------------------------------------------------------------------------------------


@pytest.mark.parametrize("delivered", [False, True], ids=["lost", "arrived"])
@pytest.mark.parametrize("after", range(5))
async def test_a_connection_lost_in_the_middle_goes_on_at_the_first_chunk_without_an_answer(
    tmp_path: Path, after: int, delivered: bool
) -> None:
    desk = PictureDesk(tmp_path)
    lane = Lane(Kept(picture(1)))
    await lane.until_lost(Line(desk, lose_after=after, delivered_though_lost=delivered))
    second = Line(desk)
    async with lane.connected(second):
        await asyncio.sleep(5)
    assert second.indexes == list(range(after, 5))
    assert (tmp_path / digest(picture(1))).read_bytes() == picture(1)
    assert len(lane.kept.settled) == 1


@pytest.mark.parametrize("after", range(6))
async def test_a_lane_killed_in_the_middle_sends_the_picture_again_and_that_does_no_harm(
    tmp_path: Path, after: int
) -> None:
    desk, kept = PictureDesk(tmp_path), Kept(picture(1))
    with suppress(LinkLost, TimeoutError):
        async with asyncio.timeout(1):
            await Lane(kept).sender.send(Line(desk, lose_after=after))
    kept.notes[digest(picture(1))] = "image/jpeg"  # it was killed before it could strike it off
    again = Lane(kept, SendPolicy(chunk_bytes=3000, bytes_per_s=0))
    line = Line(desk)
    async with again.connected(line):
        await asyncio.sleep(5)
    assert line.indexes == [0, 1, 2, 3]
    assert (tmp_path / digest(picture(1))).read_bytes() == picture(1)
    assert again.kept.settled[-1] == digest(picture(1))


async def test_a_link_that_never_lasts_for_a_chunk_gets_smaller_ones_and_none_is_given_up(tmp_path: Path) -> None:
    desk, lane = PictureDesk(tmp_path), Lane(Kept(picture(1)), SendPolicy(chunk_bytes=8192, bytes_per_s=0))
    sizes = []
    for _ in range(8):
        line = Line(desk, lose_after=0)
        await lane.until_lost(line)
        sizes.append(lane.sender._largest)
    assert sizes == [8192, 4096, 4096, 2048, 2048, 1024, 1024, LEAST_CHUNK_BYTES]
    async with lane.connected(Line(desk)):
        await asyncio.sleep(AGAIN_S + 5)
    assert (tmp_path / digest(picture(1))).exists()
    assert lane.given_up == []


async def test_after_a_chunk_that_cost_a_connection_the_next_one_is_left_alone_for_a_while(tmp_path: Path) -> None:
    lane = Lane(Kept(picture(1)))
    waited_s = []
    for _ in range(8):
        began_s = asyncio.get_running_loop().time()
        await lane.until_lost(Line(PictureDesk(tmp_path), lose_after=0))
        waited_s.append(round(asyncio.get_running_loop().time() - began_s))
    assert waited_s == [0, 2, 4, 8, 16, 32, 60, 60]


# --- refused ---------------------------------------------------------------------------------------------------------


async def test_a_picture_refused_for_good_is_told_once_and_the_others_go(tmp_path: Path) -> None:
    bad = digest(picture(1))
    lane = Lane(Kept(picture(1), picture(2)))
    line = Line(PictureDesk(tmp_path), lambda message: 0x95 if bad in message.topic else 0)
    async with lane.connected(line):
        await asyncio.sleep(5)
        assert lane.given_up == [(f"sha256:{bad}", "packet too large (0x95)")]
        await asyncio.sleep(3600)
    assert len(lane.given_up) == 1
    assert lane.kept.settled == [bad, digest(picture(2))]


async def test_a_picture_refused_again_and_again_is_given_up_after_some_tries(tmp_path: Path) -> None:
    bad = digest(picture(1))
    lane = Lane(Kept(picture(1), picture(2)))
    line = Line(PictureDesk(tmp_path), lambda message: 0x83 if bad in message.topic else 0)
    async with lane.connected(line):
        await asyncio.sleep(5)
        assert lane.kept.settled == [digest(picture(2))], "the others do not wait for it"
        await asyncio.sleep(TRIES * (AGAIN_S + 1))
    assert lane.given_up == [(f"sha256:{bad}", "implementation specific error (0x83)")]
    assert sum(bad in message.topic for message in line.sent) == TRIES


async def test_where_nothing_may_be_published_nothing_is_given_up_and_it_is_told_once(tmp_path: Path) -> None:
    allowed = False
    lane = Lane(Kept(*(picture(n) for n in range(5))))
    line = Line(PictureDesk(tmp_path), lambda message: 0 if allowed else 0x87)
    async with lane.connected(line):
        await asyncio.sleep(3600)
        assert lane.troubles == ["not authorised (0x87)"]
        assert len(line.sent) < 3600 / 5 + 10, "it is not hammered"
        allowed = True
        await asyncio.sleep(2 * AGAIN_S)
    assert lane.troubles == ["not authorised (0x87)", ""]
    assert lane.given_up == []
    assert len(lane.kept.settled) == 5


async def test_a_picture_that_alone_is_not_allowed_is_given_up_in_the_end(tmp_path: Path) -> None:
    bad = digest(picture(1))
    lane = Lane(Kept(picture(1), picture(2)))
    line = Line(PictureDesk(tmp_path), lambda message: 0x87 if bad in message.topic else 0)
    async with lane.connected(line):
        for n in range(3, 12):
            await asyncio.sleep(AGAIN_S)
            lane.kept.add(picture(n))
    assert lane.given_up == [(f"sha256:{bad}", "not authorised (0x87)")]


@pytest.mark.parametrize("hold", [False, True])
async def test_what_nobody_subscribed_to_counts_as_sent_or_is_held_as_the_lane_file_says(
    tmp_path: Path, hold: bool
) -> None:
    heard = asyncio.Event()
    lane = Lane(Kept(picture(1)), SendPolicy(2048, 0, hold_without_subscribers=hold))
    line = Line(PictureDesk(tmp_path), lambda message: 0 if heard.is_set() else 0x10)
    async with lane.connected(line):
        await asyncio.sleep(300)
        assert len(lane.kept.settled) == (0 if hold else 1)
        heard.set()
        await asyncio.sleep(2 * AGAIN_S)
    assert len(lane.kept.settled) == 1


# --- what is not on disk as it should be -----------------------------------------------------------------------------


async def test_a_picture_that_the_quota_took_is_told_once(tmp_path: Path) -> None:
    lane = Lane(Kept(picture(1), picture(2)))
    del lane.kept.pictures[digest(picture(1))]
    async with lane.connected(Line(PictureDesk(tmp_path))):
        await asyncio.sleep(600)
    assert lane.given_up == [
        (f"sha256:{digest(picture(1))}", "it is not on this disk any more, or its key is not here")
    ]
    assert lane.kept.settled == [digest(picture(1)), digest(picture(2))]


async def test_a_picture_whose_file_is_damaged_never_goes_to_the_port(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1))), Line(PictureDesk(tmp_path))
    lane.kept.pictures[digest(picture(1))] = b"something else"
    async with lane.connected(line):
        await asyncio.sleep(5)
    assert line.sent == []
    assert lane.given_up == [(f"sha256:{digest(picture(1))}", "its file is damaged")]


async def test_a_disk_that_fails_only_makes_pictures_wait(tmp_path: Path) -> None:
    lane, line = Lane(Kept(picture(1))), Line(PictureDesk(tmp_path))
    lane.kept.failing = 3
    async with lane.connected(line):
        await asyncio.sleep(60)
    assert lane.kept.settled == [digest(picture(1))]


# --- with the real store ---------------------------------------------------------------------------------------------


class _Noon:
    def now(self) -> Instant:
        return Instant(0.0, 1_767_974_400.0)


@asynccontextmanager
async def stored(folder: Path, told: list[EvidenceStored]) -> AsyncIterator[EvidenceStore]:
    limits = EvidenceLimits(spare_bytes=0)
    store = EvidenceStore(
        folder, limits, clock=_Noon(), stored=told.append, trouble=lambda why: None, to_port=True, inline=True
    )
    try:
        yield store
    finally:
        await store.close()


async def test_what_is_to_be_sent_outlives_the_process_and_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    told: list[EvidenceStored] = []
    async with stored(tmp_path / "lane", told) as store:
        for n in (1, 2):
            await store.keep("lpr1", picture(n), "image/jpeg")
        await store.settled()
    desk = PictureDesk(tmp_path / "port")
    async with stored(tmp_path / "lane", told) as store:
        dispatch = Dispatch(store, _at_once, lambda *_: None, lambda why: None)
        line = Line(desk, lose_after=7)
        with pytest.raises(LinkLost):
            await ChunkSender(dispatch, LANE, POLICY).send(line)
    assert len(list((tmp_path / "lane" / FOLDER).iterdir())) == 1
    async with stored(tmp_path / "lane", told) as store:
        dispatch = Dispatch(store, _at_once, lambda *_: None, lambda why: None)
        line = Line(desk)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await ChunkSender(dispatch, LANE, POLICY).send(line)
    assert line.indexes == [0, 1, 2, 3, 4]
    assert [(tmp_path / "port" / digest(picture(n))).read_bytes() for n in (1, 2)] == [picture(1), picture(2)]
    assert list((tmp_path / "lane" / FOLDER).iterdir()) == []
    assert {one.media_type for one in told} == {"image/jpeg"}


async def _at_once() -> None:
    await asyncio.sleep(0)


def test_notes_are_whole_for_their_owner_alone_and_the_oldest_comes_first(tmp_path: Path) -> None:
    notes = UnsentNotes(tmp_path)
    assert notes.oldest() == []
    for n in (3, 1, 2):
        notes.add(f"{n:064x}", "image/png", 1000.0 + n)
    notes.add(f"{1:064x}", "image/jpeg", 5000.0)
    assert [int(one.digest, 16) for one in notes.oldest()] == [1, 2, 3]
    assert [int(one.digest, 16) for one in notes.oldest({f"{1:064x}"})] == [2, 3]
    assert notes.oldest()[0].media_type == "image/png"
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    (tmp_path / FOLDER / f"{2:064x}").write_bytes(b"")
    found = {one.digest: one.media_type for one in notes.oldest()}
    assert found[f"{2:064x}"] == "application/octet-stream", "a power cut took what stood in it"
    notes.remove(f"{1:064x}")
    notes.remove(f"{1:064x}")
    assert len(notes.oldest()) == 2


@pytest.mark.parametrize(("given_type", "told"), [("image/jpeg", True), ("x", False), ("a/b\r\nX: y", False)])
def test_a_media_type_that_could_do_harm_is_not_told_on(given_type: str, told: bool) -> None:
    assert (media_type(given_type) == given_type) is told


async def test_a_pace_without_a_limit_waits_for_nothing() -> None:
    began_s = asyncio.get_running_loop().time()
    for _ in range(100):
        await Pace(0).turn(1 << 20)
    assert asyncio.get_running_loop().time() == began_s
