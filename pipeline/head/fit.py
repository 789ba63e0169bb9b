"""The fit loop of the network: one network, one set of clips, every source of chance seeded.

The moving average of the weights is what is validated and kept.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.head.calibration import cross_entropy, share_right
from pipeline.head.checkpoint import read_state, write_state
from pipeline.head.inference import Forward
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.loop import Loop, diverged
from pipeline.head.params import TrainParams
from pipeline.head.shares import Folds
from pipeline.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

UNSEEN_EPOCHS = 0.5  # share of the epochs for what only tells what the network is worth


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training clips gave; `val_` values are None without such clips."""

    epoch: int  # from 1
    loss: float  # of the batches, with augmentation and weights
    accuracy: float  # of the batches
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass
class Fit:
    """The state of a training run, and its result once `run` has returned.

    Attributes
    ----------
    network : with the weights that were kept
    forward : the network as a function of arrays
    logits : clips of the same feature set -> their logits by the network, (n, K) float32
    history : all epochs, those before an interruption too
    best : the epoch whose weights were kept, from 1
    resumed : the number of epochs that an earlier, interrupted run had done
    """

    network: "keras.Model"
    forward: Forward
    logits: Callable[[LabelledClips], np.ndarray]
    history: list[Epoch] = field(default_factory=list)
    best: int = 0
    resumed: int = 0


def set_up_tensorflow(threads: int | None = None) -> None:
    """Make TensorFlow deterministic, and keep it to `threads` threads (None: all cores).

    Threads can only be set before TensorFlow first computes; later calls leave them.
    """
    import_tensorflow()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            return


def fit(
    loop: Loop,
    train: LabelledClips,
    val: LabelledClips,
    *,
    state: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a network. Equal arguments give equal weights, interrupted or not.

    With validation clips the weights of the epoch with the lowest validation loss are kept and
    `params.patience` may end the training early; without, those of the last epoch.

    Parameters
    ----------
    loop : from `pipeline.head.loop.new_loop`; it may have served other trainings
    val : may be empty
    state : file that holds the run's state after every epoch; where it exists, the run goes on
        from there. The caller sees to it that it belongs to the same run, and removes it.
    on_epoch : called after every epoch, before its state is written; epochs that an interrupted
        run had done are told again first

    Raises
    ------
    TrainingError
        When loss or weights are no numbers any more.
    """
    params, network, logits_of = loop.params, loop.network, loop.logits
    loop.begin(train, params.epochs)
    result = Fit(network, loop.forward, logits_of)
    best: list[np.ndarray] = []
    best_loss = np.inf
    if state and (saved := read_state(state)):
        arrays, notes = saved
        best = loop.restore(arrays)
        result.history = [Epoch(**row) for row in notes["history"]]
        result.best, result.resumed = notes["best"], len(result.history)
        best_loss = notes["best_loss"] if notes["best_loss"] is not None else np.inf
        if on_epoch:
            for epoch in result.history:
                on_epoch(epoch)
    while len(result.history) < params.epochs and not _stalled(result, val, params):
        started = time.perf_counter()
        loss, accuracy = loop.run_epoch(len(result.history))
        val_loss = val_accuracy = None
        with loop.averaged():
            if len(val):
                logits = logits_of(val)
                val_loss = cross_entropy(logits, val.labels)
                if not np.isfinite(val_loss):
                    raise diverged(params, len(result.history) + 1)
                val_accuracy = share_right(logits, val.labels)
            if val_loss is None or val_loss < best_loss:
                best = [variable.numpy() for variable in network.variables]
                best_loss = np.inf if val_loss is None else val_loss
                result.best = len(result.history) + 1
        result.history.append(
            Epoch(
                len(result.history) + 1,
                loss,
                accuracy,
                val_loss,
                val_accuracy,
                loop.learning_rate(),
                time.perf_counter() - started,
            )
        )
        if on_epoch:
            on_epoch(result.history[-1])
        if state:
            notes = {
                "history": [asdict(epoch) for epoch in result.history],
                "best": result.best,
                "best_loss": best_loss if np.isfinite(best_loss) else None,
            }
            write_state(state, loop.arrays(best), notes)
    for variable, value in zip(network.variables, best, strict=True):
        variable.assign(value)
    return result


def unseen_logits(loop: Loop, clips: LabelledClips, folds: Folds) -> np.ndarray:
    """The logits of networks for clips that they were not trained on: (n, K) float32.

    One network for each fold, all with the same initial weights, trained without validation for
    `UNSEEN_EPOCHS` of the epochs.
    """
    epochs = max(1, round(UNSEEN_EPOCHS * loop.params.epochs))
    logits = np.zeros((len(clips), len(clips.classes)), np.float32)
    for learnt, scored in folds:
        loop.begin(clips.take(learnt), epochs)
        for epoch in range(epochs):
            loop.run_epoch(epoch)
        with loop.averaged():
            logits[scored] = loop.logits(clips.take(scored))
    return logits


def _stalled(result: Fit, val: LabelledClips, params: TrainParams) -> bool:
    if params.patience is None or not len(val) or not result.history:
        return False
    return len(result.history) - result.best >= params.patience
