import keras
import numpy as np
import pytest

from pipeline.head.build import PRESETS, HeadShape, build_network, shape_from_dict

STEPS, DIMENSION, CLASSES = 6, 32, 3
RGB = {"rgb": DIMENSION}
MASK = np.arange(STEPS)[None] < np.array([[6], [4], [1]])


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, STEPS, DIMENSION)).astype(np.float32)


def logits(network, values: np.ndarray, mask: np.ndarray = MASK) -> np.ndarray:
    return np.asarray(network([values, mask], training=False))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_ignores_padding_and_survives_saving(name: str, values, tmp_path) -> None:
    network = build_network(PRESETS[name], STEPS, RGB, CLASSES)
    scores = logits(network, values)
    assert scores.shape == (3, CLASSES)
    assert np.isfinite(scores).all()
    garbage = np.where(MASK[..., None], values, 99).astype(np.float32)
    np.testing.assert_allclose(logits(network, garbage), scores, rtol=1e-5, atol=1e-6)
    network.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded([values, MASK]), scores)


@pytest.mark.parametrize(
    "shape",
    [
        HeadShape(recurrent="gru", pooling="last"),
        HeadShape(recurrent="bilstm", pooling="last", normalisation="unit"),
        HeadShape(recurrent="lstm", pooling="attention", differences=(1, 3, 9), projection=0),
        HeadShape(recurrent="none", pooling="attention"),
        HeadShape(recurrent="none", projection=8),
    ],
)
def test_shapes_that_no_preset_has(shape: HeadShape, values) -> None:
    network = build_network(shape, STEPS, RGB, CLASSES)
    garbage = np.where(MASK[..., None], values, 99).astype(np.float32)
    np.testing.assert_allclose(
        logits(network, garbage), logits(network, values), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("recurrent", "knows_order"), [("bilstm", True), ("none", False)])
def test_the_recurrent_layer_is_what_knows_order(recurrent: str, knows_order: bool, values) -> None:
    shape = HeadShape(recurrent=recurrent, differences=())
    network, whole = build_network(shape, STEPS, RGB, CLASSES), np.ones_like(MASK)
    backwards = logits(network, values[:, ::-1].copy(), whole)
    assert np.allclose(backwards, logits(network, values, whole), atol=1e-3) != knows_order


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (
        build_network(PRESETS["default"], STEPS, RGB, CLASSES, seed).get_weights()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("normalisation", ["root", "layer", "unit", "none"])
def test_every_stream_is_prepared_by_itself(normalisation: str) -> None:
    streams = {"rgb": 8, "place": 4, "flow": 6, "difference": 8}
    network = build_network(HeadShape(normalisation=normalisation), STEPS, streams, CLASSES)
    prepared = keras.Model(network.inputs, network.get_layer("streams").output)
    rows = np.random.default_rng(0).uniform(0, 4, (2, STEPS, 26)).astype(np.float32)
    rows[..., 8:12] -= 2
    rgb, place, flow, difference = np.split(rows, [8, 12, 18], axis=-1)

    def expected(x: np.ndarray) -> np.ndarray:
        x = np.sqrt(x) if normalisation == "root" else x
        if normalisation in ("root", "layer"):
            return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
        return x / np.linalg.norm(x, axis=-1, keepdims=True) if normalisation == "unit" else x

    np.testing.assert_allclose(
        prepared([rows, MASK[:2]]),
        np.concatenate([expected(rgb), place, np.sqrt(flow), expected(difference)], axis=-1),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_the_shape_of_an_earlier_release_is_a_network_alone() -> None:
    values = {**HeadShape().to_dict(), "shortcut": ["mean"], "shortcut_dropout": 0.7,
              "shortcut_share": 0.6}  # fmt: skip
    del values["branches"]
    assert shape_from_dict(values) == HeadShape(branches=("network",))


def test_a_shape_survives_json() -> None:
    for shape in PRESETS.values():
        assert shape_from_dict(shape.to_dict()) == shape
