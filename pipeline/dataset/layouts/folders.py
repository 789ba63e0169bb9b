"""Layout `folders`: <label>/<video>, at any depth below the label."""

from pipeline.dataset.layouts.contents import find_media
from pipeline.dataset.layouts.found_clip import Findings, FoundClip
from pipeline.dataset.layouts.groups import groups_of
from pipeline.dataset.layouts.labels import read_labels
from pipeline.dataset.params import DatasetParams
from pipeline.frames.video import VIDEO_EXTENSIONS


def find(params: DatasetParams) -> Findings:
    """Every video is a clip; its clip_id is its path below ``dataset.raw``.

    Raises
    ------
    DatasetError
        When there is no video or one class, or a group cannot be told.
    """
    notes: list[str] = []
    names = find_media(params, VIDEO_EXTENSIONS, notes)
    labels, splits = read_labels(params, names, notes)
    groups = groups_of(names, labels, params.group)
    return Findings(
        [
            FoundClip(name, label, group, path=name, split=split)
            for name, label, group, split in zip(names, labels, groups, splits, strict=True)
        ],
        notes,
    )
