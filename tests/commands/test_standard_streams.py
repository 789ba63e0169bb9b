"""Standard streams may be closed, full, or lack letters, warnings be errors, memory be short."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from sample_model import unseen_clip

JAPANESE = "\u8d70\u308b"


def run(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess:
    """What a line of a shell did, in which `clipcache` is this code."""
    line = command.replace("clipcache", f"'{sys.executable}' -m pipeline")
    return subprocess.run(
        ["bash", "-c", line], check=False, cwd=folder, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip


@pytest.fixture
def clip(sample_model: Path, tmp_path: Path) -> Path:
    """A clip whose name no Latin alphabet can write."""
    return Path(shutil.copy(unseen_clip(sample_model, "wave"), tmp_path / f"{JAPANESE}.mp4"))


@pytest.fixture
def project(make_dataset, tmp_path: Path, own_cache: Path) -> Path:
    """Clips of two labels, one of which is Japanese, not indexed yet."""
    raw = make_dataset()
    first, *_ = sorted(path for path in raw.iterdir() if path.is_dir())
    first.rename(raw / JAPANESE)
    (tmp_path / "params.yaml").write_text(f"dataset: {{raw: {raw}}}\n")
    return tmp_path


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full"])
def test_a_closed_or_full_stream_loses_nothing_but_what_it_would_show(
    clip: Path, sample_model: Path, closed: str
) -> None:
    done = run(
        clip.parent, f"clipcache predict *.mp4 --model {sample_model} --csv out.csv {closed}"
    )
    full_output = closed == "> /dev/full"
    assert done.returncode == (1 if full_output else 0), done.stderr
    assert "Traceback" not in done.stderr
    if not full_output:
        with (clip.parent / "out.csv").open(newline="") as stream:
            assert [row["label"] for row in csv.DictReader(stream)] == ["wave"]


@pytest.mark.parametrize("command", ["index", "explore", "check"])
def test_stages_need_no_streams(project: Path, command: str) -> None:
    done = run(project, f"clipcache {command} >&- 2>&-")
    assert done.returncode == 0


def test_letters_that_a_terminal_lacks_are_escapes(project: Path) -> None:
    done = run(project, "clipcache explore", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "\\u8d70\\u308b" in done.stdout


def test_json_is_ascii(clip: Path, sample_model: Path) -> None:
    done = run(
        clip.parent, f"clipcache predict *.mp4 --json --model {sample_model}",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert done.stdout.isascii()
    (answer,) = json.loads(done.stdout)
    assert answer["file"] == clip.name


def test_a_locale_without_utf_8_reads_and_writes_the_same_names(project: Path) -> None:
    plain = run(project, "clipcache index && cat data/index.csv")
    assert JAPANESE in plain.stdout
    done = run(
        project, "clipcache index > told && cat data/index.csv",
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout in plain.stdout
    assert JAPANESE in done.stdout


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "link"])
def test_a_table_on_standard_output_is_all_that_is_there(
    clip: Path, sample_model: Path, place: str
) -> None:
    (clip.parent / "link").symlink_to("/proc/self/fd/1")
    command = f"clipcache predict *.mp4 --model {sample_model} --csv {place}"
    for line in (f"{command} | cat", f"{command} > out; cat out"):
        done = run(clip.parent, line)
        assert [row["label"] for row in csv.DictReader(done.stdout.splitlines())] == ["wave"]
    assert (clip.parent / "link").is_symlink()


def test_warnings_that_the_user_made_errors_are_not_those_of_our_libraries(
    clip: Path, sample_model: Path
) -> None:
    done = run(
        clip.parent, f"clipcache predict *.mp4 --model {sample_model}", PYTHONWARNINGS="error"
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("command", ["predict *.mp4", "explain *.mp4", "export"])
def test_too_little_memory_is_one_sentence(clip: Path, sample_model: Path, command: str) -> None:
    """Less than any library takes; a little more, and native code may crash without a word."""
    done = run(clip.parent, f"ulimit -v 300000; clipcache {command} --model {sample_model}")
    assert done.returncode != 0
    *_, last = done.stderr.splitlines()
    assert last.startswith("Error: "), done.stderr
    assert "Traceback" not in done.stderr
