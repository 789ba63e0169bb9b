"""What an executor is given and what it gives back: the same for all of them."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.backbone.folder import read_backbone
from pipeline.embedding.clip_embedding import ClipEmbeddings, embed_clip
from pipeline.embedding.engines import Engine, choose_engine, load_engine
from pipeline.embedding.params import FeaturesParams
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
    wanted : reading -> frame indices, or None for all that the sampling picks inside the segments
    segments : (start, end) in seconds; empty for the whole clip
    """

    source: Source
    digest: str
    wanted: Mapping[str, np.ndarray | None]
    segments: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class EmbeddingSetup:
    """What every job of a run has in common.

    Attributes
    ----------
    engine : as `pipeline.embedding.engines.choose_engine` gives it
    backbone : its folder
    extractor : the cache key's part, for the stream rgb
    sampling : which frames
    reason : why this engine, in words
    """

    engine: str
    backbone: Path
    extractor: ExtractorSpec
    sampling: Sampling
    reason: str = ""

    @classmethod
    def of(cls, settings: FeaturesParams, backbone: Path) -> "EmbeddingSetup":
        """What the settings ask for.

        Raises
        ------
        FeaturesError
            When there is no backbone in that folder.
        """
        extractor = ExtractorSpec.of(read_backbone(backbone), settings.resize, settings.precision)
        engine, reason = choose_engine(settings.engine, backbone)
        return cls(engine, backbone, extractor, settings.sampling, reason)

    def embedder(self) -> "Embedder":
        """Load the engine; what embeds a job from then on."""
        engine = load_engine(self.engine, self.backbone, precision=self.extractor.precision)
        return functools.partial(embed, engine=engine, setup=self)


Embedder = Callable[[Job], ClipEmbeddings]


def embed(
    job: Job, engine: Engine, setup: EmbeddingSetup, *, whole: bool = False
) -> ClipEmbeddings:
    """Embed a clip in the process that calls; files on object storage are fetched first.

    A clip that changed after it was indexed must not enter the cache under its old digest.

    Raises
    ------
    ClipError
        When it cannot be read, or has changed.
    """
    cv2.setNumThreads(1)  # the workers already share out the cores between clips
    with local_source(job.source, job.digest) as source:
        return embed_clip(
            source, engine, setup.extractor, setup.sampling, job.wanted, job.segments, whole=whole
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
