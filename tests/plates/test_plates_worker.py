"""The worker process: asked with a deadline, killed and warm again; and a box without the extra says why not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanecontrol.identifier import Identifier
from lanecontrol.plates import PlatesUnavailable, messages, weights, worker
from lanecontrol.plates.answers import Options, Reading, Rejected
from lanecontrol.plates.messages import Failed, Ready, Request
from lanecontrol.plates.process import Process, ReadFailed

Render = Callable[[str], bytes]

STAND_IN = """
import json, os, sys, time
def say(value): os.write(1, json.dumps(value).encode() + b"\\n")
say({"ready": "stand-in/1"})
while line := sys.stdin.buffer.readline():
    told = json.loads(line)
    deed = b"".join(sys.stdin.buffer.read(size) for size in told["sizes"])
    if deed == b"sleep": time.sleep(600)
    if deed == b"die": os._exit(9)
    if deed == b"babble": os.write(1, b"not json\\n"); continue
    if deed == b"flood":
        while True: os.write(1, b"x" * 65536)
    if deed == b"refuse": say({"failed": "picture", "why": "the picture is damaged"}); continue
    say({"failed": "picture", "why": f"{len(deed)} bytes"})
"""


@pytest.fixture
def process() -> Any:
    made = Process(program=(sys.executable, "-c", STAND_IN))
    yield made
    made.close()


def _why(process: Process, deed: bytes, deadline_s: float = 20.0) -> str:
    with pytest.raises(ReadFailed) as failed:
        process.ask(Request((deed,)), deadline_s)
    return str(failed.value)


# --- the process ------------------------------------------------------------------------------------------------------


def test_a_warm_worker_serves_one_question_after_the_other(process: Process) -> None:
    assert process.warm() == "stand-in/1"
    assert [_why(process, b"x" * n) for n in (1, 1_000_000, 3)] == ["1 bytes", "1000000 bytes", "3 bytes"]
    assert process.starts == 1


def test_a_worker_that_is_late_is_killed_and_the_next_question_finds_another_one_warm(process: Process) -> None:
    assert "not read within 0.1 s" in _why(process, b"sleep", 0.1)
    assert _why(process, b"next") == "4 bytes"
    assert process.starts == 2


@pytest.mark.parametrize(("deed", "why"), [(b"die", "has died"), (b"babble", "has died"), (b"flood", "has died")])
def test_a_worker_that_dies_or_talks_nonsense_is_replaced(process: Process, deed: bytes, why: str) -> None:
    assert why in _why(process, deed)
    assert _why(process, b"next") == "4 bytes"


def test_a_refused_picture_does_not_end_the_worker(process: Process) -> None:
    assert _why(process, b"refuse") == "the picture is damaged"
    assert process.starts == 1
    _why(process, b"next")
    assert process.starts == 1


def test_a_closed_process_starts_nothing_more(process: Process) -> None:
    process.warm()
    process.close()
    assert _why(process, b"x") == "the reader is closed"


# --- the messages -----------------------------------------------------------------------------------------------------


def test_what_goes_over_the_pipe_comes_back_the_same(tmp_path: Path) -> None:
    wanted = Request((b"one", b""), Options(0.5, {"A": "B"}, {"US-TX": 3.0}, (1, 2, 3, 4)))
    file = tmp_path / "pipe"
    file.write_bytes(messages.request(wanted))
    with file.open("rb") as stream:
        assert messages.next_request(stream) == wanted
        assert messages.next_request(stream) is None
    rejected = (Rejected(Identifier("STOP"), "a word", (1, 2, 3, 4)),)
    reading = Reading(Identifier("ABC1234"), 0.9, True, (1, 2, 3, 4), rejected=rejected, features=(("share", 0.5),))
    assert messages.reply(messages.answered(reading)) == reading
    assert messages.reply(messages.ready("e")) == Ready("e")
    assert messages.reply(messages.failed("picture", "why")) == Failed("picture", "why")
    with pytest.raises(ValueError, match="not a reply"):
        messages.reply(b"[]")


# --- what is missing --------------------------------------------------------------------------------------------------

BLOCKER = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cv2", "numpy", "onnxruntime"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
"""


def _without_the_extra(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + code], capture_output=True, text=True, check=False, timeout=60
    )


def test_without_the_extra_the_command_says_which_one_installs_it(tmp_path: Path) -> None:
    code = f"from lanecontrol.cli import main; sys.exit(main(['plates', {str(tmp_path)!r}]))"
    done = _without_the_extra(code)
    assert done.returncode == 1
    assert "pip install --require-hashes -r requirements/plates.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_driver_can_be_loaded_and_configured() -> None:
    code = "import drivers.lpr_frames as d; d.FrameConfig(id='cam', url='tcp://192.0.2.1:80'); print('good')"
    done = _without_the_extra(code)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


