"""Copies of one video are found among clips of other groups; other takes of an action are not."""

from dataclasses import replace

import numpy as np
from clips_in_memory import ClipsInMemory, make_clips

from pipeline.frames.flow import mirrored
from pipeline.head.near_copies import courses, likeness, near_copies


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


def found(clips: ClipsInMemory) -> list[tuple[int, int]]:
    return near_copies(clips, np.arange(len(clips.rows)), clips.groups)


def test_a_copy_is_found_and_takes_of_one_action_are_not() -> None:
    clips = make_clips("order", groups=4, takes=2)
    assert found(clips) == []
    assert found(with_copy(clips, 3, mirror=False)) == [(3, 16)]
    assert found(with_copy(clips, 5, mirror=True, late=1)) == [(5, 16)]


def test_copies_within_a_group_are_no_leak() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 3, mirror=False)
    groups = clips.groups.copy()
    groups[16] = groups[3]
    assert found(replace(clips, groups=groups)) == []


def test_without_motion_nothing_is_compared() -> None:
    clips = with_copy(make_clips("order", groups=4, takes=2), 3, mirror=False)
    rows = [{"identity": clip["identity"]} for clip in clips.rows]
    assert found(replace(clips, rows=rows)) == []


def test_a_picture_that_stands_still_is_like_nothing() -> None:
    clips = make_clips("nothing", groups=2, takes=1)
    still = {name: np.repeat(values[:1], 9, axis=0) for name, values in clips.rows[0].items()}
    one = courses(still)
    assert likeness(one, one) < 0.1
