"""Model folders that somebody else made: each is a sentence and exit code 2, in seconds."""

import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from clone import ROOT

from pipeline.errors import ModelError
from pipeline.files import sha256
from pipeline.frames.video import RESIZE_RULES
from pipeline.frames.views import VIEWS
from pipeline.head import card_check, file_check
from pipeline.head.build import PRESETS, build_network
from pipeline.head.litert_check import NetworkSize, check_litert
from pipeline.head.model_folder import checked_card, load_model, read_card
from pipeline.head.network_files import write_keras, write_litert
from pipeline.predict.predictor import Predictor

SIZE = NetworkSize(steps=16, width=1280 + 384, labels=4)
NAN, INFINITY = float("nan"), float("inf")
NOWHERE: Any = object()

# Where in a card, and what stands there instead; NOWHERE takes it away.
CHANGES: list[tuple[str, Any]] = [
    *((name, NOWHERE) for name in (
        "schema", "labels", "extractor", "sampling", "views", "windowing", "temperature", "shape",
        "versions", "files", "extractor.backbone", "windowing.steps", "sampling.fps",
    )),
    *((name, value) for name in ("labels", "extractor", "views", "windowing", "shape", "files",
                                 "versions", "sampling", "temperature", "schema")
      for value in (None, [7], "text", [[]], {"a": {"b": []}})),
    *(("temperature", value) for value in (0, 0.0, -1.0, NAN, INFINITY, -INFINITY, 1e-300, 1e300,
                                           "0.7", True, [1.0])),
    ("labels", []), ("labels", ["walk"]), ("labels", ["a", "a", "b", "c"]),
    ("labels", ["a", "b", "c", ""]), ("labels", ["a", "b", "c", 4]),
    ("labels", ["a", "b", "c", "\x1b]0;owned\x07"]), ("labels", ["a", "b", "c", "d" * 10_000]),
    ("labels", [str(i) for i in range(200_000)]),
    ("views", []), ("views", ["identity", "identity"]), ("views", ["sideways"]),
    ("views", ["../hflip"]),
    ("windowing.steps", 0), ("windowing.steps", -1), ("windowing.steps", 10**12),
    ("windowing.steps", 17), ("windowing.steps", 1.5), ("windowing.count", 0),
    ("windowing.count", 10**9), ("windowing.rates", []), ("windowing.rates", [0, 1]),
    ("windowing.rates", [1.0, NAN]), ("windowing.extra", 1),
    ("sampling.fps", 0), ("sampling.fps", -8.0), ("sampling.fps", 1e9), ("sampling.fps", NAN),
    ("sampling.max_frames", 0), ("sampling.max_frames", -5), ("sampling.extra", 1),
    ("extractor.input_size", 0), ("extractor.input_size", 10**6), ("extractor.input_size", "224"),
    ("extractor.resize", "melt"), ("extractor.precision", "float7"), ("extractor.extra", 1),
    ("extractor.backbone", "ab" * 32), ("extractor.version", 99),
    ("shape.units", 10**12), ("shape.dense", [[[[[[1]]]]]]), ("shape.dense", [{"a": 1}] * 500),
    *((f"files.{name}", "ab" * 32) for name in (
        "../../../../../../etc/passwd", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\\b",
        "C:evil", "nul\x00",
    )),
    ("files.head.tflite", "short"), ("files.head.tflite", 7), ("files.head.tflite", NOWHERE),
    *((name, NOWHERE) for name in ("readings", "streams", "branches", "mirror", "window")),
    *((name, value) for name in ("readings", "streams", "branches", "mirror", "window")
      for value in (None, [7], "text", [[]], {"a": {"b": []}})),
    ("readings", {}), ("readings.identity", 0), ("readings.identity", 1279),
    ("readings.identity", 10**12), ("readings.sound/identity", 1280), ("readings.flow/sideways", 1),
    ("readings.flow/identity", NOWHERE), ("readings.identity", NOWHERE),
    ("streams.sound", {}), ("streams.flow", {}), ("streams.flow", NOWHERE),
    ("streams.place", None), ("branches", []),
    *(("branches", [branch]) for branch in (
        {}, {"name": "network"}, {"name": "network", "share": NAN},
        {"name": "network", "share": -1.0}, {"name": "flow tide", "share": 1.0},
        {"name": "sound order", "share": 1.0}, {"name": "flow order ", "share": 1.0},
        {"name": "", "share": 1.0}, {"name": "flow order", "share": 1.0, "accuracy": 2.0},
    )),
    ("window", 0), ("window", 10**12), ("window", 1.5), ("mirror", 1),
    ("schema", 99), ("schema", "2"), ("schema", 2.5), ("schema", [2]),
    ("schema", 2), ("schema", True),
]  # fmt: skip
TEXTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"\x89PNG\r\n",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1e999",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep in its schema": b'{"schema": 3, "labels": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a long number": b'{"schema": ' + b"9" * 100_000 + b"}",
    "no UTF-8": b'{"schema": "\xff\xfe"}',
    "twenty megabytes": b'{"schema": 3, "labels": ["' + b"x" * (20 << 20) + b'"]}',
    "half a letter": b'{"schema": 2, "labels": ["\\ud800", "b"]}',
}


