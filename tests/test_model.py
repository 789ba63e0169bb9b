import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.heads import HeadShape, build_head
from pipeline.model import (
    ModelCard,
    check_fits,
    load_model,
    predict_probabilities,
    read_card,
    save_model,
)
from pipeline.sequences import Windowing

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
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "head"
    save_model(build_head(SHAPE, 16, 32, 3, seed=1).model, CARD, folder)
    return folder


def clip(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 4, (length, 32)).astype(np.float16)


def test_equal_weights_give_equal_bytes(folder, tmp_path) -> None:
    build_head(SHAPE, 16, 32, 3, seed=5)  # something else built in between
    save_model(build_head(SHAPE, 16, 32, 3, seed=1).model, CARD, tmp_path / "head")
    for name in ("head.keras", "model.json"):
        assert (folder / name).read_bytes() == (tmp_path / "head" / name).read_bytes()


def test_a_model_knows_all_that_it_needs(folder) -> None:
    model = load_model(folder)
    assert model.card == CARD
    assert model.card.backbone == "ab" * 32
    assert model.labels == ("fall", "rise", "wait")


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
    logits = np.asarray(model.network([np.stack(list(views.values())).astype(np.float32), mask]))
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


def test_missing_and_damaged_models_are_one_sentence(folder, tmp_path) -> None:
    with pytest.raises(ModelError, match="clipcache train"):
        load_model(tmp_path / "nothing")
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "head.keras").write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match=r"head\.keras cannot be loaded"):
        load_model(damaged)
    (damaged / "model.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(ModelError, match="schema 99"):
        read_card(damaged)


def test_a_network_that_carries_code_is_refused(folder, tmp_path) -> None:
    import keras

    from pipeline.model import write_network

    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(lambda x: x * 2, output_shape=(4,))(inputs)
    shutil.copytree(folder, tmp_path / "head")
    write_network(keras.Model(inputs, outputs), tmp_path / "head" / "head.keras")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(tmp_path / "head")


def test_a_card_survives_json() -> None:
    card = replace(CARD, temperature=0.25)
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