def test_missing_weights_are_told_with_the_command_that_installs_them() -> None:
    with pytest.raises(PlatesUnavailable, match="pip install --no-deps"):
        weights.packaged(weights.Packaged("no-such-package", "x.onnx", "0" * 64))


def test_other_weights_than_the_expected_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"something else")
    with pytest.raises(PlatesUnavailable, match="not the expected ones"):
        weights.verified(weights.Weights(file, "0" * 64))
    with pytest.raises(PlatesUnavailable, match="cannot be read"):
        weights.verified(weights.Weights(tmp_path / "absent.onnx", "0" * 64))


# --- with the real weights --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
async def test_a_plate_is_read_by_a_worker_that_is_killed_in_between_and_warm_again(plate_picture: Render) -> None:
    from lanecontrol.plates.reader import PlateReader

    picture = plate_picture("ABC1234")
    with PlateReader(deadline_s=60.0) as reader:
        engine = await reader.warm()
        reading = await reader.read([picture] * 3)
        assert reading.plate == Identifier("ABC1234")
        assert reading.engine == engine
        assert reading.box is not None
        x, y, width, height = reading.box
        assert 200 < x < 260 and 290 < y < 350 and 130 < width < 240 and 24 < height < 110
        reader._deadline_s = 0.001
        with pytest.raises(ReadFailed, match="killed"):
            await reader.read([picture])
        reader._deadline_s = 60.0
        assert (await reader.read([picture])).plate == Identifier("ABC1234")
        assert reader.starts == 2
        with pytest.raises(ReadFailed, match="not a JPEG"):
            await reader.read([b"nonsense"])
        assert reader.starts == 2


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
async def test_questions_beyond_the_limit_are_refused_at_once(plate_picture: Render) -> None:
    from lanecontrol.plates.reader import WAITING, PlateReader

    picture = plate_picture("ABC1234")
    with PlateReader(deadline_s=60.0) as reader:
        tasks = [asyncio.create_task(reader.read([picture])) for _ in range(WAITING + 3)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, Reading) for each in done) == WAITING + 1
    assert sum(isinstance(each, ReadFailed) for each in done) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
def test_known_fixes_the_window_and_the_threshold_are_kept_to(plate_picture: Render) -> None:
    from lanecontrol.plates import engine, pictures

    loaded = engine.load()
    picture, _ = pictures.decoded(plate_picture("ABC1234"))
    fixed = loaded.read([picture], Options(fixes={"ABC1234": "ABC1Z34"}))
    assert (fixed.plate, fixed.raw) == (Identifier("ABC1Z34"), Identifier("ABC1234"))
    seen = loaded.read([picture], Options(window=(200, 280, 300, 160)))
    assert seen.plate == Identifier("ABC1234") and seen.box is not None and seen.box[0] > 200
    assert loaded.read([picture], Options(window=(0, 0, 200, 200))).plate == ""
    strict = loaded.read([picture], Options(min_confidence=1.0))
    assert not strict.accepted and "below" in strict.why


# --- under load and in a sandbox --------------------------------------------------------------------------------------


def test_a_question_carries_a_budget_that_ends_before_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def exchange(self: Process, data: bytes, within_s: float) -> Reading:
        sent.append(data)
        return Reading()

    process = Process()
    monkeypatch.setattr(Process, "warm", lambda self: "")
    monkeypatch.setattr(Process, "_exchange", exchange)
    process.ask(Request((b"x",)), 5.0)
    process.ask(Request((b"x",), Options(budget_s=1.0)), 5.0)
    budgets = [json.loads(data.split(b"\n")[0])["options"]["budget_s"] for data in sent]
    assert 0 < budgets[0] < 5.0
    assert budgets[1] == 1.0


def test_where_a_sandbox_forbids_to_step_back_plates_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="not on this system")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr("os.nice", forbidden)
    monkeypatch.setattr(Path, "write_text", forbidden)
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    worker._behave(500)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells and ends by score")
def test_where_memory_runs_out_the_worker_goes_before_the_lane() -> None:
    code = "from lanecontrol.plates import worker; worker._behave(500); print(open('/proc/self/oom_score_adj').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    assert int(done.stdout) > own


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
def test_when_time_is_up_the_pictures_seen_so_far_are_the_answer(plate_picture: Render) -> None:
    from lanecontrol.plates import engine, pictures

    picture, _ = pictures.decoded(plate_picture("ABC1234"))
    blank = picture.copy()
    blank[:] = 90
    looked: list[int] = []
    loaded = engine.load()
    plain = type(loaded.eyes).look

    def counted(self: Any, *arguments: Any) -> Any:
        looked.append(1)
        return plain(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(loaded.eyes), "look", counted)
        hurried = loaded.read([picture] * 5, Options(budget_s=1e-6))
        assert (hurried.plate, len(looked)) == (Identifier("ABC1234"), 1)
        loaded.read([blank, picture, picture], Options(budget_s=1e-6))
        assert len(looked) == 1 + 2, "a picture that shows nothing is no answer: the next one is looked at"
