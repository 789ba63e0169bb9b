"""The page about a trained head: reports/report.html."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import __version__
from pipeline.dataset.clips import SPLIT_NAMES, Clip, ClipTable, Damaged, Rejected
from pipeline.dataset.near_copies import NearCopy, in_words
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.sources import ClipFiles
from pipeline.evaluation.evidence import evidence, evidence_in_words
from pipeline.evaluation.metrics import Interval, Measured, frequent_confusions, top_k
from pipeline.evaluation.multi_label.scores import MeasuredLabels
from pipeline.evaluation.plots import (
    Curve,
    confusion_matrix,
    curve_panel,
    reliability_diagram,
    to_svg,
)
from pipeline.evaluation.report.clip_map import ClipMap, clip_map
from pipeline.evaluation.report.dataset import DatasetSection
from pipeline.evaluation.report.dataset_summary import facts_from_features, summarise
from pipeline.evaluation.report.images import sheet_uri, strip_uri
from pipeline.evaluation.report.page import between_points, percent, points, write_page
from pipeline.evaluation.report.timelines import TimelineSection
from pipeline.evaluation.timelines import MeasuredTimelines
from pipeline.files import as_file_name
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.model_card import ModelCard
from pipeline.store.feature_files import FeatureSet
from pipeline.wording import count, some

MISTAKES = 12  # most confident ones shown
MISTAKE_FRAMES = 6  # of each
CONFUSIONS = 12  # most frequent pairs listed
SHEET_BYTES = 4_500_000  # of all contact sheets together; base64 makes 6 MB of them
SHEETS_OPEN = 8  # classes whose sheets are not folded away
REJECTED = 200  # rows shown
# Settings that say how the work is done and not what comes out.
WITHOUT_EFFECT = {("features", name) for name in ("engine", "workers", "clip_timeout", "shards")}
PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "scikit-learn", "h5py")
HEAD_NAMES = {"lstm": "LSTM head", "bilstm": "BiLSTM head", "gru": "GRU head", "none": "head"}


@dataclass(frozen=True)
class Run:
    """All that a report is made of.

    Attributes
    ----------
    settings : all of params.yaml, section by section
    dataset : how the clips are laid out
    resize : rule by which frames are fitted
    clips, splits, features, card : inputs of the evaluation
    copies : pairs of videos that show the same moments
    images : clip_id -> files of the clips of images
    timelines : of long videos, where there are any
    skipped : test clips without features, or of a label that no train clip has
    curves, best_epoch : of the training, see pipeline.evaluation.plots.read_curves
    sheets : folder of the contact sheets; may be missing
    """

    settings: Mapping[str, Mapping[str, Any]]
    dataset: DatasetParams
    resize: str
    clips: Sequence[Clip]
    images: Mapping[str, Sequence[str]]
    splits: Mapping[str, str]
    copies: Sequence[NearCopy]
    features: FeatureSet
    card: ModelCard
    measured: Measured | MeasuredLabels
    timelines: MeasuredTimelines | None
    skipped: Sequence[str]
    rejected: Sequence[Rejected]
    damaged: Sequence[Damaged]
    curves: Mapping[str, Sequence[Curve]]
    best_epoch: int | None
    sheets: Path


@dataclass(frozen=True)
class Mistake:
    """A clip that the head is sure about, and wrong.

    Attributes
    ----------
    guesses : the likeliest classes with their probabilities
    strip : data URI, or None where the clip could not be read
    """

    clip_id: str
    actual: str
    predicted: str
    confidence: float
    guesses: list[tuple[str, float]]
    baseline: str
    strip: str | None


def head_name(card: ModelCard) -> str:
    """What to call the head: by its recurrent layer, if it has one."""
    if NETWORK_BRANCH not in card.shape.branches:
        return "linear head"
    return HEAD_NAMES.get(card.shape.recurrent, "head")


def verdict(measured: Measured, name: str = "LSTM head") -> str:
    """Head against baseline in a few sentences that a sceptic can accept."""
    return f"{_against_baseline(measured, name)}{_never_found(measured)}"


def _never_found(measured: Measured) -> str:
    """A sentence on the labels of which no test clip was recognised."""
    lost = [one for one in measured.classes if one.clips and not one.recall]
    if not lost:
        return ""
    clips = count(sum(one.clips for one in lost), "test clip")
    return f" Never found: {some([one.label for one in lost])}, {clips} in all."


def _against_baseline(measured: Measured, name: str) -> str:
    comparison, clips = measured.comparison, len(measured.outcome.actual)
    over, interval = _widest(measured)
    numbers = (
        f"On {count(clips, 'test clip')} the {name} is right in "
        f"{percent(measured.head.accuracy)}, the frame-mean baseline in "
        f"{percent(measured.baseline.accuracy)}"
    )
    if comparison.difference < 0:
        finding = (
            f"the head is {points(comparison.difference).lstrip('-')} points worse: it does not "
            "beat the baseline"
        )
    elif comparison.difference == 0:
        finding = "the head does not beat the baseline"
    else:
        finding = f"{points(comparison.difference)} points for the head"
    if interval is None:
        return f"{numbers}: {finding}."
    range_text = f"95 % interval over {over} {between_points(interval)} points"
    if comparison.difference and interval.low <= 0 <= interval.high:
        return (
            f"{numbers}: {finding} ({range_text}). The interval includes 0, so on this split the "
            "two cannot be told apart."
        )
    return f"{numbers}: {finding} ({range_text})."


def write_report(run: Run, path: Path) -> None:
    """Write the page; equal runs give equal bytes.

    A contact sheet or a video that is missing leaves its picture out; nothing else is lost.
    """
    measured = run.measured
    assert isinstance(measured, Measured)
    outcome = measured.outcome
    said = (outcome.labels[i] for i in outcome.predicted)
    values: dict[str, Any] = {
        **common_values(run, dict(zip(map(str, outcome.clip_ids), said, strict=True))),
        "verdict": verdict(measured, head_name(run.card)),
        "behind": measured.comparison.difference <= 0,
        "evidence": _evidence(run),
        "confusion": to_svg(
            confusion_matrix(measured.confusion, outcome.labels), "confusion matrix"
        ),
        "confusions": [
            (outcome.labels[actual], outcome.labels[predicted], clips)
            for actual, predicted, clips in frequent_confusions(measured.confusion, CONFUSIONS)
        ],
        "timelines": TimelineSection(run.timelines) if run.timelines else None,
        "classes": sorted(
            zip(measured.classes, measured.baseline_classes, strict=True),
            key=lambda pair: (pair[0].f1, pair[0].recall, pair[0].label),
        ),
        "mistakes": _mistakes(run, measured),
        "wrong": int((~outcome.correct).sum()),
        "reliability": to_svg(
            reliability_diagram(measured.reliability, measured.calibration_error),
            "reliability diagram",
        ),
        "tried": outcome.tried.shares(outcome.actual) if outcome.tried else None,
    }
    write_page(path, "report.html", values)


def common_values(run: Run, taken_for: Mapping[str, str]) -> dict[str, Any]:
    """What every report has, whether one label holds or several may.

    Parameters
    ----------
    taken_for : clip_id -> what the head says of it, as index.csv would have it
    """
    facts = facts_from_features(run.clips, run.splits, run.features)
    summary = summarise(facts, multi_label=run.dataset.multi_label)
    return {
        "version": __version__,
        "head": head_name(run.card),
        "measured": run.measured,
        "skipped": run.skipped,
        "dataset": DatasetSection(
            run.dataset,
            summary,
            "frames embedded (sampled, one view)",
            "from a clip's first to its last sampled frame",
            in_words(run.copies, _sides(run)),
        ),
        "map": _map(run, taken_for),
        "sampling": _sampling_in_words(run.features.sampling),
        "resize": run.resize,
        "sheets": _sheets(run.sheets, list(summary.classes)),
        "sheets_open": SHEETS_OPEN,
        "curves": [
            to_svg(curve_panel(metric, curves, run.best_epoch), f"{metric} over the epochs")
            for metric, curves in run.curves.items()
        ],
        "best_epoch": run.best_epoch,
        "temperature": run.card.temperature,
        "settings": _settings(run),
        "versions": _versions(run.card),
        "origins": _origins(run),
        "rejected": run.rejected[:REJECTED],
        "rejected_total": len(run.rejected),
        "damaged": run.damaged[:REJECTED],
        "damaged_total": len(run.damaged),
    }


def _widest(measured: Measured) -> tuple[str, Interval | None]:
    """The interval to judge by, the wider one; few groups may agree by chance."""
    comparison = measured.comparison
    clips, groups = comparison.over_clips, comparison.over_groups
    if clips and groups and clips.high - clips.low > groups.high - groups.low:
        return "clips", clips
    return ("groups", groups) if groups else ("clips", clips)


def _evidence(run: Run) -> tuple[str, str] | None:
    """What carries the label, as a sentence and a picture; None where nothing was weighed."""
    branches = run.card.branches
    if any(branch.accuracy is None for branch in branches):
        return None
    trained = Counter(clip.label for clip in run.clips if run.splits.get(clip.clip_id) == "train")
    chance = max(trained.values()) / trained.total()
    picture = to_svg(evidence(branches, chance), "what carries the label")
    return evidence_in_words(branches, chance), picture


def _sides(run: Run) -> dict[str, str]:
    """The split of each video, by its digest."""
    sides = ((clip.digest, run.splits.get(clip.clip_id)) for clip in run.clips)
    return {digest: side for digest, side in sides if side in SPLIT_NAMES}


def _map(run: Run, taken_for: Mapping[str, str]) -> ClipMap | None:
    """All clips with features; test clips with what the head takes them for."""
    files = ClipFiles.of(run.dataset, run.images)
    clips = ClipTable.of(run.clips)
    return clip_map(run.features, clips, run.splits, taken_for, files, run.resize)


def _sampling_in_words(sampling: Mapping[str, Any]) -> str:
    fps, most = sampling.get("fps"), sampling.get("max_frames")
    rate = f"{fps:g} frames per second" if fps else "every frame"
    return f"{rate}, at most {most:,} of a clip" if most else rate


def _sheets(folder: Path, labels: Sequence[str]) -> list[tuple[str, str]]:
    """The contact sheet of each class as a data URI."""
    limit = SHEET_BYTES // max(len(labels), 1)
    with ThreadPoolExecutor() as pool:
        uris = pool.map(
            lambda label: sheet_uri(folder / f"{as_file_name(label)}.jpg", limit), labels
        )
        return [(label, uri) for label, uri in zip(labels, uris, strict=True) if uri]


def _mistakes(run: Run, measured: Measured) -> list[Mistake]:
    outcome, labels = measured.outcome, measured.outcome.labels
    wrong = np.flatnonzero(~outcome.correct)
    wrong = wrong[np.argsort(-outcome.confidence[wrong], kind="stable")][:MISTAKES]
    ranked = top_k(outcome.probabilities, 3)
    strips = strips_of(run, [str(outcome.clip_ids[clip]) for clip in wrong])
    mistakes = []
    for clip in wrong:
        clip_id = str(outcome.clip_ids[clip])
        mistakes.append(
            Mistake(
                clip_id,
                labels[outcome.actual[clip]],
                labels[outcome.predicted[clip]],
                float(outcome.confidence[clip]),
                [(labels[i], float(outcome.probabilities[clip, i])) for i in ranked[clip]],
                labels[outcome.baseline[clip]],
                strips[clip_id],
            )
        )
    return mistakes


def strips_of(run: Run, clip_ids: Sequence[str]) -> dict[str, str | None]:
    """A row of frames of each of these clips as a data URI; None where it cannot be read."""
    wanted, files = set(clip_ids), ClipFiles.of(run.dataset, run.images)
    strips = {}
    for clip in run.clips:
        if clip.clip_id in wanted:
            position = run.features.position(clip.clip_id)
            seconds = clip.segment[0] + run.features.spread_times(position, MISTAKE_FRAMES)
            strips[clip.clip_id] = strip_uri(files.source(clip), seconds, run.resize)
    return strips


def _settings(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Section -> settings as text, without those that change nothing in the result.

    A null under `train` means "as the preset says"; what that was stands in a section of its own.
    """
    chosen = {name: value for name, value in run.settings["train"].items() if value is not None}
    sections = {**run.settings, "train": chosen, "head, as built": run.card.shape.to_dict()}
    return [
        (
            section,
            [
                (name, _as_text(value))
                for name, value in settings.items()
                if (section, name) not in WITHOUT_EFFECT
            ],
        )
        for section, settings in sections.items()
    ]


def _as_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return ", ".join(_as_text(item) for item in value) or "[]"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_as_text(item)}" for name, item in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _versions(card: ModelCard) -> list[tuple[str, str]]:
    rows = [("clipcache", __version__), ("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:  # another build of it, such as opencv-python-headless
            continue
    here = dict(rows)
    trained = [(f"{name}, in training", value) for name, value in sorted(card.versions.items())
               if here.get(name) != value]  # fmt: skip
    return [*rows, *trained]


def _origins(run: Run) -> list[tuple[str, str]]:
    """What the numbers rest on: digests and the extractor's fields."""
    extractor = [(name.replace("_", " "), str(value)) for name, value in
                 sorted(run.features.extractor.items())]  # fmt: skip
    return [("features, SHA-256", run.features.sha256), *extractor]
