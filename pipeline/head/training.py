"""Training a head: its branches one by one, then what each of them is worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.head.batches import clip_weights
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.calibration import fit_offsets, share_right
from pipeline.head.descriptors import DESCRIPTORS
from pipeline.head.fit import Epoch, Fit, fit, unseen_logits
from pipeline.head.held_out import HeldOut, Reference, learn_reference
from pipeline.head.inference import Head
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.linear import FOLDS, LinearBranch, LinearFit, fit_linear
from pipeline.head.loop import new_loop
from pipeline.head.params import TrainParams
from pipeline.head.sequences import Features
from pipeline.head.shares import Folds, inner_folds, learn_shares, scorable
from pipeline.head.streams import IDENTITY, MIRROR, needed, views_of
from pipeline.head.thresholds import choose_thresholds

NETWORK_FOLDS = 3  # of the training clips, to learn the network's share from: each is a training


@dataclass(frozen=True)
class TrainedHead:
    """A head, and how its training went.

    Attributes
    ----------
    head : as it scores clips
    fit : of the network; None where the head has none
    accuracies : of each branch by name, over training clips that it had not seen; None where no
        inner folds could be dealt, or none were needed
    linear : its linear branches as they were solved; None where it has not all of them
    reference : what a new clip is held against, of training clips that were held out; of a network
        alone of the validation clips; None where there are none, or where several labels may hold
    thresholds : (K,) float64, the logit from which on each label holds, by the same clips; None
        where one label holds
    """

    head: Head
    fit: Fit | None
    accuracies: dict[str, float | None]
    linear: LinearFit | None
    reference: Reference | None = None
    thresholds: np.ndarray | None = None


def train_head(
    features: Features,
    train: LabelledClips,
    val: LabelledClips,
    params: TrainParams,
    *,
    state: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> TrainedHead:
    """Train a head. Equal arguments give equal weights, interrupted or not.

    The linear branches are solved first, and choose whether clips are seen mirrored too. The shares
    of all branches are learnt on inner folds of the training clips, for the network by
    `unseen_logits`. A network alone has the share 1, and the mirror wherever it is cached.

    Parameters
    ----------
    val : decides which epoch of the network is kept, and what is usual for a network alone; may be
        empty
    state, on_epoch : of the training on all clips, see `pipeline.head.fit.fit`; the inner
        trainings are done again after an interruption
    say : told in words what is being done
    """
    branches = params.shape.branches
    descriptors = tuple(name for name in DESCRIPTORS if name in branches)
    linear = None
    mirror = MIRROR in features.readings
    if descriptors:
        balanced = params.imbalance != "none"
        linear = fit_linear(features, train, descriptors, balanced=balanced, seed=params.seed)
        mirror = linear.mirror
    views = views_of(features.readings, mirror)
    if NETWORK_BRANCH not in branches:
        views = tuple(view for view in views if view in (IDENTITY, MIRROR))
    shares = np.ones(1)
    accuracies: list[float | None] = [None]
    held: HeldOut | None = None
    loop = None
    if NETWORK_BRANCH in branches:
        loop = new_loop(features, train, params, views)
    if linear:
        known = train.take(linear.chosen)
        unseen, told = linear.unseen, linear.scorable
        if loop:
            say("learning what the network is worth")
            folds = inner_folds(known.strata, known.groups, NETWORK_FOLDS, params.seed)
            logits = np.zeros(unseen.shape[1:], np.float32)
            if folds:
                logits = unseen_logits(loop, known, folds)
            unseen = np.stack([logits, *unseen])
            told = told & scorable(known.labels, folds)
        shares, accuracies = _worth(unseen[:, told], known.take(told), params)
        if told.any():
            added = (shares[:, None, None] * unseen[:, told]).swapaxes(0, 1)
            fold_of = _fold_of(linear.folds, len(known))[told]
            held = HeldOut(added, known.labels[told], fold_of)
    branches_of_all = linear.branches if linear else ()
    if train.several and held is not None:
        branches_of_all, held = _with_offsets(branches_of_all, shares, held)
    fitted = fit(loop, train, val, state=state, on_epoch=on_epoch) if loop else None
    names = [
        *([NETWORK_BRANCH] if NETWORK_BRANCH in branches else []),
        *(branch.name for branch in (linear.branches if linear else ())),
    ]
    head = Head(
        classes=len(train.classes),
        readings=needed(features.readings, views),
        shares=dict(zip(names, shares.tolist(), strict=True)),
        linear=branches_of_all,
        forward=fitted.forward if fitted else None,
        views=views,
        mirror=mirror,
        windowing=params.windowing,
    )
    if held is None and len(val) and (folds := inner_folds(val.strata, val.groups, FOLDS, 0)):
        added = head.contributions(features.clip(i) for i in val.positions)
        held = HeldOut(added, val.labels, _fold_of(folds, len(val)))
    complete = linear is not None and len(descriptors) == len(DESCRIPTORS)
    return TrainedHead(
        head,
        fitted,
        dict(zip(names, accuracies, strict=True)),
        linear if complete else None,
        learn_reference(held) if held and not train.several else None,
        _thresholds(held, len(train.classes)) if train.several else None,
    )


def _with_offsets(
    branches: tuple[LinearBranch, ...], shares: np.ndarray, held: HeldOut
) -> tuple[tuple[LinearBranch, ...], HeldOut]:
    """The branches with an offset for each label, within the bias of the one that counts most.

    Where none counts the network is all, and has learnt its own.
    """
    ours = shares[len(shares) - len(branches) :]
    most = int(np.argmax(ours))
    if not ours[most]:
        return branches, held
    offsets = fit_offsets(held.contributions.sum(axis=1), held.labels)
    bias = (branches[most].bias + offsets / ours[most]).astype(np.float32)
    moved = replace(branches[most], bias=bias)
    added = held.contributions.copy()
    added[:, len(shares) - len(branches) + most] += offsets
    return (*branches[:most], moved, *branches[most + 1 :]), replace(held, contributions=added)


def _thresholds(held: HeldOut | None, classes: int) -> np.ndarray:
    """The logit from which on each label holds: (K,) float64."""
    if held is None:
        return np.zeros(classes)
    return choose_thresholds(held.contributions.sum(axis=1), held.labels)


def _fold_of(folds: Folds, clips: int) -> np.ndarray:
    """The fold in which each clip was scored: (n,) int64."""
    fold_of = np.zeros(clips, np.int64)
    for fold, (_, scored) in enumerate(folds):
        fold_of[scored] = fold
    return fold_of


def _worth(
    unseen: np.ndarray, clips: LabelledClips, params: TrainParams
) -> tuple[np.ndarray, list[float | None]]:
    """The share of each branch, and its accuracy, by scores (B, n, K) for clips it had not seen."""
    weights = np.ones(len(clips))
    if params.imbalance != "none" and len(clips):
        weights = clip_weights(clips.labels, len(clips.classes))
    accuracies = [share_right(scores, clips.labels) if len(clips) else None for scores in unseen]
    return learn_shares(unseen, clips.labels, weights), accuracies
