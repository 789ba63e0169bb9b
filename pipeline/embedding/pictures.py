"""The frames of a clip that a model sees, as pictures rather than as embeddings."""

from dataclasses import dataclass

import numpy as np

from pipeline.frames.sources import Source, open_source
from pipeline.frames.video import Sampling, resize, sample_frames
from pipeline.store.extractor_spec import ExtractorSpec


@dataclass(frozen=True)
class Pictures:
    """Sampled frames of one clip.

    Attributes
    ----------
    indices : (n,) int32, of the frames in the clip
    times : (n,) float64, seconds
    pictures : (n, size, size, 3) uint8, RGB
    """

    indices: np.ndarray
    times: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)


def sampled_pictures(
    source: Source,
    extractor: ExtractorSpec,
    sampling: Sampling,
    start: float | None = None,
    end: float | None = None,
) -> Pictures:
    """The frames that would be embedded, resized by the code that feeds the CNN.

    The clip is read twice, the first time for the times alone, so that no more is held in memory
    than what is returned: 150 kB a frame at 224 pixels.

    Parameters
    ----------
    start, end : seconds of a segment of the video; None for the whole clip

    Raises
    ------
    ClipError
        When the clip cannot be read or decoded.
    """
    reader = open_source(source)
    for _ in reader.frames(lambda index, seconds: False):
        pass
    timeline = np.asarray(reader.timeline, np.float64)
    indices = sample_frames(timeline, sampling, start, end)
    wanted = set(indices.tolist())
    size = extractor.input_size
    pictures = np.empty((len(indices), size, size, 3), np.uint8)
    found = 0
    for _, image in open_source(source).frames(lambda index, seconds: index in wanted):
        pictures[found] = resize(image, size, extractor.resize)
        found += 1
        if found == len(indices):
            break
    return Pictures(indices[:found], timeline[indices[:found]], pictures[:found])
