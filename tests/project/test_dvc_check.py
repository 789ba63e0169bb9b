"""A slip in the settings, or data that is not there, costs nothing: DVC stops before it removes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clone import copy_project

from pipeline.dataset.near_copies import NEAR_COPIES, write_near_copies

BIN = Path(sys.executable).parent
NAMES = [f"{label}/anna{i}_x.avi" for label in ("run", "walk") for i in range(4)]
SLIPS = {
    "a misspelt setting": ("  units:", "  unitss:", "`train.unitss` is not a setting"),
    "a setting of the last stage": ("  bootstrap: 2000", "  bootstrap: -1", "`evaluate.bootstrap`"),
    "a group that is a number": ("  held_out: null", "  held_out: 01", "put it in quotes"),
    "lists that are not there": ("  method: group", "  method: official", "which holds no lists"),
    "weights that are not there": ("  weights: imagenet", "  weights: none.h5", "none.h5"),
}


def dvc(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["dvc", *arguments], check=False, cwd=folder, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder),
            "DVC_NO_ANALYTICS": "1",
        },
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro index` and the stage `split` have run."""
    folder = tmp_path_factory.mktemp("check")
    copy_project(folder)
    code, said = dvc(folder, "repro", "index")
    assert code
    assert "dataset.raw is data/raw, which is not a folder in /" in said
    assert "`clipcache sample data/raw`" in said
    assert "Errno" not in said
    for name in NAMES:
        path = folder / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    write_near_copies([], folder / NEAR_COPIES)  # the files are no videos
    for stages in (["index"], ["--single-item", "split"]):
        code, said = dvc(folder, "repro", *stages)
        assert not code, said
    return folder


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_settings_removes_no_output(project: Path, slip: str) -> None:
    old, new, message = SLIPS[slip]
    params = project / "params.yaml"
    right = params.read_text()
    assert right.count(old) >= 1
    params.write_text(right.replace(old, new, 1))
    try:
        code, said = dvc(project, "repro", "index")
    finally:
        params.write_text(right)
    assert code
    assert message in said
    assert (project / "data/index.csv").is_file()
    assert (project / "data/splits.csv").is_file()


def test_a_stage_that_fails_says_how_to_get_back_what_dvc_removed(project: Path) -> None:
    params = project / "params.yaml"
    right = params.read_text()
    params.write_text(right.replace("  method: group", "  method: column"))
    code, said = dvc(project, "repro", "--single-item", "split")
    params.write_text(right)
    assert code
    assert "`dvc checkout` brings back" in said
    assert not (project / "data/splits.csv").exists()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "train"],
        check=False, cwd=project, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2
    code, said = dvc(project, "checkout", "data/splits.csv")
    assert not code, said
    assert (project / "data/splits.csv").is_file()
