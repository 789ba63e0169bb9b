"""A file that is in no index, embedded as the features of the project were."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import BACKBONE
from pipeline.embedding.clip_embedding import embed_frames
from pipeline.embedding.engines import load_engine
from pipeline.embedding.executors import EmbeddingSetup
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ClipError, FeaturesError
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import file_source
from pipeline.store.feature_files import FeatureSet


@dataclass(frozen=True)
class OutsideClip:
    """A file's rows, reading -> (T, D), and their times, (T,) seconds."""

    clip: dict[str, np.ndarray]
    times: np.ndarray


def embed_outside(
    path: Path, params: FeaturesParams, features: FeatureSet, backbone: Path = BACKBONE
) -> OutsideClip:
    """Decode and embed a file; nothing of it is kept.

    Raises
    ------
    ClipError
        When it cannot be decoded.
    FeaturesError
        When the settings have changed since the features were made.
    """
    setup = EmbeddingSetup.of(params, backbone)
    wanted = dict.fromkeys(features.readings)
    if set(wanted) != set(params.readings):
        raise FeaturesError(
            "features/ was made with other streams than the settings name: run `clipcache "
            "features` first."
        )
    engine = load_engine(setup.engine, backbone, precision=setup.extractor.precision)
    try:
        found = embed_frames(
            IsolatedReader(file_source(path)), engine, setup.extractor, setup.sampling, wanted
        )
    except ClipError as error:
        raise ClipError(f"{path} {error}.") from None
    frames = found.frames["identity"]
    return OutsideClip(found.embeddings, found.timeline[frames])
