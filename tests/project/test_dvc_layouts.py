"""Tables and lists are dependencies of the pipeline: a change in one runs what reads it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from clone import copy_project

from pipeline.dataset.near_copies import NEAR_COPIES, write_near_copies

BIN = Path(sys.executable).parent


def repro(folder: Path) -> list[str]:
    """The stages up to `index`, and `split`, that DVC ran."""
    said = ""
    for stages in (["index"], ["--single-item", "split"]):
        done = subprocess.run(
            ["dvc", "repro", *stages], check=False, cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder),
                "DVC_NO_ANALYTICS": "1",
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        said += done.stdout
    return re.findall(r"Running stage '(\w+)'", said)


def settings(folder: Path, **changes: str) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    for key, value in changes.items():
        text = re.sub(rf"(?m)^  {key}: \S+", f"  {key}: {value}", text, count=1)
    path.write_text(text)


def test_a_change_in_the_table_or_the_lists_runs_what_reads_it(tmp_path: Path) -> None:
    copy_project(tmp_path)
    names = [f"v_{label}_g0{group}_c01.avi" for label in ("Run", "Walk") for group in range(1, 6)]
    (tmp_path / "data/raw").mkdir(parents=True)
    write_near_copies([], tmp_path / NEAR_COPIES)  # the files are no videos
    for name in names:
        (tmp_path / "data/raw" / name).write_bytes(name.encode())
    rows = [f"{name},{name.split('_')[1]}\n" for name in names]
    table = tmp_path / "lists/clips.csv"
    table.write_text("path,label\n" + "".join(rows[:-1]))
    settings(tmp_path, layout="csv", group="ucf")
    assert repro(tmp_path) == ["check", "index", "split"]
    assert repro(tmp_path) == []

    table.write_text("path,label\n" + "".join(rows))
    assert repro(tmp_path) == ["index", "split"]
    assert "v_Walk_g05_c01.avi" in (tmp_path / "data/splits.csv").read_text()

    (tmp_path / "lists/ucf").mkdir()
    train = tmp_path / "lists/ucf/trainlist01.txt"
    train.write_text("".join(f"Any/{name} 1\r\n" for name in names if "g01" not in name))
    (tmp_path / "lists/ucf/testlist01.txt").write_text(
        "".join(f"Any/{name}\r\n" for name in names if "g01" in name)
    )
    settings(tmp_path, method="official")
    assert repro(tmp_path) == ["check", "split"]
    lines = (tmp_path / "data/splits.csv").read_text().splitlines()
    assert [line for line in lines if line.endswith(",test")] == [
        "v_Run_g01_c01.avi,test", "v_Walk_g01_c01.avi,test",
    ]  # fmt: skip

    train.write_text(train.read_text().replace("Any/v_Walk_g05_c01.avi 1\n", ""))
    assert repro(tmp_path) == ["split"]
    assert "v_Walk_g05_c01.avi" not in (tmp_path / "data/splits.csv").read_text()
