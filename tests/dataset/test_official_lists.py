"""The official splits of UCF101 and HMDB51, from lists in the form in which they are published."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.dataset.clips import Clip, read_splits
from pipeline.dataset.params import SplitParams
from pipeline.dataset.splits.lists import key_of
from pipeline.errors import DatasetError
from pipeline.stages.split import split_clips

ACTIONS = ("ApplyEyeMakeup", "Archery", "HandstandPushups")
IN_FILES = {"HandstandPushups": "HandStandPushups"}  # UCF101 writes it in two ways


def ucf_clips(
    groups: int = 8, takes: int = 2, folder: str = "{}", suffix: str = ".avi"
) -> list[Clip]:
    clips = []
    for label in ACTIONS:
        name = IN_FILES.get(label, label)
        for group in range(1, groups + 1):
            for take in range(1, takes + 1):
                path = f"{folder.format(label)}/v_{name}_g{group:02d}_c{take:02d}{suffix}"
                clips.append(Clip(path, label, f"{label}/g{group:02d}", f"{len(clips):064d}", 1,
                                  path=path))  # fmt: skip
    return clips


def write_ucf(folder: Path, clips: list[Clip], *, tested: int = 2, number: int = 1) -> None:
    """The groups up to `tested` are the test, as in the published lists: CRLF, no label number."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = [], []
    for clip in clips:
        line = f"{clip.label}/{Path(clip.clip_id).name}"
        if int(clip.group[-2:]) <= tested:
            test.append(line)
        else:
            train.append(f"{line} {ACTIONS.index(clip.label) + 1}")
    classes = [f"{i} {label}" for i, label in enumerate(ACTIONS, 1)]
    for name, lines in ((f"trainlist{number:02d}", train), (f"testlist{number:02d}", test),
                        ("classInd", classes)):  # fmt: skip
        (folder / f"{name}.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def deal(clips: list[Clip], folder: Path, **settings) -> tuple[dict[str, str], list[str]]:
    """The split of each clip, and what was said."""
    said: list[str] = []
    params = SplitParams(method="official", lists=str(folder / "lists"), **settings)
    split_clips(clips, params, folder / "splits.csv", said.append)
    return read_splits(folder / "splits.csv"), said


def test_the_first_split_of_ucf101_is_taken_from_its_lists(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists/ucfTrainTestlist", clips)
    splits, said = deal(clips, tmp_path)
    assert said == []
    assert Counter(splits.values()) == {"train": 30, "val": 6, "test": 12}
    for clip in clips:
        assert (splits[clip.clip_id] == "test") == (int(clip.group[-2:]) <= 2)
    sides = {(clip.group, splits[clip.clip_id]) for clip in clips}
    assert len(sides) == len({clip.group for clip in clips})
    assert {clip.label for clip in clips if splits[clip.clip_id] == "val"} == set(ACTIONS)


def test_without_a_share_for_validation_train_stays_whole(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists", clips)
    splits, _ = deal(clips, tmp_path, val=0, train=0.75)
    assert Counter(splits.values()) == {"train": 36, "test": 12}


def test_each_number_has_its_own_lists(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists", clips, tested=2, number=1)
    write_ucf(tmp_path / "lists", clips, tested=4, number=2)
    assert Counter(deal(clips, tmp_path, number=2)[0].values())["test"] == 24
    with pytest.raises(DatasetError, match=r"no lists of split 3 \(trainlist03.txt"):
        deal(clips, tmp_path, number=3)


VARIANTS = {
    "converted to mp4": {"suffix": ".mp4"},
    "upper-case extension": {"suffix": ".AVI"},
    "frame folders": {"suffix": ""},
    "deeper folders": {"folder": "UCF-101/{}/videos"},
}


@pytest.mark.parametrize("how", VARIANTS)
def test_clips_are_recognised_however_they_are_laid_down(tmp_path: Path, how: str) -> None:
    write_ucf(tmp_path / "lists", ucf_clips())
    splits, said = deal(ucf_clips(**VARIANTS[how]), tmp_path)
    assert said == []
    assert len(splits) == 48


def test_folders_with_names_of_their_own_are_matched_by_file(tmp_path: Path) -> None:
    write_ucf(tmp_path / "lists", ucf_clips())
    clips = [Clip(clip.clip_id, f"my {clip.label}", clip.group, clip.digest, 1, path=clip.path)
             for clip in ucf_clips()]  # fmt: skip
    assert len(deal(clips, tmp_path)[0]) == 48


def test_clips_that_are_missing_or_on_no_list_are_counted_with_examples(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists", clips)
    more = Clip("Archery/mine.avi", "Archery", "mine", "f" * 64, 1, path="Archery/mine.avi")
    splits, said = deal([*clips[3:], more], tmp_path)
    missing, unlisted = said
    assert "3 of 48 clips on the lists are not in data/index.csv" in missing
    assert "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi" in missing
    assert "1 of 46 clips are on no list, and stand in no split: Archery/mine.avi." in unlisted
    assert len(splits) == 45
    assert "Archery/mine.avi" not in splits


def test_the_same_video_under_two_names_on_both_lists_is_refused(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists", clips)
    twin = clips[-1]
    copied = [Clip(clip.clip_id, clip.label, clip.group, twin.digest, 1, path=clip.path)
              if clip is clips[0] else clip for clip in clips]  # fmt: skip
    with pytest.raises(DatasetError, match="are the same video") as raised:
        deal(copied, tmp_path)
    assert clips[0].clip_id in str(raised.value)
    assert twin.clip_id in str(raised.value)
    assert not (tmp_path / "splits.csv").exists()


def test_copies_within_train_are_carved_together(tmp_path: Path) -> None:
    clips = ucf_clips(groups=12)
    write_ucf(tmp_path / "lists", clips)
    trained = [i for i, clip in enumerate(clips) if int(clip.group[-2:]) > 2]
    for seed in range(10):
        copied = [Clip(clip.clip_id, clip.label, clip.group,
                       "f" * 64 if i in (trained[0], trained[-1]) else clip.digest, 1,
                       path=clip.path) for i, clip in enumerate(clips)]  # fmt: skip
        splits, _ = deal(copied, tmp_path, seed=seed)
        assert splits[clips[trained[0]].clip_id] == splits[clips[trained[-1]].clip_id]


def test_a_label_that_classind_contradicts_is_reported(tmp_path: Path) -> None:
    clips = ucf_clips()
    write_ucf(tmp_path / "lists", clips)
    (tmp_path / "lists/classInd.txt").write_text("1 ApplyEyeMakeup\n2 Biking\n3 HandStandPushups\n")
    _, said = deal(clips, tmp_path)
    assert len(said) == 1
    assert "12 lines of the lists have another label than classInd.txt says" in said[0]


BRUSH = "April_09_brush_hair_u_nm_np1_ba_goo_{}.avi"
CARTWHEEL = "(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_{}.avi"


def hmdb_clips() -> list[Clip]:
    names = [f"brush_hair/{BRUSH.format(i)}" for i in range(10)]
    names += [f"cartwheel/{CARTWHEEL.format(i)}" for i in range(10)]
    return [Clip(name, name.split("/")[0], name, f"{i:064d}", 1, path=name)
            for i, name in enumerate(names)]  # fmt: skip


def write_hmdb(folder: Path) -> None:
    """1 train, 2 test, 0 neither; a blank before the line end, as published."""
    folder.mkdir(parents=True)
    for label, name in (("brush_hair", BRUSH), ("cartwheel", CARTWHEEL)):
        codes = [1] * 5 + [2] * 3 + [0] * 2
        lines = [f"{name.format(i)} {code} \n" for i, code in enumerate(codes)]
        (folder / f"{label}_test_split1.txt").write_text("".join(lines))
        (folder / f"{label}_test_split2.txt").write_text("".join(reversed(lines)))


def test_the_first_split_of_hmdb51_is_taken_from_its_lists(tmp_path: Path) -> None:
    write_hmdb(tmp_path / "lists/testTrainMulti_7030_splits")
    splits, said = deal(hmdb_clips(), tmp_path)
    assert Counter(splits.values()) == {"train": 8, "val": 2, "test": 6}
    assert splits[f"cartwheel/{CARTWHEEL.format(6)}"] == "test"
    assert said == ["4 clips are on the lists as unused, and stand in no split."]


def test_a_line_of_hmdb51_without_its_code_is_refused(tmp_path: Path) -> None:
    write_hmdb(tmp_path / "lists")
    (tmp_path / "lists/cartwheel_test_split1.txt").write_text("some_video.avi\n")
    with pytest.raises(DatasetError, match=r"'some_video.avi', which does not end in 0, 1 or 2"):
        deal(hmdb_clips(), tmp_path)


def test_lists_that_cannot_be_used_name_the_setting(tmp_path: Path) -> None:
    clips = ucf_clips()
    with pytest.raises(DatasetError, match=r"split.lists is .*, which is not a folder"):
        deal(clips, tmp_path)
    (tmp_path / "lists").mkdir()
    with pytest.raises(DatasetError, match=r"holds no lists of split 1"):
        deal(clips, tmp_path)
    write_ucf(tmp_path / "lists/a", clips)
    (tmp_path / "lists/a/testlist01.txt").rename(tmp_path / "kept")
    with pytest.raises(DatasetError, match=r"lacks testlist01.txt beside a/trainlist01.txt"):
        deal(clips, tmp_path)
    (tmp_path / "kept").rename(tmp_path / "lists/a/testlist01.txt")
    with pytest.raises(DatasetError, match=r"of which no clip is in data/index.csv"):
        deal(hmdb_clips(), tmp_path)
    with (tmp_path / "lists/a/testlist01.txt").open("a") as stream:
        stream.write("Archery/v_Archery_g08_c01.avi\n")
    with pytest.raises(DatasetError, match=r"v_Archery_g08_c01.avi, which another list"):
        deal(clips, tmp_path)
    write_ucf(tmp_path / "lists/b", clips)
    with pytest.raises(DatasetError, match=r"in more than one folder \(a, b\)"):
        deal(clips, tmp_path)


def test_composed_and_decomposed_names_meet_the_lists() -> None:
    assert key_of("Caf\u00e9", "v_\u00e9.avi") == key_of("cafe\u0301", "v_e\u0301.mp4")
