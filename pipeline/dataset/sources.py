"""Where the files of a clip of the index are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.dataset.clips import IMAGES, Clip
from pipeline.errors import DatasetError
from pipeline.frames.images import IMAGE_FPS
from pipeline.frames.sources import Source
from pipeline.frames.storage import is_url


def source_of(
    clip: Clip,
    raw: str | Path,
    images: Mapping[str, Sequence[str]] | None = None,
    fps: float = IMAGE_FPS,
) -> Source:
    """Where a clip of the index is.

    Parameters
    ----------
    raw : the folder (or URL) below which the files are
    images : clip_id -> files below `raw`, in order, of the image clips
    fps : images a second of image clips

    Raises
    ------
    DatasetError
        When `images` does not list an image clip.
    """
    if clip.kind == "images":
        try:
            files = (images or {})[clip.clip_id]
        except KeyError:
            raise DatasetError(
                f"{IMAGES} does not list the images of {clip.clip_id}, which the index names: run "
                "`clipcache index` again."
            ) from None
        return Source(images=tuple(_below(raw, file) for file in files), fps=fps)
    return Source(path=_below(raw, clip.path or clip.clip_id))


def _below(raw: str | Path, file: str) -> str:
    if is_url(file):
        return file
    root = str(raw)
    return f"{root.rstrip('/')}/{file}" if is_url(root) else str(Path(root, file).absolute())
