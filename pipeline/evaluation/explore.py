"""Tool `explore`: what the layout finds, before anything is computed -> reports/explore/."""

from pathlib import Path

from pipeline.dataset.clips import INDEX, SPLITS, read_images, read_index, read_splits
from pipeline.dataset.near_copies import read_near_copies
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.sources import ClipFiles
from pipeline.dataset.survey import Survey, survey_clips
from pipeline.evaluation.plots import class_distribution, save_png
from pipeline.evaluation.report.clip_map import ClipMap, clip_map
from pipeline.evaluation.report.exploration import (
    exploration_text,
    summarise_survey,
    write_exploration,
)
from pipeline.files import replacing_folder, write_text
from pipeline.processes import available_cores
from pipeline.store.feature_files import FEATURES, FeatureSet

EXPLORE = Path("reports/explore")


def explore(
    dataset: DatasetParams,
    workers: int | None = None,
    folder: Path = EXPLORE,
    rule: str = "stretch",
) -> Survey:
    """Look at every clip and write class_distribution.png, dataset_summary.txt and explore.html.

    Once the clips of dataset.raw are embedded, explore.html has a map of them as well.

    Parameters
    ----------
    rule : how a frame becomes a square on the map

    Raises
    ------
    DatasetError
        When the layout finds no usable clips; the message says which layout might fit.
    """
    survey = survey_clips(dataset, workers or available_cores())
    copies = read_near_copies()
    text = exploration_text(dataset, survey, copies)
    with replacing_folder(folder) as temporary:
        summary = summarise_survey(survey, multi_label=dataset.multi_label)
        figure = class_distribution(summary.clips_in_split)
        save_png(figure, temporary / "class_distribution.png")
        write_text(temporary / "dataset_summary.txt", text)
        drawn = _map(dataset, survey, rule)
        write_exploration(dataset, survey, temporary / "explore.html", drawn, copies)
    return survey


def _map(dataset: DatasetParams, survey: Survey, rule: str) -> ClipMap | None:
    """The map of the clips, where the project here has features of those that were found."""
    if not INDEX.exists() or not any(FEATURES.glob("*.h5")):
        return None
    clips = read_index()
    if set(clips.values("clip_id")) != {clip.clip_id for clip in survey.found}:
        return None  # another folder, or the index is old
    splits = read_splits() if SPLITS.exists() else {}
    files = ClipFiles.of(dataset, read_images())
    return clip_map(FeatureSet.open(), clips, splits, {}, files, rule)
