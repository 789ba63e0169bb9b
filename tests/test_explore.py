"""`clipcache explore` on folders as people have them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import DatasetError
from pipeline.params import Params
from pipeline.stages.explore import explore
from pipeline.survey import Survey


def write_video(path: Path, size: tuple[int, int] = (64, 48), frames: int = 20, shade: int = 0):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), (shade + 3 * i) % 256, np.uint8))
    writer.release()


def look(folder: Path, group: str = "person_first") -> tuple[Survey, Path]:
    out = folder / "explore"
    raw = {"raw": str(folder / "raw"), "group": group}
    return explore(Params.model_validate({"dataset": raw}), out), out


def test_what_is_there_is_told_in_three_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture
):  # fmt: skip
    raw = tmp_path / "raw"
    for i, person in enumerate(("anna", "bert", "carl")):
        write_video(raw / "walk" / f"{person}_walk.avi", shade=10 * i)
        write_video(raw / "run" / f"{person}_run.avi", size=(96, 64), frames=30, shade=10 * i)
    shutil.copy(raw / "walk" / "anna_walk.avi", raw / "run" / "anna_again.avi")
    (raw / "run" / "bert_damaged.avi").write_bytes(b"RIFF but not a video")
    (raw / "run" / "carl_empty.avi").touch()
    survey, out = look(tmp_path)
    text = (out / "dataset_summary.txt").read_text()
    page = (out / "explore.html").read_text()
    assert capsys.readouterr().out.startswith(text)
    assert "9 clips of 2 classes in 3 groups" in text
    assert "64 x 48 (4), 96 x 64 (3)" in text
    assert "frame rates: 10 (7)" in text
    walk = next(line for line in text.splitlines() if line.startswith("walk"))
    assert walk.split() == ["walk", "3", "3", "60", "6.0"]
    assert "run/carl_empty.avi: the file is empty" in text
    assert survey.copies == [["run/anna_again.avi", "walk/anna_walk.avi"]]
    assert "unreadable: 2" in text
    for part in ("run/bert_damaged.avi", "run/anna_again.avi", "96 x 64", "9 clips of 2 classes"):
        assert part in page
    assert cv2.imread(str(out / "class_distribution.png")) is not None


def test_ucf_names_under_another_grouping_are_noticed(tmp_path: Path):
    for label in ("Archery", "Biking"):
        for group in (1, 2):
            write_video(tmp_path / "raw" / label / f"v_{label}_g{group:02d}_c01.avi", frames=3)
    hints = look(tmp_path)[0].hints
    assert any("set dataset.group to ucf" in hint for hint in hints)
    assert any("Archery, Biking are of one group each" in hint for hint in hints)
    assert look(tmp_path, "ucf")[0].hints == []


def test_split_folders_are_not_taken_for_actions(tmp_path: Path):
    for split in ("train", "test"):
        for label in ("walk", "run"):
            write_video(tmp_path / "raw" / split / label / f"anna_{label}.avi", frames=3)
    assert any(
        "taken for a split (clips: train 2, test 2)" in hint for hint in look(tmp_path)[0].hints
    )


def test_a_folder_of_images_is_told_apart_from_an_empty_one(tmp_path: Path):
    image = tmp_path / "raw" / "walk" / "0001.jpg"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"holds no video.*walk/0001.jpg; set dataset\.l"):
        look(tmp_path)
    assert not (tmp_path / "explore").exists()
