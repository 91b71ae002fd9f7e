"""`./lane bench decode`: how fast the codecs read what portals and readers send, in chunks as TCP brings them.

Each is told beside a floor measured in the same rounds: the least that any Python code does with such bytes (cut a
stream into lines and fields; unpack a frame's header). The ratio to it may be compared between machines, the rate not.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from collections.abc import Callable, Sequence
from itertools import accumulate

from drivers.rfid_llrp_codec import Frames, Message
from drivers.rfid_llrp_codec import decode as decode_frame
from drivers.rfid_llrp_reports import ReportReader, tag_reads
from drivers.rpm_rapiscan_codec import LineCodec
from lanecontrol.events import TagRead
from lanecontrol.framing import Doubt
from sim.rfid_llrp_specs import Content
from sim.rfid_llrp_tags import Entry, Sighting, report
from sim.rfid_llrp_wire import M, message

CHUNK_BYTES = 1448
"""What one segment carries over Ethernet."""
WHAT_OUR_SESSION_ASKS_FOR = Content(sum(1 << 15 - place for place in (0, 3, 5, 6, 7, 8)))
"""Inventory, antenna, RSSI, first and last seen, count."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lane bench decode", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="lines and reports in each round (20000)")
    parser.add_argument("--rounds", type=int, default=7, help="the best of so many, taken in turn (7)")
    options = parser.parse_args()
    rng = random.Random(7)
    lines, reports = portal_lines(options.count, rng), tag_reports(options.count, rng)
    jobs: dict[str, Callable[[], int]] = {
        "floor of lines": lambda: cut_into_fields(lines),
        "portal lines": lambda: read_lines(lines),
        "floor of frames": lambda: cut_into_frames(reports),
        "LLRP reports, as the session reads them": lambda: read_reports(reports),
        "LLRP reports, through the tables": lambda: read_reports_by_the_tables(reports),
    }
    best = best_of(jobs, options.rounds, options.count)
    show(best, "portal lines", "floor of lines")
    show(best, "LLRP reports, as the session reads them", "floor of frames")
    show(best, "LLRP reports, through the tables", "floor of frames")
    return 0


def best_of(jobs: dict[str, Callable[[], int]], rounds: int, count: int) -> dict[str, float]:
    """Things a second of each job, in its best round."""
    best = dict.fromkeys(jobs, 0.0)
    for _ in range(rounds):
        for name, job in jobs.items():
            began = time.perf_counter()
            done = job()
            best[name] = max(best[name], done / (time.perf_counter() - began))
            if done != count:
                raise SystemExit(f"{name}: {done} of {count} were read")
    return best


def show(best: dict[str, float], name: str, floor: str) -> None:
    print(f"{name:44}{best[name]:>10,.0f} /s{best[floor] / best[name]:>8.1f} times its floor")


# --- portal lines ----------------------------------------------------------------------------------------------------


def portal_lines(count: int, rng: random.Random) -> Sequence[bytes]:
    """A busy portal: seven gamma lines to a neutron line, now and then background, speed and end of occupancy."""
    tags = rng.choices(("GS", "NS", "GB", "NB", "SP", "GX"), (70, 14, 8, 4, 2, 2), k=count)
    return chunks(b"".join(portal_line(tag, rng) for tag in tags))


def portal_line(tag: str, rng: random.Random) -> bytes:
    if tag == "SP":
        return b"SP,0.1100,06.198,009.97,000000\r\n"
    return f"{tag},{','.join(f'{rng.randrange(400):06d}' for _ in range(4))}\r\n".encode()


def read_lines(arriving: Sequence[bytes]) -> int:
    codec = LineCodec()
    return sum(not isinstance(event, Doubt) for chunk in arriving for event in codec.feed(chunk))


def cut_into_fields(arriving: Sequence[bytes]) -> int:
    done, pending = 0, b""
    for chunk in arriving:
        *lines, pending = (pending + chunk).split(b"\r\n")
        done += len([line.split(b",") for line in lines])
    return done


# --- tag reports -----------------------------------------------------------------------------------------------------


def tag_reports(count: int, rng: random.Random) -> Sequence[bytes]:
    """One tag a report, as readers send it that are asked to report at once."""
    content = WHAT_OUR_SESSION_ASKS_FOR
    stream = []
    for number in range(count):
        at_us = 1_767_254_400_000_000 + number * 2500
        seen = Sighting(rng.randint(1, 2), rng.randbytes(12), b"", rng.randint(-75, -40), at_us, number * 2500)
        entry = Entry(content, 1, 1, 1, seen, seen, seen.rssi_dbm)
        stream.append(message(M.RO_ACCESS_REPORT, number, report([entry], utc_clock=True)))
    return chunks(b"".join(stream))


def read_reports(arriving: Sequence[bytes]) -> int:
    reports = ReportReader(rospec=1)
    return sum(type(item) is TagRead for chunk in arriving for item in reports.feed(chunk))


def read_reports_by_the_tables(arriving: Sequence[bytes]) -> int:
    frames = Frames()
    decoded = (decode_frame(frame) for chunk in arriving for frame in frames.feed(chunk) if isinstance(frame, bytes))
    return sum(map(reads_in, decoded))


def reads_in(decoded: Message | Doubt) -> int:
    return sum(1 for _ in tag_reads(decoded)) if isinstance(decoded, Message) else 0


def cut_into_frames(arriving: Sequence[bytes]) -> int:
    header = struct.Struct(">HII").unpack_from
    done, pending = 0, b""
    for chunk in arriving:
        data, at = pending + chunk, 0
        while len(data) - at >= 10:
            _, length, _ = header(data, at)
            if len(data) - at < length:
                break
            _ = data[at : at + length]
            at += length
            done += 1
        pending = data[at:]
    return done


def chunks(stream: bytes) -> Sequence[bytes]:
    starts = accumulate([CHUNK_BYTES] * (len(stream) // CHUNK_BYTES), initial=0)
    return [stream[at : at + CHUNK_BYTES] for at in starts]


if __name__ == "__main__":
    sys.exit(main())
