"""The scores of timelines, against examples that were worked out by hand."""

import numpy as np
import pytest

from pipeline.timeline.scores import (
    UNKNOWN,
    Segment,
    average_precision,
    edit_score,
    f1_of,
    found,
    mean_average_precision,
    score_video,
    segments_of,
)

#          0  1  2  3  4  5  6  7  8  9
ACTUAL = [0, 0, 1, 1, 1, 1, 0, 2, 2, 2]
PREDICTED = [0, 1, 1, 1, 2, 1, 0, 0, 2, 2]


def test_a_video_is_scored_as_the_papers_do() -> None:
    """True segments but for the background 0: 1 in 2-6, 2 in 7-10.

    Predicted: 1 in 1-4 (shares 2 of 5 frames with the true 1), 2 in 4-5 (nothing of its label
    there: 0), 1 in 5-6 (1 of 4), 2 in 8-10 (2 of 3).
    """
    scores = score_video(np.array(PREDICTED), np.array(ACTUAL), 3, background=0)
    assert (scores.right, scores.frames) == (7, 10)
    assert scores.accuracy == 0.7
    # 1 2 1 2 against 1 2: two are deleted, of four
    assert scores.edit == 0.5
    # at 0.1 and 0.25: the first 1 hits, the second finds it taken; the last 2 hits
    assert scores.counts[0].sum(axis=0).tolist() == [2, 2, 0]
    assert scores.counts[1].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0]]
    # at 0.5 only the last 2
    assert scores.counts[2].tolist() == [[0, 0, 0], [0, 2, 1], [1, 1, 0]]
    assert scores.f1 == pytest.approx([2 * 2 / (2 * 2 + 2), 4 / 6, 2 / (2 + 3 + 1)])


def test_without_a_background_its_segments_count_too() -> None:
    scores = score_video(np.array(ACTUAL), np.array(ACTUAL), 3)
    assert scores.counts.sum(axis=1).tolist() == [[4, 0, 0]] * 3
    assert scores.edit == scores.accuracy == 1


def test_what_nobody_knows_is_cut_out() -> None:
    """The first segment of 1 is whole again without the unknown middle, the 2 there is unseen."""
    actual = np.array([1, 1, UNKNOWN, UNKNOWN, 1, 1])
    predicted = np.array([1, 1, 2, 2, 1, 0])
    scores = score_video(predicted, actual, 3, background=0)
    assert (scores.right, scores.frames) == (3, 4)
    assert scores.edit == 1
    assert scores.counts[2].sum(axis=0).tolist() == [2, 0, 0]


def test_a_video_in_which_nothing_happens() -> None:
    nothing = np.zeros(5, int)
    scores = score_video(nothing, nothing, 2, background=0)
    assert (scores.edit, scores.counts.sum()) == (1, 0)
    made_up = score_video(np.array([0, 1, 1, 0, 0]), nothing, 2, background=0)
    assert (made_up.edit, made_up.counts[0].sum(axis=0).tolist()) == (0, [0, 1, 0])
    assert f1_of(np.zeros(3)) == 0


@pytest.mark.parametrize(
    ("first", "second", "score"),
    [("kitten", "sitting", 1 - 3 / 7), ("", "", 1), ("abc", "", 0), ("abab", "baba", 0.5)],
)
def test_the_edit_score_is_levenshteins(first: str, second: str, score: float) -> None:
    assert edit_score([ord(one) for one in first], [ord(one) for one in second]) == score
    assert edit_score([ord(one) for one in second], [ord(one) for one in first]) == score


def test_a_true_segment_is_found_once() -> None:
    halves = [Segment(0, 0, 5), Segment(0, 5, 10), Segment(1, 0, 10)]
    hits, hit = found(halves, [Segment(0, 0, 10)], 0.5)
    assert (hits.tolist(), hit.tolist()) == ([True, False, False], [True])


def test_segments_have_the_mean_confidence_of_their_frames() -> None:
    confidence = np.array([0.5, 0.7, 0.9, 0.1])
    rows = segments_of(np.array([1, 1, 0, 2]), np.ones(4, bool), 0, confidence)
    assert [(one.label, one.start, one.stop) for one in rows] == [(1, 0, 2), (2, 3, 4)]
    assert [one.confidence for one in rows] == pytest.approx([0.6, 0.1])


def test_average_precision_by_hand() -> None:
    """From the surest down: right, wrong (taken), right, in two videos with three segments.

    Recall 1/3, 1/3, 2/3 at precision 1, 1/2, 2/3: the area is 1/3 * 1 + 1/3 * 2/3.
    """
    actual = [[Segment(0, 0, 10), Segment(0, 20, 30)], [Segment(0, 0, 4)]]
    predicted = [[Segment(0, 0, 8, 0.9), Segment(0, 1, 9, 0.8)], [Segment(0, 0, 3, 0.7)]]
    assert average_precision(predicted, actual, 0.5) == pytest.approx(1 / 3 + 2 / 9)
    assert average_precision(predicted, actual, 0.8) == pytest.approx(1 / 3)
    assert average_precision([[], []], actual, 0.5) == 0


def test_the_mean_is_over_the_classes_that_are_there() -> None:
    actual = [[Segment(0, 0, 10), Segment(2, 10, 20)]]
    predicted = [[Segment(0, 0, 10, 0.9), Segment(1, 10, 20, 0.9)]]
    assert mean_average_precision(predicted, actual) == pytest.approx([0.5] * 5)
    assert mean_average_precision(predicted, [[]]).tolist() == [0] * 5
