"""Where the files of the clips of an index are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dataset.clips import IMAGES, Clip
from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError
from pipeline.frames.images import IMAGE_FPS
from pipeline.frames.sources import Source
from pipeline.frames.storage import is_url

Images = Mapping[str, Sequence[str]]  # clip_id -> files of an image clip, as images.csv has them


@dataclass(frozen=True)
class ClipFiles:
    """Where the files of a data set's clips are.

    Attributes
    ----------
    raw : the folder (or URL) below which the files are
    images : clip_id -> files below `raw`, in order, of the image clips
    fps : images a second of image clips
    """

    raw: str | Path
    images: Images = field(default_factory=dict)
    fps: float = IMAGE_FPS

    @classmethod
    def of(cls, params: DatasetParams, images: Images | None = None) -> "ClipFiles":
        """The files that the settings speak of; `images` as `read_images` gives them."""
        raw = params.raw if is_url(params.raw) else params.folder
        return cls(raw, images or {}, params.frames_fps)

    def source(self, clip: Clip) -> Source:
        """Where a clip of the index is.

        Raises
        ------
        DatasetError
            When `images` does not list an image clip.
        """
        if clip.kind != "images":
            return Source(path=self._below(clip.path or clip.clip_id))
        if clip.clip_id not in self.images:
            raise DatasetError(
                f"{IMAGES} does not list the images of {clip.clip_id}, which the index names: run "
                "`clipcache index` again."
            )
        files = tuple(map(self._below, self.images[clip.clip_id]))
        return Source(images=files, fps=self.fps)

    def _below(self, file: str) -> str:
        if is_url(file):
            return file
        root = str(self.raw)
        return f"{root.rstrip('/')}/{file}" if is_url(root) else str(Path(root, file).absolute())
