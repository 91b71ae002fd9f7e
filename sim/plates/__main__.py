"""`python -m sim.plates`: a folder of rendered pictures and the truth about them, for measuring plate recognition.

The truth is a CSV with `file,x,y,w,h,plate` (box in pixels; without a plate all but the file are empty) and, behind
these, the jurisdiction and which vehicle the picture shows: pictures of one vehicle are meant for voting.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ("file", "x", "y", "w", "h", "plate", "jurisdiction", "vehicle")
MISSING = (
    "drawing plates needs numpy and OpenCV: install what lanecontrol[plates] holds,"
    " pip install --require-hashes -r requirements/plates.txt"
)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 when there is nothing to draw with or nowhere to write to."""
    options = _parser().parse_args(arguments)
    try:
        count = write(options)
    except ImportError:
        print(MISSING, file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{count} pictures and {options.truth or options.out / 'truth.csv'}")  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim.plates", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--truth", type=Path, metavar="CSV", help="the truth; DIR/truth.csv if not given")
    parser.add_argument("--count", type=_positive, default=100, metavar="N", help="vehicles with a plate")
    parser.add_argument("--frames", type=_positive, default=1, metavar="N", help="pictures of each, coming nearer")
    parser.add_argument("--without-plates", type=int, default=0, metavar="K", help="pictures with no plate in them")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes")
    parser.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH", help="of the pictures, in pixels")
    parser.add_argument("--badness", type=float, default=1.0, help="0 is a clean view, 1 what lanes have")
    return parser


def write(options: argparse.Namespace) -> int:
    """Write pictures and truth; how many pictures. Raises OSError, ImportError."""
    options.out.mkdir(parents=True, exist_ok=True)
    truth: Path = options.truth or options.out / "truth.csv"
    with truth.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        count = 0
        for name, jpeg, told in pictures(options):
            (options.out / name).write_bytes(jpeg)
            rows.writerow((name, *told))
            count += 1
    return count


def pictures(options: argparse.Namespace) -> Iterator[tuple[str, bytes, tuple[object, ...]]]:
    """File name, bytes and the rest of the truth's row. Each vehicle has a generator of its own."""
    from sim.plates.formats import draw_plate
    from sim.plates.render import Vehicle, render, sequence
    from sim.plates.shot import draw_shot

    for number in range(options.count):
        rng = random.Random(f"plates/{options.seed}/{number}")
        vehicle = Vehicle.draw(rng, draw_plate(rng))
        last = draw_shot(rng, size=options.size, badness=options.badness)
        taken = sequence(vehicle, last, options.frames, rng) if options.frames > 1 else [render(vehicle, last, rng)]
        for index, picture in enumerate(taken, 1):
            seen = picture.truth
            told = (*seen.box, seen.text, seen.jurisdiction, f"{number:05d}") if seen is not None else ("",) * 7
            yield f"{number:05d}-{index}.jpg", picture.jpeg, told
    for number in range(options.without_plates):
        rng = random.Random(f"no plates/{options.seed}/{number}")
        bare = Vehicle.draw(rng, None) if number % 2 else None
        yield f"none-{number:05d}.jpg", render(bare, draw_shot(rng, size=options.size), rng).jpeg, ("",) * 7


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    size = int(width), int(height)
    if not all(64 <= side <= 8192 for side in size):
        raise argparse.ArgumentTypeError("from 64x64 to 8192x8192")
    return size


if __name__ == "__main__":
    sys.exit(main())
