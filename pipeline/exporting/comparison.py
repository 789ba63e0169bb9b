"""An export beside its original, window by window, on real clips."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.embedding.engines import Engine
from pipeline.errors import ClipError
from pipeline.exporting.clips import NamedClip
from pipeline.exporting.formats import Run
from pipeline.frames.sampled import read_pictures
from pipeline.frames.video import Sampling
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
    """

    original: np.ndarray
    exported: np.ndarray
    clips: int
    skipped: tuple[str, ...] = ()

    @property
    def windows(self) -> int:
        """W."""
        return len(self.original)

    @property
    def changed(self) -> int:
        """Windows whose most probable label is another one."""
        return int((self.original.argmax(axis=1) != self.exported.argmax(axis=1)).sum())

    @property
    def largest(self) -> float:
        """The largest difference of a probability."""
        return float(np.abs(self.original - self.exported).max())

    @property
    def mean(self) -> float:
        """The mean difference of a probability."""
        return float(np.abs(self.original - self.exported).mean())


def compare(model: Model, engine: Engine, run: Run, clips: Iterable[NamedClip]) -> Comparison:
    """Run both on every window of the clips.

    The original is what `clipcache predict` computes: LiteRT backbone and head.

    Raises
    ------
    ClipError
        When no clip can be decoded.
    """
    original, exported, count, skipped = [], [], 0, []
    steps = model.card.windowing.steps
    for clip in clips:
        try:
            windows = list(_windows(model, engine, clip))
        except ClipError as error:
            skipped.append(f"{clip.name} {error}")
            continue
        count += 1
        for frames, expected in windows:
            original.append(expected)
            rows = np.minimum(np.arange(steps), len(frames) - 1)
            exported.append(run(frames[rows], len(frames)))
    if not original:
        raise ClipError(f"There is nothing to compare the export on: {some(skipped)}.")
    return Comparison(np.stack(original), np.stack(exported), count, tuple(skipped))


def _windows(
    model: Model, engine: Engine, clip: NamedClip
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames (n, size, size, 3), n at most `steps`, and probabilities (K,) of each window."""
    card = model.card
    extractor, sampling = ExtractorSpec(**card.extractor), Sampling(**card.sampling)
    seen = read_pictures(
        clip.source, sampling, extractor.input_size, extractor.resize, clip.start, clip.end
    )
    embeddings = {view: engine(seen.seen(view)) for view in card.views}
    for rows in even_windows(len(seen), card.windowing):
        part = slice(rows[0], min(rows[-1] + 1, len(seen)))
        views = {view: values[part] for view, values in embeddings.items()}
        yield seen.pictures[part], predict_probabilities(model, [views])[0]
