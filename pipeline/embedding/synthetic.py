"""Clips without files: the engine `synthetic`, which neither decodes nor embeds.

It exists so that everything else can be timed, with a million clips if need be. What it gives is a
function of a clip's digest alone, so runs agree; its embeddings have a cache key of their own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.backbone.folder import DIMENSION
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.frames.views import VIEWS

FPS = 25.0
FRAMES = (5, 9)  # fewest, and one more than the most, frames of a clip; 2 or 3 at 8 a second


def synthetic_timeline(digest: str) -> np.ndarray:
    """Times of the frames of a clip: (F,) float64, seconds."""
    fewest, end = FRAMES
    return np.arange(fewest + int(digest[:8], 16) % (end - fewest)) / FPS


def synthetic_embeddings(
    digest: str,
    sampling: Sampling,
    wanted: Mapping[str, np.ndarray | None],
    segments: Sequence[tuple[float, float]] = (),
) -> ClipEmbeddings:
    """What `pipeline.embedding.clip_embedding.embed_clip` gives, out of the digest; see there."""
    timeline = synthetic_timeline(digest)
    picked = [sample_frames(timeline, sampling, *part) for part in segments or (WHOLE,)]
    sampled = np.unique(np.concatenate(picked))
    frames = {view: sampled if named is None else named for view, named in wanted.items()}
    embeddings = {
        view: np.stack([_embedding(digest, view, int(i)) for i in chosen])
        if len(chosen)
        else np.empty((0, DIMENSION), np.float16)
        for view, chosen in frames.items()
    }
    return ClipEmbeddings(timeline, frames, embeddings, {}, sum(map(len, frames.values())))


def _embedding(digest: str, view: str, frame: int) -> np.ndarray:
    """(1280,) float16, uniform between 0 and 1."""
    key = [int(digest[:16], 16), frame * len(VIEWS) + list(VIEWS).index(view)]
    generator = np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))
    return generator.random(DIMENSION, np.float32).astype(np.float16)
