"""Settings, tables and folders as nobody would write them: a sentence, or every clip accounted for.

2,000 examples in all. None may end in a traceback or hang, and no clip may be lost without a word:
clips in = clips indexed + clips that are named or counted as left out.
"""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from clone import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.dataset.layouts import find_clips
from pipeline.dataset.params import DatasetParams
from pipeline.errors import ClipcacheError
from pipeline.frames.images import IMAGE_EXTENSIONS
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.params import Params, load_params
from pipeline.stages.index import changed_since, index_clips
from pipeline.stages.split import split_clips

HARD = settings(
    deadline=timedelta(seconds=20),
    derandomize=True,  # the same in every run: what fails here fails everywhere
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SETTINGS = {name: list(type(section).model_fields) for name, section in Params()}
ODD_TEXT = st.sampled_from(
    ["", " ", "~", "~root/x", "~nobody-here/x", "..", "/", "null", "01", "1e3", "a/../b",
     "\x00", "\x1b[31m", "=1+1", "\u202e", "caf\u00e9", "cafe\u0301", "file:///dev/zero",
     "zip://a", "[", "(", "(a)", "*", "&a",
     "a" * 300, "reference://x", "\ud800"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-10**30, 10**30), st.floats(),
    st.text(max_size=12), ODD_TEXT, st.dates(),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=4,
)


def sentence(error: ClipcacheError) -> str:
    """What is said; every problem of the settings is one line of it."""
    text = str(error)
    assert text.strip()
    assert "Traceback" not in text
    return text


@settings(HARD, max_examples=600)
@given(
    st.dictionaries(
        st.sampled_from([*SETTINGS, "other"]),
        st.one_of(
            VALUES,
            st.sampled_from(list(SETTINGS)).flatmap(
                lambda name: st.dictionaries(
                    st.sampled_from([*SETTINGS[name], "unknown"]), VALUES, max_size=4
                )
            ),
        ),
        max_size=4,
    )
)
def test_any_values_in_params_yaml(content: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        try:
            with path.open("w", encoding="utf-8") as stream:
                YAML(typ="safe").dump(content, stream)
        except (UnicodeEncodeError, ValueError, OverflowError):
            return  # no file can hold it
        try:
            assert isinstance(load_params(path), Params)
        except ClipcacheError as error:
            sentence(error)


USUAL = (ROOT / "params.yaml").read_text("utf-8")


@settings(HARD, max_examples=500)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.tuples(
            st.integers(0, len(USUAL)), st.integers(0, 30),
            st.text("\t\n :-{}[]&*!|>%@`'\"#,?01.eE_~\x00\u2028\ufeffab", max_size=8),
        ).map(lambda cut: (USUAL[: cut[0]] + cut[2] + USUAL[cut[0] + cut[1] :]).encode()),
    )
)  # fmt: skip
def test_any_bytes_in_params_yaml(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_bytes(content)
        try:
            assert isinstance(load_params(path), Params)
        except ClipcacheError as error:
            sentence(error)


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "a: &a {b: *a}", "1" * 5000, "a: 2024-13-45", "[" * 500, "? {a: 1}\n: 2",
     "a: !!python/object:os.system x", "!!binary x", "a: !!float x", "a: !!int z", "a: !!set {b}",
     "train: {seed: " + "9" * 5000 + "}", "a: 1:2:3:4", "<<: 1", "<<: [1]", "%YAML 9.9\n---\na: 1",
     "--- 1\n--- 2", "\ufeffa: 1", "a: \x07", "train: !!timestamp 2024-99-99"],
)  # fmt: skip
def test_yaml_that_only_machines_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "good.yaml").write_text("{}")
    for name, change in (("params.yaml", ()), ("good.yaml", (f"train.head={text}",))):
        with pytest.raises(ClipcacheError) as raised:
            load_params(tmp_path / name, change)
        sentence(raised.value)


NAMES = st.sampled_from(
    ["a", "b b", "Walk", "walk", "caf\u00e9", "cafe\u0301", "=1", "[x]", "x\u202ey", "train",
     "test", "v_Run_g01_c01", "anna_run", "..a", "a" * 90, "\U0001f3c3", "a|b", "%2F", "#1.00-2.00"]
)  # fmt: skip
CLIP = "of a clip"  # an ending that the layout reads
ENDINGS = st.sampled_from([CLIP, CLIP, CLIP, ".AVI", ".mkv", ".gif", ".jpg", ".txt", ""])
KINDS = st.sampled_from(["file", "file", "file", "out", "broken", "loop", "folder", "inside"])
LABELLED = st.tuples(st.lists(NAMES, min_size=2, max_size=3), ENDINGS, KINDS)
ANYWHERE = st.tuples(st.lists(NAMES, min_size=1, max_size=3), ENDINGS, KINDS)
TREES = st.one_of(
    st.lists(ANYWHERE, max_size=6),
    *(
        st.lists(LABELLED, max_size=7).map(
            lambda tree: [(["run", "1"], CLIP, "file"), (["hop", "2"], CLIP, "file"), *tree]
        )
        for _ in range(3)
    ),
)
LAYOUTS = st.sampled_from(["folders", "folders", "frames", "images"])
GROUPS = st.sampled_from([*["none"] * 6, "person_first", "ucf", "hmdb", "([a-z])"])


