"""Embeddings without a CNN, so that everything else can be timed and tried, with a million clips.

No setting names them. They go to `extract_features` and `forecast` as their `setup`, or into the
command line by `main`. What they make up has cache keys of its own.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import read_backbone
from pipeline.embedding.clip_embedding import ClipEmbeddings
from pipeline.embedding.engines import COLUMNS
from pipeline.embedding.executors import EmbeddingSetup, Job
from pipeline.embedding.executors.jobs import Embedder, embed
from pipeline.embedding.params import FeaturesParams
from pipeline.frames.streams import STREAMS, stream_and_view
from pipeline.frames.video import WHOLE, Sampling, sample_frames
from pipeline.frames.views import VIEWS
from pipeline.store.extractor_spec import DIMENSIONS, ExtractorSpec

FPS = 25.0
FRAMES = (5, 9)  # fewest, and one more than the most, frames of a clip; 2 or 3 at 8 a second


@dataclass(frozen=True)
class PixelSetup(EmbeddingSetup):
    """An embedding is the first pixels of the frame; clips are decoded as ever."""

    @classmethod
    def of(cls, settings: FeaturesParams, backbone: Path) -> "PixelSetup":
        """As `EmbeddingSetup.of`, with a key of its own."""
        name = "dummy" if cls is PixelSetup else "synthetic"
        size = read_backbone(backbone).input_size
        extractor = ExtractorSpec(name, size, settings.resize, settings.precision)
        return cls(name, backbone, extractor, settings.sampling, "for timing")

    def embedder(self) -> Embedder:
        """What embeds a job."""
        return functools.partial(embed, engine=_first_pixels, setup=self)


@dataclass(frozen=True)
class SyntheticSetup(PixelSetup):
    """Clips without files: nothing is decoded, all is a function of a clip's digest."""

    def embedder(self) -> Embedder:
        """What embeds a job."""
        return functools.partial(_synthetic, sampling=self.sampling)


SETUPS = {"dummy": PixelSetup, "synthetic": SyntheticSetup}


def null_command(name: str, *arguments: str) -> list[str]:
    """A command line of clipcache in which one of `SETUPS` stands in for the CNN."""
    return [sys.executable, "-c", "from bench.null_engines import main; main()", name, *arguments]


def main() -> None:
    """Run the command line after the name of one of `SETUPS`."""
    from pipeline import cli

    setattr(EmbeddingSetup, "of", SETUPS[sys.argv.pop(1)].of)  # noqa: B010 - mypy knows no better
    cli.main()


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
    frames = {name: sampled if named is None else named for name, named in wanted.items()}
    embeddings = {
        name: np.stack([_embedding(digest, name, int(i)) for i in chosen])
        if len(chosen)
        else np.empty((0, DIMENSIONS[stream_and_view(name)[0]]), np.float16)
        for name, chosen in frames.items()
    }
    return ClipEmbeddings(timeline, frames, embeddings, {}, sum(map(len, frames.values())))


def _synthetic(job: Job, sampling: Sampling) -> ClipEmbeddings:
    return synthetic_embeddings(job.digest, sampling, job.wanted, job.segments)


def _first_pixels(frames: np.ndarray) -> np.ndarray:
    rows = frames.reshape(len(frames), -1)[:, :COLUMNS].astype(np.float16)
    return np.pad(rows, ((0, 0), (0, COLUMNS - rows.shape[1])))


def _embedding(digest: str, name: str, frame: int) -> np.ndarray:
    """(D,) float16, uniform between 0 and 1."""
    stream, view = stream_and_view(name)
    kind = STREAMS.index(stream) * len(VIEWS) + list(VIEWS).index(view)
    key = [int(digest[:16], 16), frame * len(STREAMS) * len(VIEWS) + kind]
    generator = np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))
    return generator.random(DIMENSIONS[stream], np.float32).astype(np.float16)
