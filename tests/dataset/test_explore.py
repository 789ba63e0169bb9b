"""`clipcache explore` on folders as people have them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.commands.data import explore as print_exploration
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.survey import Survey
from pipeline.errors import DatasetError
from pipeline.evaluation.explore import explore


def write_video(path: Path, size: tuple[int, int] = (64, 48), frames: int = 20, shade: int = 0):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), (shade + 3 * i) % 256, np.uint8))
    writer.release()


def look(folder: Path, group: str = "person_first", **dataset) -> tuple[Survey, Path]:
    out = folder / "explore"
    raw = {"raw": str(folder / "raw"), "group": group, **dataset}
    return explore(DatasetParams.model_validate(raw), folder=out), out


def test_what_is_there_is_told_in_three_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
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
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("dataset: {raw: raw, group: person_first}")
    print_exploration()
    printed = capsys.readouterr().out
    assert printed.startswith(text.replace(str(raw), "raw"))
    assert printed.endswith("-> reports/explore/\n")
    assert "9 clips of 2 classes in 3 groups" in text
    assert "64 x 48 (4), 96 x 64 (3)" in text
    assert "frame rates: 10 (7)" in text
    walk = next(line for line in text.splitlines() if line.startswith("walk"))
    assert walk.split() == ["walk", "3", "3", "60", "6.0"]
    assert "run/carl_empty.avi: is empty" in text
    assert survey.copies == [["run/anna_again.avi", "walk/anna_walk.avi"]]
    assert "unreadable: 2" in text
    for part in ("run/bert_damaged.avi", "run/anna_again.avi", "96 x 64", "9 clips of 2 classes"):
        assert part in page
    assert cv2.imread(str(out / "class_distribution.png")) is not None


def test_ucf_names_under_another_grouping_are_noticed(tmp_path: Path):
    for shade, label in enumerate(("Archery", "Biking")):
        for group in (1, 2):
            video = tmp_path / "raw" / label / f"v_{label}_g{group:02d}_c01.avi"
            write_video(video, frames=3, shade=50 * shade + 20 * group)
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


def write_image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(picture, (80, 60), interpolation=cv2.INTER_CUBIC))


def test_segments_of_a_table_are_measured_by_their_times(tmp_path: Path):
    for person in ("anna", "bert"):
        write_video(tmp_path / f"raw/{person}_walk.avi", frames=30, shade=len(person))
    (tmp_path / "raw/bert_wave.avi").write_bytes(b"not a video")
    (tmp_path / "clips.csv").write_text(
        "path,label,start,end\nanna_walk.avi,walk,0,1\nanna_walk.avi,wave,1,2.5\n"
        "bert_walk.avi,walk,,\nbert_wave.avi,wave,,\ngone.avi,wave,,\n"
    )
    survey, out = look(tmp_path, layout="csv", table=str(tmp_path / "clips.csv"))
    text = (out / "dataset_summary.txt").read_text()
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert rows["walk"] == ["2", "2", "40", "4.0"]
    assert rows["wave"] == ["2", "2", "15", "1.5"]
    assert "1 of 5 rows are left out" in text
    assert [row.clip_id for row in survey.unreadable] == ["bert_wave.avi"]
    assert "resolutions: 64 x 48 (2)" in text


def test_segments_after_the_end_of_their_video_are_noticed(tmp_path: Path):
    for person in ("anna", "bert"):
        write_video(tmp_path / f"raw/{person}_walk.avi", frames=30, shade=len(person))
    (tmp_path / "clips.csv").write_text(
        "path,label,start,end\nanna_walk.avi,walk,0,3.5\nanna_walk.avi,wave,1,60\n"
        "bert_walk.avi,walk,8,9\nbert_walk.avi,wave,1,\n"
    )
    hints = look(tmp_path, layout="csv", table=str(tmp_path / "clips.csv"))[0].hints
    assert any("cannot be used: bert_walk.avi#8.00-9.00 (3.0 s);" in hint for hint in hints)
    assert any("are cut there: anna_walk.avi#1.00-60.00 (3.0 s);" in hint for hint in hints)


def test_copies_with_two_labels_or_groups_are_noticed(tmp_path: Path):
    for i, name in enumerate(("walk/anna_1", "walk/bert_1", "run/anna_2", "run/bert_2")):
        write_video(tmp_path / f"raw/{name}.avi", shade=40 * i)
    shutil.copy(tmp_path / "raw/walk/anna_1.avi", tmp_path / "raw/run/anna_3.avi")
    (hint,) = look(tmp_path)[0].hints
    assert "more than one label: run/anna_3.avi = walk/anna_1.avi" in hint
    shutil.copy(tmp_path / "raw/walk/anna_1.avi", tmp_path / "raw/walk/carl_1.avi")
    assert any("in more than one group: run/anna_3.avi = walk/anna_1.avi = walk/carl_1.avi" in hint
               for hint in look(tmp_path)[0].hints)  # fmt: skip


def test_frames_are_counted_as_the_videos_they_were(tmp_path: Path):
    for i, name in enumerate(("walk/anna_walk", "walk/bert_walk", "run/anna_run", "run/bert_run")):
        for number in range(5):
            write_image(tmp_path / f"raw/{name}_{number}.png", 10 * i + number)
    (tmp_path / "raw/run/bert_run_0.png").write_bytes(b"not a picture")
    survey, out = look(tmp_path, layout="frames", frames_fps=10)
    text = (out / "dataset_summary.txt").read_text()
    assert "4 clips of 2 classes in 2 groups" in text
    assert "resolutions: 80 x 60 (3)" in text
    assert "frame rates: 10 (3)" in text
    assert "run: 10 frames that lie together were put together to 2 videos by their names" in text
    assert [row.clip_id for row in survey.unreadable] == ["run/bert_run"]


def test_still_images_have_no_rate_and_copies_are_told(tmp_path: Path):
    for number, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        write_image(tmp_path / f"raw/{name}.jpg", number)
    shutil.copy(tmp_path / "raw/a/1.jpg", tmp_path / "raw/b/3.jpg")
    survey, out = look(tmp_path, "none", layout="images")
    text = (out / "dataset_summary.txt").read_text()
    assert "5 clips of 2 classes in 4 groups" in text
    assert "frame rates: unknown" in text
    assert "Each clip is its own group; images that look alike belong together" in text
    assert survey.copies == [["a/1.jpg", "b/3.jpg"]]
    assert "1 of 5 images look like another one" in text


OTHERS = {
    "images among videos": ("folders", ["a/x_1.png", "a/x_2.png", "b/y_1.png"], "more images than"),
    "a table beside videos": ("folders", ["clips.csv"], "set dataset.layout to csv"),
    "a split beside actions": ("folders", ["train/x.avi"], "train reads like a split"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_the_layout_passes_over_is_told(tmp_path: Path, what: str):
    layout, names, hint = OTHERS[what]
    write_video(tmp_path / "raw/walk/anna_walk.avi", frames=3)
    write_video(tmp_path / "raw/run/anna_run.avi", frames=4)
    for name in names:
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_bytes(name.encode())
    assert any(hint in sentence for sentence in look(tmp_path, "none", layout=layout)[0].hints)


def test_labels_that_read_like_videos_are_noticed(tmp_path: Path):
    for i in range(5):
        write_video(tmp_path / f"raw/video{i}/part/clip.avi", frames=3, shade=i)
    assert any("read like the names of videos" in hint for hint in look(tmp_path, "none")[0].hints)


def test_frames_and_still_images_taken_for_each_other_are_noticed(tmp_path: Path):
    for label, video, number in ((a, v, i) for a in "ab" for v in "xyz" for i in range(8)):
        seed = ord(label) + 9 * ord(video) + number
        write_image(tmp_path / f"raw/{label}/{video}/{number}.png", seed)
    hints = look(tmp_path, "none", layout="images", near_duplicates=None)[0].hints
    assert any("set dataset.layout to frames" in hint for hint in hints)
    for path in list((tmp_path / "raw").rglob("*.png")):
        path.rename(path.parent.parent / f"{path.parent.name}{path.stem}photo_1.png")
    hints = look(tmp_path, "none", layout="frames")[0].hints
    assert any("set dataset.layout to images" in hint for hint in hints)
