import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_features import write_backbone_stand_in

from pipeline.errors import ModelError
from pipeline.head.build import HeadShape, build_head
from pipeline.head.inference import views_of
from pipeline.head.model_folder import (
    NETWORK,
    ModelCard,
    check_fits,
    load_model,
    predict_logits,
    predict_probabilities,
    read_card,
    save_model,
)
from pipeline.head.network_files import load_keras, write_keras
from pipeline.head.sequences import Windowing
from pipeline.store.feature_files import FeatureSet

SHAPE = HeadShape(projection=8, units=8)
CARD = ModelCard(
    labels=("fall", "rise", "wait"),
    extractor={"backbone": "ab" * 32, "resize": "stretch"},
    sampling={"fps": 8.0, "max_frames": 512},
    views=("identity", "hflip"),
    windowing=Windowing(16, (0.7, 1.4), 4),
    temperature=0.5,
    shape=SHAPE,
    versions={"keras": "3"},
)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone") / "backbone"
    write_backbone_stand_in(folder, "ab" * 32)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, backbone):
    folder = tmp_path_factory.mktemp("model") / "head"
    save_model(build_head(SHAPE, 16, 32, 3, seed=1).model, CARD, folder, backbone)
    return folder


def clip(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 4, (length, 32)).astype(np.float16)


def test_equal_weights_give_equal_bytes(folder, backbone, tmp_path) -> None:
    build_head(SHAPE, 16, 32, 3, seed=5)  # something else built in between
    save_model(build_head(SHAPE, 16, 32, 3, seed=1).model, CARD, tmp_path / "head", backbone)
    one, two = (
        {path.name: path.read_bytes() for path in where.iterdir()}
        for where in (folder, tmp_path / "head")
    )
    assert one == two
    assert set(one) == {
        "head.keras", "head.tflite", "model.json", "backbone.h5", "backbone.json",
        "backbone.tflite",
    }  # fmt: skip


@pytest.mark.parametrize("runtime", ["keras", "litert"])
def test_a_model_knows_all_that_it_needs(folder, runtime) -> None:
    model = load_model(folder, runtime)
    assert replace(model.card, files={}) == CARD
    assert model.card.backbone == "ab" * 32
    assert model.labels == ("fall", "rise", "wait")
    assert set(model.card.files) == {path.name for path in folder.iterdir()} - {"model.json"}


def test_both_runtimes_give_the_same_probabilities(folder) -> None:
    clips = [{"identity": clip(length, length)} for length in (1, 5, 16, 70, 300)]
    keras, litert = (
        predict_probabilities(load_model(folder, runtime), clips) for runtime in ("keras", "litert")
    )
    np.testing.assert_allclose(litert, keras, atol=1e-5)


def test_both_runtimes_agree_on_clips_of_people(sample_model) -> None:
    features = FeatureSet.open(sample_model.parents[1] / "features")
    everything = range(len(features.clip_ids))
    keras, litert = (
        predict_logits(
            load_model(sample_model, runtime), views_of(features, everything, features.views)
        )
        for runtime in ("keras", "litert")
    )
    assert len(keras) == 40
    np.testing.assert_allclose(litert, keras, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 16, 17, 10_000])
def test_clips_of_any_length_get_probabilities(folder, length: int) -> None:
    model = load_model(folder)
    probabilities = predict_probabilities(model, [{"identity": clip(length)}])
    assert probabilities.shape == (1, 3)
    assert probabilities.sum() == pytest.approx(1.0)


def test_windows_and_views_are_averaged_and_the_temperature_applied(folder) -> None:
    model = load_model(folder)
    views = {"identity": clip(16, 1), "hflip": clip(16, 2)}
    mask = np.ones((2, 16), bool)
    network = load_keras(folder / NETWORK)
    logits = np.asarray(network([np.stack(list(views.values())).astype(np.float32), mask]))
    powers = np.exp(logits.mean(axis=0) / CARD.temperature)
    expected = powers / powers.sum()
    np.testing.assert_allclose(predict_probabilities(model, [views])[0], expected, rtol=1e-4)


