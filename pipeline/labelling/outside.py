"""Files that are in no index: one embedded as the features of the project were, or a folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone.folder import BACKBONE
from pipeline.dataset.clips import NO_LABEL, Clip
from pipeline.dataset.walk import find_files
from pipeline.embedding.clip_embedding import embed_frames
from pipeline.embedding.engines import load_engine
from pipeline.embedding.executors import EmbeddingSetup
from pipeline.embedding.params import FeaturesParams
from pipeline.errors import ClipError, DatasetError, FeaturesError
from pipeline.files import sha256
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import file_source
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.progress import Progress
from pipeline.store.feature_files import FeatureSet


@dataclass(frozen=True)
class OutsideClip:
    """A file's rows, reading -> (T, D), and their times, (T,) seconds."""

    clip: dict[str, np.ndarray]
    times: np.ndarray


def videos_in(folder: Path) -> list[Clip]:
    """The videos below a folder as clips without a label, each named by its path below it.

    Raises
    ------
    DatasetError
        When there is none, or a file cannot be read.
    """
    names = find_files(folder, VIDEO_EXTENSIONS) if folder.is_dir() else []
    if not names:
        raise DatasetError(f"{folder} holds no video: name a folder that does.")
    clips = []
    with Progress("hashing", len(names), "files") as progress:
        for name in names:
            path = folder / name
            try:
                clips.append(Clip(name, NO_LABEL, name, sha256(path), path.stat().st_size,
                                  path=name))  # fmt: skip
            except OSError as error:
                raise DatasetError(f"{path} cannot be read ({error.strerror}).") from None
            progress.advance()
    return clips


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
    check_readings(params, features)
    engine = load_engine(setup.engine, backbone, precision=setup.extractor.precision)
    try:
        found = embed_frames(
            IsolatedReader(file_source(path)), engine, setup.extractor, setup.sampling, wanted
        )
    except ClipError as error:
        raise ClipError(f"{path} {error}.") from None
    frames = found.frames["identity"]
    return OutsideClip(found.embeddings, found.timeline[frames])


def check_readings(params: FeaturesParams, features: FeatureSet) -> None:
    """Refuse settings that make other streams than the features hold.

    Raises
    ------
    FeaturesError
        When they do.
    """
    if set(features.readings) != set(params.readings):
        raise FeaturesError(
            "features/ was made with other streams than the settings name: run `clipcache "
            "features` first."
        )
