"""params.yaml: what it may hold, and what is said where it is wrong."""

from pathlib import Path

import pytest
from clone import ROOT
from pydantic import ValidationError

from pipeline.errors import ParamsError
from pipeline.params import Params, load_params


def load(tmp_path: Path, text: str) -> Params:
    path = tmp_path / "params.yaml"
    path.write_text(text, "utf-8")
    return load_params(path)


WRONG = {
    "an unknown key": ("features: {fpss: 8}", "`features.fpss` is not a setting.*`fps`"),
    "an unknown section": ("feature: {fps: 8}", "`feature` is not a setting.*`features`"),
    "a key like no other": ("split: {zzz: 1}", "`split.zzz` is not a setting; there are method"),
    "a number for a name": (
        "split: {held_out: 01}",
        r"`split.held_out`.*\(it is 1\): put it in quo",
    ),
    "a date for a folder": ("dataset: {raw: 2024-01-02}", r"`dataset.raw`.*: put it in quotes"),
    "home": ("dataset: {raw: ~/videos}", r"begins with ~, which DVC does not know: write /"),
    "home of a table": ("dataset: {table: ~x/t.csv}", r"`dataset.table`: begins with ~"),
    "a wrong type": ("features: {fps: fast}", "`features.fps`.*it is 'fast'.*frames embedded per"),
    "a fraction of a frame": ("features: {max_frames: 2.5}", "`features.max_frames`.*it is 2.5"),
    "out of range": ("features: {fps: 0}", "`features.fps`.*greater than 0"),
    "an infinite rate": ("features: {fps: .inf}", "`features.fps`.*finite"),
    "no number": ("features: {clip_timeout: .nan}", "`features.clip_timeout`"),
    "a small input": ("backbone: {input_size: 8}", "`backbone.input_size`.*32.*it is 8"),
    "an unknown rule": ("features: {resize: squash}", "`features.resize`.*stretch, crop, pad"),
    "an unknown view": ("features: {views: [identity, up]}", "'up' is not a view.*hflip"),
    "no identity": ("features: {views: [hflip]}", "`features.views`: must name identity"),
    "an unknown engine": ("features: {engine: torch}", "`features.engine`.*litert"),
    "an engine that computes nothing": ("features: {engine: dummy}", "`features.engine`.*'litert'"),
    "bfloat16 elsewhere": ("features: {precision: bfloat16}", "needs `engine: openvino`"),
    "shares over one": ("split: {train: 0.9}", "`split`: train, val and test must sum to 1"),
    "no test": ("split: {train: 1, val: 0, test: 0}", "train and test above 0"),
    "a broken pattern": ("dataset: {group: '('}", "`dataset.group`.*regular expression"),
    "no group in it": ("dataset: {group: 'abc'}", "exactly one .* group, but has 0"),
    "a list": ("[1, 2]", "must hold sections"),
    "nothing": ("", "must hold sections"),
    "an empty section": ("features:", "`features`"),
    "no YAML": ("features: {fps: 8", "not readable as YAML"),
    "a key twice": ("split: {seed: 1, seed: 2}", "not readable as YAML.*duplicate"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, what: str) -> None:
    text, message = WRONG[what]
    with pytest.raises(ParamsError, match=message) as raised:
        load(tmp_path, text)
    assert "params.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_setting_may_be_infinite(tmp_path: Path) -> None:
    keys = {name: type(section).model_fields for name, section in Params()}
    values = {name: dict.fromkeys(fields, float("inf")) for name, fields in keys.items()}
    values["train"]["rates"] = (1.0, float("inf"))
    values["train"]["dense"] = ({"units": 8, "dropout": float("inf")},)
    with pytest.raises(ValidationError) as raised:
        Params.model_validate(values)
    refused = {".".join(map(str, error["loc"][:2])) for error in raised.value.errors()}
    assert refused == {f"{name}.{key}" for name, fields in keys.items() for key in fields}


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as raised:
        load(tmp_path, "features: {fps: -1, workers: 0}\nsplit: {seeds: 1}")
    assert all(key in str(raised.value) for key in ("features.fps", "workers", "split.seeds"))


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nowhere\.yaml is not there"):
        load_params(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"features: {resize: \xfc}")
    with pytest.raises(ParamsError, match="not readable as YAML"):
        load_params(tmp_path / "params.yaml")


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    assert load(tmp_path, "features: {max_rejected: 1e-3}").features.max_rejected == 0.001
    assert load(tmp_path, "features: {fps: null}").features.sampling.fps is None


def test_what_is_left_out_has_the_value_that_the_project_ships(tmp_path: Path) -> None:
    assert load(tmp_path, "{}") == Params()
    shipped = load_params(ROOT / "params.yaml")
    assert shipped == Params()


def test_every_ready_file_is_valid() -> None:
    ready = sorted((ROOT / "configs").glob("*.yaml"))
    for path in ready:
        load_params(path)
    assert {"sample.yaml", "weizmann.yaml", "ucf101.yaml"} <= {path.name for path in ready}


def test_settings_can_be_changed_without_changing_the_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train: {units: 32}", "utf-8")
    changes = ["train.units=64", "train.branches=[order]", "train.label_smoothing=1e-1"]
    changed = load_params(path, [*changes, "crossval.seeds=3"])
    assert (changed.train.units, changed.train.branches) == (64, ("order",))
    assert (changed.train.label_smoothing, changed.crossval.seeds) == (0.1, 3)
    assert load_params(path).train.units == 32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.units", "no change of a setting.*train.units=64"),
        ("units=64", "section.key=value"),
        ("train.unitz=64", "`train.unitz` is not a setting; did you mean `units`"),
        ("train.units=many", "`train.units`.*it is 'many'"),
        ("train.branches=[order", "not YAML"),
        ("trian.units=64", "`trian` is not a setting.*`train`"),
    ],
)
def test_a_wrong_change_is_said_with_its_place(tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train: {units: 32}", "utf-8")
    with pytest.raises(ParamsError, match=said):
        load_params(path, [change])


def test_settings_of_an_earlier_release_are_passed_over(tmp_path: Path, caplog) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train: {shortcut: null, branch_loss: 0.5, units: 32}\n")
    assert load_params(path).train.units == 32
    assert caplog.text == ""
    assert load_params(path, ["train.views=[identity]"]).train == load_params(path).train
    assert "train.views is no setting any more" in caplog.text
