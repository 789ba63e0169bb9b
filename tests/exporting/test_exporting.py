"""Exports of a real model, each loaded by its own runtime; and what the docs say of them."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clone import ROOT
from conftest import only_one
from typer.testing import CliRunner

import pipeline.exporting.export as exporting
from pipeline.cli import app
from pipeline.dataset.params import DatasetParams
from pipeline.errors import ClipError, DatasetError, ModelError
from pipeline.exporting.clips import clips_of_files, clips_of_test_split, evenly
from pipeline.exporting.export import export
from pipeline.exporting.formats import FORMATS
from pipeline.exporting.graph import build_graph
from pipeline.files import sha256
from pipeline.frames.views import VIEWS, apply_view
from pipeline.head.model_folder import read_card
from pipeline.predict.predictor import Predictor

ALL = [
    ("tflite", "float32"),
    ("tflite", "float16"),
    ("tflite", "int8"),
    ("saved_model", "float32"),
    ("onnx", "float32"),
]


@pytest.fixture(scope="session")
def project(sample_model: Path, session_folder: Path) -> Path:
    """A folder with what `clipcache export` reads, and what it has written."""
    folder = session_folder / "exporting"
    with only_one(session_folder / "exporting.lock"):
        if not folder.exists():
            (folder / "models").mkdir(parents=True)
            (folder / "models/head").symlink_to(sample_model)
            (folder / "data").symlink_to(sample_model.parents[1] / "data")
            shutil.copy(sample_model.parents[1] / "params.yaml", folder)
    return folder


@pytest.fixture
def exported(project: Path, session_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command in the project, once a session for each format and precision."""

    def run(kind: str, precision: str) -> tuple[Path, str]:
        monkeypatch.chdir(project)
        folder = Path(f"models/export/{kind}-{precision}")
        said = session_folder / f"{kind}-{precision}.txt"
        with only_one(session_folder / f"{kind}-{precision}.lock"):
            if not folder.exists():
                arguments = ["export", "--format", kind, "--precision", precision]
                done = CliRunner().invoke(app, arguments, catch_exceptions=False)
                assert done.exit_code == 0
                said.write_text(done.stdout)
        return folder, said.read_text()

    return run


@pytest.mark.parametrize(("kind", "precision"), ALL)
def test_an_export_says_what_the_model_says(exported, kind: str, precision: str) -> None:
    folder, said = exported(kind, precision)
    about = json.loads((folder / "export.json").read_text())
    assert about["labels"] == list(read_card(Path("models/head")).labels)
    assert about["compared"]["labels_changed"] == 0
    assert about["compared"]["windows"] >= about["compared"]["clips"] == 8
    largest = about["compared"]["largest_difference"]
    assert largest < {"float32": 1e-4, "float16": 0.1, "int8": 0.3}[precision]
    assert "of 8 clips of the test split" in said
    assert f"-> {folder / about['file']}" in said


@pytest.mark.parametrize(("kind", "precision"), ALL)
def test_what_comes_after_the_valid_frames_does_not_count(exported, kind, precision) -> None:
    folder, _ = exported(kind, precision)
    run = FORMATS[kind].load(folder / FORMATS[kind].file)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (16, 224, 224, 3)).astype(np.uint8)
    others = frames.copy()
    others[5:] = rng.integers(0, 256, others[5:].shape)
    one, two = run(frames, 5), run(others, 5)
    assert one.shape == (4,)
    assert one.sum() == pytest.approx(1)
    np.testing.assert_allclose(one, two, atol=1e-3 if precision == "int8" else 1e-5)
    assert abs(np.log(run(others, 16)) - np.log(one)).max() > 1e-2


def test_the_description_is_also_inside(exported) -> None:
    import onnxruntime

    beside, inside = {}, {}
    for kind in FORMATS:
        folder, _ = exported(kind, "float32")
        beside[kind] = json.loads((folder / "export.json").read_text())
    folder = Path("models/export")
    with zipfile.ZipFile(folder / "tflite-float32/model.tflite") as archive:
        inside["tflite"] = archive.read("clipcache.json")
    extra = folder / "saved_model-float32/saved_model/assets.extra/clipcache.json"
    inside["saved_model"] = extra.read_bytes()
    session = onnxruntime.InferenceSession(str(folder / "onnx-float32/model.onnx"))
    inside["onnx"] = session.get_modelmeta().custom_metadata_map["clipcache"]
    for kind, text in inside.items():
        description = json.loads(text)
        assert description["labels"] == ["jumping_jacks", "pick_up", "walk", "wave"]
        assert description.items() <= beside[kind].items()
        assert (description["sampling"]["fps"], description["steps"]) == (8.0, 16)


