"""A clip's streams as a head reads them: in which view, side by side, and prepared.

A clip is a mapping from the name of a reading, a stream in a view, to its rows (T, D), the same T
for all (`pipeline.frames.streams`). Of flow the mirrored view is computed, never cached.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.frames.flow import mirrored
from pipeline.frames.streams import DIFFERENCE, FLOW, RGB, STREAMS, reading, stream_and_view

IDENTITY, MIRROR = "identity", "hflip"
EMBEDDED = (RGB, DIFFERENCE)  # by the CNN
NETWORK = (RGB, FLOW)  # what the network reads; rows of all streams are 2.5 times as wide
VARIANCE_FLOOR = 1e-6  # as in the network's layer normalisation

Clip = Mapping[str, np.ndarray]
Rows = slice | np.ndarray


def streams_of(readings: Mapping[str, int]) -> dict[str, int]:
    """The streams that are there, in the order in which they lie side by side, with their D."""
    names = {stream: reading(stream) for stream in STREAMS}
    return {stream: readings[name] for stream, name in names.items() if name in readings}


def network_streams(readings: Mapping[str, int]) -> dict[str, int]:
    """Those of them that the network reads."""
    return {stream: size for stream, size in streams_of(readings).items() if stream in NETWORK}


def mirrored_streams(readings: Iterable[str]) -> set[str]:
    """The streams of which there is a mirrored view."""
    streams = {stream for stream, view in map(stream_and_view, readings) if view == MIRROR}
    return streams | ({FLOW} & {stream for stream, _ in map(stream_and_view, readings)})


def views_of(readings: Iterable[str], mirror: bool) -> tuple[str, ...]:
    """The views that the network reads: all that are cached of rgb, the mirror only if wanted."""
    cached = [view for stream, view in map(stream_and_view, readings) if stream == RGB]
    others = [view for view in cached if view not in (IDENTITY, MIRROR)]
    return (IDENTITY, *([MIRROR] if mirror else []), *others)


def needed(readings: Mapping[str, int], views: Iterable[str]) -> dict[str, int]:
    """Of the cached readings those that are read in these views, with their D."""
    return {
        name: size for name, size in readings.items()
        if (place := stream_and_view(name))[1] == IDENTITY
        or (place[1] in views and place != (FLOW, MIRROR))
    }  # fmt: skip


def seen(clip: Clip, stream: str, view: str, rows: Rows = slice(None)) -> np.ndarray:
    """Rows of a stream in a view: (T, D); where it lacks the view, those of "identity"."""
    if (stream, view) == (FLOW, MIRROR):
        return mirrored(clip[reading(FLOW)][rows])
    name = reading(stream, view)
    return clip[name if name in clip else reading(stream)][rows]


def side_by_side(
    clip: Clip, streams: Iterable[str], view: str, rows: Rows = slice(None)
) -> np.ndarray:
    """Rows of the streams in a view as the network reads them: (T, sum of D)."""
    parts = [seen(clip, stream, view, rows) for stream in streams]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def prepared(rows: np.ndarray, stream: str) -> np.ndarray:
    """Rows (T, D) as the linear branches describe them: (T, D) float32.

    Of embeddings the square root (power normalisation: Perronnin et al., 2010,
    https://doi.org/10.1007/978-3-642-15561-1_11), then mean 0 and deviation 1 over the numbers of a
    row; of flow the square root; place as it is.
    """
    rows = np.asarray(rows, np.float32)
    if stream in (*EMBEDDED, FLOW):
        rows = np.sqrt(np.maximum(rows, 0))
    if stream in EMBEDDED:
        rows = rows - rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + np.float32(VARIANCE_FLOOR))
    return rows
