"""A project folder of its own for the benchmarks, with a cache folder of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.clips import write_dataset

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"  # real data sets beside the checkout, where there are any
BACKBONE = Path("models/backbone")


@contextlib.contextmanager
def temporary_project() -> Iterator[Path]:
    """A temporary folder; while it exists, $CLIPCACHE_DIR points into it."""
    before = os.environ.get("CLIPCACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="clipcache-bench-") as name:
        folder = Path(name)
        os.environ["CLIPCACHE_DIR"] = str(folder / "cache")
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["CLIPCACHE_DIR"]
            else:
                os.environ["CLIPCACHE_DIR"] = before


def prepare_backbone(folder: Path) -> Path:
    """The backbone to measure with: the project's own where it is 224 pixels, else a new one.

    Must be called before `temporary_project`: the weights come from the user's cache folder.
    """
    from pipeline.backbone.folder import read_backbone
    from pipeline.errors import FeaturesError

    try:
        if read_backbone(BACKBONE).input_size == 224:
            return BACKBONE.resolve()
    except FeaturesError:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    write_params(folder, {})
    subprocess.run(clipcache("backbone"), cwd=folder, env=environment(), check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return folder / BACKBONE


def made_up_backbone(folder: Path) -> Path:
    """A backbone folder without weights, for the engine that computes nothing."""
    from pipeline.backbone.folder import DESCRIPTION_FILE

    folder.mkdir(parents=True, exist_ok=True)
    description = {"digest": "0" * 64, "input_size": 224, "source": "made up"}
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description))
    return folder


def make_project(folder: Path, backbone: Path, params: dict[str, Any]) -> Path:
    """A folder in which the clipcache command runs: params.yaml and models/backbone."""
    shutil.copytree(backbone, folder / BACKBONE)
    write_params(folder, params)
    return folder


def trained_project(folder: Path, backbone: Path) -> Path:
    """A project with a model that was trained for a moment on generated clips."""
    project = make_project(folder, backbone, {
        "dataset": {"raw": str(folder / "raw")},
        "features": {"engine": "litert"},
        "train": {"epochs": 2},
    })  # fmt: skip
    write_dataset(folder / "raw", 16, frames=50, width=160, height=120)
    for stage in ("index", "split", "features", "train"):
        subprocess.run(clipcache(stage), cwd=project, env=environment(), check=True,
                       capture_output=True)  # fmt: skip
    return project


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Write params.yaml; JSON is YAML."""
    (folder / "params.yaml").write_text(json.dumps(params))


def clipcache(*arguments: str) -> list[str]:
    """The command line of this checkout's clipcache."""
    return [sys.executable, "-m", "pipeline", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """The environment for child processes that import this checkout from another folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **changes}
