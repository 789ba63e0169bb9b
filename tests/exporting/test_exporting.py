"""Exports of a real model, each loaded by its own runtime; and what the docs say of them."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clone import ROOT
from conftest import only_one
from sample_model import unseen_clip
from typer.testing import CliRunner

import pipeline.exporting.export as exporting
from pipeline.backbone.folder import load_keras_model
from pipeline.cli import app
from pipeline.dataset.params import DatasetParams
from pipeline.embedding.engines import load_engine, load_model_engine
from pipeline.errors import ClipError, DatasetError, ModelError
from pipeline.exporting.clips import clips_of_files, clips_of_test_split, evenly
from pipeline.exporting.comparison import Comparison, compare
from pipeline.exporting.description import describe
from pipeline.exporting.export import export
from pipeline.exporting.formats import FORMATS
from pipeline.exporting.graph import _centres_of_activation, _view, build_graph
from pipeline.exporting.inputs import graph_inputs
from pipeline.files import sha256
from pipeline.frames.motion import difference_of
from pipeline.frames.neighbours import Moment, SmallPicture
from pipeline.frames.views import VIEWS, apply_view
from pipeline.head.model_folder import Model, load_model, read_card
from pipeline.head.sequences import Windowing, even_windows
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
    walk, wave = (
        next(graph_inputs(unseen_clip(Path("models/head").resolve(), label), folder))
        for label in ("walk", "wave")
    )
    five = np.array(5, np.int32)
    mixed = {name: np.concatenate([values[:5], wave[name][5:]])
             for name, values in walk.items() if name != "valid"}  # fmt: skip
    one, two = run({**walk, "valid": five}), run({**mixed, "valid": five})
    assert one.shape == (4,)
    assert one.sum() == pytest.approx(1)
    np.testing.assert_allclose(one, two, atol=1e-3 if precision == "int8" else 1e-5)
    whole = run({**mixed, "valid": walk["valid"]})
    for unlikely, taken in ((0, 1), (-1, 1), (999, len(walk["frames"]))):
        np.testing.assert_array_equal(
            run({**mixed, "valid": np.array(unlikely, np.int32)}),
            run({**mixed, "valid": np.array(taken, np.int32)}),
        )
    assert abs(np.log(whole) - np.log(one)).max() > 1e-2


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
        assert description["sampling"]["fps"] == 8.0
        assert description["steps"] == read_card(Path("models/head")).window
        assert list(description["inputs"]) == ["frames", "flow", "difference", "valid"]


def test_a_litert_file_is_small_and_has_built_in_operations_only(exported, project) -> None:
    from ai_edge_litert.interpreter import Interpreter

    sizes = []
    parts = ("backbone.tflite", "head.tflite", "branches.npz")
    once = sum((project / "models/head" / name).stat().st_size for name in parts)
    for precision in ("float32", "float16", "int8"):
        folder, _ = exported("tflite", precision)
        assert {path.name for path in folder.iterdir()} == {"model.tflite", "export.json"}
        content = (folder / "model.tflite").read_bytes()
        assert b"Flex" not in content
        Interpreter(model_content=content).allocate_tensors()
        sizes.append(len(content))
    assert sizes[0] < 1.05 * once  # the CNN sees pictures of two sizes by one set of weights
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.35 * sizes[0]


def test_the_code_of_the_docs_gives_what_predict_gives(exported, project: Path, tmp_path) -> None:
    for kind in FORMATS:
        exported(kind, "float32")
    clip = unseen_clip((project / "models/head").resolve(), "walk")
    shutil.copy(clip, tmp_path / "clip.avi")
    (tmp_path / "models").symlink_to(project / "models")
    page = (ROOT / "docs/export.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    check = (
        "about = json.loads(Path('models/export/tflite-float32/export.json').read_text())\n"
        "(inputs,) = clipcache.graph_inputs('clip.avi', about)\n"
        "frames = sampled_frames('clip.avi', about)\n"
        "assert len(frames) == inputs['valid']\n"
        "np.testing.assert_array_equal(frames, inputs['frames'][: len(frames)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([*blocks, check])], check=True, cwd=tmp_path,
        text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    expected = Predictor(project / "models/head").file(clip, windows=False)
    assert expected.frames <= read_card(project / "models/head").window  # one window: no average
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
    with pytest.raises(ModelError, match=r"run `make extras`, or `pip install '.\[onnx\]'`"):
        export("onnx", None, [])


def test_the_inputs_are_what_training_saw(exported, project: Path) -> None:
    from pipeline.store.feature_files import FeatureSet

    folder, _ = exported("tflite", "float32")
    about = json.loads((folder / "export.json").read_text())
    sample = (project / "models/head").resolve().parents[1]
    features = FeatureSet.open(sample / "features")
    engine = load_model_engine("float32", project / "models/head")
    for label in ("walk", "jumping_jacks"):
        clip = unseen_clip(project.joinpath("models/head").resolve(), label)
        rows = features.clip(features.position(f"{label}/{clip.name}"))
        windows = list(graph_inputs(str(clip), about))
        steps = about["steps"]
        assert len(windows) == len(even_windows(len(rows["identity"]), Windowing(steps)))
        for inputs, place in ((windows[0], slice(steps)), (windows[-1], slice(-steps, None))):
            valid = int(inputs["valid"])
            for name, about_it in about["inputs"].items():
                assert inputs[name].shape == tuple(about_it["shape"])
                assert inputs[name].dtype == about_it["dtype"]
            np.testing.assert_array_equal(inputs["flow"][:valid], rows["flow/identity"][place])
            for name, view in (("frames", "identity"), ("difference", "difference/identity")):
                embedded = engine(inputs[name][:valid])[:, :1280]
                np.testing.assert_array_equal(embedded, rows[view][place])


def test_inputs_need_no_tensorflow_and_say_what_is_wrong(project: Path, tmp_path: Path) -> None:
    about = describe(read_card(project / "models/head"), "onnx", "float32")
    (tmp_path / "export.json").write_text(json.dumps(about))
    clip = unseen_clip((project / "models/head").resolve(), "walk")
    script = (
        "import sys, clipcache\n"
        f"next(clipcache.graph_inputs({str(clip)!r}, {str(tmp_path)!r}))\n"
        "assert 'cv2' in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(ClipError, match=r"gone\.mp4 cannot be read \(No such file"):
        graph_inputs("gone.mp4", tmp_path)
    with pytest.raises(ModelError, match=r"cannot be read \(No such file.*`clipcache export`"):
        graph_inputs(clip, tmp_path / "gone")
    (tmp_path / "export.json").write_text("[1]")
    with pytest.raises(ModelError, match="it is not what clipcache writes"):
        graph_inputs(clip, tmp_path)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_of_the_docs_makes_the_difference() -> None:
    page = (ROOT / "docs/export.md").read_text()
    (script,) = re.findall(r"^```javascript\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    before, after = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 4)).astype(np.uint8)
    script += (
        "const read = require('fs').readFileSync(0);"
        "const data = [0, 1].map((i) => ({data: read.subarray(i * 102400, (i + 1) * 102400)}));"
        "process.stdout.write(difference(...data));"
    )
    done = subprocess.run(
        ["node", "-e", script], input=before.tobytes() + after.tobytes(), check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    one, two = (SmallPicture(at, picture[..., :3].copy()) for at, picture in
                ((0.0, before), (0.2, after)))  # fmt: skip
    here = SmallPicture(0.1, one.picture // 2 + two.picture // 2)
    expected = difference_of(Moment(1, here, (one, two)), "identity")
    found = np.frombuffer(done.stdout, np.uint8).reshape(160, 160, 3)
    np.testing.assert_array_equal(found, expected)


def changed(project: Path, folder: Path, **changes: object) -> Model:
    """The model with another card."""
    shutil.copytree(project / "models/head", folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | changes))
    return load_model(folder, "litert")


def compared(model: Model, clips: list[Path]) -> Comparison:
    """The graph as it is, in no format, beside its original."""
    graph, about = build_graph(model), describe(model.card, "none", "float32")

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        assert list(inputs) == [spec.name for spec in graph.signature]
        return graph.run(*inputs.values())["probabilities"].numpy()

    engine = load_model_engine("float32", model.folder)
    return compare(model, engine, run, about, clips_of_files(clips))


def test_mirrored_and_brighter_readings_are_inside(project: Path, tmp_path: Path) -> None:
    head = (project / "models/head").resolve()
    readings = read_card(head).readings
    more = {"hflip": 1280, "dark": 1280, "place/hflip": 1152, "difference/hflip": 1280}
    views = ["identity", "hflip", "dark"]
    model = changed(project, tmp_path / "head", readings=readings | more, views=views)
    done = compared(model, [unseen_clip(head, "wave")])
    original, exported = np.log(done.original), np.log(done.exported)  # it is sure of all clips
    np.testing.assert_allclose(original, exported, atol=1e-3)
    plain = compared(load_model(head, "litert"), [unseen_clip(head, "wave")])
    assert abs(np.log(plain.original) - original).max() > 0.01


def test_views_are_those_of_training(project: Path, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    for name in VIEWS:
        if name not in ("rotate_left", "rotate_right", "zoom"):
            expected = np.stack([apply_view(frame, name) for frame in frames])
            np.testing.assert_array_equal(np.asarray(_view(frames, name)), expected)
    readings = read_card(project / "models/head").readings
    for name in ("zoom", "difference/dark"):
        model = changed(project, tmp_path / name, readings=readings | {name: 1280})
        refused = rf"the view {name.split('/')[-1]}.*\[identity, hflip\]"
        with pytest.raises(ModelError, match=refused):
            build_graph(model)


def test_one_cnn_sees_pictures_of_all_sizes_as_the_engines_do(backbone_folder: Path) -> None:
    engine = load_engine("keras", backbone_folder)
    cnn = load_keras_model(backbone_folder, place=True, any_size=True)
    for size in (100, 160):  # of the one, halved, some sides are odd
        pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
        embedding, *means = cnn(pictures, training=False)
        found = np.concatenate([embedding, _centres_of_activation(*means)], axis=1)
        np.testing.assert_allclose(found, engine(pictures), rtol=1e-3, atol=1e-4)


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


def test_clips_that_cannot_be_read_are_left_out(project: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"RIFF")
    model = load_model(project / "models/head", "litert")
    about = describe(model.card, "none", "float32")
    with pytest.raises(ClipError, match=r"nothing to compare .*broken\.avi is not a video"):
        compare(model, None, None, about, clips_of_files([tmp_path / "broken.avi"]))