def test_a_litert_file_is_small_and_has_built_in_operations_only(exported) -> None:
    from ai_edge_litert.interpreter import Interpreter

    sizes = []
    for precision in ("float32", "float16", "int8"):
        folder, _ = exported("tflite", precision)
        assert {path.name for path in folder.iterdir()} == {"model.tflite", "export.json"}
        content = (folder / "model.tflite").read_bytes()
        assert b"Flex" not in content
        Interpreter(model_content=content).allocate_tensors()
        sizes.append(len(content))
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.35 * sizes[0]


def test_the_code_of_the_docs_gives_what_predict_gives(exported, project: Path, tmp_path) -> None:
    for kind in FORMATS:
        exported(kind, "float32")
    clip = next((project / "data").glob("raw/walk/*.mp4"))
    shutil.copy(clip, tmp_path / "clip.avi")
    (tmp_path / "models").symlink_to(project / "models")
    page = (ROOT / "docs/export.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join(blocks)], check=True, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    expected = Predictor(project / "models/head").file(clip, windows=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        _, label, probability = line.split()
        assert label == expected.label == "walk"
        assert float(probability) == pytest.approx(expected.confidence, abs=1e-4)


def test_an_export_that_is_not_good_enough_leaves_the_earlier_one(
    exported, project: Path, monkeypatch
) -> None:
    folder, _ = exported("saved_model", "float32")
    before = {path: sha256(path) for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setitem(exporting.ALLOWED, "float32", -0.01)
    clips = clips_of_files([next((project / "data").glob("raw/walk/*.mp4"))])
    with pytest.raises(ModelError, match=r"on 0 of \d windows .* is not kept; models/export"):
        export("saved_model", None, clips)
    assert {path: sha256(path) for path in folder.rglob("*") if path.is_file()} == before
    assert not list(folder.parent.glob(".*"))


def test_what_cannot_be_exported_is_one_sentence(project: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(ModelError, match="onnx holds float32 only"):
        export("onnx", "int8", [])
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").touch()
    with pytest.raises(ModelError, match="is no export, and would be replaced"):
        export("tflite", None, [], out=tmp_path / "thesis")
    monkeypatch.setitem(
        FORMATS, "onnx", replace(FORMATS["onnx"], needs=("a_package_that_is_not_there",))
    )
    with pytest.raises(ModelError, match=r"pip install 'clipcache\[onnx\]'"):
        export("onnx", None, [])


def test_views_are_those_of_training(project: Path, tmp_path: Path) -> None:
    from pipeline.exporting.graph import _view

    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    for name in VIEWS:
        if name not in ("rotate_left", "rotate_right", "zoom"):
            expected = np.stack([apply_view(frame, name) for frame in frames])
            np.testing.assert_array_equal(np.asarray(_view(frames, name)), expected)
    turned = tmp_path / "head"
    shutil.copytree(project / "models/head", turned)
    card = json.loads((turned / "model.json").read_text())
    (turned / "model.json").write_text(json.dumps(card | {"views": ["identity", "zoom"]}))
    with pytest.raises(ModelError, match=r"the view zoom.*\[identity, hflip\]"):
        build_graph(turned)


def test_clips_to_compare_on(project: Path, make_video, tmp_path: Path, monkeypatch) -> None:
    make_video("few/a.mp4")
    make_video("few/more/b.avi")
    found = clips_of_files([tmp_path / "few", make_video("c.mp4")])
    assert [Path(clip.name).name for clip in found] == ["a.mp4", "b.avi", "c.mp4"]
    assert [clip.name for clip in evenly(found, 2)] == [found[0].name, found[2].name]
    with pytest.raises(ClipError, match="no such file or folder"):
        clips_of_files([tmp_path / "gone"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="name some videos, or a folder of them, with --clips"):
        clips_of_test_split(DatasetParams(raw="raw"))


def test_the_home_folder_in_the_settings_is_found(project: Path, monkeypatch) -> None:
    raw = (project / "data/raw").resolve()
    monkeypatch.setenv("HOME", str(raw.parent))
    monkeypatch.chdir(project)
    assert len(clips_of_test_split(DatasetParams(raw="~/raw"))) == 8


def test_clips_that_cannot_be_read_are_left_out(project: Path, tmp_path: Path) -> None:
    from pipeline.exporting.comparison import compare
    from pipeline.head.model_folder import load_model

    (tmp_path / "broken.avi").write_bytes(b"RIFF")
    model = load_model(project / "models/head", "litert")
    with pytest.raises(ClipError, match=r"nothing to compare .*broken\.avi is not a video"):
        compare(model, None, None, clips_of_files([tmp_path / "broken.avi"]))
