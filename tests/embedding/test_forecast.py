"""`clipcache features --plan`: what it says is what a run then does, and it leaves no trace."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from extraction import Project

from pipeline.dataset.clips import ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.embedding import forecast
from pipeline.embedding.executors import Job
from pipeline.embedding.forecast import estimate_work
from pipeline.frames.sources import Source
from pipeline.frames.video import Sampling
from pipeline.store.extractor_spec import DIMENSIONS
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
    assert re.search(r"^\s+2 workers +0:\d\d:\d\d$", text, re.MULTILINE)


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
    counted = rows * (2 * sum(DIMENSIONS.values()) + 8)  # as the plan counts them
    assert size == pytest.approx(counted, rel=0.2)
    assert f"{counted / 1e3:.1f} kB" in text
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
    settings = {"streams": ("rgb",), "pooling": ("mean",)}
    project = Project(tmp_path / "project", make_dataset(), settings)
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
    """A plan of videos, each with its number of clips and its segments."""

    def __init__(self, videos: list[tuple[Path, int, tuple[tuple[float, float], ...]]]) -> None:
        self._videos = videos

    def jobs(self):
        for path, clips, segments in self._videos:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield Job(Source(str(path)), digest, {"identity": None}, segments), clips


def test_a_sample_stands_for_all(make_video, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = range(20, 40)
    plan = Jobs([(make_video(f"{i}.avi", frames=i, seed=i), 1, ()) for i in lengths])
    work = estimate_work(plan, Sampling(5.0, None))
    assert (work.estimated, work.sampled, work.readable) == (20, 20, 20)
    assert work.frames[0] == pytest.approx(sum(lengths))
    monkeypatch.setattr(forecast, "SAMPLE", 10)
    work = estimate_work(plan, Sampling(5.0, None))
    assert (work.estimated, work.sampled) == (20, 10)
    assert 0 < abs(work.frames[0] - sum(lengths)) < 0.2 * sum(lengths)


def test_segments_are_decoded_once_and_counted_apart(make_video) -> None:
    video = make_video("one.avi", frames=100, fps=10)
    work = estimate_work(Jobs([(video, 2, ((0.0, 2.0), (1.0, 3.0)))]), Sampling())
    assert work.frames.tolist() == [100, 30, 30 * (2 * 1280 + 4), 40]


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
