"""A video in, labels with probabilities out."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.backbone import BACKBONE, read_backbone
from pipeline.clip_embedding import embed_clip
from pipeline.embed import choose_engine, load_engine
from pipeline.errors import ClipError
from pipeline.extractor import Extractor
from pipeline.model import MODEL, check_fits, load_model, predict_probabilities
from pipeline.video import Sampling


@dataclass(frozen=True)
class Prediction:
    """What a model says of one video.

    Attributes
    ----------
    file : as it was named
    labels : of all classes, most probable first
    probabilities : (K,) float64, of `labels`; they sum to 1
    frames : frames that were embedded, in the first view
    """

    file: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    frames: int

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable labels, with probabilities."""
        pairs = zip(self.labels, self.probabilities.tolist(), strict=True)
        return list(pairs)[:count]


def predict_files(
    paths: Sequence[Path], *, model: Path = MODEL, backbone: Path = BACKBONE
) -> Iterator[Prediction | tuple[Path, ClipError]]:
    """Recognise the action in each video, decoded and embedded as in training.

    Parameters
    ----------
    model, backbone : folders written by the stages `train` and `backbone`

    Yields
    ------
    Prediction, or (path, error) for a file that cannot be decoded

    Raises
    ------
    ModelError
        When the model is missing, or was trained on another backbone.
    """
    recogniser = load_model(model)
    card = recogniser.card
    made = Extractor(**card.extractor)
    there = read_backbone(backbone).extractor(made.resize, made.precision)
    check_fits(card, asdict(there), card.sampling, model, backbone)
    engine = load_engine(choose_engine("auto")[0], backbone, precision=made.precision)
    sampling = Sampling(**card.sampling)
    for path in paths:
        try:
            clip = embed_clip(path, engine, made, sampling, dict.fromkeys(card.views))
        except ClipError as error:
            yield path, error
            continue
        except OSError as error:
            yield path, ClipError(f"cannot be read ({error.strerror})")
            continue
        probabilities = predict_probabilities(recogniser, [clip.embeddings])[0]
        order = np.argsort(-probabilities, kind="stable")
        yield Prediction(
            str(path),
            tuple(card.labels[i] for i in order),
            probabilities[order],
            len(clip.frames[card.views[0]]),
        )
