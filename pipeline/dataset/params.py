"""The `dataset` and `split` sections of params.yaml."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.locations import from_home
from pipeline.section import Fraction, Section

GROUP_PRESETS = ("ucf", "hmdb", "person_first", "none")
FRAMES_PRESETS = ("auto", "ucf", "number", "cuts")


Column = Literal["path", "label", "group", "split", "start", "end", "digest"]


class DatasetParams(Section):
    raw: str = Field(
        "data/raw", description="folder that holds the videos or images, anywhere on disk"
    )
    layout: Literal["folders", "csv", "frames", "images", "timeline"] = Field(
        "folders",
        description="way the clips are laid out: folders (<label>/<video>), csv (the table "
        "dataset.table lists them), frames (videos cut into pictures, <label>/<video>/<frame>.jpg, "
        "or of many videos in <label>/), images (still images, <label>/<image>), timeline (long "
        "videos, and files of annotation tools that say what happens when)",
    )
    table: str = Field(
        "lists/clips.csv",
        description="CSV file of the layout csv, with the columns path and label (empty where a "
        "clip has none yet), and optionally group, split, start and end (seconds) and digest "
        "(SHA-256)",
    )
    columns: dict[Column, str] = Field(
        {},
        description="names of the table's columns where they are others, such as {path: filename, "
        "label: class} (layout csv)",
    )
    unlabelled: bool = Field(
        False,
        description="whether videos below dataset.raw that the table does not name are clips "
        "without a label, to be labelled later (layout csv)",
    )
    multi_label: bool = Field(
        False,
        description="whether several labels may hold for a clip: its label is such as jump|wave, "
        "or it stands in several rows (layout csv)",
    )
    group: str = Field(
        "person_first",
        description="what must stay on one side of the split: ucf (_gNN_, per class), hmdb (source "
        "video), person_first (first word of the file name), none (each clip its own group), or a "
        "regular expression with one group, searched in the clip's path",
    )
    frames_pattern: str = Field(
        "auto",
        description="way in which frames that lie together are told apart (layout frames): ucf "
        "(v_Class_g01_c02_0005.jpg), number (what stands before the last number names the video), "
        "cuts (by the pictures, where names are only a running number), auto (number where it "
        "tells videos apart, else cuts), or a regular expression with one group that names the "
        "video",
    )
    frames_fps: Annotated[float, Field(gt=0, le=1000)] = Field(
        25.0,
        description="number of frames a second that frame folders were taken at, as image files "
        "carry no times (layout frames)",
    )
    background: bool = Field(
        False,
        description="whether nothing happens where nothing is annotated, which is then learnt as "
        "the label background (layout timeline); false: nobody knows what happens there",
    )
    annotator: str | None = Field(
        None,
        description="whose annotations count, by the name, tier or subject that the file gives "
        "(layout timeline); null: all, and where they contradict each other none",
    )
    images_per_clip: int = Field(
        1, ge=1, description="number of consecutive images that make a clip (layout images)"
    )
    near_duplicates: Annotated[int, Field(ge=0, le=64)] | None = Field(
        6,
        description="largest number of bits of 64 in which the perceptual hashes of two images may "
        "differ for them to form one group (layout images); null: images are not compared",
    )

    @field_validator("raw", "table")
    @classmethod
    def _known_to_dvc(cls, value: str) -> str:
        return written_out(value)

    @field_validator("group")
    @classmethod
    def _one_group(cls, value: str) -> str:
        return value if value in GROUP_PRESETS else _one_group_pattern(value)

    @field_validator("frames_pattern")
    @classmethod
    def _names_a_video(cls, value: str) -> str:
        return value if value in FRAMES_PRESETS else _one_group_pattern(value)

    @model_validator(mode="after")
    def _several_in_a_table(self) -> "DatasetParams":
        if self.multi_label and self.layout != "csv":
            raise ValueError(
                f"multi_label needs a table of clips: set layout to csv, it is {self.layout}"
            )
        return self

    @property
    def folder(self) -> Path:
        """The folder of clips."""
        return Path(self.raw)


class SplitParams(Section):
    method: Literal["group", "official", "folders", "column", "leave_one_group_out"] = Field(
        "group",
        description="way the clips are shared out: group (by the shares below, whole groups), "
        "official (by the lists in split.lists), folders (train/, val/ and test/ in dataset.raw), "
        "column (the column split of dataset.table), leave_one_group_out (split.held_out is tested "
        "on)",
    )
    train: Fraction = Field(0.6, description="share of the clips to train on")
    val: Fraction = Field(
        0.15,
        description="share for early stopping and calibration; may be 0; where something else than "
        "the shares decides what is tested on, val / (train + val) of the rest",
    )
    test: Fraction = Field(0.25, description="share to report on, never looked at in training")
    seed: int = Field(0, ge=0, description="another seed deals the groups out differently")
    lists: str = Field(
        "lists",
        description="folder that holds the official lists of UCF101 or HMDB51 (method official)",
    )
    number: int = Field(
        1, ge=1, le=3, description="number of the official split: 1, 2 or 3 (method official)"
    )
    min_clips: int = Field(
        1, ge=1, description="number of clips below which a class is left out; 1: none is"
    )
    held_out: str | None = Field(
        None, description="group to test on (method leave_one_group_out), as index.csv names it"
    )

    @field_validator("lists")
    @classmethod
    def _known_to_dvc(cls, value: str) -> str:
        return written_out(value)

    @model_validator(mode="after")
    def _whole(self) -> "SplitParams":
        if abs(self.train + self.val + self.test - 1) > 1e-6 or not self.train or not self.test:
            raise ValueError(
                "train, val and test must sum to 1, with train and test above 0, "
                f"but are {self.train}, {self.val} and {self.test}"
            )
        return self


def written_out(path: str) -> str:
    """A path that stands in dvc.yaml, where ~ would be the name of a folder.

    Raises
    ------
    ValueError
    """
    if path.startswith("~"):
        whole = from_home(path)
        known = f": write {whole}" if str(whole) != path else ": write the whole path"
        raise ValueError(f"begins with ~, which DVC does not know{known}")
    return path


def _one_group_pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"is neither a preset nor a regular expression ({error})") from None
    if groups != 1:
        raise ValueError(f"needs exactly one (...) group, but has {groups}")
    return value
