"""Tool `similar`: the nearest clips of a data set, or windows inside its clips."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.dataset.clips import NO_LABEL
from pipeline.errors import DatasetError
from pipeline.head.clip_space import AT_ONCE, ClipPoints, place_on
from pipeline.head.streams import Clip
from pipeline.labelling.collection import Collection
from pipeline.store.feature_files import FeatureSet

STRIDES = 4  # windows begin so many times in their own length


@dataclass(frozen=True)
class Neighbour:
    """A clip, or a window of one, that is like what was asked for.

    Attributes
    ----------
    nearness : -1 to 1; 1 is the same
    start, end : seconds of a window, None for a whole clip
    """

    clip_id: str
    label: str
    nearness: float
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Query:
    """What neighbours are looked for.

    Attributes
    ----------
    clip : its rows, reading -> (T, D)
    row : of the clip in the collection; None for a file from outside
    """

    clip: Clip
    row: int | None = None

    @property
    def length(self) -> int:
        """T, sampled frames."""
        return len(next(iter(self.clip.values())))


def query_of(
    collection: Collection, row: int, start: float | None = None, end: float | None = None
) -> Query:
    """A clip of the collection, or what it holds from one second to another.

    Raises
    ------
    DatasetError
        When no sampled frame lies in between.
    """
    position = collection.positions[row]
    clip, times = collection.features.clip(position), collection.features.times(position)
    inside = between(times, start, end, collection.clip_ids[row])
    return Query({name: values[inside] for name, values in clip.items()}, row)


def between(times: np.ndarray, start: float | None, end: float | None, name: str) -> slice:
    """The rows from one second to another.

    Raises
    ------
    DatasetError
        When there is none.
    """
    first = int(np.searchsorted(times, -np.inf if start is None else start, "left"))
    last = int(np.searchsorted(times, np.inf if end is None else end, "right"))
    if first >= last:
        raise DatasetError(
            f"{name} has no sampled frame in that time; it goes from {times[0]:.1f} to "
            f"{times[-1]:.1f} s."
        )
    return slice(first, last)


def similar_clips(
    collection: Collection, query: Query, count: int, *, others: bool = False
) -> list[Neighbour]:
    """The nearest clips, the nearest first; never the clip itself.

    Parameters
    ----------
    others : only clips of other groups than that of the query
    """
    known = collection.points
    near = known.points @ _point(known, collection, query)
    if query.row is not None:
        near[query.row] = -np.inf
        if others:
            near[collection.groups == collection.groups[query.row]] = -np.inf
    rows = [row for row in np.argsort(-near, kind="stable")[:count] if np.isfinite(near[row])]
    return [
        Neighbour(collection.clip_ids[row], collection.names[row], float(near[row])) for row in rows
    ]


def similar_windows(
    collection: Collection,
    query: Query,
    count: int,
    *,
    others: bool = False,
    advance: Callable[[int], None] = lambda clips: None,
) -> list[Neighbour]:
    """Windows as long as the query that are like it, the nearest first.

    Of those that overlap in one clip only the nearest is told. Clips are read one after the other.

    Parameters
    ----------
    advance : told of each clip that was looked at
    """
    point = _point(collection.points, collection, query)
    found: list[Neighbour] = []
    for row, position in enumerate(collection.positions):
        advance(1)
        same = row == query.row or (
            others and query.row is not None
            and collection.groups[row] == collection.groups[query.row]
        )  # fmt: skip
        if same and others:
            continue
        clip, times = collection.features.clip(position), collection.features.times(position)
        group = int(collection.groups[row])
        found += [
            Neighbour(collection.clip_ids[row], collection.names[row], *window)
            for window in _windows(collection, clip, times, query.length, point, group)
        ]
        found = sorted(found, key=lambda one: -one.nearness)[: count + 1]
    return found[:count]


def similar_outside(
    collection: Collection,
    query: Query,
    outside: FeatureSet,
    count: int,
    *,
    windows: bool = False,
    advance: Callable[[int], None] = lambda clips: None,
) -> list[Neighbour]:
    """The nearest clips of another feature set, or windows in them, the nearest first.

    They are placed in the space of the collection, one after the other. What a group has in common
    is taken out of neither side, as theirs is not known.

    Parameters
    ----------
    outside : made with the same settings
    """
    known = collection.points
    point = known.point(place_on(collection.space.branches, [query.clip]))[0]
    found: list[Neighbour] = []
    for position, clip_id in enumerate(outside.clip_ids):
        advance(1)
        clip, times = outside.clip(position), outside.times(position)
        if windows:
            near: Iterable[tuple[float, float | None, float | None]] = _windows(
                collection, clip, times, query.length, point
            )
        else:
            placed = place_on(collection.space.branches, [clip])
            near = [(float((known.point(placed) @ point)[0]), None, None)]
        found += [Neighbour(str(clip_id), NO_LABEL, *one) for one in near]
        found = sorted(found, key=lambda one: -one.nearness)[:count]
    return found


def _windows(
    collection: Collection,
    clip: Clip,
    times: np.ndarray,
    length: int,
    point: np.ndarray,
    group: int | None = None,
) -> Iterator[tuple[float, float, float]]:
    """Nearness, start and end of windows of a clip that do not overlap, the nearest first."""
    known, spans = collection.points, list(window_spans(len(times), length))
    near = np.concatenate([
        known.point(place_on(collection.space.branches, [
            {name: values[first:last] for name, values in clip.items()} for first, last in part
        ]), group) @ point
        for part in (spans[i : i + AT_ONCE] for i in range(0, len(spans), AT_ONCE))
    ])  # fmt: skip
    taken: list[tuple[int, int]] = []
    for i in np.argsort(-near, kind="stable"):
        first, last = spans[i]
        if any(first < there[1] and there[0] < last for there in taken):
            continue
        taken.append((first, last))
        yield float(near[i]), float(times[first]), float(times[last - 1])


def window_spans(length: int, window: int) -> Iterator[tuple[int, int]]:
    """First row and the one behind the last of each window of a clip; a short clip is one."""
    if length <= window:
        yield 0, length
        return
    step = max(1, window // STRIDES)
    starts: Iterable[int] = dict.fromkeys([*range(0, length - window, step), length - window])
    for start in starts:
        yield start, start + window


def _point(known: ClipPoints, collection: Collection, query: Query) -> np.ndarray:
    group = None if query.row is None else int(collection.groups[query.row])
    return known.point(place_on(collection.space.branches, [query.clip]), group)[0]
