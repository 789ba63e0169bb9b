import hashlib
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from small_features import write_backbone_stand_in

from pipeline.errors import ModelError
from pipeline.head.build import HeadShape, build_network
from pipeline.head.calibration import softmax
from pipeline.head.held_out import HeldOut, learn_reference
from pipeline.head.linear import LinearBranch, linear_scores
from pipeline.head.model_card import Branch, ModelCard
from pipeline.head.model_folder import (
    HELD_OUT,
    LINEAR,
    NETWORK,
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
    readings={"identity": 32, "hflip": 32, "place/identity": 6},
    streams={"place": {"stream": "place", "version": 1}},
    window=20,
    views=("identity", "hflip"),
    mirror=True,
    branches=(
        Branch("network", 0.5, 0.75),
        Branch("rgb statistics", 2.0, 0.5, 2.5),
        Branch("place order", 0.0, 0.25, 0.125),
    ),
    windowing=Windowing(16, (0.7, 1.4), 4),
    temperature=0.5,
    shape=SHAPE,
    versions={"keras": "3"},
)


STREAMS = {"rgb": 32}  # of them the network reads what looks like a picture


def linear(seed: int = 0) -> tuple[LinearBranch, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        LinearBranch(stream, descriptor, *(
            rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((height, 3), 3)
        ))
        for stream, descriptor, height in (("rgb", "statistics", 4 * 32), ("place", "order", 8 * 6))
    )  # fmt: skip


def save(folder, backbone, card=CARD, seed: int = 1) -> None:
    save_model(build_network(SHAPE, 16, STREAMS, 3, seed), linear(), card, folder, backbone)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone") / "backbone"
    write_backbone_stand_in(folder, "ab" * 32)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, backbone):
    folder = tmp_path_factory.mktemp("model") / "head"
    save(folder, backbone)
    return folder


def clip(length: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.uniform(0, 4, (length, size)) - 2 * (size == 6)).astype(np.float16)
        for name, size in CARD.readings.items()
    }


def test_equal_weights_give_equal_bytes(folder, backbone, tmp_path) -> None:
    build_network(SHAPE, 16, STREAMS, 3, seed=5)  # something else built in between
    save(tmp_path / "head", backbone)
    one, two = (
        {path.name: path.read_bytes() for path in where.iterdir()}
        for where in (folder, tmp_path / "head")
    )
    assert one == two
    assert set(one) == {
        "head.keras", "head.tflite", "model.json", "backbone.h5", "backbone.json",
        "backbone.tflite", "branches.npz",
    }  # fmt: skip
    with zipfile.ZipFile(folder / LINEAR) as entries:
        assert {entry.date_time for entry in entries.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("runtime", ["keras", "litert"])
def test_a_model_knows_all_that_it_needs(folder, runtime) -> None:
    model = load_model(folder, runtime)
    assert replace(model.card, files={}) == CARD
    assert model.card.backbone == "ab" * 32
    assert model.labels == ("fall", "rise", "wait")
    assert set(model.card.files) == {path.name for path in folder.iterdir()} - {"model.json"}


def test_both_runtimes_give_the_same_probabilities(folder) -> None:
    clips = [clip(length, length) for length in (1, 5, 16, 70, 300)]
    keras, litert = (
        predict_probabilities(load_model(folder, runtime), clips) for runtime in ("keras", "litert")
    )
    np.testing.assert_allclose(litert, keras, atol=1e-5)


def test_both_runtimes_agree_on_clips_of_people(sample_model) -> None:
    features = FeatureSet.open(sample_model.parents[1] / "features")
    everything = range(len(features.clip_ids))
    keras, litert = (
        predict_logits(load_model(sample_model, runtime), map(features.clip, everything))
        for runtime in ("keras", "litert")
    )
    assert len(keras) == 40
    np.testing.assert_allclose(litert, keras, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 16, 17, 10_000])
def test_clips_of_any_length_get_probabilities(folder, length: int) -> None:
    model = load_model(folder)
    probabilities = predict_probabilities(model, [clip(length)])
    assert probabilities.shape == (1, 3)
    assert probabilities.sum() == pytest.approx(1.0)


