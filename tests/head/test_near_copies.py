"""Copies are candidates among videos of other groups, and the likeliest ones."""

from dataclasses import replace

import numpy as np
import pytest
from clips_in_memory import ClipsInMemory, make_clips

from pipeline.frames.flow import mirrored
from pipeline.head.near_copies import LIKELIEST, candidates, compared, course


def with_copy(clips: ClipsInMemory, row: int, mirror: bool, late: int = 0) -> ClipsInMemory:
    """The clips and a noisy copy of one of them, which has a group of its own."""
    random = np.random.default_rng(1)
    copy = {}
    for name, values in clips.rows[row].items():
        seen = values[late:].astype(np.float32)
        if mirror and name.startswith("flow"):
            seen = mirrored(seen)
        copy[name] = (seen + 0.1 * random.normal(size=seen.shape)).astype(np.float16)
    return ClipsInMemory(
        [*clips.rows, copy],
        np.append(clips.labels, clips.labels[row]),
        np.append(clips.groups, clips.groups.max() + 1),
    )


def alone(clips: ClipsInMemory) -> list[np.ndarray]:
    """Each clip as a video of its own."""
    return list(np.arange(len(clips.rows))[:, None])


def found(clips: ClipsInMemory) -> list[tuple[int, int]]:
    pairs = candidates(clips, alone(clips), clips.groups)
    return [(pair.one, pair.other) for pair in pairs]


def test_a_copy_is_the_likeliest_candidate() -> None:
    clips = make_clips("order", groups=4, takes=2)
    assert found(with_copy(clips, 3, mirror=False))[0] == (3, 16)
    assert found(with_copy(clips, 5, mirror=True))[0] == (5, 16)


def test_a_copy_that_begins_later_is_found_at_its_shift() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 5, mirror=True, late=1)
    pair = candidates(clips, alone(clips), clips.groups)[0]
    assert (pair.one, pair.other, pair.shift) == (5, 16, 1)


def test_copies_within_a_group_are_no_leak() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 3, mirror=False)
    groups = clips.groups.copy()
    groups[16] = groups[3]
    assert (3, 16) not in found(replace(clips, groups=groups))


def test_pictures_alone_name_candidates_as_well() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 3, mirror=False)
    rows = [{"identity": clip["identity"]} for clip in clips.rows]
    assert found(replace(clips, rows=rows))[0] == (3, 16)


def test_of_many_alike_only_the_likeliest_are_candidates() -> None:
    clips = make_clips("order", groups=4, takes=2)
    for _ in range(9):
        clips = with_copy(clips, 3, mirror=False)
    pairs = found(clips)
    alike = [pair for pair in pairs if pair[0] == 3 or pair[0] >= 16]
    assert LIKELIEST * 3 <= len(alike) <= LIKELIEST * 10


def test_a_picture_that_stands_still_is_like_nothing() -> None:
    clips = make_clips("nothing", groups=2, takes=1)
    still = {name: np.repeat(values[:1], 9, axis=0) for name, values in clips.rows[0].items()}
    one = course([still])
    assert compared(one, one)[0] < 0.1


def test_a_video_in_pieces_is_compared_as_a_whole() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 3, mirror=False)
    pieces = [{name: values[part] for name, values in clips.rows[3].items()}
              for part in (slice(0, 4), slice(4, None))]  # fmt: skip
    there = replace(clips, rows=[*clips.rows, *pieces])
    videos = [*alone(clips)[:3], np.array([17, 18]), *alone(clips)[4:]]
    whole, cut = (candidates(there, parts, clips.groups)[0] for parts in (alone(clips), videos))
    assert (cut.one, cut.other, cut.shift) == (whole.one, whole.other, whole.shift) == (3, 16, 0)
    assert cut.likeness == pytest.approx(whole.likeness, abs=1e-3)


def test_no_more_of_a_long_video_is_looked_at_than_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = make_clips("order", groups=2, takes=1)
    monkeypatch.setattr("pipeline.head.near_copies.LONGEST", 5)
    assert len(course(clips.rows[:2])) == 5
