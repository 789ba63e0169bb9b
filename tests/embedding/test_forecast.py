"""`clipcache features --plan`: what it says is what a run then does, and it leaves no trace."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from extraction import Project

from pipeline.dataset.clips import ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.embedding import forecast
from pipeline.embedding.executors import Job
from pipeline.embedding.forecast import Speed, Work, estimate_work
from pipeline.frames.sources import Source
from pipeline.frames.video import Sampling
from pipeline.store.feature_files import FeatureSet


def planned(project: Project) -> str:
    lines = forecast.forecast(
        project.params.features,
        ClipTable.of(project.index()),
        ClipFiles.of(project.params.dataset),
        setup=project.setup,
        folder=project.folder / "features",
    )
    return "\n".join(lines)


def number(text: str, name: str) -> int:
    found = re.search(rf"^{name}\s+([\d,]+)", text, re.MULTILINE)
    assert found, text
    return int(found[1].replace(",", ""))


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in folder.rglob("*")
    }


def test_a_plan_is_what_the_run_then_does(
    tmp_path: Path, make_dataset: Callable[..., Path], own_cache: Path
) -> None:
    project = Project(tmp_path / "project", make_dataset(frames=40), {"fps": 5})
    project.index()
    before = everything(tmp_path)
    text = planned(project)
    assert everything(tmp_path) == before  # no cache folder either
    done = project.extract()
    assert f"{done.clips} clips: 0 from the cache (0%), {done.decoded} to embed." in text
    assert number(text, "videos to decode") == done.decoded == 6
    assert number(text, "frames to decode") == sum(range(40, 46))
    assert number(text, "frames to embed") == done.embedded
    assert re.search(r"^\s+2 +\d+ s   as set$", text, re.MULTILINE)


def test_what_is_cached_is_not_planned_again(
    tmp_path: Path, make_dataset: Callable[..., Path], make_video, own_cache: Path
) -> None:
    project = Project(tmp_path / "project", make_dataset(frames=40), {"fps": 5})
    project.extract()
    text = planned(project)
    assert "6 clips: 6 from the cache (100%), 0 to embed." in text
    assert number(text, "frames to embed") == 0
    assert "Speed" not in text
    size = (project.folder / "features/features.h5").stat().st_size
    rows = int(FeatureSet.open(project.folder / "features").lengths.sum())
    assert size == pytest.approx(rows * (2 * 2560 + 8), rel=0.2)  # as the plan counts them
    assert f"{rows * (2 * 2560 + 8) / 1e3:.1f} kB" in text
    project.set(fps=10)  # more frames of clips whose timelines are known: exact
    make_video("raw/walk/dora_walk.avi", frames=40, seed=9)
    before = everything(own_cache)
    text = planned(project)
    assert everything(own_cache) == before
    done = project.extract()
    assert "7 clips: 0 from the cache (0%), 7 to embed." in text
    assert number(text, "frames to embed") == done.embedded


def test_a_damaged_shard_is_only_reported(
    tmp_path: Path, make_dataset: Callable[..., Path], own_cache: Path, capsys
) -> None:
    project = Project(tmp_path / "project", make_dataset(), {"views": ("identity",)})
    project.extract()
    (shard,) = own_cache.glob("embeddings/*/*/*.h5")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    before = everything(own_cache)
    assert "6 clips: 0 from the cache" in planned(project)
    assert everything(own_cache) == before
    assert "A run sets it aside and embeds its clips again" in capsys.readouterr().err


def test_broken_clips_are_counted_and_a_set_of_them_has_no_speed(
    tmp_path: Path, make_dataset: Callable[..., Path], own_cache: Path
) -> None:
    raw = make_dataset()
    (raw / "walk/anna_walk.avi").write_bytes(b"not a video")
    project = Project(tmp_path / "project", raw, {})
    assert "1 of 6 headers cannot be read." in planned(project)
    for path in raw.rglob("*.avi"):
        path.write_bytes(b"no video " + path.name.encode())
    assert "No clip could be read to measure the speed." in planned(project)


class Jobs:
    """A plan of many jobs, all of images, so that no header has to be read."""

    def __init__(self, lengths: list[int]) -> None:
        self.videos = len(lengths)
        self._lengths = lengths

    def jobs(self):
        for i, length in enumerate(self._lengths):
            source = Source(images=tuple(f"{i}/{j}.jpg" for j in range(length)), fps=10.0)
            yield Job(source, f"{i:064x}", {"identity": None, "hflip": None}), 1


def test_the_error_of_a_sample_covers_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "SAMPLE", 50)
    lengths = np.random.default_rng(0).integers(10, 200, 1000).tolist()
    covered = 0
    for seed in range(40):
        work = estimate_work(Jobs(lengths), Sampling(5.0, None), seed)
        assert (work.videos, work.estimated, work.sampled) == (1000, 1000, 50)
        decoded, embedded, _ = work.frames
        assert 0 < work.error[0] / decoded < 0.25
        covered += abs(decoded - sum(lengths)) <= work.error[0]
        assert embedded == pytest.approx(decoded, rel=0.05)
    assert covered >= 34  # of 40; 38 expected of a 95 % interval
    monkeypatch.setattr(forecast, "SAMPLE", 1000)
    work = estimate_work(Jobs(lengths), Sampling())
    assert (work.frames[0], work.error[0]) == (sum(lengths), 0)


def test_segments_are_decoded_once_and_counted_apart() -> None:
    source = Source(images=tuple(f"{j}.jpg" for j in range(100)), fps=10.0)

    class One(Jobs):
        def jobs(self):
            yield Job(source, "0" * 64, {"identity": None}, ((0.0, 2.0), (1.0, 3.0))), 2

    work = estimate_work(One([100]), Sampling())
    assert work.frames.tolist() == [100, 30, 40]


def test_more_workers_take_less_time_until_one_engine_is_the_limit() -> None:
    work = Work(10, np.array([1000.0, 100.0, 100.0]), np.zeros(3), 10, 10, 0, ())
    speed = Speed(decode=0.01, embed=0.1, error=0.1, workers=1, clips=5)
    assert speed.seconds_on(work, 1, one_engine=False) == pytest.approx(20.0)
    assert speed.seconds_on(work, 4, one_engine=False) == pytest.approx(5.0)
    assert speed.seconds_on(work, 4, one_engine=True) == pytest.approx(10.0)
    assert work.cache_bytes(views=1) == 100 * 2564 + 1000 * 8


def test_the_command_prints_the_plan(
    tmp_path: Path, make_dataset: Callable[..., Path], own_cache: Path
) -> None:
    project = Project(tmp_path / "project", make_dataset(frames=40), {})
    project.run("index")
    done = project.run("features", "--plan")
    assert done.returncode == 0, done.stderr
    assert "frames to embed" in done.stdout
    assert not (project.folder / "features").exists()
    assert not own_cache.exists()
