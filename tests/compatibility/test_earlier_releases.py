"""Caches, feature files and models that earlier releases made are read as they were."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.backbone.folder import BACKBONE
from pipeline.dataset.clips import read_images, read_index
from pipeline.embedding.executors import EmbeddingSetup
from pipeline.errors import ModelError
from pipeline.explaining.explain import explain
from pipeline.exporting.description import describe
from pipeline.exporting.graph import build_graph
from pipeline.exporting.inputs import graph_inputs
from pipeline.files import sha256
from pipeline.head.model_folder import BACKBONE_FILES, CARD, load_model, predict_probabilities
from pipeline.params import Params, load_params
from pipeline.predict.predictor import Predictor
from pipeline.stages.evaluate import evaluate
from pipeline.stages.features import extract_features
from pipeline.stages.index import index_clips
from pipeline.stages.split import split_clips
from pipeline.store.cache_tools import verify
from pipeline.store.extractor_spec import DECODE_VERSION
from pipeline.store.feature_files import FeatureSet

RELEASES = ("before_the_rooms",)
CLOSE = 1e-5  # of probabilities: two runtimes, or two versions of one, are not nearer


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    """What a release left, to compare with."""
    return Path(__file__).parent / request.param


@pytest.fixture
def project(
    release: Path, backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it as the current folder and cache, with the backbone that is not kept with it."""
    folder = tmp_path / "project"
    shutil.copytree(release, folder)
    shutil.copytree(backbone_folder, folder / "models/backbone")
    model = folder / "models/head"
    card = json.loads((model / CARD).read_text())
    for name in BACKBONE_FILES:  # another TensorFlow writes the same network in other bytes
        shutil.copy(backbone_folder / name, model / name)
        card["files"][name] = sha256(model / name)
    (model / CARD).write_text(json.dumps(card))
    monkeypatch.setenv("CLIPCACHE_DIR", str(folder / "cache"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def params(project: Path) -> Params:
    """Its settings, without the streams that there were not."""
    there_were = ["features.streams=[rgb]", "features.pooling=[mean]"]
    return load_params(project / "params.yaml", there_were)


def as_it_was_decoded(params: Params) -> EmbeddingSetup:
    """Today's setup under the key of the releases that knew one decoder."""
    setup = EmbeddingSetup.of(params.features, BACKBONE)
    return replace(setup, extractor=replace(setup.extractor, decode_version=1))


def probabilities(release: Path) -> dict[str, list[float]]:
    """clip_id -> what the release said, in the order of the model's labels."""
    with (release / "probabilities.csv").open() as stream:
        return {row.pop("clip_id"): [*map(float, row.values())] for row in csv.DictReader(stream)}


def test_no_frame_in_the_cache_is_embedded_again(
    project: Path, release: Path, params: Params
) -> None:
    """Under its own key: since then frames have been decoded otherwise, and the key is another."""
    shutil.rmtree(project / "features")
    before = {path: sha256(path) for path in sorted((project / "cache").rglob("*.h5"))}
    assert len(before) == 2  # a shard for each view
    setup = as_it_was_decoded(params)
    done = extract_features(params, read_index(), images=read_images(), setup=setup)
    assert (done.clips, done.cached, done.decoded, done.embedded) == (6, 6, 0, 0)
    assert done.damaged == []  # nothing was known of that
    assert FeatureSet.open(project / "features").sha256 == (
        FeatureSet.open(release / "features").sha256
    )
    assert verify().damaged == []  # no shard is damaged
    assert {path: sha256(path) for path in sorted((project / "cache").rglob("*.h5"))} == before


def test_an_embedding_that_is_not_in_the_cache_is_missed(project: Path, params: Params) -> None:
    shards = sorted((project / "cache").rglob("*.h5"))
    shards[0].unlink()
    setup = as_it_was_decoded(params)
    done = extract_features(params, read_index(), images=read_images(), setup=setup)
    assert (done.cached, done.decoded, done.embedded) == (0, 6, 36)


def test_streams_added_to_the_cache_are_all_that_is_computed(project: Path) -> None:
    before = {path: sha256(path) for path in sorted((project / "cache").rglob("*.h5"))}
    settings = load_params(project / "params.yaml", ["features.pooling=[mean]"])
    setup = as_it_was_decoded(settings)
    done = extract_features(settings, read_index(), images=read_images(), setup=setup)
    features = FeatureSet.open(project / "features")
    rows = int(features.lengths.sum())
    assert (done.embedded, done.flows) == (2 * rows, rows)  # the difference in two views
    assert {path: sha256(path) for path in before} == before


def test_all_is_embedded_again_under_the_key_of_today_and_the_old_stays(
    project: Path, params: Params
) -> None:
    before = {path: sha256(path) for path in sorted((project / "cache").rglob("*.h5"))}
    done = extract_features(params, read_index(), images=read_images())
    assert (done.cached, done.decoded) == (0, 6)
    assert {path: sha256(path) for path in before} == before


def test_the_same_clips_are_indexed_and_split_as_before(
    project: Path, release: Path, params: Params
) -> None:
    for name in ("index.csv", "images.csv", "splits.csv"):
        (project / "data" / name).unlink()
    split_clips(index_clips(params.dataset), params.split)
    for name in ("index.csv", "images.csv", "splits.csv"):
        assert (project / "data" / name).read_bytes() == (release / "data" / name).read_bytes()


@pytest.mark.parametrize("runtime", ["litert", "keras"])
def test_the_head_says_of_the_feature_file_what_it_said_before(
    project: Path, release: Path, runtime: str
) -> None:
    features = FeatureSet.open(project / "features")
    assert features.views == ("identity", "hflip")
    assert features.lengths.tolist() == [5, 7, 7, 5, 5, 7]
    model = load_model(project / "models/head", runtime)
    said = predict_probabilities(model, map(features.clip, range(len(features))))
    expected = probabilities(release)
    assert features.clip_ids.tolist() == list(expected)
    assert said == pytest.approx(np.array(list(expected.values())), abs=CLOSE)


def test_the_model_is_refused_until_its_frames_are_decoded_as_today(project: Path) -> None:
    with pytest.raises(ModelError, match=r"decode_version = 1, .* train again"):
        Predictor(project / "models/head")


@pytest.fixture
def model_folder(project: Path) -> Path:
    """The model as if its frames had been decoded as today: those of ordinary videos were."""
    card = project / "models/head" / CARD
    text = card.read_text()
    assert text.count('"decode_version": 1') == 1
    card.write_text(text.replace('"decode_version": 1', f'"decode_version": {DECODE_VERSION}'))
    return card.parent


def test_the_model_says_of_each_video_what_it_said_before(
    project: Path, release: Path, model_folder: Path
) -> None:
    predictor = Predictor(model_folder)
    for clip_id, expected in probabilities(release).items():
        prediction = predictor.file(project / "data/raw" / clip_id)
        said = dict(zip(prediction.labels, prediction.probabilities, strict=True))
        assert [said[label] for label in predictor.labels] == pytest.approx(expected, abs=CLOSE)


def test_what_the_model_says_is_explained(project: Path, release: Path, model_folder: Path) -> None:
    clip_id, expected = next(iter(probabilities(release).items()))
    explained = explain(project / "data/raw" / clip_id, folder=model_folder)
    assert explained.probability == pytest.approx(max(expected), abs=CLOSE)
    assert explained.maps.max() == 1
    assert explained.views == ("identity", "hflip")
    assert (list(explained.added), explained.flow) == (["network"], None)


def test_an_export_of_the_model_takes_and_says_what_it_did(project: Path, release: Path) -> None:
    model = load_model(project / "models/head", "litert")
    about = describe(model.card, "tflite", "float32")
    assert {name: values["shape"] for name, values in about["inputs"].items()} == {
        "frames": [16, 224, 224, 3], "valid": [],
    }  # fmt: skip
    graph = build_graph(model)
    clip_id, expected = next(iter(probabilities(release).items()))
    (inputs,) = graph_inputs(project / "data/raw" / clip_id, about)
    said = graph.run(*inputs.values())["probabilities"].numpy()
    assert said == pytest.approx(expected, abs=1e-4)


def test_the_evaluation_gives_the_same_predictions(
    project: Path, release: Path, params: Params
) -> None:
    evaluate(params)
    with (release / "reports/predictions.csv").open() as expected:
        assert (project / "reports/predictions.csv").read_text() == expected.read()
