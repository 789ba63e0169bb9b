"""From a data set as people have it to clips with a label and a group; one module per layout."""

from pipeline.dataset.layouts import csv_table, folders, frames, images, timeline
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.params import DatasetParams

FINDERS = {
    "folders": folders.find,
    "csv": csv_table.find,
    "frames": frames.find,
    "images": images.find,
    "timeline": timeline.find,
}


__all__ = ["Findings", "FoundClip", "find_clips"]


def find_clips(params: DatasetParams) -> Findings:
    """The clips that ``dataset.layout`` finds below ``dataset.raw``; opens no video.

    Raises
    ------
    DatasetError
        When there are no clips or one class, or something there does not fit the layout; the
        message names the first few files and the setting to change.
    """
    return FINDERS[params.layout](params)
