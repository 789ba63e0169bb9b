"""Tool `explore`: what the layout finds, before anything is computed -> reports/explore/."""

from pathlib import Path

from pipeline.dataset.params import DatasetParams
from pipeline.dataset.survey import Survey, survey_clips
from pipeline.evaluation.plots import class_distribution, save_png
from pipeline.evaluation.report.exploration import (
    exploration_text,
    summarise_survey,
    write_exploration,
)
from pipeline.files import replacing_folder, write_text
from pipeline.processes import available_cores

EXPLORE = Path("reports/explore")


def explore(dataset: DatasetParams, workers: int | None = None, folder: Path = EXPLORE) -> Survey:
    """Look at every clip and write class_distribution.png, dataset_summary.txt and explore.html.

    Raises
    ------
    DatasetError
        When the layout finds no usable clips; the message says which layout might fit.
    """
    survey = survey_clips(dataset, workers or available_cores())
    text = exploration_text(dataset, survey)
    with replacing_folder(folder) as temporary:
        figure = class_distribution(summarise_survey(survey).clips_in_split)
        save_png(figure, temporary / "class_distribution.png")
        write_text(temporary / "dataset_summary.txt", text)
        write_exploration(dataset, survey, temporary / "explore.html")
    return survey