def test_a_clip_is_classified_alike_alone_and_among_others(folder) -> None:
    model = load_model(folder)
    clips = [{"identity": clip(length, length)} for length in (1, 70, 16, 300, 5)]
    together = predict_probabilities(model, clips)
    for row, views in zip(together, clips, strict=True):
        np.testing.assert_allclose(predict_probabilities(model, [views])[0], row, rtol=1e-5)
    assert predict_probabilities(model, []).shape == (0, 3)


def test_other_features_are_refused_with_both_sides_named() -> None:
    check_fits(CARD, CARD.extractor, CARD.sampling)
    with pytest.raises(ModelError, match=r"fps = 8\.0, but other/features has fps = 12\.0"):
        check_fits(CARD, CARD.extractor, {"fps": 12.0, "max_frames": 512}, other="other/features")
    with pytest.raises(ModelError, match=r"resize = stretch.* resize = crop"):
        check_fits(CARD, {**CARD.extractor, "resize": "crop"}, CARD.sampling)


def test_a_missing_model_names_the_command(folder, tmp_path) -> None:
    with pytest.raises(ModelError, match="clipcache train"):
        load_model(tmp_path / "nothing")
    part = tmp_path / "part"
    shutil.copytree(folder, part)
    for name in ("head.keras", "backbone.h5"):
        (part / name).unlink()
    load_model(part, "litert")  # needs neither
    with pytest.raises(ModelError, match=r"head\.keras is not there: copy the whole folder"):
        load_model(part)
    (part / "backbone.tflite").unlink()
    with pytest.raises(ModelError, match=r"backbone\.tflite is not there"):
        load_model(part, "litert")


@pytest.mark.parametrize(
    "name", ["head.keras", "head.tflite", "backbone.tflite", "backbone.json", "backbone.h5"]
)
def test_a_damaged_or_swapped_file_is_refused_with_both_digests(folder, tmp_path, name) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(content)
    expected = read_card(folder).files[name][:12]
    there = hashlib.sha256(content).hexdigest()[:12]
    for runtime in ("keras", "litert"):
        with pytest.raises(ModelError, match=rf"{name} has the SHA-256 {there}.* {expected}"):
            load_model(damaged, runtime)


def test_an_older_or_damaged_card_is_one_sentence(folder, tmp_path) -> None:
    card = tmp_path / "model.json"
    values = json.loads((folder / "model.json").read_text())
    card.write_text(json.dumps(values | {"schema": 1}))
    with pytest.raises(ModelError, match=r"schema 1, not 2.*clipcache train"):
        load_model(tmp_path, "litert")
    card.write_text((folder / "model.json").read_text()[:200])
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(tmp_path)


def test_another_backbone_is_refused_before_anything_is_written(backbone, tmp_path) -> None:
    network = build_head(SHAPE, 16, 32, 3).model
    card = replace(CARD, extractor={**CARD.extractor, "backbone": "cd" * 32})
    with pytest.raises(ModelError, match=r"backbone = cdcdcdcdcdcd\.\.\., but .* abababababab"):
        save_model(network, card, tmp_path / "head", backbone)
    part = tmp_path / "part"
    shutil.copytree(backbone, part)
    (part / "backbone.tflite").unlink()
    with pytest.raises(ModelError, match="run `clipcache backbone` again"):
        save_model(network, CARD, tmp_path / "head", part)
    assert not (tmp_path / "head").exists()


def test_a_network_that_carries_code_is_refused(tmp_path) -> None:
    import keras

    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(lambda x: x * 2, output_shape=(4,))(inputs)
    write_keras(keras.Model(inputs, outputs), tmp_path / "head.keras")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_keras(tmp_path / "head.keras")


def test_a_card_survives_json() -> None:
    card = replace(CARD, temperature=0.25)
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
