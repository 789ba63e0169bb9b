"""Every layout on a small data set of its shape, from `index` to `evaluate`."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from pipeline.commands import stages
from pipeline.dataset.clips import read_splits
from pipeline.dataset.params import DatasetParams, SplitParams
from pipeline.errors import DatasetError
from pipeline.files import write_json
from pipeline.stages.index import index_clips
from pipeline.stages.split import split_clips

LABELS = ("jumping_jacks", "walk", "wave")
PEOPLE = ("daria", "denis", "eli", "ido", "ira")
FRAMES = 16  # of each video that is cut into pictures
CLIPS = len(LABELS) * len(PEOPLE)
PARAMS = Path("params.yaml")

Run = Callable[..., "Outcome"]


class Outcome:
    """What the stages wrote into a folder."""

    def __init__(self, folder: Path, said: str) -> None:
        self.said = said
        self.index = _rows(folder / "data/index.csv")
        self.split = {row["clip_id"]: row["split"] for row in _rows(folder / "data/splits.csv")}
        self.predicted = _rows(folder / "reports/predictions.csv")
        self.metrics = json.loads((folder / "reports/metrics.json").read_text())

    def sides(self, column: str) -> dict[str, set[str]]:
        """The splits in which each group, or each file, stands."""
        sides: dict[str, set[str]] = {}
        for row in self.index:
            sides.setdefault(row[column], set()).add(self.split.get(row["clip_id"], ""))
        return sides


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def run(
    tmp_path: Path, backbone_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    """Runs the commands in a folder whose clips are below raw/."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/backbone").symlink_to(backbone_folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "cache"))

    def call(dataset: dict, split: dict | None = None) -> Outcome:
        settings = {
            "dataset": {"raw": "raw", **dataset},
            "split": split or {},
            "features": {"engine": "litert", "workers": 2, "fps": 4, "views": ["identity"]},
            "train": {"epochs": 6, "head": "linear"},
            "evaluate": {"bootstrap": 50},
        }
        write_json(PARAMS, settings)
        for stage in (stages.index, stages.split, stages.features, stages.train, stages.evaluate):
            stage(params=PARAMS)
        captured = capfd.readouterr()
        return Outcome(tmp_path, captured.out + captured.err)

    return call


@pytest.fixture
def videos(sample_videos: Path, tmp_path: Path) -> dict[str, Path]:
    """Sample videos of 5 people, by label/person_label."""
    found = {}
    for label in LABELS:
        for number, person in enumerate(PEOPLE, 1):
            name = f"{label}/{person}_{label}"
            found[name] = tmp_path / f"videos/{name}.mp4"
            found[name].parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample_videos / label / f"actor{number:02d}_take1.mp4", found[name])
    return found


def pictures(video: Path, most: int = FRAMES) -> list[bytes]:
    """The first frames of a video as JPEG files."""
    capture = cv2.VideoCapture(str(video))
    files = []
    while len(files) < most:
        read, picture = capture.read()
        if not read:
            break
        files.append(cv2.imencode(".jpg", picture)[1].tobytes())
    return files


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def assert_sound(outcome: Outcome, clips: int) -> None:
    """Every clip was used once, and nothing that belongs together was torn apart."""
    assert len(outcome.index) == len(outcome.split) == clips
    assert set(outcome.split.values()) >= {"train", "test"}
    assert all(len(sides) == 1 for sides in outcome.sides("group").values())
    assert all(len(sides) == 1 for sides in outcome.sides("digest").values())
    assert len(outcome.predicted) == sum(side == "test" for side in outcome.split.values())
    assert outcome.metrics["classes"] == len(LABELS)
    assert outcome.metrics["accuracy"] > 0.34  # three classes, and people never seen


def test_folders_with_a_split_on_top(
    tmp_path: Path, videos: dict[str, Path], run: Run
) -> None:  # fmt: skip
    for name, video in videos.items():
        side = "test" if video.stem.startswith("ira_") else "Train"
        (tmp_path / "raw" / side / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / f"raw/{side}/{name}.MP4")
    outcome = run({}, {"method": "folders"})
    assert_sound(outcome, CLIPS)
    assert {row["clip_id"] for row in outcome.predicted} == {
        f"test/{label}/ira_{label}.MP4" for label in LABELS
    }


def test_official_lists_that_leave_clips_out(
    tmp_path: Path, videos: dict[str, Path], run: Run
) -> None:
    """Lists as UCF101 has them: CRLF, no number in the test list, another case than the folder."""
    groups = {person: number for number, person in enumerate(PEOPLE, 1)}
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for name, video in videos.items():
        label, _, rest = name.partition("/")
        group = groups[rest.partition("_")[0]]
        file = f"v_{label.upper()}_g{group:02d}_c01.mp4"
        write(tmp_path / f"raw/{label}/{file}", video.read_bytes())
        line = f"{label.capitalize()}/{file}"
        if group == 1:
            lines["test"].append(line)
        elif name != "walk/denis_walk":
            lines["train"].append(f"{line} {LABELS.index(label) + 1}")
    lines["train"].append("Walk/v_WALK_g09_c01.mp4 2")
    for side, rows in lines.items():
        write(tmp_path / f"lists/{side}list01.txt", "".join(f"{row}\r\n" for row in rows).encode())
    classes = "".join(f"{i} {label.capitalize()}\r\n" for i, label in enumerate(LABELS, 1))
    write(tmp_path / "lists/classInd.txt", classes.encode())
    outcome = run({"group": "ucf"}, {"method": "official"})
    assert "1 of 15 clips on the lists are not in data/index.csv: Walk/v_WALK_g09" in outcome.said
    assert "1 of 15 clips are on no list, and stand in no split: walk/v_WALK_g02" in outcome.said
    assert len(outcome.index) == CLIPS
    assert len(outcome.split) == CLIPS - 1
    assert {row["clip_id"] for row in outcome.predicted} == {
        f"{label}/v_{label.upper()}_g01_c01.mp4" for label in LABELS
    }
    assert "1 clip stands in no split" in Path("reports/report.html").read_text()


