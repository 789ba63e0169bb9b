"""The two baselines that every evaluation prints.

The *frame mean* sees no order and no motion: embeddings are averaged over all frames of a clip,
standardised, and given to a multinomial logistic regression with scikit-learn's default penalty
(C = 1). The *ordered baseline* sees both: the linear branches of all streams, with shares learnt on
inner folds, and no recurrent network.
"""

from collections.abc import Iterable

import numpy as np

from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.linear import OrderedBaseline, fit_linear
from pipeline.head.sequences import Features

ITERATIONS = 1000


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
