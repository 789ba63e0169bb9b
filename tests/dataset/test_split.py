"""The stage `split`: nothing leaks, everything is dealt out."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.clips import NO_SPLIT, Clip, read_splits
from pipeline.dataset.near_copies import NearCopy, Video
from pipeline.dataset.params import SplitParams
from pipeline.errors import DatasetError
from pipeline.stages.split import split_clips

Pairs = list[tuple[str, str]]  # (label, group) of each clip


def clips_of(pairs: Pairs) -> list[Clip]:
    return [
        Clip(f"{label}/{i:05d}.avi", label, group, f"{i:064d}", 1)
        for i, (label, group) in enumerate(pairs)
    ]


def people(labels: int, groups: int, takes: int = 1) -> Pairs:
    """Everyone does everything."""
    return [(f"label{a}", f"person{g}") for a in range(labels) for g in range(groups)] * takes


def ucf() -> Pairs:
    """101 classes of 25 source videos with 4 to 7 clips each: 13,320 in all."""
    random = np.random.default_rng(0)
    sizes = random.integers(4, 8, 101 * 25)
    while sizes.sum() != 13_320:
        i = random.integers(len(sizes))
        sizes[i] = np.clip(sizes[i] + np.sign(13_320 - sizes.sum()), 4, 7)
    return [
        (f"Class{i // 25}", f"Class{i // 25}/g{i % 25:02d}")
        for i, size in enumerate(sizes)
        for _ in range(size)
    ]


def split(pairs: Pairs, folder: Path, **settings: float) -> list[tuple[str, str, str]]:
    """(label, group, split) of each clip."""
    clips = clips_of(pairs)
    split_clips(clips, SplitParams(**settings), folder / "splits.csv")
    splits = read_splits(folder / "splits.csv")
    return [(clip.label, clip.group, splits[clip.clip_id]) for clip in clips]


def assert_sound(dealt: list[tuple[str, str, str]]) -> None:
    sides, splits = defaultdict(set), defaultdict(set)
    for label, group, name in dealt:
        sides[group].add(name)
        splits[label].add(name)
    assert all(len(names) == 1 for names in sides.values())
    assert all({"train", "test"} <= names for names in splits.values())


SETS = {
    "9 people, 10 actions": people(10, 9),
    "2 people": people(5, 2),
    "3 people, many takes": people(4, 3, 10),
    "UCF101": ucf(),
    "groups of very different size": [("a", "huge")] * 500 + [("b", "huge")] * 300
    + [(label, f"g{i}") for label in "ab" for i in range(20)],
    "one label with two groups among many": [*people(3, 12), ("rare", "x"), ("rare", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_is_torn_and_every_label_is_in_train_and_test(
    tmp_path: Path, name: str, seed: int
) -> None:
    assert_sound(split(SETS[name], tmp_path, seed=seed))


def test_random_sets_are_dealt_soundly_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        labels, groups = int(random.integers(2, 8)), int(random.integers(2, 12))
        pairs = [
            (f"l{random.integers(labels)}", f"g{random.integers(groups)}")
            for _ in range(int(random.integers(2 * labels, 120)))
        ]
        if can_be_dealt(pairs):
            assert_sound(split(pairs, tmp_path, seed=int(random.integers(5))))
        else:
            refused += 1
            with pytest.raises(DatasetError, match=r"one group|no way|one class"):
                split(pairs, tmp_path)
    assert 0 < refused < 75


def can_be_dealt(pairs: Pairs) -> bool:
    """True where some choice of groups for test leaves every label on both sides."""
    groups = sorted({group for _, group in pairs})
    of_label = defaultdict(set)
    for label, group in pairs:
        of_label[label].add(groups.index(group))
    return len(of_label) > 1 and any(
        all(len({choice >> group & 1 for group in there}) == 2 for there in of_label.values())
        for choice in range(2 ** len(groups))
    )


def test_a_label_that_must_stand_on_both_sides_but_cannot_is_named(tmp_path: Path) -> None:
    triangle = [("a", "1"), ("a", "2"), ("b", "2"), ("b", "3"), ("c", "1"), ("c", "3")]
    with pytest.raises(DatasetError, match="no way to deal"):
        split(triangle, tmp_path, train=0.5, val=0, test=0.5)


@pytest.mark.parametrize("name", ["9 people, 10 actions", "UCF101"])
def test_the_shares_are_near_what_was_asked_for(tmp_path: Path, name: str) -> None:
    dealt = split(SETS[name], tmp_path, train=0.6, val=0.2, test=0.2)
    shares = Counter(name for _, _, name in dealt)
    for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert abs(shares[part] / len(dealt) - share) < 0.06
    if name == "UCF101":
        tested = Counter(label for label, _, part in dealt if part == "test")
        everyone = Counter(label for label, _, _ in dealt)
        assert all(0.1 < tested[label] / everyone[label] < 0.3 for label in everyone)


def test_a_share_of_zero_stays_empty(tmp_path: Path) -> None:
    dealt = split(people(3, 10), tmp_path, train=0.7, val=0, test=0.3)
    assert {name for _, _, name in dealt} == {"train", "test"}


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    first, again, other = (split(people(4, 20), tmp_path, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_split_does_not_depend_on_the_order_of_the_clips(tmp_path: Path) -> None:
    clips = clips_of(people(4, 20))
    there = split_clips(clips, SplitParams(), tmp_path / "a.csv")
    back = split_clips(clips[::-1], SplitParams(), tmp_path / "b.csv")
    assert there.tolist() == back[::-1].tolist()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_one_video_under_two_names_in_two_groups_is_refused(tmp_path: Path) -> None:
    clips = clips_of(people(2, 10))
    split_clips(clips, SplitParams(), tmp_path / "splits.csv")
    sides = read_splits(tmp_path / "splits.csv")
    train = next(clip for clip in clips if sides[clip.clip_id] == "train")
    test = next(clip for clip in clips if sides[clip.clip_id] == "test")
    copies = [
        Clip(clip.clip_id, clip.label, clip.group, "f" * 64, 1) if clip in (train, test) else clip
        for clip in clips
    ]
    with pytest.raises(DatasetError, match="are the same video") as raised:
        split_clips(copies, SplitParams(), tmp_path / "other.csv")
    assert train.clip_id in str(raised.value)
    assert test.clip_id in str(raised.value)
    assert not (tmp_path / "other.csv").exists()


def test_a_label_with_one_group_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="All clips of lonely are of one group"):
        split([*people(2, 5), ("lonely", "x"), ("lonely", "x")], tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="one class only"):
        split(people(1, 5), tmp_path)


def test_classes_with_few_clips_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    clips = clips_of([*people(2, 6), ("hop", "person0"), ("jump", "person1")])
    said: list[str] = []
    splits = split_clips(clips, SplitParams(min_clips=2), tmp_path / "splits.csv", said.append)
    assert [one.label for one, code in zip(clips, splits, strict=True) if code == NO_SPLIT] == [
        "hop", "jump"
    ]  # fmt: skip
    assert set(read_splits(tmp_path / "splits.csv")) == {one.clip_id for one in clips[:12]}
    assert said[0] == (
        "2 classes have fewer clips than split.min_clips (2), and 2 of 14 clips are left out with "
        "them: hop, jump."
    )
    with pytest.raises(DatasetError, match="fewer than two classes have as many clips: lower it"):
        split_clips(clips, SplitParams(min_clips=7), tmp_path / "splits.csv", said.append)


def pair_of(one: Clip, other: Clip) -> NearCopy:
    """Two clips as copies."""
    videos = (Video(clip.clip_id, clip.label, clip.group, clip.digest) for clip in (one, other))
    return NearCopy(*videos, 0.9)


def test_copies_of_one_video_stand_in_one_split_where_groups_are_dealt(tmp_path: Path) -> None:
    clips, said = clips_of(people(3, 12)), []
    plain = split_clips(clips, SplitParams(), tmp_path / "plain.csv")
    names = [clip.clip_id for clip in clips]
    apart = [(one, two) for one in range(12) for two in range(one) if plain[one] != plain[two]]
    copies = [pair_of(clips[one], clips[two]) for one, two in apart[:3]]
    splits = split_clips(clips, SplitParams(), tmp_path / "tied.csv", said.append, copies)
    assert all(splits[one] == splits[two] for one, two in apart[:3])
    (note,) = [sentence for sentence in said if "are copies" in sentence]
    assert note.startswith("3 pairs of videos of different groups")
    assert f"{names[apart[0][0]]} = {names[apart[0][1]]}" in note


def test_where_no_copy_is_known_the_split_is_the_same_bytes(tmp_path: Path) -> None:
    clips = clips_of(people(3, 12))
    split_clips(clips, SplitParams(), tmp_path / "plain.csv")
    gone = [pair_of(replace(clips[1], digest="f" * 64), clips[0])]  # of an index that was
    split_clips(clips, SplitParams(), tmp_path / "again.csv", copies=gone)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_splits_that_are_given_stay_and_their_copies_are_named(tmp_path: Path) -> None:
    clips = [
        replace(clip, split="test" if clip.group == "person0" else "train")
        for clip in clips_of(people(3, 12))
    ]
    copies, said = [pair_of(clips[0], clips[1])], []
    column = SplitParams(method="column")
    plain = split_clips(clips, column, tmp_path / "plain.csv")
    tied = split_clips(clips, column, tmp_path / "tied.csv", said.append, copies)
    assert (tied[[clip.group == "person0" for clip in clips]] == 2).all()
    assert ((tied == 2) == (plain == 2)).all()
    assert "1 pair of videos in different splits are copies" in " ".join(said)


def test_copies_that_leave_no_way_to_deal_are_named_as_the_reason(tmp_path: Path) -> None:
    clips = clips_of(people(2, 2))
    copies = [pair_of(clips[0], clips[1])]
    with pytest.raises(DatasetError, match=r"reports/near_copies\.csv"):
        split_clips(clips, SplitParams(), tmp_path / "splits.csv", copies=copies)
