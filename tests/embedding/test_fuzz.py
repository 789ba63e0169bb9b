"""Videos that are broken in every way cost themselves and nothing else."""

import shutil
from pathlib import Path

import numpy as np
from extraction import Project

from pipeline.dataset.clips import read_rejected
from pipeline.store.feature_files import FeatureSet

MUTANTS = 520
CLIP_TIMEOUT = 20.0  # seconds


def mutate(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Truncate, flip bits (anywhere, or in the header), cut out, repeat, zero, or splice."""
    mutant = bytearray(data)
    at = int(random.integers(1, len(mutant)))
    length = int(random.integers(1, 4000))
    match random.integers(7):
        case 0:
            return data[:at]
        case 1:
            for place in random.integers(0, len(mutant), int(random.integers(1, 200))):
                mutant[place] ^= 1 << int(random.integers(8))
        case 2:
            for place in random.integers(0, min(4096, len(mutant)), int(random.integers(1, 30))):
                mutant[place] = int(random.integers(256))
        case 3:
            del mutant[at : at + length]
        case 4:
            mutant[at:at] = mutant[at : at + length]
        case 5:
            mutant[at : at + length] = bytes(len(mutant[at : at + length]))
        case 6:
            return data[:at] + other[int(random.integers(len(other))) :]
    return bytes(mutant)


def test_500_mutated_videos_are_each_embedded_or_rejected_and_the_run_ends(
    shared_data: Path, tmp_path: Path, own_cache: Path
) -> None:
    random = np.random.default_rng(0)
    whole = sorted((shared_data / "robustness").rglob("*.*"), key=lambda path: path.stat().st_size)
    parents = [path for path in whole if path.stat().st_size < 75_000]
    bytes_of = [path.read_bytes() for path in parents]
    assert len(parents) > 30
    for i in range(MUTANTS):
        kind = i % len(parents)
        other = bytes_of[int(random.integers(len(parents)))]
        label = tmp_path / "raw" / ("odd" if i % 2 else "even")
        label.mkdir(parents=True, exist_ok=True)
        name = f"{i:04d}_{parents[kind].stem}{parents[kind].suffix}"
        (label / name).write_bytes(mutate(bytes_of[kind], other, random))
    for i, path in enumerate(parents):  # the run must still see the sound ones as they are
        shutil.copy(path, tmp_path / "raw/even" / f"sound_{i}{path.suffix}")

    settings = {"fps": 4, "views": ("identity",), "clip_timeout": CLIP_TIMEOUT, "max_rejected": 1}
    project = Project(tmp_path / "project", tmp_path / "raw", settings)
    project.index()
    run = project.run()
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Traceback" not in run.stderr

    embedded = set(FeatureSet.open(project.folder / "features").clip_ids)
    rejected = {row.clip_id: row.reason for row in read_rejected(
        project.folder / "reports/rejected.csv")}  # fmt: skip
    every = {path.relative_to(project.raw).as_posix() for path in project.raw.rglob("*.*")}
    assert embedded | rejected.keys() == every
    assert not embedded & rejected.keys()
    assert all(rejected.values())
    assert len(embedded) > MUTANTS / 4
    assert len(rejected) > MUTANTS / 20
