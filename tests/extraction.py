"""What several tests of the features stage share: a project folder, and runs of it as processes."""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.null_engines import PixelSetup
from pipeline.backbone.folder import Backbone
from pipeline.dataset.clips import ClipTable, read_images
from pipeline.dataset.params import DatasetParams
from pipeline.embedding.executors import EmbeddingSetup
from pipeline.embedding.params import FeaturesParams
from pipeline.files import write_json
from pipeline.params import Params
from pipeline.stages.features import Extraction, extract_features
from pipeline.stages.index import index_clips

# Runs the command with shards so small that a run of seconds writes many of them. MODULE is the
# command line, or the one with a null engine: see `Project.start`.
SMALL_SHARDS = """
import pipeline.store.cache
pipeline.store.cache.SHARD_CLIPS = 2
from MODULE import main
main()
"""


ALONE = {"streams": ("rgb",), "pooling": ("mean",)}  # what the CNN says of a picture, and no more


@dataclass
class Project:
    """A folder with clips, settings and a backbone, as `clipcache features` finds it.

    A null engine stands in for the CNN unless the settings name one: all else is real.
    """

    folder: Path
    raw: Path
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        described = Backbone("0" * 64, 64).__dict__
        write_json(self.folder / "models/backbone/backbone.json", described)
        self.set()

    @property
    def params(self) -> Params:
        return Params(
            dataset=DatasetParams(raw=str(self.raw), group="none"),
            features=FeaturesParams(**{"workers": 2, **self.settings}),
        )

    @property
    def setup(self) -> EmbeddingSetup:
        kind = EmbeddingSetup if "engine" in self.settings else PixelSetup
        return kind.of(self.params.features, self.folder / "models/backbone")

    def set(self, **settings: object) -> None:
        """Change settings below `features`."""
        self.settings.update(settings)
        write_json(self.folder / "params.yaml", self.params.model_dump(mode="json"))

    def index(self) -> ClipTable:
        return index_clips(self.params.dataset, self.folder / "data/index.csv")

    def extract(self) -> Extraction:
        """Index and extract in this process."""
        return extract_features(
            self.params,
            self.index(),
            images=read_images(self.folder / "data/images.csv"),
            setup=self.setup,
            folder=self.folder / "features",
            rejected=self.folder / "reports/rejected.csv",
        )

    def start(self, *command: str, script: str = SMALL_SHARDS) -> subprocess.Popen:
        """Start ``clipcache features`` (or another command) in the folder."""
        real = "engine" in self.settings
        script = script.replace("MODULE", "pipeline.cli" if real else "bench.null_engines")
        engine = () if real else ("dummy",)
        return subprocess.Popen(
            [sys.executable, "-c", script, *engine, *(command or ("features",))],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Run ``clipcache features`` (or another command) to its end."""
        process = self.start(*command)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def feature_bytes(self) -> dict[str, str]:
        """File name -> SHA-256 of every feature file."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / "features").iterdir())
        }


def shards(cache: Path) -> list[Path]:
    """The sound shards in a cache folder."""
    return sorted(cache.glob("embeddings/*/*/[!.]*.h5"))


def embedded_frames(run: subprocess.CompletedProcess) -> int:
    """What the last line of ``clipcache features`` says."""
    found = re.search(r"(\d+) frames embedded", run.stdout)
    assert found, run.stdout + run.stderr
    return int(found[1])
