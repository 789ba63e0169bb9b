"""An export beside its original, window by window, on real clips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.embedding.clip_embedding import embed_frames
from pipeline.embedding.engines import Engine
from pipeline.errors import ClipError
from pipeline.exporting.clips import NamedClip
from pipeline.exporting.formats import Run
from pipeline.exporting.inputs import clip_inputs, exported_windows
from pipeline.frames.isolation import IsolatedReader
from pipeline.frames.sources import Source
from pipeline.frames.video import WHOLE, Sampling
from pipeline.head.model_folder import Model, predict_probabilities
from pipeline.head.sequences import even_windows
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.wording import some


@dataclass(frozen=True)
class Comparison:
    """Probabilities of the same windows.

    Attributes
    ----------
    original, exported : (W, K)
    clips : number of clips that the windows are of
    skipped : clips that cannot be decoded, with the reason
    thresholds : from which on each label holds, where several may
    """

    original: np.ndarray
    exported: np.ndarray
    clips: int
    skipped: tuple[str, ...] = ()
    thresholds: tuple[float, ...] | None = None

    @property
    def windows(self) -> int:
        """W."""
        return len(self.original)

    @property
    def changed(self) -> int:
        """Windows whose most probable label is another one, or of which other labels hold."""
        if self.thresholds is not None:
            one, other = (said >= np.array(self.thresholds)
                          for said in (self.original, self.exported))  # fmt: skip
            return int((one != other).any(axis=1).sum())
        return int((self.original.argmax(axis=1) != self.exported.argmax(axis=1)).sum())

    @property
    def largest(self) -> float:
        """The largest difference of a probability."""
        return float(np.abs(self.original - self.exported).max())

    @property
    def mean(self) -> float:
        """The mean difference of a probability."""
        return float(np.abs(self.original - self.exported).mean())


def compare(
    model: Model, engine: Engine, run: Run, about: Mapping[str, Any], clips: Iterable[NamedClip]
) -> Comparison:
    """Run both on every window of the clips.

    The original is what `clipcache predict` computes, with LiteRT; the export gets what
    `pipeline.exporting.inputs` makes of the clips.

    Parameters
    ----------
    about : the description of the export

    Raises
    ------
    ClipError
        When no clip can be decoded.
    """
    original: list[np.ndarray] = []
    exported: list[np.ndarray] = []
    skipped: list[str] = []
    count = 0
    for clip in clips:
        start, end = clip.start or WHOLE[0], WHOLE[1] if clip.end is None else clip.end
        try:
            expected = _original(model, engine, clip.source, (start, end))
            inputs = clip_inputs(IsolatedReader(clip.source), about, ((start, end),))
        except ClipError as error:
            skipped.append(f"{clip.name} {error}")
            continue
        count += 1
        original.extend(expected)
        exported.extend(map(run, inputs))
    if not original:
        raise ClipError(f"There is nothing to compare the export on: {some(skipped)}.")
    return Comparison(
        np.stack(original), np.stack(exported), count, tuple(skipped), model.card.thresholds
    )


def _original(
    model: Model, engine: Engine, source: Source, segment: tuple[float, float]
) -> np.ndarray:
    """Probabilities of each window, as of a clip of its length: (W, K)."""
    card = model.card
    extractor, sampling = ExtractorSpec(**card.extractor), Sampling(**card.sampling)
    wanted = dict.fromkeys(card.readings)
    reader = IsolatedReader(source)
    rows = embed_frames(
        reader, engine, extractor, sampling, wanted, (segment,), to_the_end=False
    ).embeddings
    length = len(next(iter(rows.values())))
    parts = (
        {name: values[window[window < length]] for name, values in rows.items()}
        for window in even_windows(length, exported_windows(card))
    )
    return predict_probabilities(model, parts)
