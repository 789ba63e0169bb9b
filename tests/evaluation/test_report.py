"""The HTML report: its words, its pictures, its size."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.backbone.folder import DIMENSION
from pipeline.dataset.clips import Clip, Damaged, Rejected
from pipeline.evaluation.metrics import Measured, Outcome, measure
from pipeline.evaluation.plots import Curve
from pipeline.evaluation.report.evaluation import Run, verdict, write_report
from pipeline.evaluation.report.images import GAP, sheet_uri, strip_uri
from pipeline.evaluation.report.page import bar, between, duration, number, points, with_code
from pipeline.frames.sources import Source
from pipeline.head.build import HeadShape
from pipeline.head.model_card import Branch, ModelCard
from pipeline.head.sequences import Windowing
from pipeline.params import Params
from pipeline.store.clip_rows import Row
from pipeline.store.extractor_spec import ExtractorSpec, canonical
from pipeline.store.feature_files import FeatureSet, write_feature_file

SAMPLING = {"fps": 8.0, "max_frames": 512}


@dataclass(frozen=True)
class Results:
    """Right (1) or wrong (0) per test clip, and the person in it."""

    head: list[int]
    baseline: list[int]
    people: list[int]

    def measured(self, samples: int = 500) -> Measured:
        head, baseline = np.array(self.head), np.array(self.baseline)
        return measure(
            Outcome(
                ("no", "yes"),
                np.array([f"{i}.avi" for i in range(len(head))]),
                np.array([f"person{i}" for i in self.people]),
                np.ones(len(head), int),
                np.stack([1 - head, head], axis=1).astype(float),
                baseline,
                head,
            ),
            samples=samples,
        )


def test_a_head_that_loses_is_said_to_lose():
    text = verdict(Results([1, 0] * 20, [1, 1] * 20, list(range(40))).measured())
    assert "right in 50.0 %, the frame-mean baseline in 100.0 %" in text
    assert "50.0 points worse: it does not beat the baseline" in text
    assert "cannot be told apart" not in text


def test_a_lead_within_the_noise_is_called_that():
    text = verdict(Results([1] * 9 + [0], [1] * 8 + [0, 0], list(range(10))).measured())
    assert "+10.0 points for the head" in text
    assert "cannot be told apart" in text


def test_a_clear_lead_is_a_clear_lead():
    text = verdict(Results([1] * 40, [1, 0] * 20, [i // 2 for i in range(40)]).measured())
    assert "+50.0 points for the head" in text
    assert "cannot be told apart" not in text


def test_without_resampling_there_is_no_interval():
    text = verdict(Results([1, 1], [1, 0], [0, 0]).measured(samples=0), "GRU head")
    assert text.endswith("the GRU head is right in 100.0 %, the frame-mean baseline in 50.0 %: "
                         "+50.0 points for the head.")  # fmt: skip


def test_numbers_are_written_for_people():
    assert [duration(s) for s in (7.6, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 05 min"]
    assert [number(v) for v in (3.0, 3.25, 12345.6, None)] == ["3", "3.2", "12,346", "-"]
    assert [points(v) for v in (0.031, -0.031, 0.0001)] == ["+3.1", "-3.1", "0.0"]
    assert between(None) == "-"
    assert with_code("run `a<b` & go") == "run <code>a&lt;b</code> &amp; go"
    assert 'width="25.00"' in bar([(1, "one")], 4)


def write_video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()


def test_a_strip_shows_the_frames_asked_for(tmp_path: Path):
    write_video(tmp_path / "clip.mp4")
    uri = strip_uri(Source(str(tmp_path / "clip.mp4")), [0, 0.4, 0.8], "stretch")
    kind, data = uri.split(",", 1)
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert kind == "data:image/jpeg;base64"
    assert image.shape[1] == 3 * image.shape[0] + 2 * GAP
    shades = [image[:, column].mean() for column in (50, 165, 280)]
    assert shades == pytest.approx([0, 80, 160], abs=8)


def test_a_strip_of_image_files_shows_those_asked_for(tmp_path: Path):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i, path in enumerate(paths):
        cv2.imwrite(path, np.full((48, 64, 3), 60 * i, np.uint8))
    data = strip_uri(Source(images=tuple(paths), fps=8), [1 / 8, 3 / 8], "stretch").split(",", 1)[1]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert [image[:, column].mean() for column in (50, 165)] == pytest.approx([60, 180], abs=8)


def test_a_strip_of_a_missing_or_damaged_video_is_left_out(tmp_path: Path):
    (tmp_path / "damaged.mp4").write_bytes(b"not a video")
    assert strip_uri(Source(str(tmp_path / "damaged.mp4")), [0], "stretch") is None
    assert strip_uri(Source(str(tmp_path / "missing.mp4")), [0], "stretch") is None


def write_sheet(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (51, 205, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(noise, (1640, 408), interpolation=cv2.INTER_CUBIC))


def test_a_contact_sheet_shrinks_to_its_share(tmp_path: Path):
    write_sheet(tmp_path / "walk.jpg")
    large, small = (sheet_uri(tmp_path / "walk.jpg", limit) for limit in (10**7, 40_000))
    assert len(small) * 3 / 4 < 41_000 < len(large)
    assert sheet_uri(tmp_path / "run.jpg", 10**6) is None


NETWORK_ALONE = (Branch("network", 1.0),)
SEVERAL = (Branch("rgb statistics", 0.1, 0.5), Branch("flow order", 0.9, 1.0))


def write_run(
    folder: Path,
    labels: list[str],
    group: str,
    path: Path,
    branches: tuple[Branch, ...] = NETWORK_ALONE,
) -> str:
    """Write the report of a made-up evaluation: three clips per class, one of them a test clip."""
    clips = [
        Clip(f"{label}/p{i}_{label}.avi", label, f"p{i}", "0" * 64, 1)
        for label in sorted(labels)
        for i in range(3)
    ]
    rows = [
        Row(clip.clip_id, clip.digest, np.arange(2, dtype=np.int32), np.array([0, 0.5], np.float32))
        for clip in clips
    ]
    extractor = canonical(ExtractorSpec("0" * 64, 224, "stretch", "float32").fields)
    write_feature_file(
        folder / "features" / "features.h5", rows, ["identity"],
        lambda row, view: np.zeros((2, DIMENSION)), extractor=extractor, sampling=SAMPLING,
    )  # fmt: skip
    features = FeatureSet.open(folder / "features")
    test = [clip for clip in clips if clip.group == "p2"]
    actual = np.arange(len(test))
    probabilities = np.full((len(test), len(test)), 0.1 / len(test)) + 0.9 * np.roll(
        np.eye(len(test)), 1, axis=1
    )
    outcome = Outcome(
        tuple(sorted(labels)),
        np.array([clip.clip_id for clip in test]),
        np.array([clip.group for clip in test]),
        actual,
        probabilities,
        actual,
        actual,
    )
    params = Params.model_validate({"dataset": {"raw": str(folder / "raw"), "group": group}})
    sides = {"p0": "train", "p1": "val", "p2": "test"}
    write_report(
        Run(
            settings=params.model_dump(mode="json"),
            dataset=params.dataset,
            resize=params.features.resize,
            images={},
            clips=clips,
            splits={clip.clip_id: sides[clip.group] for clip in clips},
            copies=[],
            features=features,
            card=ModelCard(tuple(sorted(labels)), features.extractor, features.sampling,
                           {"identity": 1280}, {}, 16, ("identity",), False, branches,
                           Windowing(), 1.5, HeadShape()),
            measured=measure(outcome, samples=100),
            skipped=[],
            rejected=[Rejected("walk/<x>.avi", "features", "is empty")],
            damaged=[Damaged("walk/<y>.avi", 60, 61)],
            curves={"loss": [Curve("train", np.array([1.0, 2.0]), np.array([1.0, 0.5]))]},
            best_epoch=2,
            sheets=folder / "frames",
            timelines=None,
        ),
        path,
    )  # fmt: skip
    return path.read_text("utf-8")


def test_a_hundred_and_one_classes_with_sheets_stay_below_ten_megabytes(tmp_path: Path):
    labels = [f"Class{i:03d}" for i in range(101)]
    write_sheet(tmp_path / "frames" / "Class000.jpg")
    for label in labels[1:]:
        (tmp_path / "frames" / f"{label}.jpg").hardlink_to(tmp_path / "frames" / "Class000.jpg")
    page = write_run(tmp_path, labels, "person_first", tmp_path / "report.html")
    assert page.count('class="sheet"') == 101
    assert "93 more classes" in page
    assert (tmp_path / "report.html").stat().st_size < 10_000_000


def test_names_are_escaped_and_a_missing_grouping_is_a_warning(tmp_path: Path):
    page = write_run(tmp_path, ["a<b>", "walk & run"], "none", tmp_path / "report.html")
    assert "a<b>" not in page
    assert "a&lt;b&gt;" in page
    assert "walk/&lt;x&gt;.avi" in page
    assert "clips of the same person or source video may stand in train and test" in page
    assert "does not beat a logistic regression" in page
    assert "There are no contact sheets" in page


def test_a_head_with_branches_has_a_section_on_what_carries_the_label(tmp_path: Path):
    page = write_run(tmp_path, ["run", "walk"], "none", tmp_path / "with.html", SEVERAL)
    assert "What in this data set carries the label" in page
    assert (
        "Motion carries the label (90 % of the head&#39;s decision; alone it is right for" in page
    )
    assert "near chance (50 %) alone: appearance 50 %" in page
    assert 'aria-label="what carries the label"' in page
    assert 'href="#evidence"' in page


def test_a_network_alone_has_none(tmp_path: Path):
    page = write_run(tmp_path, ["run", "walk"], "none", tmp_path / "without.html")
    assert "evidence" not in page
