"""Long videos among the clips of a feature set: those that segments tile, or clips end to end."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.dataset.clips import ClipTable
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.streams import Clip
from pipeline.store.feature_files import ABSENT, FeatureSet
from pipeline.timeline.scores import UNKNOWN

CLIPS_IN_A_ROW = 10


@dataclass(frozen=True)
class LongVideo:
    """Segments of a video, or clips as if they were some, in order.

    Attributes
    ----------
    name : its path; "" of clips end to end
    group : number of the group, as the clips have it
    positions : (S,) int64, where each segment is in the feature set
    starts : (S,) float64, seconds from the video's first frame
    labels : (S,) int64, classes; `UNKNOWN` of segments of which nothing is known
    length : seconds
    """

    name: str
    group: int
    positions: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    length: float

    def parts(self, features: FeatureSet) -> Iterator[tuple[np.ndarray, Clip]]:
        """The times (n,) in seconds, and the rows, of one segment after the other."""
        for start, position in zip(self.starts, self.positions, strict=True):
            yield start + features.times(position).astype(np.float64), features.clip(position)

    def times(self, features: FeatureSet) -> np.ndarray:
        """The seconds of all its rows: (T,) float64."""
        found = [
            start + features.times(position)
            for start, position in zip(self.starts, self.positions, strict=True)
        ]
        return np.concatenate(found).astype(np.float64)

    def truth(self, times: np.ndarray) -> np.ndarray:
        """The class at each of these times: (T,) int64."""
        return self.labels[np.searchsorted(self.starts, times + 1e-6, side="right").clip(1) - 1]

    def stretches(self) -> list[tuple[int, float]]:
        """Class and seconds of each run of segments of one class that is known."""
        edges = np.flatnonzero(np.diff(self.labels)) + 1
        first = np.concatenate([[0], edges])
        ends = np.append(self.starts[edges], self.length)
        return [
            (int(self.labels[i]), float(end - self.starts[i]))
            for i, end in zip(first, ends, strict=True)
            if self.labels[i] != UNKNOWN
        ]


def tiled_videos(features: FeatureSet, clips: ClipTable, side: LabelledClips) -> list[LongVideo]:
    """The videos that segments tile from the first frame to the last, as the layout `timeline`
    finds them, of which a clip is in `side`; segments that are not in it are `UNKNOWN`.
    """
    import pyarrow.compute as pc

    open_ended = pc.and_(pc.is_valid(clips.column("start")), pc.is_null(clips.column("end")))
    paths = pc.unique(clips.column("path").filter(open_ended))
    segments = clips.take(pc.is_in(clips.column("path"), paths).to_numpy())
    order = pc.sort_indices(
        segments.column("start"), sort_keys=[("", "ascending")]
    ).to_numpy() if len(segments) else np.zeros(0, int)  # fmt: skip
    segments = segments.take(order)
    codes, names = segments.codes("path")
    positions = features.positions(segments.column("clip_id"))
    starts, ends = (segments.column(name).fill_null(np.inf).to_numpy() for name in ("start", "end"))
    number = {position: i for i, position in enumerate(side.positions.tolist())}
    videos = []
    for code, name in enumerate(names):
        here = np.flatnonzero(codes == code)
        tiles = starts[here[0]] == 0 and (starts[here[1:]] == ends[here[:-1]]).all()
        here = here[positions[here] != ABSENT]
        rows = [number.get(position, UNKNOWN) for position in positions[here].tolist()]
        known = [row for row in rows if row != UNKNOWN]
        if not tiles or not known:
            continue
        last = features.times(positions[here[-1]])
        videos.append(
            LongVideo(
                name, int(side.groups[known[0]]), positions[here], starts[here],
                np.array([UNKNOWN if row == UNKNOWN else side.labels[row] for row in rows]),
                float(starts[here[-1]] + last[-1]) + row_seconds(features, positions[here[-1]]),
            )
        )  # fmt: skip
    return videos


def end_to_end(features: FeatureSet, clips: LabelledClips, seed: int = 0) -> list[LongVideo]:
    """The clips in an arbitrary order, ten in a row."""
    order = np.random.default_rng(seed).permutation(len(clips))
    videos = []
    for first in range(0, len(order), CLIPS_IN_A_ROW):
        row = clips.take(order[first : first + CLIPS_IN_A_ROW])
        seconds = np.array([clip_seconds(features, position) for position in row.positions])
        ends = np.cumsum(seconds)
        videos.append(LongVideo("", 0, row.positions, ends - seconds, row.labels, float(ends[-1])))
    return videos


def clip_seconds(features: FeatureSet, position: int) -> float:
    """The length of a clip, from its first row to the end of the last one."""
    return float(features.times(position)[-1]) + row_seconds(features, position)


def row_seconds(features: FeatureSet, position: int) -> float:
    """Seconds from one row of a clip to the next."""
    if features.sampling["fps"]:
        return 1 / float(features.sampling["fps"])
    gaps = np.diff(features.times(position))
    return float(np.median(gaps)) if len(gaps) else 1 / 25
