"""Embeddings of any video, without a project."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import Backbone, read_backbone
from pipeline.backbone.params import BackboneParams
from pipeline.backbone.weights import IMAGENET_SHA256
from pipeline.embedding.clip_embedding import embed_clip
from pipeline.embedding.engines import Engine, engine_and_processor, load_model_engine
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ClipError
from pipeline.frames.sources import file_source, source_digest
from pipeline.frames.video import Sampling, sample_frames
from pipeline.locations import cache_folder
from pipeline.stages.backbone import prepare_backbone
from pipeline.store.cache import EmbeddingCache, ShardWriter
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.store.shards import Entry

DEFAULTS = FeaturesParams()
VIEW = "identity"


@dataclass(frozen=True)
class Embeddings:
    """What MobileNetV2 sees in a video.

    Attributes
    ----------
    embeddings : (n, 1280) float16, a row for each sampled frame, by LiteRT: the bytes that the
        feature files of a project hold that has the same settings and that engine
    times : (n,) float64, seconds of each on the video's own clock
    frames : (n,) int32, index of each in the video, increasing
    """

    embeddings: np.ndarray
    times: np.ndarray
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


def embed(
    video: str | Path,
    *,
    fps: float | None = DEFAULTS.fps,
    max_frames: int | None = DEFAULTS.max_frames,
    resize: str = DEFAULTS.resize,
    backbone: str | Path | None = None,
) -> Embeddings:
    """Embed the sampled frames of a video, or of a still image; needs no project.

    What was computed goes into the embedding cache of the user and is found there again, by this
    function and by every project: a second call for the same bytes decodes nothing. Without
    `backbone`, MobileNetV2 with its ImageNet weights is prepared in the cache folder at the first
    call, which takes about 20 seconds and fetches 9 MB where the weights are not there yet.

    Not for use by several threads at a time.

    Parameters
    ----------
    fps : frames embedded per second of video; None: every frame
    max_frames : most of them; a longer video is sampled at 1/2, 1/4, ... of the rate. None: no
        limit
    resize : how a picture becomes the square that the CNN sees: "stretch", "crop" or "pad"
    backbone : folder of a backbone, such as models/backbone of a project, or of a model

    Raises
    ------
    ClipError
        When the video cannot be read or decoded.
    WeightsError
        When the weights are not there and cannot be fetched; the message names three ways.
    FeaturesError
        When `backbone` is no such folder.
    """
    source, sampling = file_source(Path(video)), Sampling(fps, max_frames)
    folder = shared_backbone() if backbone is None else Path(backbone).resolve()
    if backbone is None and not folder.exists():
        prepare_backbone(BackboneParams(), folder)
    described = read_backbone(folder)
    extractor = ExtractorSpec.of(described, resize, "float32")
    cache = _cache(extractor, cache_folder())
    cache.refresh()
    with _sentences(video):
        digest = source_digest(source)
    wanted = _missing(cache, digest, sampling)
    if wanted is None or len(wanted):
        with _sentences(video):
            done = embed_clip(
                source, _engine(folder, described), extractor, sampling, {VIEW: wanted}
            )
        known = cache.find(digest)  # a pass for some frames ends with the last of them
        timeline = known.timeline if known else done.timeline
        with ShardWriter(cache.folder, engine_and_processor("litert")) as writer:
            writer.add(
                Entry(digest, timeline, done.frames[VIEW], done.embeddings[VIEW], done.missing)
            )
        cache.refresh()
    found = cache.find(digest)
    assert found is not None
    frames = sample_frames(found.timeline, sampling)
    return Embeddings(cache.read(digest, frames), found.timeline[frames], frames)


def _missing(cache: EmbeddingCache, digest: str, sampling: Sampling) -> np.ndarray | None:
    """The frames that the cache lacks; None where it knows nothing of the video."""
    cache.check([digest])
    known = cache.find(digest)
    if known is None:
        return None
    return np.setdiff1d(sample_frames(known.timeline, sampling), known.frames)


def shared_backbone() -> Path:
    """Where in the cache folder the backbone of those without a project is."""
    name = f"imagenet-{IMAGENET_SHA256[:16]}-{BackboneParams().input_size}"
    return cache_folder() / "backbones" / name


# Kept from call to call: a loop over many videos loads the CNN once and lists the cache once.
@functools.cache
def _engine(folder: Path, described: Backbone) -> Engine:
    """The CNN in `folder` as long as it is the one described."""
    return load_model_engine("float32", folder)


@functools.cache
def _cache(extractor: ExtractorSpec, folder: Path) -> EmbeddingCache:
    """The cache in `folder`, which is the cache folder of the moment."""
    return EmbeddingCache(extractor, VIEW)


@contextmanager
def _sentences(video: str | Path) -> Iterator[None]:
    """Make a full sentence of what is wrong with the video."""
    try:
        yield
    except OSError as error:
        raise ClipError(f"{video} cannot be read ({error.strerror}).") from None
    except ClipError as error:
        raise ClipError(f"{video} {error}.") from None