def test_an_answer_is_the_sum_of_what_the_branches_say(folder) -> None:
    model, seen = load_model(folder), clip(16, 1)
    mask = np.ones((1, 16), bool)
    rows = {view: seen[view].astype(np.float32) for view in ("identity", "hflip")}
    network = load_keras(folder / NETWORK)
    said = np.mean([network([values[None], mask])[0] for values in rows.values()], axis=0)
    plain = linear_scores(linear(), False, seen)
    mirrored = linear_scores(linear(), False, {**seen, "identity": seen["hflip"]})
    expected = {
        "network": said,
        "rgb statistics": (plain[0] + mirrored[0]) / 2,  # place has no mirrored view here
        "place order": plain[1],
    }
    found = model.score(seen)
    assert list(found) == list(expected)
    for name, scores in expected.items():
        np.testing.assert_allclose(found[name], scores, rtol=1e-4, atol=1e-5)
    logits = 0.5 * expected["network"] + 2 * expected["rgb statistics"]
    np.testing.assert_allclose(
        predict_probabilities(model, [seen])[0], softmax(logits, CARD.temperature), rtol=1e-3
    )


def test_the_linear_branches_are_the_ordered_baseline(folder) -> None:
    model, seen = load_model(folder), clip(30)
    said = model.score(seen)
    baseline = model.ordered_baseline
    assert baseline is not None
    np.testing.assert_allclose(
        baseline.logits(seen), 2.5 * said["rgb statistics"] + 0.125 * said["place order"], rtol=1e-5
    )


def test_a_clip_that_lacks_a_reading_is_refused_with_its_name(folder) -> None:
    model = load_model(folder, "litert")
    for name in CARD.readings:
        lacking = {other: rows for other, rows in clip(9).items() if other != name}
        with pytest.raises(ModelError, match=rf"reads {name}, but a clip has only"):
            predict_logits(model, [lacking])
    with pytest.raises(ModelError, match=r"reads 6 numbers of place/identity.* has 7"):
        predict_logits(model, [{**clip(9), "place/identity": np.zeros((9, 7))}])


@pytest.mark.parametrize("runtime", ["keras", "litert"])
def test_a_head_of_linear_branches_has_no_network_files(backbone, tmp_path, runtime) -> None:
    shares = (Branch("rgb statistics", 1.0), Branch("place order", 1.0))
    card = replace(CARD, branches=shares, shape=HeadShape(branches=("statistics", "order")))
    save_model(None, linear(), card, tmp_path / "head", backbone)
    assert {"branches.npz"} == {
        path.name for path in (tmp_path / "head").iterdir()
    } - {"model.json", "backbone.h5", "backbone.json", "backbone.tflite"}  # fmt: skip
    model = load_model(tmp_path / "head", runtime)
    for length in (1, 2, 50):
        seen = clip(length, length)
        expected = sum(linear_scores(linear(), True, seen))
        np.testing.assert_allclose(predict_logits(model, [seen])[0], expected, rtol=1e-5)
    assert predict_probabilities(model, []).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda stored: stored.pop("place order bias"), "place order bias"),
        (lambda stored: stored.update({"place order bias": np.zeros(4, np.float32)}),
         r"place order is float32 of shape \(4,\), not float32 of \(3,\)"),
        (lambda stored: stored.update({"rgb statistics bias": np.zeros(3)}), "is float64"),
        (lambda stored: stored["rgb statistics weights"].fill(np.nan), "not finite"),
        (lambda stored: stored.update({"rgb statistics bias": np.array([{}, {}, {}])}), "pickle"),
    ],
)  # fmt: skip
def test_branches_that_are_not_what_they_should_be_are_refused(
    folder, tmp_path, change, reason
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    with np.load(folder / LINEAR) as stored:
        arrays = {name: array.copy() for name, array in stored.items()}
    change(arrays)
    np.savez(changed / LINEAR, **arrays)
    card = json.loads((changed / "model.json").read_text())
    card["files"][LINEAR] = hashlib.sha256((changed / LINEAR).read_bytes()).hexdigest()
    (changed / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"branches\.npz cannot be loaded .*{reason}"):
        load_model(changed, "litert")


def test_what_new_clips_are_held_against_is_in_the_folder_and_checked(backbone, tmp_path) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(30) % 3
    added = 2.0 * np.eye(3)[labels][:, None] + random.normal(size=(30, 2, 3))
    reference = learn_reference(HeldOut(added, labels, np.arange(30) % 5))
    shares = (Branch("rgb statistics", 1.0), Branch("place order", 1.0))
    alone = replace(CARD, branches=shares, shape=HeadShape(branches=("statistics", "order")))
    save_model(None, linear(), alone, tmp_path / "head", backbone, reference)
    loaded = load_model(tmp_path / "head", "litert")
    assert loaded.card.held_out == 30
    assert loaded.reference is not None
    np.testing.assert_array_equal(loaded.reference.usual, reference.usual)
    (tmp_path / "head" / HELD_OUT).write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"held_out\.npz has the SHA-256"):
        load_model(tmp_path / "head", "litert")
    (tmp_path / "head" / HELD_OUT).unlink()
    with pytest.raises(ModelError, match=r"held_out\.npz is not there"):
        load_model(tmp_path / "head", "litert")


