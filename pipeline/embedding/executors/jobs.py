"""What an executor is given and what it gives back: the same for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.embedding.clip_embedding import ClipEmbeddings, embed_clip
from pipeline.embedding.engines import Engine
from pipeline.embedding.synthetic import synthetic_embeddings
from pipeline.errors import ClipError
from pipeline.frames.sources import Source, local_source
from pipeline.frames.video import Sampling
from pipeline.processes import CrashedError, LostError, TooSlowError
from pipeline.store.extractor_spec import ExtractorSpec


@dataclass(frozen=True)
class Job:
    """One clip to embed.

    Attributes
    ----------
    source : the video, or the images
    digest : what `pipeline.frames.sources.source_digest` of it must be
    wanted : view -> frame indices, or None for all that the sampling picks inside the segments
    segments : (start, end) in seconds; empty for the whole clip
    """

    source: Source
    digest: str
    wanted: Mapping[str, np.ndarray | None]
    segments: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class EmbeddingSetup:
    """What every job of a run has in common."""

    engine: str
    backbone: Path
    extractor: ExtractorSpec
    sampling: Sampling


def embed(job: Job, engine: Engine, recipe: EmbeddingSetup) -> ClipEmbeddings:
    """Embed a clip in the process that calls; files on object storage are fetched first.

    A clip that changed after it was indexed must not enter the cache under its old digest.

    Raises
    ------
    ClipError
        When it cannot be read, or has changed.
    """
    if recipe.engine == "synthetic":  # of clips without files
        return synthetic_embeddings(job.digest, recipe.sampling, job.wanted, job.segments)
    cv2.setNumThreads(1)  # the workers already share out the cores between clips
    with local_source(job.source, job.digest) as source:
        return embed_clip(
            source, engine, recipe.extractor, recipe.sampling, job.wanted, job.segments
        )


def outcome(answer: object, timeout: float) -> ClipEmbeddings | ClipError:
    """What came of a job; an error that is not about the clip is raised."""
    match answer:
        case ClipEmbeddings() | ClipError():
            return answer
        case TooSlowError():
            return ClipError(
                f"took longer than features.clip_timeout ({timeout:g} s) and was given up"
            )
        case CrashedError(exit_code=None):
            return ClipError("crashed the decoder")
        case CrashedError():
            return ClipError(f"crashed the decoder (exit code {answer.exit_code})")
        case LostError():
            return ClipError(f"went down with its node {answer.times} times")
        case MemoryError():
            return ClipError("needs more memory than there is")
        case Exception():
            raise answer
    raise TypeError(f"a job answered with {type(answer).__name__}")
