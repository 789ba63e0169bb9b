"""The two baselines that every evaluation prints.

The *frame mean* sees no order and no motion: embeddings are averaged over all frames of a clip,
standardised, and given to a multinomial logistic regression with scikit-learn's default penalty
(C = 1). The *ordered baseline* sees both: the linear branches of all streams, with shares learnt on
inner folds, and no recurrent network. Where several labels may hold, each label has a regression of
its own, and a threshold from the training clips that it had not seen, as the head's.
"""

from collections.abc import Iterable

import numpy as np

from pipeline.evaluation.multi_label.scores import Judgement
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.linear import FOLDS, LinearFit, OrderedBaseline, fit_linear
from pipeline.head.sequences import Features
from pipeline.head.shares import inner_folds
from pipeline.head.thresholds import choose_thresholds

ITERATIONS = 1000
CERTAIN = 50.0  # log-odds that nothing exceeds


def frame_means(features: Features, positions: Iterable[int], view: str = "identity") -> np.ndarray:
    """The mean embedding of each clip: (C, D) float32. Reads one clip at a time."""
    means = (features.clip(i)[view].mean(axis=0, dtype=np.float32) for i in positions)
    return np.stack(list(means))


def baseline_predictions(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Train on the frame means of some clips, predict others.

    Parameters
    ----------
    train : (n, D) frame means
    labels : (n,) int classes of `train`
    test : (m, D) frame means

    Returns
    -------
    (m,) int classes
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if len(np.unique(labels)) < 2:
        return np.full(len(test), labels[0])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with threadpool_limits(1):  # its steps are so small that threads take twice as long
        return model.fit(train, labels).predict(test)


def ordered_predictions(
    features: Features,
    train: LabelledClips,
    test: LabelledClips,
    solved: OrderedBaseline | None = None,
) -> np.ndarray:
    """What the ordered baseline says of `test`: (m,) int classes.

    Parameters
    ----------
    solved : the baseline, where a head that was trained on `train` has it; None to solve it here
    """
    solved = solved or fit_linear(features, train).alone()
    return np.array([solved.logits(features.clip(i)).argmax() for i in test.positions], np.int64)


def baseline_judgement(
    train: np.ndarray, clips: LabelledClips, test: np.ndarray
) -> Judgement:  # fmt: skip
    """What the frame mean says where several labels may hold: the log-odds of each.

    Parameters
    ----------
    train : (n, D) frame means of `clips`
    test : (m, D) frame means
    """
    unseen = np.zeros(clips.labels.shape)
    for learnt, scored in inner_folds(clips.strata, clips.groups, FOLDS, 0):
        unseen[scored] = _log_odds(train[learnt], clips.labels[learnt], train[scored])
    scores = _log_odds(train, clips.labels, test)
    return Judgement(scores, scores >= choose_thresholds(unseen, clips.labels))


def _log_odds(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """A logistic regression for each label: (m, K) float64; constant where all or none have it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(train)
    known, new = scaler.transform(train), scaler.transform(test)
    scores = np.empty((len(test), labels.shape[1]))
    with threadpool_limits(1):  # as above
        for label, held in enumerate(labels.T):
            if len(np.unique(held)) < 2:
                scores[:, label] = np.inf if held[0] else -np.inf
                continue
            model = LogisticRegression(max_iter=ITERATIONS).fit(known, held)
            scores[:, label] = model.decision_function(new)
    return np.clip(scores, -CERTAIN, CERTAIN)


def ordered_judgement(
    features: Features,
    train: LabelledClips,
    test: LabelledClips,
    solved: LinearFit | None = None,
) -> Judgement:
    """What the ordered baseline says of `test` where several labels may hold.

    Parameters
    ----------
    solved : on `train`; None to solve it here
    """
    solved = solved or fit_linear(features, train)
    baseline, told = solved.alone(), solved.scorable
    known = train.take(solved.chosen).take(told)
    unseen = np.tensordot(solved.shares, solved.unseen[:, told], 1)
    scores = np.stack([baseline.logits(features.clip(i)) for i in test.positions])
    return Judgement(scores, scores >= choose_thresholds(unseen, known.labels))
