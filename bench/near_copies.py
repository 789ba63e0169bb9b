"""`python -m bench.labels --copies DATA`: which copies of videos are found, and what else is.

Copies are made of some clips of each set in the folder DATA, embedded like the clips, and looked
for among them, one kind at a time; every clip is a group of its own.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.backbone.params import BackboneParams
from pipeline.dataset.clips import INDEX
from pipeline.dataset.params import DatasetParams
from pipeline.embedding.params import FeaturesParams
from pipeline.frames.sources import file_source, open_source
from pipeline.params import Params
from pipeline.stages.backbone import prepare_backbone
from pipeline.stages.copies import find_copies
from pipeline.stages.features import extract_features
from pipeline.stages.index import index_clips

SETS = ("weizmann", "ut_interaction", "egogestar")
MARK = "__copy"  # in the name of a copy
FPS = 25.0


def _cropped(frame: np.ndarray, share: float) -> np.ndarray:
    down, right = (round(side * share) for side in frame.shape[:2])
    return frame[down : frame.shape[0] - down, right : frame.shape[1] - right]


def _jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def _halved(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


# Each is encoded as MPEG-4 on top.
KINDS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "compressed anew (JPEG 30)": lambda frame: _jpeg(frame, 30),
    "5 % cut off each side": lambda frame: _cropped(frame, 0.05),
    "10 % cut off each side": lambda frame: _cropped(frame, 0.1),
    "mirrored": lambda frame: _jpeg(frame[:, ::-1], 50),
    "mirrored, 5 % cut off": lambda frame: _jpeg(_cropped(frame, 0.05)[:, ::-1], 50),
    "half the size": _halved,
    "half the size, JPEG 30": lambda frame: _jpeg(_halved(frame), 30),
    "brighter by 30 %": lambda frame: cv2.convertScaleAbs(frame, alpha=1.3),
    "without its first 5 frames": lambda frame: frame,
}
LATE = {"without its first 5 frames": 5}


@dataclass(frozen=True)
class Tried:
    """What was found among the clips of a set and copies of one kind of some of them."""

    made: int
    found: int
    strange: list[str]


def near_copies(
    data: Path, count: int, sets: Sequence[str] = SETS, seed: int = 0
) -> Iterator[tuple[str, str, str]]:
    """Rows of a table: set, kind of copy, found of those made and pairs that are no copies."""
    for name in sets:
        with tempfile.TemporaryDirectory() as folder:
            for kind, tried in copies_of(data / name, Path(folder), count, seed):
                false = f"; false: {', '.join(tried.strange)}" if tried.strange else ""
                yield name, kind, f"{tried.found} of {tried.made}{false}"


def copies_of(raw: Path, folder: Path, count: int, seed: int) -> Iterator[tuple[str, Tried]]:
    """Try the kinds of copies on a set of videos in folders by label; the first without copies."""
    clips = sorted(path for path in raw.glob("*/*") if path.suffix in {".avi", ".mp4", ".mpg"})
    picked = np.random.default_rng(seed).choice(len(clips), min(count, len(clips)), replace=False)
    backbone = folder / "backbone"
    prepare_backbone(BackboneParams(), backbone)
    for number, kind in enumerate(["no copies", *KINDS]):
        mixed = folder / str(number) / "raw"
        for path in clips:
            link = mixed / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())
        made = 0
        for row in picked if kind in KINDS else ():
            path = clips[row]
            write_copy(path, mixed / path.parent.name / f"{path.stem}{MARK}.mp4", kind)
            made += 1
        pairs = _found(mixed, backbone)
        right = [pair for pair in pairs if _same(*pair)]
        strange = [" = ".join(pair) for pair in pairs if not _same(*pair)]
        yield kind, Tried(made, len(right), strange)


def write_copy(path: Path, copy: Path, kind: str) -> None:
    """A copy of a video."""
    reader = open_source(file_source(path))
    writer = None
    late = LATE.get(kind, 0)
    for index, frame in reader.frames(lambda index, seconds: True):
        if index < late:
            continue
        changed = np.ascontiguousarray(KINDS[kind](frame))
        changed = changed[: changed.shape[0] // 2 * 2, : changed.shape[1] // 2 * 2]
        if writer is None:
            codec, size = cv2.VideoWriter.fourcc(*"mp4v"), changed.shape[1::-1]
            writer = cv2.VideoWriter(str(copy), codec, reader.fps or FPS, size)
        writer.write(np.ascontiguousarray(changed))
    if writer is not None:
        writer.release()


def _found(raw: Path, backbone: Path) -> list[tuple[str, str]]:
    """Names of clips without what marks the copies, pair by pair."""
    project = raw.parent
    params = Params(
        dataset=DatasetParams(raw=str(raw), group="none"), features=FeaturesParams(workers=2)
    )
    clips = index_clips(params.dataset, project / INDEX)
    extract_features(
        params, clips, folder=project / "features", backbone=backbone,
        rejected=project / "reports" / "rejected.csv",
    )  # fmt: skip
    done = find_copies(
        params,
        features_folder=project / "features",
        index=project / INDEX,
        path=project / "near_copies.csv",
        decided=project.parent / "decided.json",  # originals are the same with every kind
    )
    return [(pair.video.name, pair.copy.name) for pair in done.pairs]


def _same(one: str, other: str) -> bool:
    return Path(one).with_suffix("").as_posix().removesuffix(MARK) == (
        Path(other).with_suffix("").as_posix().removesuffix(MARK)
    )
