"""Scores against values worked out by hand."""

import numpy as np
import pytest

from pipeline.evaluation.metrics import (
    Interval,
    Outcome,
    accuracy_interval,
    bootstrap_interval,
    class_scores,
    confusion_counts,
    expected_calibration_error,
    frequent_confusions,
    macro_f1,
    measure,
    reliability,
    top_k,
    top_k_accuracy,
)

ACTUAL = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def test_class_scores_by_hand():
    walk, run, wave = class_scores(ACTUAL, PREDICTED, ["walk", "run", "wave"])
    assert (walk.clips, walk.precision, walk.recall) == (3, 1.0, pytest.approx(2 / 3))
    assert walk.f1 == pytest.approx(0.8)
    assert walk.accuracy == pytest.approx(5 / 6)  # only the third clip is on the wrong side
    assert (run.precision, run.recall, run.f1) == (0.5, 0.5, 0.5)
    assert run.accuracy == pytest.approx(4 / 6)
    assert (wave.precision, wave.recall) == (0.5, 1.0)
    assert macro_f1(ACTUAL, PREDICTED) == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_without_test_clips_scores_zero_and_stays_in_the_list():
    scores = class_scores(np.array([0, 0]), np.array([0, 0]), ["walk", "run"])
    assert [s.label for s in scores] == ["walk", "run"]
    assert (scores[1].clips, scores[1].f1, scores[1].accuracy) == (0, 0.0, 1.0)


def test_confusions():
    counts = confusion_counts(ACTUAL, PREDICTED, 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert frequent_confusions(counts, 5) == [(0, 1, 1), (1, 2, 1)]


def test_top_k_takes_the_first_of_equals_and_may_exceed_the_classes():
    probabilities = np.array([[0.2, 0.4, 0.4], [0.6, 0.3, 0.1]])
    assert top_k(probabilities, 2).tolist() == [[1, 2], [0, 1]]
    assert top_k_accuracy(probabilities, np.array([2, 1]), 1) == 0.0
    assert top_k_accuracy(probabilities, np.array([2, 2]), 2) == 0.5
    assert top_k_accuracy(probabilities, np.array([0, 2]), 5) == 1.0


def test_calibration_error_by_hand():
    confidence = np.array([1.0, 1.0, 0.55, 0.55])
    correct = np.array([True, True, True, False])
    # Half of the clips are sure and right; the other half say 55 % and are right in 50 %.
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.5 * 0.05)
    binned = reliability(confidence, correct, bins=10)
    assert binned.clips.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert binned.accuracy[5] == 0.5
    assert np.isnan(binned.accuracy[0])


def test_a_bin_includes_its_upper_edge():
    assert reliability(np.array([0.2, 0.0]), np.array([1, 1]), bins=5).clips.tolist()[0] == 2


def test_bootstrap_of_clips_comes_near_the_normal_interval():
    values = np.repeat([1.0, 0.0], [300, 100])
    interval = bootstrap_interval(values, samples=4000)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert interval == Interval(
        pytest.approx(0.75 - half, abs=0.006), pytest.approx(0.75 + half, abs=0.006)
    )
    assert interval == bootstrap_interval(values, samples=4000)


def test_groups_that_stand_or_fall_together_widen_the_interval():
    values = np.repeat([1.0, 1.0, 0.0, 1.0], 25)
    groups = np.repeat(["anna", "bert", "carl", "dora"], 25)
    clips = bootstrap_interval(values, samples=2000)
    people = bootstrap_interval(values, groups, samples=2000)
    assert people.high - people.low > 2 * (clips.high - clips.low)
    # Resampling four people, each all right or all wrong, can only give quarters.
    assert people.low * 4 == round(people.low * 4)


def test_nothing_to_resample_gives_no_interval():
    assert bootstrap_interval(np.ones(5), np.zeros(5), samples=100) is None
    assert bootstrap_interval(np.ones(1), samples=100) is None
    assert bootstrap_interval(np.ones(5), samples=0) is None


def test_equal_values_are_no_reason_for_an_interval_without_width():
    assert bootstrap_interval(np.zeros(8), samples=100) is None
    assert bootstrap_interval(np.ones(8), np.arange(8) // 2, samples=100) is None


@pytest.mark.parametrize("right", [0, 8])
def test_an_interval_of_few_clips_is_wide_also_where_all_are_alike(right: int):
    correct = np.arange(8) < right
    clips = accuracy_interval(correct)
    groups = accuracy_interval(correct, np.arange(8) // 2)
    assert clips.high - clips.low == pytest.approx(0.3244, abs=1e-4)
    assert groups.high - groups.low == pytest.approx(0.4899, abs=1e-4)  # of 4, not of 8
    assert accuracy_interval(correct, np.zeros(8)) is None


def test_groups_whose_clips_are_alike_count_once_and_others_as_their_clips():
    correct = np.repeat([True, True, True, False], 10)
    alike = accuracy_interval(correct, np.repeat(np.arange(4), 10))
    assert alike == accuracy_interval(correct[::10])
    spread = accuracy_interval(correct, np.tile(np.arange(10), 4))
    assert spread == accuracy_interval(correct)


def test_intervals_over_groups_cover_what_they_should():
    random = np.random.default_rng(0)
    groups, truth, covered, tried = np.repeat(np.arange(12), 8), 0.8, 0, 400
    for _ in range(tried):
        chance = random.beta(4 * truth, 4 * (1 - truth), 12)  # people differ
        interval = accuracy_interval(random.random(96) < chance[groups], groups)
        covered += interval.low <= truth <= interval.high
    assert covered / tried > 0.9


def test_wilson_interval_of_ten_out_of_ten():
    interval = accuracy_interval(np.ones(10))
    assert interval.low == pytest.approx(0.7225, abs=1e-4)  # n / (n + z^2)
    assert interval.high == 1.0


def test_head_against_baseline_is_paired():
    outcome = Outcome(
        labels=("a", "b"),
        clip_ids=np.array(["1", "2", "3", "4"]),
        groups=np.array(["x", "x", "y", "y"]),
        actual=np.array([0, 0, 1, 1]),
        probabilities=np.eye(2)[[0, 0, 1, 0]],
        baseline=np.array([0, 1, 0, 1]),
        ordered_baseline=np.array([0, 0, 1, 1]),
    )
    measured = measure(outcome, samples=500)
    comparison = measured.comparison
    assert (comparison.only_head, comparison.only_baseline) == (2, 1)
    assert comparison.difference == 0.25
    assert comparison.over_clips.low < 0.25 < comparison.over_clips.high
    assert (measured.head.accuracy, measured.baseline.accuracy) == (0.75, 0.5)
    assert measured.ordered_baseline.accuracy == 1.0
    assert measured.confusion.tolist() == [[2, 0], [1, 1]]
    assert measured.calibration_error == 0.25  # always sure, right in three of four


def test_counts_are_whole_numbers_also_where_nothing_is_right() -> None:
    scores = class_scores(np.array([0, 0, 1]), np.array([1, 1, 0]), ["walk", "run"])
    assert [(row.clips, type(row.clips)) for row in scores] == [(2, int), (1, int)]
