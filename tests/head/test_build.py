import keras
import numpy as np
import pytest

from pipeline.head.build import PRESETS, HeadShape, build_head, measure_statistics, shape_from_dict

STEPS, DIMENSION, CLASSES = 6, 32, 3
MASK = np.arange(STEPS)[None] < np.array([[6], [4], [1]])


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, STEPS, DIMENSION)).astype(np.float32)


def logits(head, values: np.ndarray, mask: np.ndarray = MASK) -> np.ndarray:
    return np.asarray(head.model([values, mask], training=False))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_ignores_padding_and_survives_saving(name: str, values, tmp_path) -> None:
    head = build_head(PRESETS[name], STEPS, DIMENSION, CLASSES)
    scores = logits(head, values)
    assert scores.shape == (3, CLASSES)
    assert np.isfinite(scores).all()
    garbage = np.where(MASK[..., None], values, 99).astype(np.float32)
    np.testing.assert_allclose(logits(head, garbage), scores, rtol=1e-5, atol=1e-6)
    head.model.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded([values, MASK]), scores)


@pytest.mark.parametrize(
    "shape",
    [
        HeadShape(recurrent="gru", pooling="last", shortcut=()),
        HeadShape(recurrent="bilstm", pooling="last", normalisation="unit"),
        HeadShape(recurrent="lstm", pooling="attention", differences=(1, 3, 9), projection=0),
        HeadShape(recurrent="none", pooling="attention", shortcut=("change",)),
        HeadShape(recurrent="none", shortcut=(), projection=8),
    ],
)
def test_shapes_that_no_preset_has(shape: HeadShape, values) -> None:
    head = build_head(shape, STEPS, DIMENSION, CLASSES)
    garbage = np.where(MASK[..., None], values, 99).astype(np.float32)
    np.testing.assert_allclose(logits(head, garbage), logits(head, values), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "knows_order"), [("default", True), ("linear", False)])
def test_the_recurrent_branch_is_what_knows_order(name: str, knows_order: bool, values) -> None:
    head = build_head(PRESETS[name], STEPS, DIMENSION, CLASSES)
    for weight in head.model.trainable_variables:  # the linear branch starts at zero
        weight.assign(np.random.default_rng(1).normal(0, 0.1, weight.shape))
    whole = np.ones_like(MASK)
    backwards = logits(head, values[:, ::-1].copy(), whole)
    assert np.allclose(backwards, logits(head, values, whole), atol=1e-3) != knows_order


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (
        build_head(PRESETS["default"], STEPS, DIMENSION, CLASSES, seed).model.get_weights()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_shortcut_sees_standardised_statistics() -> None:
    head = build_head(PRESETS["linear"], STEPS, DIMENSION, CLASSES)
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(200, STEPS, DIMENSION)) * rng.uniform(0.5, 3, DIMENSION)).astype(
        np.float32
    )
    mask = np.ones((200, STEPS), bool)
    measure_statistics(head.model, range(200), lambda chosen: (values[chosen], mask[chosen]))
    layer = head.model.get_layer("standardisation")
    seen = np.asarray(keras.Model(head.model.inputs, layer.output)([values, mask]))
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
    assert 0.3 < seen.std(axis=0).mean() * np.sqrt(3) < 1.0


def test_a_shape_survives_json() -> None:
    for shape in PRESETS.values():
        assert shape_from_dict(shape.to_dict()) == shape