def test_a_card_of_an_earlier_release_is_a_network_alone() -> None:
    values = json.loads(json.dumps(CARD.to_dict()))
    for name in ("readings", "mirror", "branches"):
        del values[name]
    del values["shape"]["branches"]
    card = ModelCard.from_dict({**values, "schema": 2})
    assert card.branches == (Branch("network", 1.0),)
    assert card.readings == {"identity": 1280, "hflip": 1280}


def test_a_clip_is_classified_alike_alone_and_among_others(folder) -> None:
    model = load_model(folder)
    clips = [clip(length, length) for length in (1, 70, 16, 300, 5)]
    together = predict_probabilities(model, clips)
    for row, views in zip(together, clips, strict=True):
        np.testing.assert_allclose(predict_probabilities(model, [views])[0], row, rtol=1e-5)
    assert predict_probabilities(model, []).shape == (0, 3)


def test_other_features_are_refused_with_both_sides_named() -> None:
    streams = {"rgb": CARD.extractor, **CARD.streams}
    check_fits(CARD, streams, CARD.sampling)
    with pytest.raises(ModelError, match=r"fps = 8\.0, but other/features has fps = 12\.0"):
        check_fits(CARD, streams, {"fps": 12.0, "max_frames": 512}, other="other/features")
    with pytest.raises(ModelError, match=r"resize = stretch.* resize = crop"):
        check_fits(CARD, {"rgb": {**CARD.extractor, "resize": "crop"}}, CARD.sampling)
    with pytest.raises(ModelError, match="embeddings with place version = 1, but features has"):
        check_fits(CARD, {**streams, "place": {"stream": "place", "version": 2}}, CARD.sampling)


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
    "name",
    [
        "head.keras",
        "head.tflite",
        "branches.npz",
        "backbone.tflite",
        "backbone.json",
        "backbone.h5",
    ],
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
    with pytest.raises(ModelError, match=r"schema 1, not 3.*clipcache train"):
        load_model(tmp_path, "litert")
    card.write_text((folder / "model.json").read_text()[:200])
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(tmp_path)


def test_another_backbone_is_refused_before_anything_is_written(backbone, tmp_path) -> None:
    card = replace(CARD, extractor={**CARD.extractor, "backbone": "cd" * 32})
    with pytest.raises(ModelError, match=r"backbone = cdcdcdcdcdcd\.\.\., but .* abababababab"):
        save(tmp_path / "head", backbone, card)
    part = tmp_path / "part"
    shutil.copytree(backbone, part)
    (part / "backbone.tflite").unlink()
    with pytest.raises(ModelError, match="run `clipcache backbone` again"):
        save(tmp_path / "head", part)
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
