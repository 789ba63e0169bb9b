"""`python -m bench.scale_arithmetic`: the tables of docs/scale.md, from bench/results.json.

Everything that is not measured stands in `Assumptions` and in `SETS`, to be changed and run again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.forecast import CACHE_BYTES, FEATURE_BYTES, TIME_BYTES

RESULTS = Path(__file__).with_name("results.json")
ROW_BYTES = 2 * DIMENSION  # of an embedding of the stream rgb, in float16
WORKERS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Measured:
    """Processor seconds on one core, from the table "Parts, for each sampled frame".

    Attributes
    ----------
    decode : of a decoded frame, for each pixel (320 x 240, MPEG-4)
    prepare : of a sampled frame: to BGR, resized to 224, stacked, hashed
    embed : of an embedded frame: LiteRT, float32, to float16
    driver : of an embedded frame in the main process: out of the pipe, into a shard
    """

    decode: float
    prepare: float
    embed: float
    driver: float


@dataclass(frozen=True)
class Assumptions:
    """What is not measured.

    Attributes
    ----------
    vcpus_per_core : virtual processors that a cloud sells for a core such as the measured one
    vcpu_hour, storage : dollars: a virtual processor for an hour, 1 TB of object storage a month
    request : dollars for one read of an object
    disk, link : bytes/s: of one good local disk, of one 10 Gbit/s network card
    driver_clip : seconds of the main process for each clip on Ray, whatever its length; measured
        by `python -m bench executors` on a busy machine, so more than it is on a quiet one
    """

    vcpus_per_core: float = 2.0
    vcpu_hour: float = 0.045
    storage: float = 23.0
    request: float = 0.4e-6
    disk: float = 500e6
    link: float = 1.25e9
    driver_clip: float = 3.5e-3


@dataclass(frozen=True)
class Set:
    """A data set and how it is embedded.

    Attributes
    ----------
    videos : files; each is one job, whatever segments it has
    seconds : of video, all together
    pixels : in a frame
    bytes : of the files
    codec_factor : decoding time for a pixel over that of the measured MPEG-4
    rate, views : frames sampled a second; embeddings of each
    """

    name: str
    videos: float
    seconds: float
    pixels: int
    bytes: float
    codec_factor: float
    rate: float
    views: int
    fps: float = 25.0

    @property
    def decoded(self) -> float:
        """Frames."""
        return self.seconds * self.fps

    @property
    def embedded(self) -> float:
        """Frames that go through the CNN."""
        return self.seconds * self.rate * self.views

    @property
    def cache_bytes(self) -> float:
        """Of the embedding cache."""
        times = self.decoded * TIME_BYTES * self.views
        return self.embedded * (ROW_BYTES + CACHE_BYTES) + times

    @property
    def feature_bytes(self) -> float:
        """Of the feature files."""
        return self.seconds * self.rate * (ROW_BYTES * self.views + FEATURE_BYTES)


HOUR = 3600.0
YEAR_HOURS = 8766.0
SETS = (
    Set("UCF101, 8 frames/s, 2 views", 13_320, 27 * HOUR, 320 * 240, 6.5e9, 1.0, 8, 2),
    Set("Kinetics-700, 8 frames/s, 2 views", 650_000, 6.5e6, 340 * 256, 700e9, 1.5, 8, 2),
    Set("a million hours, 8 frames/s, 2 views", 1e6, 1e6 * HOUR, 854 * 480, 450e12, 1.5, 8, 2),
    Set("a million hours, 1 frame/s, 1 view", 1e6, 1e6 * HOUR, 854 * 480, 450e12, 1.5, 1, 1),
)


def read_measured(path: Path = RESULTS) -> Measured:
    """The per-frame figures of a full run of the benchmark `stage`."""
    results = json.loads(path.read_text())["results"]["stage"]["tables"]
    (table,) = (table for table in results if table["title"].startswith("Parts"))
    seconds = {row["part"].strip(): 1e-6 * row["microseconds"] for row in table["rows"]}

    def part(start: str) -> float:
        return next(value for name, value in seconds.items() if name.startswith(start))

    per_sampled = 25 / 8  # frames read for each sampled one, as in that table
    return Measured(
        decode=part("decode: read, and convert") / per_sampled / (320 * 240),
        prepare=part("resize") + part("batch") + part("hash"),
        embed=part("embed") + part("float32 to float16"),
        driver=part("to the main process") + part("cache: shard"),
    )


@dataclass(frozen=True)
class Cost:
    """What a set takes, in seconds of one core unless said otherwise."""

    decode: float
    embed: float
    driver: float

    @property
    def worker(self) -> float:
        """All that workers do."""
        return self.decode + self.embed


def cost_of(data: Set, measured: Measured, assumed: Assumptions) -> Cost:
    """Seconds of one core for a set."""
    pixels = data.decoded * data.pixels
    sampled = data.seconds * data.rate
    return Cost(
        decode=pixels * measured.decode * data.codec_factor,
        embed=sampled * measured.prepare + data.embedded * measured.embed,
        driver=data.embedded * measured.driver + data.videos * assumed.driver_clip,
    )


def work_rows(measured: Measured, assumed: Assumptions) -> list[list[str]]:
    """For each set: frames, core hours, bytes, dollars."""
    rows = []
    for data in SETS:
        cost = cost_of(data, measured, assumed)
        dollars = cost.worker / HOUR * assumed.vcpus_per_core * assumed.vcpu_hour
        dollars += data.videos * assumed.request
        stored = (data.cache_bytes + data.feature_bytes) / 1e12 * assumed.storage
        rows.append(
            [
                data.name,
                count(data.decoded),
                count(data.embedded),
                hours(cost.decode),
                hours(cost.embed),
                size(data.bytes),
                size(data.cache_bytes),
                size(data.feature_bytes),
                money(dollars),
                money(stored),
            ]
        )
    return rows


def time_rows(measured: Measured, assumed: Assumptions) -> list[list[str]]:
    """For each set and number of workers: time, rates, and how busy one main process is."""
    rows = []
    for data in SETS:
        cost = cost_of(data, measured, assumed)
        for workers in WORKERS:
            seconds = cost.worker / workers
            rows.append(
                [
                    data.name if workers == WORKERS[0] else "",
                    f"{workers:,}",
                    duration(seconds),
                    size(data.bytes / seconds) + "/s",
                    size(data.embedded * ROW_BYTES / seconds) + "/s",
                    f"{cost.driver / seconds:.0%}",
                    duration((data.cache_bytes + data.feature_bytes) / assumed.disk),
                ]
            )
    return rows


def digits(value: float) -> str:
    """Two significant digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def count(value: float) -> str:
    """2.4 million."""
    for limit, name in ((1e9, "billion"), (1e6, "million")):
        if value >= limit:
            return f"{value / limit:.3g} {name}"
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes with a unit."""
    for limit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= limit:
            return f"{value / limit:.3g} {name}"
    return f"{value / 1e3:.3g} kB"


def hours(seconds: float) -> str:
    """Core hours, or core years."""
    value = seconds / HOUR
    if value > YEAR_HOURS:
        return f"{digits(value / YEAR_HOURS)} core years"
    return f"{digits(value)} core h"


def duration(seconds: float) -> str:
    """Time on the clock."""
    for limit, unit, name in (
        (2 * 365.25 * 86400, 365.25 * 86400, "years"),
        (2 * 86400, 86400, "days"),
        (2 * HOUR, HOUR, "h"),
        (120, 60, "min"),
    ):
        if seconds >= limit:
            return f"{digits(seconds / unit)} {name}"
    return f"{digits(seconds)} s"


def money(dollars: float) -> str:
    """$, rounded."""
    return f"${dollars:,.0f}" if dollars >= 10 else f"${dollars:.2f}"


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    names = list(columns)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(results: Path = RESULTS, assumed: Assumptions | None = None) -> dict[str, Any]:
    """The measured figures and both tables, as text."""
    assumed = assumed or Assumptions()
    measured = read_measured(results)
    return {
        "measured": measured,
        "work": markdown(
            ["", "decoded", "embedded", "decoding", "embedding", "videos", "cache",
             "feature files", "processors", "storage a month"],
            work_rows(measured, assumed),
        ),
        "time": markdown(
            ["", "workers", "time", "videos in", "embeddings out", "main process busy",
             "cache and features at one disk's rate"],
            time_rows(measured, assumed),
        ),
    }  # fmt: skip


if __name__ == "__main__":
    found = report()
    print(found["measured"], "\n")
    print(found["work"], "\n")
    print(found["time"])
