"""The fit loop: one head, one set of clips, every source of chance seeded.

A moving average of the weights is what is validated and kept (Polyak and Juditsky, 1992,
https://doi.org/10.1137/0330046).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.head.batches import batch_size, training_batches
from pipeline.head.build import Head, build_head, measure_statistics
from pipeline.head.calibration import cross_entropy
from pipeline.head.checkpoint import read_state, write_state
from pipeline.head.inference import clip_logits, forward_function, views_of
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.optimisation import losses_of, make_optimizer
from pipeline.head.params import TrainParams, choose_views
from pipeline.head.sequences import Embeddings, Windowing, even_windows, read_window
from pipeline.quiet import import_tensorflow

MEASURED_CLIPS = 2000  # at most this many training clips set the shortcut's standardisation


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training clips gave; `val_` values are None without such clips."""

    epoch: int  # from 1
    loss: float  # of the batches, with augmentation, weights and branches
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
    head : with the weights that were kept
    logits : clips of the same feature set -> their logits by the head, (n, K) float32, in the
        windows and views that `params` test with
    history : all epochs, those before an interruption too
    best : the epoch whose weights were kept, from 1
    resumed : the number of epochs that an earlier, interrupted run had done
    """

    head: Head
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
    features: Embeddings,
    train: LabelledClips,
    val: LabelledClips,
    params: TrainParams,
    *,
    state: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a head. Equal arguments give equal weights, interrupted or not.

    With validation clips the weights of the epoch with the lowest validation loss are kept and
    `params.patience` may end the training early; without, those of the last epoch.

    Parameters
    ----------
    val : may be empty
    state : file that holds the run's state after every epoch; where it exists, the run goes on
        from there. The caller sees to it that it belongs to the same run, and removes it.
    on_epoch : called after every epoch, before its state is written; epochs that an interrupted
        run had done are told again first

    Raises
    ------
    FeaturesError
        When the settings name a view that the features lack.
    """
    _, test_views = choose_views(params, features.views)
    classes = len(train.classes)
    head = build_head(params.shape, params.steps, features.dimension, classes, params.seed)
    _measure(head, features, train, params)
    loop = _Loop(head, features, train, params)
    forward = forward_function(head.model)

    def logits_of(clips: LabelledClips) -> np.ndarray:
        values = views_of(features, clips.positions, test_views)
        return clip_logits(forward, values, params.windowing, classes)

    result = Fit(head, logits_of)
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
                val_accuracy = float((logits.argmax(axis=1) == val.labels).mean())
            if val_loss is None or val_loss < best_loss:
                best = [variable.numpy() for variable in head.model.variables]
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
    for variable, value in zip(head.model.variables, best, strict=True):
        variable.assign(value)
    return result


def _stalled(result: Fit, val: LabelledClips, params: TrainParams) -> bool:
    if params.patience is None or not len(val) or not result.history:
        return False
    return len(result.history) - result.best >= params.patience


def _measure(
    head: Head, features: Embeddings, train: LabelledClips, params: TrainParams
) -> None:  # fmt: skip
    """Set the shortcut's standardisation from the middle window of evenly chosen clips."""
    chosen = np.linspace(0, len(train) - 1, min(len(train), MEASURED_CLIPS)).astype(int)
    middle = Windowing(params.steps, params.rates, 1)

    def windows(clips: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        taken = [
            read_window(features, i, (rows := even_windows(int(features.lengths[i]), middle))[
                len(rows) // 2]) for i in clips
        ]  # fmt: skip
        values, masks = zip(*taken, strict=True)
        return np.stack(values), np.stack(masks)

    measure_statistics(head.model, train.positions[chosen].tolist(), windows)


class _Loop:
    """The compiled training step with the state that it changes: weights, optimizer, average."""

    def __init__(
        self, head: Head, features: Embeddings, train: LabelledClips, params: TrainParams
    ) -> None:
        import tensorflow as tf

        self.head, self.features, self.train, self.params = head, features, train, params
        batches = -(-len(train) // batch_size(params, len(train)))
        self.optimizer = make_optimizer(params, batches * params.epochs)
        self.optimizer.build(head.branches.trainable_variables)
        self.average = [
            tf.Variable(weight.numpy(), trainable=False)
            for weight in head.branches.trainable_variables
        ]
        self.step = self._compile()

    def _compile(self) -> Any:
        import tensorflow as tf

        head, optimizer, average, params = self.head, self.optimizer, self.average, self.params
        weights = head.branches.trainable_variables

        def step(values: Any, mask: Any, targets: Any, scale: Any) -> Any:
            with tf.GradientTape() as tape:
                outputs = head.branches([values, mask], training=True)
                logits, *branches = outputs if isinstance(outputs, list) else [outputs]
                losses = losses_of(logits, targets, params)
                for branch in branches:
                    losses += params.branch_loss * losses_of(branch, targets, params)
                loss = tf.reduce_mean(scale * losses)
            gradients = tape.gradient(loss, [weight.value for weight in weights])
            optimizer.apply(gradients, weights)
            # short at first, so that the fresh weights are soon forgotten
            done = tf.cast(optimizer.iterations.value, tf.float32)
            decay = tf.minimum(params.averaging, (1.0 + done) / (10.0 + done))
            for mean, weight in zip(average, weights, strict=True):
                mean.assign(decay * mean + (1.0 - decay) * weight.value)
            right = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
            return loss, tf.reduce_mean(tf.cast(right, tf.float32))

        return tf.function(step, autograph=False)

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """Train on every batch of an epoch, counted from 0; mean loss and accuracy."""
        import tensorflow as tf

        results = []
        for batch in training_batches(self.features, self.train, self.params, epoch):
            arrays = (batch.embeddings, batch.mask, batch.targets, batch.weights)
            results.append(self.step(*(tf.constant(array) for array in arrays)))
        loss, accuracy = np.mean([[float(a), float(b)] for a, b in results], axis=0)
        return float(loss), float(accuracy)

    def learning_rate(self) -> float:
        """The rate that the next step will use."""
        return float(np.asarray(self.optimizer.learning_rate))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the head holds the averaged weights."""
        weights = self.head.branches.trainable_variables
        kept = [weight.numpy() for weight in weights]
        for weight, mean in zip(weights, self.average, strict=True):
            weight.assign(mean.numpy())
        yield
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)

    def _variables(self) -> list[Any]:
        return [*self.head.branches.variables, *self.optimizer.variables, *self.average]

    def arrays(self, best: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Everything that changes while training, and the best weights so far."""
        now = {f"now_{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        return {**now, **{f"best_{i}": value for i, value in enumerate(best)}}

    def restore(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The reverse of `arrays`: set the variables, return the best weights."""
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"now_{i}"])
        return [arrays[f"best_{i}"] for i in range(len(self.head.model.variables))]
