"""`./lane bench plates FOLDER CSV`: how well and how fast plates are read on pictures with a known truth.

The CSV has the columns `file` and `plate` (others are ignored). Prints the exact rate, characters, precision and how
many reads reach the default threshold, time per picture, memory and load; says which subset it was. Pictures, one
thread, decoding excluded, three to warm up. `--cross-validate` fits the confidence on four fifths and judges it on the
last, five times; `--calibrate` writes the coefficients fitted on everything given. `--frames N` reads N consecutive
rows of the same plate together, as frames of one passage. `--perturb` reads the pictures re-encoded, padded or scaled.
`--yardstick` times, in between, the detector as it is packaged at 736 by 416: on a machine with other work to do only
the ratio to it means something.

Scoring: upper case, only A-Z and 0-9, O counted as 0 on both sides; no answer is wrong; a plate that is not accepted
still counts for the exact rate, and does not count for precision.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanecontrol.plates import require
from lanecontrol.plates.answers import Box, Options, Reading

if TYPE_CHECKING:
    from lanecontrol.plates.engine import Engine

WARM_UP = 3
PERTURBED = ("png", "jpeg60", "webp", "padded", "scaled80", "scaled125", "all")
EDITS = 2
"""Up to so many characters from the truth, the line that was read is the plate, though not read right."""


@dataclass(frozen=True)
class Row:
    """One picture: its file, the truth, and where the plate is if the CSV tells."""

    file: str
    plate: str
    box: Box | None


@dataclass(frozen=True)
class Result:
    """One picture, or one passage of several."""

    truth: str
    answer: str
    confidence: float
    accepted: bool
    features: dict[str, float]
    ms: float
    cpu_ms: float
    """Of this process alone: what the time would be if nobody else wanted the processor, or nearly."""

    yardstick_ms: float = 0.0

    @property
    def right(self) -> bool:
        return self.answer == self.truth

    @property
    def plate(self) -> bool:
        """Whether what was read is at least the plate."""
        return bool(self.truth and self.answer) and edits(self.answer, self.truth) <= EDITS


def main() -> int:
    options = _arguments()
    require()
    if options.fit_only:
        _fit([], options)
        return 0
    rows = _rows(options.csv)
    results, engine = _measured(options.folder, rows, options)
    _tell(results, options, engine)
    if options.cross_validate or options.calibrate:
        _fit(results, options)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./lane bench plates", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("csv", type=Path, nargs="?", default=Path("frames.csv"))
    parser.add_argument("--subset", default="", help="name of the subset, for the heading (default: the folder's)")
    parser.add_argument("--frames", type=int, default=1, metavar="N", help="read N rows of the same plate together")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="only every Nth row")
    parser.add_argument("--window", type=int, nargs=4, metavar=("X", "Y", "W", "H"), help="look only there")
    parser.add_argument(
        "--lane-window", type=int, nargs=2, metavar=("W", "H"), help="cut out a part with the plate at a random place"
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="read N times, and tell the fastest")
    parser.add_argument("--perturb", choices=PERTURBED, default="", help="read the pictures changed in this way")
    parser.add_argument("--yardstick", action="store_true", help="time a plain pass of the detector in between")
    parser.add_argument("--wrong", action="store_true", help="list what was read wrong")
    parser.add_argument("--cross-validate", action="store_true", help="judge the confidence by fivefold splitting")
    parser.add_argument("--calibrate", type=Path, metavar="FILE", help="write coefficients of the confidence")
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="results of other runs, to fit on as well")
    parser.add_argument("--fit-only", action="store_true", help="fit on the --results of other runs, and read nothing")
    parser.add_argument("--save", type=Path, help="write what a fit needs as CSV, without any plate")
    return parser.parse_args()


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [Row(row["file"], normalised(row["plate"]), _box(row)) for row in csv.DictReader(lines)]


def _box(row: Mapping[str, str]) -> Box | None:
    sides = [row.get(side) for side in "xywh"]
    x, y, w, h = (int(float(side)) if side else 0 for side in sides)
    return (x, y, w, h) if w and h else None


def normalised(text: str) -> str:
    """As plates are compared: upper case, A-Z and 0-9 only, O as 0."""
    return "".join(c for c in text.upper() if c.isascii() and c.isalnum()).replace("O", "0")


def _measured(folder: Path, rows: Sequence[Row], options: argparse.Namespace) -> tuple[list[Result], str]:
    from rich.console import Console
    from rich.progress import track

    from lanecontrol.plates import engine, pictures

    loaded = engine.load()
    window = tuple(options.window) if options.window else None
    passages = _passages(rows, options.frames)[:: options.step]
    wanted = Options(window=window)
    if options.cross_validate or options.calibrate:
        wanted = replace(wanted, plausible=0.0, least=0.0)

    def frames(taken: Sequence[Row], place: int) -> list[Any]:
        contents = [_changed((folder / row.file).read_bytes(), options.perturb, place) for row in taken]
        found = [pictures.decoded(content)[0] for content in contents]
        return [_cut(picture, row.box, options.lane_window, place) for picture, row in zip(found, taken, strict=True)]

    for taken, _ in passages[:WARM_UP]:
        loaded.read(frames(taken, 0), wanted)
    results = []
    yardstick = _yardstick() if options.yardstick else None
    shown = track(passages, description="reading", console=Console(stderr=True), disable=not sys.stderr.isatty())
    for place, (taken, truth) in enumerate(shown):
        shots = frames(taken, place)
        yardstick_ms = min(_timed(yardstick) for _ in range(options.repeat)) if yardstick else 0.0
        times = [_read(loaded, shots, wanted) for _ in range(options.repeat)]
        reading = times[0][0]
        results.append(
            Result(
                truth,
                normalised(reading.plate.clear),
                reading.confidence,
                reading.accepted,
                dict(reading.features),
                min(reading.ms for reading, _ in times) / len(taken),
                min(cpu_ms for _, cpu_ms in times) / len(taken),
                yardstick_ms,
            )
        )
    return results, loaded.version


def _read(loaded: Engine, shots: Sequence[Any], wanted: Options) -> tuple[Reading, float]:
    began_s = time.process_time()
    reading = loaded.read(shots, wanted)
    return reading, (time.process_time() - began_s) * 1000


def _cut(picture: Any, box: Box | None, window: Sequence[int] | None, place: int) -> Any:
    """A lane window of this size that holds the plate somewhere; the whole picture where there is none."""
    if window is None or box is None:
        return picture
    high, wide = picture.shape[:2]
    chance = random.Random(place)
    starts = []
    for at, size, side, whole in ((box[0], box[2], window[0], wide), (box[1], box[3], window[1], high)):
        least, most = max(0, at + size - side), min(at, max(whole - side, 0))
        starts.append(chance.randint(min(least, most), most))
    x, y = starts
    return picture[y : y + window[1], x : x + window[0]]


def _changed(content: bytes, how: str, place: int) -> bytes:
    """The same picture in another file: re-encoded, with a border, or another size."""
    if not how:
        return content
    import cv2
    import numpy as np

    picture: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if how == "all":
        how = PERTURBED[place % (len(PERTURBED) - 1)]
    if how == "padded":
        top, bottom, left, right = random.Random(place).choices(range(8, 120), k=4)
        grey = (place * 37 % 256,) * 3
        picture = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)
    elif how.startswith("scaled"):
        factor = int(how.removeprefix("scaled")) / 100
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way)
    ending, *setting = {
        "jpeg60": (".jpg", cv2.IMWRITE_JPEG_QUALITY, 60),
        "webp": (".webp", cv2.IMWRITE_WEBP_QUALITY, 75),
    }.get(how, (".png",))
    return bytes(cv2.imencode(str(ending), picture, setting)[1].tobytes())


def _yardstick() -> Callable[[], object]:
    """One pass of the packaged detector, with onnxruntime's defaults but for one thread."""
    import numpy as np
    import onnxruntime

    from lanecontrol.plates import weights

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        weights.verified(weights.packaged(weights.DETECTOR)), settings, providers=["CPUExecutionProvider"]
    )
    sheet = np.zeros((1, 3, 416, 736), np.float32)
    session.run(None, {"x": sheet})
    return lambda: session.run(None, {"x": sheet})