def named(one: Any) -> str:
    """The same in every process."""
    return "nowhere" if one is NOWHERE else repr(one)[:40]


@pytest.fixture
def folder(sample_model: Path, tmp_path: Path) -> Path:
    """A copy of a good model, to be spoiled."""
    copy = tmp_path / "model"
    shutil.copytree(sample_model, copy, copy_function=os.link)
    replace(copy / "model.json", (sample_model / "model.json").read_bytes())
    return copy


def replace(path: Path, content: bytes) -> None:
    """Write another file in the place of one that is the model's own."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def change(folder: Path, place: str, value: Any) -> None:
    card = folder / "model.json"
    values = json.loads(card.read_text())
    inner: Any = values
    section, _, name = place.partition(".")
    if name:
        inner, section = values[section], name
    if value is NOWHERE:
        inner.pop(section, None)
    else:
        inner[section] = value
    card.write_text(json.dumps(values))


def refused(folder: Path, runtime: Any = "litert") -> str:
    """The sentence; both for the card alone and for the whole folder."""
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        load_model(folder, runtime)
    assert time.monotonic() - started < 5
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\x1b" not in sentence
    assert len(sentence) < 1000
    return sentence


@pytest.mark.parametrize(("place", "value"), CHANGES, ids=named)
def test_a_card_that_makes_no_sense_is_refused(folder: Path, place: str, value: Any) -> None:
    change(folder, place, value)
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        Predictor(folder)
    assert time.monotonic() - started < 5
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\x1b" not in sentence
    assert len(sentence) < 1000


@pytest.mark.parametrize("name", TEXTS)
def test_a_card_that_is_no_card_is_refused(folder: Path, name: str) -> None:
    (folder / "model.json").write_bytes(TEXTS[name])
    assert "cannot be read" in refused(folder)


def pack(folder: Path, name: str, content: bytes) -> None:
    """Put a file into the folder, and its digest into the card, as whoever means harm would."""
    replace(folder / name, content)
    change(folder, f"files.{name}", sha256(folder / name))


def keras_archive(**entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def weights(fill: Callable[[h5py.File], Any]) -> bytes:
    written = io.BytesIO()
    with h5py.File(written, "w") as file:
        fill(file)
    return written.getvalue()


def good(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "head.keras") as archive:
        return {name.replace(".", "__"): archive.read(name) for name in archive.namelist()}


def never_written(file: h5py.File) -> None:
    file.create_dataset("w", (1 << 20, 1 << 14), "f4", chunks=(1024, 1024))


def elsewhere(file: h5py.File) -> None:
    file["w"] = h5py.ExternalLink("/etc/passwd", "/nothing")


def widened(config: bytes) -> bytes:
    wide = config.replace(b'"units": 128', b'"units": 1000000', 1)
    assert wide != config
    return wide


Parts = dict[str, bytes]
ARCHIVES: dict[str, Callable[[Parts], bytes]] = {
    "a bomb": lambda parts: keras_archive(**parts | {"model__weights__h5": bytes(1 << 30)}),
    "many": lambda parts: keras_archive(**parts, **{f"a{i}": b"" for i in range(2000)}),
    "outside": lambda parts: keras_archive(**parts, **{"../../evil": b"x"}),
    "arrays that were never written": lambda parts: keras_archive(
        **parts | {"model__weights__h5": weights(never_written)}
    ),
    "a link to another file": lambda parts: keras_archive(
        **parts | {"model__weights__h5": weights(elsewhere)}
    ),
    "a layer of a million units": lambda parts: keras_archive(
        **parts | {"config__json": widened(parts["config__json"])}
    ),
    "a layer that reads a file": lambda parts: keras_archive(
        **parts | {"config__json": parts["config__json"].replace(b'"Dropout"', b'"TFSMLayer"')}
    ),
    "a layer that is code": lambda parts: keras_archive(
        **parts | {"config__json": parts["config__json"].replace(b'"Dropout"', b'"Lambda"')}
    ),
    "a module of somebody's": lambda parts: keras_archive(
        **parts | {"config__json": parts["config__json"].replace(b'"keras.layers"', b'"os"')}
    ),
    "no zip": lambda parts: b"PK\x03\x04" + bytes(1000),
    "empty": lambda parts: b"",
    "no weights": lambda parts: keras_archive(config__json=parts["config__json"]),
    "deep": lambda parts: keras_archive(**parts | {"config__json": b"[" * 100_000}),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_is_packed_is_measured_before_it_is_unpacked(folder: Path, name: str) -> None:
    pack(folder, "head.keras", ARCHIVES[name](good(folder)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "head.keras" in refused(folder, "keras")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


@pytest.mark.parametrize("fill", [never_written, elsewhere])
def test_weights_of_a_backbone_are_measured_too(
    folder: Path, fill: Callable[[h5py.File], Any]
) -> None:
    pack(folder, "backbone.h5", weights(fill))
    with pytest.raises(ModelError, match=r"backbone\.h5 cannot be loaded"):
        checked_card(folder, "head.keras", "backbone.h5")


def arrays(**values: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.savez(written, **values)  # type: ignore[arg-type]
    return written.getvalue()


def longer_than_it_is() -> bytes:
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        written, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4)}
    )
    return keras_archive(a__npy=written.getvalue())


BRANCHES: dict[str, Callable[[], bytes]] = {
    "longer than it is": longer_than_it_is,
    "a bomb": lambda: keras_archive(a__npy=bytes(1 << 30)),
    "no array": lambda: keras_archive(a__npy=b"none"),
    "objects": lambda: arrays(a=np.array([{}], dtype=object)),
    "others": lambda: arrays(a=np.zeros(3)),
    "empty": lambda: b"",
}


@pytest.mark.parametrize("name", BRANCHES)
def test_linear_branches_are_measured_before_they_are_read(folder: Path, name: str) -> None:
    pack(folder, "branches.npz", BRANCHES[name]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "branches.npz" in refused(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


def test_a_network_is_read_as_far_as_its_sizes_before_it_is_loaded(folder: Path) -> None:
    content = (folder / "head.tflite").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for at in random.integers(0, 4000, 3):
            changed[at] = random.integers(256)
        with contextlib.suppress(ValueError):  # and nothing else
            check_litert(bytes(changed), SIZE)
    for wrong in (b"", content[:100], b"TFL3" * 100, content[:5000]):
        with pytest.raises(ValueError, match=r"damaged|no LiteRT"):
            check_litert(wrong)
    pack(folder, "head.tflite", content[: len(content) // 4])
    refused(folder)


def test_other_labels_than_the_network_has_are_refused(folder: Path) -> None:
    change(folder, "labels", ["a", "b"])
    assert "does not give 2 numbers" in refused(folder)


def test_what_is_no_plain_file_is_refused(folder: Path) -> None:
    (folder / "head.tflite").unlink()
    os.mkfifo(folder / "head.tflite")
    assert "not a plain file" in refused(folder)
    (folder / "head.tflite").unlink()
    (folder / "head.tflite").symlink_to("/dev/zero")
    assert "not a plain file" in refused(folder)
    (folder / "head.tflite").unlink()
    with (folder / "head.tflite").open("wb") as stream:
        stream.truncate(600 << 20)
    assert "more than any file of a model" in refused(folder)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "null", '{"digest": 7, "input_size": 224}', '{"digest": "a", "input_size": 1e9}',
     '{"digest": "a", "input_size": 224, "more": 1}', "[" * 100_000, '{"digest": NaN}'],
)  # fmt: skip
def test_a_backbone_that_describes_itself_absurdly_is_refused(folder: Path, text: str) -> None:
    pack(folder, "backbone.json", text.encode())
    with pytest.raises(ModelError, match=r"backbone\.json cannot be loaded"):
        Predictor(folder)


@pytest.mark.parametrize("runtime", ["predict", "serve"])
@pytest.mark.parametrize("place", ["temperature", "files", "extractor.version"])
def test_the_commands_end_with_a_sentence(folder: Path, runtime: str, place: str) -> None:
    value = {"temperature": 0, "files": {"../../../etc/passwd": "ab" * 32}, "extractor.version": 99}
    picture = ROOT / "docs/images/timeline.png"
    arguments = {"predict": [str(picture)], "serve": ["--port", "0"]}[runtime]
    change(folder, place, value[place])
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", runtime, *arguments, "--model", str(folder)],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 20  # of a busy machine; 5 of an idle one


def test_good_folders_pass(sample_model: Path) -> None:
    for runtime in ("litert", "keras"):
        assert load_model(sample_model, runtime).labels == read_card(sample_model).labels


def test_the_names_of_views_and_rules_are_those_of_the_frames() -> None:
    assert tuple(VIEWS) == card_check.VIEWS
    assert RESIZE_RULES == card_check.RESIZE_RULES


@pytest.mark.parametrize("preset", PRESETS)
def test_every_head_that_is_built_passes(preset: str, tmp_path: Path) -> None:
    network = build_network(PRESETS[preset], 16, {"rgb": 1280, "flow": 384}, 101)
    write_keras(network, tmp_path / "head.keras")
    write_litert(network, tmp_path / "head.tflite")
    file_check.check_contents(
        tmp_path, ["head.keras", "head.tflite"], NetworkSize(16, 1280 + 384, 101)
    )  # fmt: skip
