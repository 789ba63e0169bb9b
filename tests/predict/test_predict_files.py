"""The command `predict`, as it is typed."""

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from clone import ROOT
from sample_model import unseen_clip
from typer.testing import CliRunner, Result

from pipeline.annotations.formats import read_annotations
from pipeline.cli import app
from pipeline.errors import ClipcacheError
from pipeline.frames.video import VideoReader


@pytest.fixture
def predict(sample_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs ``clipcache predict ...`` in `tmp_path`, where clips/ holds two clips of one person."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "clips/deep").mkdir(parents=True)
    for label in ("pick_up", "wave"):
        shutil.copy(unseen_clip(sample_model, label), tmp_path / f"clips/deep/{label}.mp4")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["predict", *arguments, "--model", str(sample_model)])

    return run


def test_a_folder_gives_a_table(predict) -> None:
    done = predict("clips", "--top", "2")
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["file", "label", "confidence"]
    assert [row[0] for row in rows[1::2]] == ["clips/deep/pick_up.mp4", "clips/deep/wave.mp4"]
    assert [row[1] for row in rows[1::2]] == ["pick_up", "wave"]
    assert len(rows) == 1 + 2 * 2


def test_json_holds_what_the_page_about_it_says(predict) -> None:
    (answer,) = json.loads(predict("clips/deep/pick_up.mp4", "--json", "--timeline").stdout)
    assert answer["file"] == "clips/deep/pick_up.mp4"
    assert answer["action"] == "pick_up" == answer["top"][0]["label"]
    assert answer["confidence"] == answer["top"][0]["confidence"]
    assert sum(one["confidence"] for one in answer["top"]) == pytest.approx(1, abs=1e-5)
    assert answer["timeline"][0]["start"] == 0
    assert answer["timeline"][-1]["end"] == answer["windows"][-1]["end"] == answer["seconds"]
    (short,) = json.loads(predict("clips/deep/pick_up.mp4", "--json").stdout)
    assert set(answer) - set(short) == {"timeline", "windows"}
    page = (ROOT / "docs/predict.md").read_text()
    for name in answer:
        assert f"`{name}`" in page


def test_a_bad_file_among_good_ones_costs_that_file(predict, tmp_path) -> None:
    (tmp_path / "clips/broken.mp4").write_bytes(b"\0" * 5000)
    (tmp_path / "clips/empty.avi").touch()
    done = predict("clips", "--json")
    assert [answer["action"] for answer in json.loads(done.stdout)] == ["pick_up", "wave"]
    assert isinstance(done.exception, ClipcacheError)
    assert done.exception.exit_code != 0
    assert "broken.mp4 is not a video" in str(done.exception)
    assert "empty.avi is empty" in str(done.exception)


def test_many_bad_files_are_named_one_per_line(predict, tmp_path) -> None:
    for number in range(5):
        (tmp_path / f"clips/{number}.mp4").touch()
    done = predict("clips")
    assert [line for line in done.stderr.splitlines() if "is empty" in line] == [
        f"clips/{number}.mp4 is empty." for number in range(5)
    ]
    assert "5 of 7 clips" in str(done.exception)