def _timed(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1000


def _passages(rows: Sequence[Row], count: int) -> list[tuple[list[Row], str]]:
    """Consecutive rows of the same plate, `count` at a time."""
    made: list[tuple[list[Row], str]] = []
    for row in rows:
        if made and made[-1][1] == row.plate and len(made[-1][0]) < count:
            made[-1][0].append(row)
        else:
            made.append(([row], row.plate))
    return made


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell(results: Sequence[Result], options: argparse.Namespace, engine: str) -> None:
    plates = [r for r in results if r.truth]
    empty = [r for r in results if not r.truth]
    times, cpu = sorted(r.ms for r in results), sorted(r.cpu_ms for r in results)
    print(f"subset: {options.subset or options.folder.name}, {len(results)} rows; engine {engine}")
    if plates:
        exact = sum(r.right for r in plates) / len(plates)
        length = sum(len(r.truth) for r in plates)
        missed = sum(min(edits(r.answer, r.truth), len(r.truth)) for r in plates)
        close = sum(edits(r.answer, r.truth) <= 1 for r in plates) / len(plates)
        print(f"exact {exact:.1%}, characters {1 - missed / length:.1%}, within one {close:.1%}")
        print(_precision(plates))
    if empty:
        given, accepted = sum(bool(r.answer) for r in empty), sum(r.accepted for r in empty)
        print(f"without a plate: {len(empty)}, of which {given} were given one, {accepted} of them accepted")
    p50, p95 = times[len(times) // 2], times[min(len(times) - 1, int(0.95 * len(times)))]
    print(f"ms per picture, one thread: p50 {p50:.0f}, p95 {p95:.0f}; of the processor p50 {cpu[len(cpu) // 2]:.0f}")
    if options.yardstick:
        ratios = sorted(r.cpu_ms / r.yardstick_ms for r in results)
        stick = sorted(r.yardstick_ms for r in results)[len(results) // 2]
        print(f"a plain pass of the packaged detector takes {stick:.0f} ms of the processor; p50 is "
              f"{ratios[len(ratios) // 2]:.2f} of it, p95 {ratios[int(0.95 * len(ratios))]:.2f}")  # fmt: skip
    print(f"peak memory {_peak_mib():.0f} MiB; {_load()}")
    if options.wrong:
        for r in sorted(results, key=lambda r: -r.confidence):
            if not r.right:
                taken = "accepted" if r.accepted else ""
                print(f"  {r.confidence:.3f} {taken:9}{r.truth or '-'} read as {r.answer or '-'}")


def _precision(results: Sequence[Result]) -> str:
    accepted = [r for r in results if r.accepted]
    right = sum(r.right for r in accepted)
    share = right / len(accepted) if accepted else 0.0
    return (
        f"at or above the default threshold: {len(accepted)} of {len(results)} ({len(accepted) / len(results):.1%}), "
        f"{right} right: precision {share:.1%}"
    )


def edits(one: str, other: str) -> int:
    """Insertions, deletions and replacements between two texts."""
    row = list(range(len(other) + 1))
    for place, character in enumerate(one, 1):
        above, row = row, [place]
        for column, wanted in enumerate(other, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (character != wanted)))
    return row[-1]


def _peak_mib() -> float:
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors" if hasattr(os, "getloadavg") else ""


# --- fitting the confidence -------------------------------------------------------------------------------------------


def _fit(results: Sequence[Result], options: argparse.Namespace) -> None:
    from lanecontrol.plates.confidence import FEATURES, Sample, fitted

    groups = {"these": [Sample(r.features, r.plate, r.right) for r in results if r.features]}
    if options.save:
        with options.save.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([*FEATURES, "plate", "right"])
            writer.writerows(
                [*(s.features.get(name, 0.0) for name in FEATURES), int(s.plate), int(s.right)] for s in groups["these"]
            )
    for path in options.results:
        with path.open(encoding="utf-8", newline="") as lines:
            groups[path.stem] = [
                Sample({name: float(row[name]) for name in FEATURES}, row["plate"] == "1", row["right"] == "1")
                for row in csv.DictReader(lines)
            ]
    samples = [(name, sample) for name, group in groups.items() for sample in group]
    random.Random(1).shuffle(samples)
    judged: list[tuple[str, float, bool]] = []
    for fold in range(5):
        judge = fitted([sample for place, (_, sample) in enumerate(samples) if place % 5 != fold])
        judged += [(name, judge.confidence(sample.features), sample.right) for name, sample in samples[fold::5]]
    print(f"confidence, fivefold cross-validation over {len(judged)} reads ({sum(r for _, _, r in judged)} right):")
    for threshold in sorted({0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, Options().min_confidence}):
        each = "; ".join(f"{name} {_share(judged, threshold, name)}" for name, group in groups.items() if group)
        print(f"  at or above {threshold:.2f}: {_share(judged, threshold)} ({each})")
    if options.calibrate:
        told = f"{Options().min_confidence:g}: {_share(judged, Options().min_confidence)}"
        made = fitted([sample for _, sample in samples])
        options.calibrate.write_text(
            "# How sure a read is: whether the line is a plate, and whether it was read right; see confidence.py.\n"
            f"# Fitted by `./lane bench plates ... --calibrate` on {len(samples)} reads. In fivefold cross-validation\n"
            f"# over them, at or above {told}.\n" + _yaml("plate", made.plate) + _yaml("right", made.right),
            encoding="utf-8",
        )


def _yaml(name: str, curve: Any) -> str:
    weights: Mapping[str, float] = curve.weights
    lines = "".join(f"    {feature}: {weight:.4f}\n" for feature, weight in weights.items())
    return f"{name}:\n  bias: {curve.bias:.4f}\n  weights:\n{lines}"


def _share(judged: Sequence[tuple[str, float, bool]], threshold: float, group: str = "") -> str:
    taken = [right for name, sure, right in judged if sure >= threshold and group in ("", name)]
    return f"{len(taken)} reads, {sum(taken) / max(len(taken), 1):.1%} right"


if __name__ == "__main__":
    sys.exit(main())
