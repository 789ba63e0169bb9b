"""`python -m bench.timeline DATA FOLDER`: what happens when in long videos that nobody has seen.

Makes long videos of the clips of real data sets: those of one person in a row, and between some of
them a pause, noise, or a clip of the other set, which are background. Each person stands on one
side of the split. Then index, split, features, train, evaluate and `predict --timeline` run as a
user would run them, with the defaults; with --each also once for each person, left out alone.
With --hour it measures what an hour of video costs beside embedding its sampled frames.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ruamel.yaml import YAML

from bench.workspace import ROOT, clipcache, environment
from pipeline.timeline.scores import f1_of, score_video

HOUR = 3600.0  # seconds
PAUSE, NOISE = (0.6, 3.0), (0.6, 2.0)  # seconds, shortest and longest
BETWEEN = 0.6  # share of the clips after which there is something else
LONGEST_OTHER = 4.0  # seconds of a clip of the other set
ROW = 0.125  # seconds, of the grid on which spans are scored
MIB = 2**20

# What an hour costs without a head: the same frames, decoded and embedded, and forgotten.
EMBED = """
import sys
from pathlib import Path
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sampled import sampled_frames
from pipeline.frames.sources import file_source
from pipeline.frames.video import Sampling
from pipeline.predict.predictor import Predictor
predictor = Predictor(Path("models/head"))
embedder = predictor.embedder()
sampling = Sampling(predictor.card.sampling["fps"], None)
size, rule = (predictor.card.extractor[name] for name in ("input_size", "resize"))
reader = IsolatedReader(file_source(Path(sys.argv[1])))
for frame in sampled_frames(reader, sampling, size, rule, neighbours=embedder.sees_motion):
    embedder.add(frame)
    for row in embedder.finished():
        pass
embedder.end()
"""


@dataclass(frozen=True)
class DataSet:
    """A set of short clips.

    Attributes
    ----------
    person : finds the person in a file name
    size : width and height of the long videos, pixels
    fps : their frames/s
    wanted : F1@50
    """

    person: str
    size: tuple[int, int]
    fps: float
    wanted: float


SETS = {
    "weizmann": DataSet(r"^([a-z]+)_", (180, 144), 25.0, 0.90),
    "ut_interaction": DataSet(r"_(g\d+)_", (400, 300), 30.0, 0.75),
}


def main() -> None:
    """Make the videos where they are not there yet, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.timeline", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with the sets")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to work")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--takes", type=int, default=2, help="videos of each person")
    parser.add_argument("--each", action="store_true", help="leave out each person in turn as well")
    parser.add_argument("--hour", action="store_true")
    arguments = parser.parse_args()
    columns = ("set, test people", "test videos", "decoded F1@50", "95 %", "wanted",
               "windows alone", "most frequent label", "frames right",
               "predict --timeline")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in arguments.sets:
        project = arguments.folder / name
        if not (project / "raw").exists():
            write_videos(arguments.data, name, project / "raw", arguments.takes)
        write_settings(project)
        run(project, "index")
        run(project, "backbone")
        run(project, "features")
        people = sorted(
            {video.stem.rpartition("_")[0] for video in (project / "raw").glob("*.avi")}
        )
        for person in ["", *people] if arguments.each else [""]:
            alone = f"split.method={'leave_one_group_out' if person else 'group'}"
            for stage in ("split", "train", "evaluate"):
                run(project, stage, "-S", alone, "-S", f"split.held_out={person or 'null'}")
            print(row_of(project, name, person or "as dealt"), flush=True)
        if arguments.hour:
            print(hour_of(project), flush=True)