def test_what_makes_no_sense_is_refused_before_any_work(
    predict, tmp_path: Path, sample_model: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link").symlink_to("clips/deep")
    before = {path: path.read_bytes() for path in tmp_path.glob("clips/deep/*")}
    for arguments, reason in (
        (("gone.mp4",), "gone.mp4: no such file"),
        (("clips", "--plot", "out.png"), "name one"),
        (("clips/deep/pick_up.mp4", "--plot", "out.jpg"), r".png"),
        (("clips/deep/pick_up.mp4", "--render", "out.avi"), r".mp4"),
        (("clips", "--csv", "clips"), "clips is a folder"),
        (("clips", "--annotations", "out.txt"), "should end with .csv, .vtt"),
        (("clips", "--annotations", "out.eaf"), "can hold one video, but 2 are named"),
        (("clips/deep/pick_up.mp4", "--window", "1", "--stride", "2"), "gaps"),
        (("clips/deep/pick_up.mp4", "--window", "0"), "above 0"),
        (("-",), "Standard input cannot be read"),
        (("pipe.mp4",), "is a pipe or a device"),
        (("clips", "--csv", "out.avi"), "named like a video"),
        (
            ("clips", "--annotations", "clips/deep/wave.csv", "--csv", "clips/deep/wave.csv"),
            "another output",
        ),
        (("clips/deep/wave.mp4", "--render", "link/wave.mp4"), "is what is read"),
        (("clips", "--csv", str(sample_model / "model.json")), "is what is read"),
    ):
        done = predict(*arguments)
        assert isinstance(done.exception, ClipcacheError), done.output
        assert reason in str(done.exception)
        assert not done.stdout
    assert before == {path: path.read_bytes() for path in tmp_path.glob("clips/deep/*")}


def test_csv_has_a_row_for_each_clip_or_for_each_span(predict, tmp_path) -> None:
    predict("clips", "--csv", "out.csv", "--top", "3")
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == ["pick_up", "wave"]
    assert rows[0]["top3"].split("|")[0] == "pick_up"
    assert float(rows[0]["top3_confidence"].split("|")[0]) == float(rows[0]["confidence"])
    predict("clips", "--csv", "out.csv", "--timeline")
    with (tmp_path / "out.csv").open(newline="") as stream:
        spans = list(csv.DictReader(stream))
    assert {span["file"] for span in spans} == {row["file"] for row in rows}
    assert list(spans[0]) == ["file", "start", "end", "label", "confidence"]


def test_annotations_hold_the_spans_of_the_timeline(predict, tmp_path) -> None:
    for suffix in (".csv", ".boris", ".json", ".eaf", ".vtt"):
        clips = "clips" if suffix in (".csv", ".boris", ".json") else "clips/deep/pick_up.mp4"
        done = predict(clips, "--annotations", f"out{suffix}")
        assert done.exit_code == 0, done.output
        assert f"annotations -> out{suffix}" in done.stderr
        if suffix == ".vtt":
            assert (tmp_path / "out.vtt").read_text().endswith("pick_up\n")
            continue
        stretches = read_annotations(tmp_path / f"out{suffix}").stretches
        found = {(one.video, one.label, one.annotator) for one in stretches}
        assert found == {
            (f"clips/deep/{label}.mp4", label, "clipcache")
            for label in (("pick_up", "wave") if clips == "clips" else ("pick_up",))
        }
        ends = [one.end for one in stretches if one.video.endswith("pick_up.mp4")]
        assert max(ends) == pytest.approx(73 / 24, abs=0.05)
        assert all(one.start == 0 or one.start in ends for one in stretches)
    assert predict("clips", "--annotations", "out.csv", "--threshold", "1").exit_code == 0
    assert (tmp_path / "out.csv").read_text().count("\n") == 1  # "unsure" is no label


def test_timeline_plot_and_rendered_video(predict, tmp_path) -> None:
    clip = "clips/deep/pick_up.mp4"
    done = predict(
        clip, "--timeline", "--plot", "out.png", "--render", "out.mp4", "--stride", "0.5"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].split() == [
        "0:00.0",
        "0:03.0",
        "pick_up",
        done.stdout.split()[-1],
    ]
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture.shape[1] > 800
    assert (picture == (0xB2, 0x72, 0)).all(axis=2).any()  # the blue of a span
    reader = VideoReader(tmp_path / "out.mp4")
    assert len(list(reader.frames(lambda index, seconds: True))) == 73
    assert "-> out.mp4" in done.stderr


def test_an_unsure_answer_says_so(predict) -> None:
    (answer,) = json.loads(predict("clips/deep/pick_up.mp4", "--json", "--threshold", "1").stdout)
    assert answer["action"] == "unsure"
    assert answer["top"][0]["label"] == "pick_up"
    assert "unsure" in predict("clips/deep/pick_up.mp4", "--threshold", "1").stdout


def test_still_images_and_folders_of_frames(predict, tmp_path) -> None:
    frames = VideoReader(tmp_path / "clips/deep/wave.mp4").frames(lambda index, seconds: True)
    (tmp_path / "frames").mkdir()
    for index, frame in frames:
        cv2.imwrite(str(tmp_path / f"frames/{index}.png"), frame)
    (tmp_path / "frames/40.png").rename(tmp_path / "still.png")
    cv2.imwrite(str(tmp_path / "frames/40.png"), cv2.imread(str(tmp_path / "still.png")))
    folder = ("frames", "--frames", "--frame-rate")
    still, whole, one = (
        json.loads(predict(*arguments, "--json").stdout)[0]
        for arguments in (("still.png",), (*folder, "24"), ("clips/deep/wave.mp4",))
    )
    assert (still["frames"], still["file"]) == (1, "still.png")
    assert whole["file"] == "frames"
    assert whole["frames"] == one["frames"]
    for mine, theirs in zip(whole["top"], one["top"], strict=True):
        assert mine["label"] == theirs["label"]
        assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
    slower = json.loads(predict(*folder, "12", "--json").stdout)[0]
    assert slower["seconds"] == pytest.approx(2 * whole["seconds"], rel=0.01)
    assert np.isclose(whole["seconds"], one["seconds"], atol=0.01)


@pytest.mark.parametrize(
    "option", ["--csv x.csv", "--annotations x.eaf", "--plot x.png", "--render x.mp4"]
)
def test_a_place_that_cannot_be_written_is_said_before_any_work(predict, option: str) -> None:
    name, file = option.split()
    Path("blocked").write_text("a file, so nothing can be below it")
    done = predict("clips/deep/pick_up.mp4", name, f"blocked/{file}")
    assert isinstance(done.exception, ClipcacheError | SystemExit), done.exception
    assert done.stdout == ""
    assert f"blocked/{file} cannot be written" in f"{done.exception}{done.output}"