def grow(raw: Path, tree: list[tuple[list[str], str, str]], ending_of_a_clip: str) -> None:
    """Files, folders and links; a place that is taken stays as it is."""
    raw.mkdir()
    (raw.parent / "disk").mkdir()
    for number, (parts, ending, kind) in enumerate(tree):
        name = parts[-1] + (ending_of_a_clip if ending == CLIP else ending)
        path = raw.joinpath(*parts[:-1], name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() or path.is_symlink():
                continue
            if kind == "file":
                path.write_bytes(bytes([number]))
            elif kind == "folder":
                path.mkdir()
            elif kind == "out":
                target = raw.parent / "disk" / f"{number}"
                target.write_bytes(bytes([number]))
                path.symlink_to(target)
            else:
                path.symlink_to({"broken": "nowhere", "loop": path.name, "inside": raw}[kind])
        except OSError:
            continue  # a file stands where a folder would have to


def clips_in(raw: Path, extensions: frozenset[str]) -> set[str]:
    """What people would count: everything with the ending of a clip that is no folder."""
    return {
        path.relative_to(raw).as_posix()
        for path in raw.rglob("*")
        if path.suffix.lower() in extensions
        and not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(raw).parts)
    }


@settings(HARD, max_examples=500)
@given(TREES, LAYOUTS, GROUPS)
def test_any_tree_of_folders(
    tree: list[tuple[list[str], str, str]], layout: str, group: str
) -> None:
    with TemporaryDirectory() as home:
        raw = Path(home).resolve() / "raw"
        grow(raw, tree, ".mp4" if layout == "folders" else ".jpg")
        params = DatasetParams(raw=str(raw), layout=layout, group=group, near_duplicates=None)
        try:
            findings = find_clips(params)
            table = index_clips(params, Path(home, "index.csv"))
        except ClipcacheError as error:
            sentence(error)
            return
        read = VIDEO_EXTENSIONS if layout == "folders" else IMAGE_EXTENSIONS
        found = {file for clip in findings.clips for file in clip.images or (clip.path,)}
        lost = clips_in(raw, read) - found
        told = sum(int(number) for note in findings.notes
                   for number in re.findall(r"(\d+) links? to nowhere", note))  # fmt: skip
        assert len(lost) == told
        assert len(table) == len(findings.clips)
        images = {clip.clip_id: clip.images for clip in findings.clips if clip.images}
        if layout == "folders":
            assert changed_since(params, table, images) == ""
        said: list[str] = []
        try:
            splits = split_clips(table, Params().split, Path(home, "splits.csv"), said.append)
        except ClipcacheError as error:
            sentence(error)
        else:
            assert len(splits) == len(table)


CELLS = st.one_of(
    st.sampled_from(
        ["a.mp4", "b.mp4", "/a.mp4", "./b.mp4", "../x.mp4", "d/c\u0327.mp4", "d/\u00e7.mp4", "d",
         "no.mp4", "d\\e.mp4", "file:///etc/passwd", "s3://b/c.mp4", "zero.mp4", "", " ", "a.mp4 0",
         "\"", "'", "=1", "1", "2.5", "-1", "nan", "inf", "1e400", "train", "val", "walk", "Walk",
         "run", "on/off", "0" * 64, "\x00", "a\nb", "\u202e"]
    ),
    st.text(max_size=6),
)  # fmt: skip
HEADERS = st.lists(
    st.sampled_from(["path", "label", "label", "group", "split", "start", "end", "digest", "Path ",
                     "name", ""]),
    max_size=6,
)  # fmt: skip
TABLES = st.one_of(
    st.tuples(
        HEADERS | st.sampled_from([["path", "label"], ["path", "label", "group", "start"]]),
        st.lists(st.lists(CELLS, min_size=2, max_size=5), max_size=6),
        st.sampled_from([",", ";", "\t", " "]),
    ),
    st.tuples(
        st.just(["path", "label"]),
        st.lists(
            st.tuples(
                st.sampled_from(["a.mp4", "b.mp4", "/a.mp4", "no.mp4", "d/\u00e7.mp4", "link.mp4"]),
                st.sampled_from(["walk", "run", "Walk", "on/off"]),
            ).map(list),
            min_size=2, max_size=6, unique_by=lambda row: row[0].lstrip("/"),
        ),
        st.just(","),
    ),
)  # fmt: skip


@settings(HARD, max_examples=400)
@given(TABLES, GROUPS)
def test_any_table(made: tuple[list[str], list[list[str]], str], group: str) -> None:
    header, rows, separator = made
    with TemporaryDirectory() as home:
        raw = Path(home).resolve() / "raw"
        (raw / "d").mkdir(parents=True)
        for name in ("a.mp4", "b.mp4", "d/c\u0327.mp4", "d/e.mp4"):
            (raw / name).write_bytes(name.encode())
        (raw.parent / "disk.mp4").write_bytes(b"disk")
        (raw / "link.mp4").symlink_to(raw.parent / "disk.mp4")
        (raw / "zero.mp4").symlink_to("/dev/zero")
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([header, *rows])
        table = Path(home, "clips.csv")
        table.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
        params = DatasetParams(raw=str(raw), layout="csv", table=str(table), group=group)
        try:
            findings = find_clips(params)
        except ClipcacheError as error:
            sentence(error)
            return
        left = sum(int(number) for note in findings.notes
                   for number in re.findall(r"(\d+) of \d+ rows are left out", note))  # fmt: skip
        there = [row for row in rows if any(row)]
        assert len(findings.clips) + left == len(there)
        if any(clip.path.startswith("s3:") for clip in findings.clips):
            return  # nobody is asked for it here
        try:
            assert len(index_clips(params, Path(home, "index.csv"))) == len(findings.clips)
        except ClipcacheError as error:
            sentence(error)