def write_videos(data: Path, name: str, folder: Path, takes: int) -> None:
    """The long videos of a set, and annotations.csv beside them."""
    own, (other,) = SETS[name], [other for other in SETS if other != name]
    clips, others = clips_of(data / name, own), clips_of(data / other, SETS[other])
    strangers = sorted(others)
    folder.mkdir(parents=True)
    rows: list[tuple[str, str, float, float]] = []
    for number, person in enumerate(sorted(clips)):
        # so that nobody of the other set is in the videos of two people
        beside = [
            clip for stranger in strangers[number % len(strangers) :: len(clips)]
            for clip in others[stranger]
        ]  # fmt: skip
        rng = np.random.default_rng(number)
        for take in range(takes):
            video = folder / f"{person}_{take}.avi"
            codec = cv2.VideoWriter.fourcc(*"MJPG")
            writer = cv2.VideoWriter(str(video), codec, own.fps, own.size)
            at = 0
            for label, frames in scenes(clips[person], beside, own, rng):
                for frame in frames:
                    writer.write(frame)
                if label:
                    rows.append((video.name, label, at / own.fps, (at + len(frames)) / own.fps))
                at += len(frames)
            writer.release()
    with (folder / "annotations.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["video", "label", "start", "end"])
        table.writerows((video, label, f"{a:.3f}", f"{b:.3f}") for video, label, a, b in rows)


def clips_of(folder: Path, one: DataSet) -> dict[str, list[Path]]:
    """Person -> clips."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*.avi")):
        if match := re.search(one.person, path.name):
            found.setdefault(match[1], []).append(path)
    return found


def scenes(
    clips: Sequence[Path], beside: Sequence[Path], one: DataSet, rng: np.random.Generator
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Label and frames of what follows each other in a video; "" for background."""
    last: np.ndarray | None = None
    for place in rng.permutation(len(clips)).tolist():
        if last is not None and rng.random() < BETWEEN:
            kind = rng.integers(3)
            if kind == 0:
                yield "", [last] * int(one.fps * rng.uniform(*PAUSE))
            elif kind == 1:
                shape = one.size[1], one.size[0], 3
                count = int(one.fps * rng.uniform(*NOISE))
                yield "", [rng.integers(0, 256, shape, np.uint8) for _ in range(count)]
            else:
                other = read(beside[int(rng.integers(len(beside)))], one)
                yield "", other[: int(one.fps * LONGEST_OTHER)]
        frames = read(clips[place], one)
        yield clips[place].parent.name, frames
        last = frames[-1]


def read(path: Path, one: DataSet) -> list[np.ndarray]:
    """The frames of a clip in the size and at the rate of the long videos."""
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while (decoded := capture.read())[0]:
        frames.append(cv2.resize(decoded[1], one.size))
    times = np.arange(int(len(frames) * one.fps / fps)) / one.fps
    return [frames[min(int(time * fps), len(frames) - 1)] for time in times]


def write_settings(project: Path) -> None:
    """The defaults, but for the data set."""
    yaml = YAML()
    settings = yaml.load(ROOT / "params.yaml")
    settings["dataset"] |= {"raw": str((project / "raw").resolve()), "layout": "timeline",
                            "background": True}  # fmt: skip
    yaml.dump(settings, project / "params.yaml")


def run(project: Path, *command: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        clipcache(*command), cwd=project, env=environment(), text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"clipcache {' '.join(command)}: {done.stderr}")
    return done.stdout


def row_of(project: Path, name: str, people: str) -> str:
    """A row of the table, of what the last evaluation said."""
    measured = json.loads((project / "reports/metrics.json").read_text())["timeline"]
    low, high = measured["intervals"]["f1_50"] or (float("nan"), float("nan"))
    decoded, windows, majority = (
        measured[way] for way in ("decoded", "windows", "majority")
    )  # fmt: skip
    return (
        f"| {name}, {people} | {measured['videos']} | {decoded['f1_50']:.3f} | {low:.3f} to "
        f"{high:.3f} | {SETS[name].wanted} | {windows['f1_50']:.3f} | {majority['f1_50']:.3f} | "
        f"{decoded['accuracy']:.3f} | {predicted(project):.3f} |"
    )


def predicted(project: Path) -> float:
    """F1@50 of what the command `predict --timeline` says of the test videos, read anew."""
    with (project / "data/splits.csv").open() as stream:
        clips = [row["clip_id"] for row in csv.DictReader(stream) if row["split"] == "test"]
    videos = sorted({clip.partition("#")[0] for clip in clips})
    answers = json.loads(
        run(project, "predict", "--timeline", "--json", *(f"raw/{video}" for video in videos))
    )
    with (project / "raw/annotations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    labels = ["background", *sorted({row["label"] for row in rows})]
    counts = np.zeros(3, np.int64)
    for video, answer in zip(videos, answers, strict=True):
        times = np.arange(0, answer["seconds"], ROW)
        truth, said = np.zeros((2, len(times)), np.int64)
        for row in rows:
            if row["video"] == video:
                here = (times >= float(row["start"])) & (times < float(row["end"]))
                truth[here] = labels.index(row["label"])
        for span in answer["timeline"]:
            # what is none of the labels is no action either
            label = labels.index(span["label"]) if span["label"] in labels else 0
            said[(times >= span["start"]) & (times < span["end"])] = label
        counts += score_video(said, truth, len(labels), 0).counts[-1].sum(axis=0)
    return float(f1_of(counts))


def hour_of(project: Path) -> str:
    """What an hour costs: processor time of the command, and of embedding alone."""
    hour = project / "hour.avi"
    if not hour.exists():
        write_hour(project / "raw", hour)
    costs = []
    for command in ([sys.executable, "-c", EMBED, str(hour)],
                    clipcache("predict", "--timeline", "--json", str(hour))):  # fmt: skip
        process = subprocess.Popen(
            command, cwd=project, env=environment(), stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{command[0]} ended with {status}")
        costs.append(used.ru_utime + used.ru_stime)
        peak = used.ru_maxrss * 1024 / MIB
    return (
        f"\nAn hour: embedding alone {costs[0]:.0f} s of processor time, predict --timeline "
        f"{costs[1]:.0f} s, {costs[1] / costs[0]:.2f} times (wanted: at most 1.10), and at most "
        f"{peak:.0f} MiB in one process."
    )


def write_hour(raw: Path, path: Path) -> None:
    """The videos of a set one after the other, again and again, for an hour."""
    writer, written, limit = None, 0, float("inf")
    while written < limit:
        for video in sorted(raw.glob("*.avi")):
            capture = cv2.VideoCapture(str(video))
            while written < limit and (decoded := capture.read())[0]:
                frame = decoded[1]
                if writer is None:
                    fps = capture.get(cv2.CAP_PROP_FPS)
                    limit = HOUR * fps
                    codec = cv2.VideoWriter.fourcc(*"MJPG")
                    writer = cv2.VideoWriter(str(path), codec, fps, frame.shape[1::-1])
                writer.write(frame)
                written += 1
    if writer is not None:
        writer.release()


if __name__ == "__main__":
    main()