def test_one_video_under_two_names_in_two_groups_is_not_put_into_two_splits(
    tmp_path: Path, videos: dict[str, Path]
) -> None:
    for name, video in videos.items():
        write(tmp_path / f"raw/{name}.mp4", video.read_bytes())
    refusals = []
    for person in ("zoe", "yan", "xia"):
        write(tmp_path / f"raw/walk/{person}_walk.mp4", videos["walk/ira_walk"].read_bytes())
    table = index_clips(DatasetParams(raw=str(tmp_path / "raw")), tmp_path / "index.csv")
    for seed in range(6):
        try:
            split_clips(table, SplitParams(seed=seed), tmp_path / "splits.csv")
            sides = read_splits(tmp_path / "splits.csv")
            copies = {sides[f"walk/{name}_walk.mp4"] for name in ("ira", "xia", "yan", "zoe")}
            assert len(copies) == 1
        except DatasetError as error:
            refusals.append(str(error))
    assert refusals
    for message in refusals:
        assert "are the same video, but stand in different splits" in message
        assert message.count("_walk.mp4 (") == 2


def test_one_group_left_out(tmp_path: Path, videos: dict[str, Path], run: Run) -> None:
    for name, video in videos.items():
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"raw/{name}.mp4").write_bytes(video.read_bytes())
    outcome = run({}, {"method": "leave_one_group_out", "held_out": "eli"})
    assert_sound(outcome, CLIPS)
    assert {row["clip_id"].split("/")[1].split("_")[0] for row in outcome.predicted} == {"eli"}


def test_segments_cut_by_a_table(tmp_path: Path, videos: dict[str, Path], run: Run) -> None:
    (tmp_path / "raw").mkdir()
    lines = ["path,label,start,end"]
    for name, video in videos.items():
        shutil.copy(video, tmp_path / "raw" / video.name)
        label = name.partition("/")[0]
        lines += [f"{video.name},{label},0,0.8", f"{video.name},{label},0.8,"]
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    outcome = run({"layout": "csv", "table": "clips.csv"})
    assert_sound(outcome, 2 * CLIPS)
    assert f"{CLIPS} decoded" in outcome.said
    assert all(len(sides) == 1 for sides in outcome.sides("path").values())


def test_frame_folders(tmp_path: Path, videos: dict[str, Path], run: Run) -> None:
    for name, video in videos.items():
        for number, content in enumerate(pictures(video), 1):
            write(tmp_path / f"raw/{name}/{number}.jpg", content)
    outcome = run({"layout": "frames"})
    assert_sound(outcome, CLIPS)
    assert {row["kind"] for row in outcome.index} == {"images"}
    assert set(outcome.sides("group")) == set(PEOPLE)


def test_frames_that_lie_together_with_names(
    tmp_path: Path, videos: dict[str, Path], run: Run
) -> None:
    for name, video in videos.items():
        for number, content in enumerate(pictures(video), 1):
            write(tmp_path / f"raw/{name}_{number:04d}.jpg", content)
    outcome = run({"layout": "frames"})
    assert_sound(outcome, CLIPS)
    assert "put together to 5 videos by their names" in outcome.said


def test_frames_that_lie_together_without_names(
    tmp_path: Path, videos: dict[str, Path], run: Run
) -> None:
    starts: dict[str, list[int]] = {label: [] for label in LABELS}
    count = dict.fromkeys(LABELS, 0)
    for name, video in videos.items():
        label = name.partition("/")[0]
        starts[label].append(count[label])
        for content in pictures(video, 100):
            count[label] += 1
            write(tmp_path / f"raw/{label}/{count[label]}.jpg", content)
    outcome = run({"layout": "frames", "group": "none"})
    found = {label: [] for label in LABELS}
    for row in outcome.index:
        name = row["clip_id"].split("/")[1].split(".")[0]
        found[row["label"]].append(int(name) - 1)
    right = sum(len(set(found[label]) & set(starts[label])) for label in LABELS)
    assert right >= 0.95 * CLIPS
    assert len(outcome.index) <= 1.05 * CLIPS
    assert_sound(outcome, len(outcome.index))
    assert "by the cuts between pictures" in outcome.said


def test_still_images(tmp_path: Path, videos: dict[str, Path], run: Run) -> None:
    for name, video in videos.items():
        for number, content in enumerate(pictures(video, 48)[::12], 1):
            write(tmp_path / f"raw/{name}_{number}.jpg", content)
    copy = tmp_path / "raw/wave/zoe_wave_1.jpg"
    picture = cv2.imread(str(tmp_path / "raw/wave/ira_wave_1.jpg"))
    copy.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())
    outcome = run({"layout": "images"})
    assert_sound(outcome, 4 * CLIPS + 1)
    group = {row["clip_id"]: row["group"] for row in outcome.index}
    assert group["wave/zoe_wave_1.jpg"] == group["wave/ira_wave_1.jpg"]
    assert outcome.predicted
