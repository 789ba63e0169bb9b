"""The benchmarks can be run, and write what they say they write."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from clone import ROOT

from bench import cuts, tables
from bench.clips import pictures
from bench.contenders import Contender, Run, side_by_side
from bench.engines import multiply_adds
from bench.watch import watch


def test_quick_growth_writes_results_without_traces_of_the_machine(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "growth", "--quick", "--out", str(out)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "one clip added" in done.stdout
    text = out.read_text()
    results = json.loads(text)
    assert results["machine"]["cores"] >= 1
    assert results["machine"]["packages"]["h5py"]
    (table,) = results["results"]["growth"]["tables"]
    assert [row["clips"] for row in table["rows"]] == [20, 40]
    assert all(0 < row["no-op s"] < 60 for row in table["rows"])
    assert all(0 < row["largest worker MiB"] < 600 for row in table["rows"])
    assert str(ROOT) not in text
    assert "/tmp" not in text


def test_quick_million_runs_every_stage_and_keeps_other_results(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    elsewhere = {"machine": {"cores": 1}, "quick": True, "results": {"stage": {"tables": []}}}
    out.write_text(json.dumps(elsewhere))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "million", "--quick", "--out", str(out)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = out.read_text()
    assert "/tmp" not in text
    results = json.loads(text)["results"]
    assert results["stage"] == {"machine": {"cores": 1}, "tables": []}
    (table,) = results["million"]["tables"]
    assert [row["clips"] for row in table["rows"]] == [100] * 5 + [200] * 5
    assert {row["stage"].split(",")[0] for row in table["rows"]} == {
        "index", "split", "features", "train"
    }  # fmt: skip
    assert all(row["seconds"] > 0 and row["main MiB"] > 20 for row in table["rows"])


def test_quick_index_and_split_of_large_sets_are_measured(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "datasets", "--quick", "--out", str(out)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(out.read_text())["results"]["datasets"]["tables"]
    assert [row["split.method"] for row in table["rows"]] == [
        "group", "official", "group", "column",
    ]  # fmt: skip
    assert all(row["processor s"] > 0 and row["largest MiB"] > 10 for row in table["rows"])


def test_an_unknown_name_is_refused_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "engine"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no engine" in done.stderr


def test_multiply_adds_are_those_of_the_paper() -> None:
    classifier = 1280 * 1000
    assert round((multiply_adds(224) + classifier) / 1e6) == 301  # "300M", Sandler et al. 2018


def _sleep(seconds: float) -> Run:
    import time

    return lambda count: time.sleep(count * seconds)


def test_contenders_take_turns_and_are_compared_within_a_turn() -> None:
    slow, fast = side_by_side(
        [Contender("slow", "", _sleep, (0.02,)), Contender("fast", "", _sleep, (0.005,))],
        rounds=5,
        seconds=0.1,
    )
    assert len(slow.rates) == 3
    assert fast.over(slow) > 1


def test_a_command_over_its_limit_is_ended_and_said_to_be(tmp_path: Path) -> None:
    hog = "import time; x = bytearray(200_000_000); time.sleep(60)"
    done = watch([sys.executable, "-c", hog], tmp_path, memory=100_000_000)
    assert done.ended == "memory"
    assert done.main_peak > 100_000_000
    assert done.seconds < 30
    slow = watch([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, seconds=0.2)
    assert slow.ended == "time"


def test_generated_clips_move() -> None:
    frames = pictures(3, 64, 48, seed=1)
    assert frames.shape == (3, 48, 64, 3)
    assert np.abs(frames[2].astype(int) - frames[0]).mean() > 2
    np.testing.assert_array_equal(frames, pictures(3, 64, 48, seed=1))


def test_wanted_numbers_know_their_direction() -> None:
    assert tables.Wanted("faster", 5.0, 4.0).holds
    assert not tables.Wanted("smaller", 5.0, 4.0, at_least=False).holds


def test_scattered_frames_are_counted_against_the_truth(make_video, tmp_path: Path) -> None:
    videos = [make_video(f"{seed}.avi", frames=15, seed=seed) for seed in (1, 2, 3)]
    dump = cuts._Dump(tmp_path / "dump", videos)
    count = dump.look(1) + dump.made_small().look(3)
    assert (count.folders, count.steps, count.hits + count.missed) == (2, 44 + 14, 4)
    assert count.share == 100 * count.hits / 4
    assert len(count.true_scores) == 4
    assert cuts._Dump(tmp_path / "dump", videos).look(1).hits == 2
