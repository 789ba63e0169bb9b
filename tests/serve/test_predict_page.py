"""Every command of docs/predict.md, in a folder such as the page describes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from clone import ROOT
from sample_model import unseen_clip

from pipeline.frames.video import VideoReader

PAGE = (ROOT / "docs/predict.md").read_text()
DAY = ("walk", "pick_up", "wave", "jumping_jacks", "walk")


@pytest.fixture(scope="module")
def folder(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """walk.mp4, day.avi, clips/, frames/ and nothing of the project but the model's folder."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(sample_model, folder / "models/head")
    (folder / "clips/waving").mkdir(parents=True)
    (folder / "frames").mkdir()
    for label, name in (
        ("walk", "walk.mp4"),
        ("pick_up", "clips/floor.mp4"),
        ("jumping_jacks", "clips/gym.mp4"),
        ("wave", "clips/waving/hello.mp4"),
    ):
        shutil.copy(unseen_clip(sample_model, label), folder / name)
    (folder / "clips/notes.mp4").write_text("no video\n")
    writer = cv2.VideoWriter(
        str(folder / "day.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 24, (320, 240)
    )
    for label, take in ((label, take) for label in DAY for take in (1, 2)):
        reader = VideoReader(unseen_clip(sample_model, label, take))
        for index, frame in reader.frames(lambda index, seconds: True):
            writer.write(frame)
            if label == "jumping_jacks":
                cv2.imwrite(str(folder / f"frames/{take}{index:03d}.png"), frame)
    writer.release()
    (folder / "bin").mkdir()
    command = folder / "bin/clipcache"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n')
    command.chmod(0o755)
    return folder


def run(folder: Path, *command: str) -> str:
    """What a command shows on both streams; it must succeed."""
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, check=False, text=True,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def words(text: str) -> list[str]:
    """What is told, without numbers, which depend on the machine that trained the model."""
    return [word for word in text.split() if not re.search(r"\d", word)]


@pytest.mark.parametrize("number", range(PAGE.count("```sh\n")))
def test_a_command_of_the_page_shows_what_the_page_says(folder: Path, number: int) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```\n(?:\n```\n(.*?)^```)?", PAGE, re.DOTALL | re.MULTILINE)
    command, shown = blocks[number]
    out = run(folder, "bash", "-euo", "pipefail", "-c", command)
    if "--events" in command:
        assert out.count('"event": "start"') == out.count('"event": "end"') >= 1
        assert "told up to" in out
    elif "live" in command:
        assert out.count('"delay_ms"') == 3
        assert "frames seen" in out
    elif shown:
        told = set(words(out))
        assert not [word for word in words(shown) if word not in told and "%" not in word]
    if "--render" in command:
        assert (folder / "day.png").stat().st_size > 5000
        assert len(list(VideoReader(folder / "day.mp4").frames(lambda index, seconds: True))) > 400


def test_the_python_of_the_page_runs(folder: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = run(folder, sys.executable, "-c", code).splitlines()
    assert [line.split()[2] for line in lines[1:]] == list(DAY)
