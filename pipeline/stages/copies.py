"""Stage `copies`: features and videos -> reports/near_copies.csv, videos that are copies of others.

The embeddings name candidates, and the pixels of the first seconds of both decide. What was decided
is kept by the digests of both files, so that it is decided once.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.clips import IMAGES, INDEX, Clip, ClipTable, read_images, read_index
from pipeline.dataset.near_copies import NEAR_COPIES, NearCopy, Video, write_near_copies
from pipeline.dataset.sources import ClipFiles
from pipeline.files import check_writable, write_json
from pipeline.frames.film_match import COPY, agreement
from pipeline.frames.films import Film, read_film
from pipeline.frames.sources import Source
from pipeline.frames.storage import is_url
from pipeline.head.labelled_clips import one_group_for_a_video
from pipeline.head.near_copies import MOST_VIDEOS, SURE, Candidate, candidates
from pipeline.processes import available_cores, run_in_processes
from pipeline.progress import Progress
from pipeline.store.feature_files import ABSENT, FEATURES, FeatureSet
from pipeline.wording import count

if TYPE_CHECKING:
    from pipeline.params import Params

MOST_PAIRS = 2000  # that are decoded: some minutes of one core; the likeliest
FILMS = 16  # that a worker keeps, 2 MB each: pairs come in order
PAIR_SECONDS = 300.0  # that two videos may take; they take less than one
DECIDED = Path(".clipcache/copies.json")  # no DVC output, so DVC leaves it
VERSION = 1  # of how pixels are compared; raise it where that changes


@dataclass(frozen=True)
class NearCopies:
    """What was found.

    Attributes
    ----------
    pairs : of videos of different groups, in the order of the index
    compared, decoded : pairs that were candidates, and those of them that were looked at now
    skipped : why nothing was looked for, or not everything; "" as a rule
    """

    pairs: list[NearCopy]
    compared: int
    decoded: int
    skipped: str


@dataclass(frozen=True)
class _Clips:
    """The clips of a video: where they are in the features, in the order of their times.

    Attributes
    ----------
    first : of them
    starts : (n,) float64, seconds, of each
    end : seconds, of the last
    """

    video: Video
    first: Clip
    positions: np.ndarray
    starts: np.ndarray
    end: float

    @property
    def segment(self) -> tuple[float, float]:
        """From the start of the first to the end of the last, seconds."""
        return float(self.starts[0]), self.end

    def time(self, features: FeatureSet, row: int) -> float:
        """Seconds from the start of the first at which a row of the features is seen."""
        clip = int(np.searchsorted(np.cumsum(features.lengths[self.positions]), row, "right"))
        row -= int(features.lengths[self.positions[:clip]].sum())
        within = features.times(self.positions[clip])[row]  # a segment's count from its start
        return float(self.starts[clip] - self.starts[0] + within)


@dataclass(frozen=True)
class _Pair:
    """Two videos whose pixels are to be compared."""

    key: str
    one: Source
    other: Source
    segments: tuple[tuple[float, float], tuple[float, float]]
    lag: float


def find_copies(
    params: "Params",
    *,
    features_folder: Path = FEATURES,
    index: Path = INDEX,
    path: Path = NEAR_COPIES,
    decided: Path = DECIDED,
) -> NearCopies:
    """Find videos of different groups that are copies of each other, and write near_copies.csv.

    Raises
    ------
    FeaturesError
        When there are no features.
    """
    check_writable(path)
    features, clips = FeatureSet.open(features_folder), read_index(index)
    positions = features.positions(clips.column("clip_id"))
    clips, positions = clips.take(positions != ABSENT), positions[positions != ABSENT]
    videos = _videos(clips, positions)
    skipped = ""
    if len(videos) > MOST_VIDEOS:
        skipped = f"Copies are not looked for among more than {MOST_VIDEOS:,} videos."
    of_images = "images" in clips.codes("kind")[1]
    images = read_images(index.with_name(IMAGES.name)) if of_images else {}
    files = ClipFiles.of(params.dataset, images)
    groups = one_group_for_a_video(clips.codes("group")[0], clips.codes("digest")[0])
    group_of = dict(zip(positions.tolist(), groups.tolist(), strict=True))
    likely = candidates(
        features,
        [video.positions for video in videos],
        np.array([group_of[int(video.positions[0])] for video in videos], np.int64),
    )
    known, asked = _read_decided(decided), {}
    for candidate in likely:
        pair = _pair(features, files, videos[candidate.one], videos[candidate.other], candidate)
        if not any(map(is_url, (*pair.one.files, *pair.other.files))):
            asked[candidate] = pair
    new = [pair for pair in asked.values() if pair.key not in known]
    if len(new) > MOST_PAIRS:
        skipped = (
            f"Of {len(new):,} pairs of videos that may be copies only the {MOST_PAIRS:,} "
            "likeliest were looked at."
        )
    before = len(known)
    try:
        for key, value in _decide(new[:MOST_PAIRS]):
            known[key] = value
    finally:  # also when it is interrupted
        if len(known) > before:
            write_json(decided, known)
    if not skipped and (failed := sum(pair.key not in known for pair in new)):
        skipped = (
            f"{count(failed, 'pair')} of videos that may be copies could not be looked at, as a "
            "file does not decode any more, or not in time: their embeddings alone decide."
        )
    found = []
    for candidate in likely:
        key = asked[candidate].key if candidate in asked else ""
        if key in known:
            likeness, least = known[key], COPY
        else:  # nobody could look
            likeness, least = candidate.likeness, SURE
        if likeness >= least:
            found.append((candidate.one, candidate.other, likeness))
    pairs = [NearCopy(videos[one].video, videos[other].video, likeness)
             for one, other, likeness in sorted(found)]  # fmt: skip
    write_near_copies(pairs, path)
    return NearCopies(pairs, len(likely), len(known) - before, skipped)


def _videos(clips: ClipTable, positions: np.ndarray) -> list[_Clips]:
    """The videos of these clips, in their order; of those with the same bytes the first."""
    rows: dict[str, list[tuple[Clip, int]]] = {}
    name_of: dict[str, str] = {}  # digest -> the name that stands for all
    for clip, position in zip(clips, positions.tolist(), strict=True):
        name = clip.path or clip.clip_id
        if name_of.setdefault(clip.digest, name) == name:
            rows.setdefault(name, []).append((clip, position))
    found = []
    for name, parts in rows.items():
        parts.sort(key=lambda part: part[0].segment)
        first, labels = parts[0][0], {clip.label for clip, _ in parts}
        label = first.label if len(labels) == 1 else ""
        found.append(
            _Clips(
                Video(name, label, first.group, first.digest),
                first,
                np.array([position for _, position in parts]),
                np.array([clip.segment[0] for clip, _ in parts]),
                max(clip.segment[1] for clip, _ in parts),
            )
        )
    return found


def _pair(
    features: FeatureSet, files: ClipFiles, one: _Clips, other: _Clips, candidate: Candidate
) -> _Pair:
    rows = max(0, candidate.shift), max(0, -candidate.shift)
    lag = round(other.time(features, rows[1]) - one.time(features, rows[0]), 2)
    named = [VERSION, lag, *((each.video.digest, *each.segment) for each in (one, other))]
    key = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
    sources = files.source(one.first), files.source(other.first)
    return _Pair(key, *sources, (one.segment, other.segment), lag)


def _decide(pairs: list[_Pair]) -> Iterator[tuple[str, float]]:
    """The agreement of each pair, by its key; none of one that cannot be decoded."""
    if not pairs:
        return
    ordered = sorted(pairs, key=lambda pair: (pair.one.files, pair.other.files))
    workers = min(available_cores(), len(pairs))
    results = run_in_processes(_look, ordered, workers=workers, timeout=PAIR_SECONDS)
    with Progress("copies", len(pairs), "pairs") as progress, closing(results):
        for pair, answer in results:
            progress.advance()
            if isinstance(answer, float):
                yield pair.key, round(answer, 4)


def _look(pair: _Pair) -> float:
    """How far two clips agree; runs in a worker process."""
    import cv2

    cv2.setNumThreads(1)
    one, other = _film(pair.one, pair.segments[0]), _film(pair.other, pair.segments[1])
    return agreement(one, other, pair.lag)


@lru_cache(FILMS)
def _film(source: Source, segment: tuple[float, float]) -> Film:
    return read_film(source, segment)


def _read_decided(path: Path) -> dict[str, float]:
    """What was decided before; nothing where it was not, or the file is damaged."""
    try:
        known = json.loads(path.read_text("utf-8"))
        return {str(key): float(value) for key, value in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
