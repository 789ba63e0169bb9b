"""The compiled training step of a network, and what it changes.

Beside the weights it keeps their moving average (Polyak and Juditsky, 1992,
https://doi.org/10.1137/0330046).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import TrainingError
from pipeline.head.batches import batch_size, training_batches
from pipeline.head.build import build_network
from pipeline.head.inference import Forward, clip_logits, forward_function
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.optimisation import Length, losses_of, make_optimizer
from pipeline.head.params import TrainParams
from pipeline.head.sequences import Features
from pipeline.head.streams import network_streams, side_by_side

if TYPE_CHECKING:
    import keras


def new_loop(
    features: Features, train: LabelledClips, params: TrainParams, views: Sequence[str]
) -> "Loop":
    """The loop of a fresh network; see `Loop`.

    Parameters
    ----------
    views : that training draws from, and over which logits are averaged
    """
    streams, classes = network_streams(features.readings), len(train.classes)
    network = build_network(params.shape, params.steps, streams, classes, params.seed)
    return Loop(network, features, train, params, views)


def diverged(params: TrainParams, epoch: int) -> TrainingError:
    """What is said when loss or weights are no numbers any more."""
    causes = [f"train.learning_rate ({params.learning_rate:g})"]
    causes += [
        f"train.{name} ({value:g})"
        for name in ("weight_decay", "noise", "mixup", "focal_gamma")
        if (value := getattr(params, name)) > TrainParams.model_fields[name].default
    ]
    return TrainingError(
        f"Training diverged in epoch {epoch}: the loss or the weights are no numbers any more. "
        f"Lower {' or '.join(causes)}; nothing of this training is kept."
    )


class Loop:
    """The compiled training step with the state that it changes: weights, optimizer, average.

    One loop serves any number of trainings, each begun by `begin`.
    """

    def __init__(
        self,
        network: "keras.Model",
        features: Features,
        train: LabelledClips,
        params: TrainParams,
        views: Sequence[str],
    ) -> None:
        import tensorflow as tf

        self.network, self.features = network, features
        self.params, self.views = params, views
        self._length = Length(params, 1)
        self.optimizer = make_optimizer(params, self._length)
        self.optimizer.build(network.trainable_variables)
        self.average = [
            tf.Variable(weight.numpy(), trainable=False) for weight in network.trainable_variables
        ]
        self.step = self._compile(train.several)
        self._fresh = self.arrays([])
        self.begin(train, params.epochs)

    @cached_property
    def forward(self) -> Forward:
        """The network as a function of arrays, with the weights of the moment."""
        return forward_function(self.network)

    def logits(self, clips: LabelledClips) -> np.ndarray:
        """What the network says of clips of the feature set: (n, K) float32."""
        streams = tuple(network_streams(self.features.readings))
        read = (self.features.clip(i) for i in clips.positions)
        rows = ({view: side_by_side(clip, streams, view) for view in self.views} for clip in read)
        return clip_logits(self.forward, rows, self.params.windowing, len(clips.classes))

    def begin(self, train: LabelledClips, epochs: int) -> None:
        """A training of so many epochs on these clips, from the initial weights."""
        self.train = train
        batches = -(-len(train) // batch_size(self.params, len(train)))
        self._length.set(batches * epochs)
        self.restore(self._fresh)

    def _compile(self, several: bool) -> Any:
        import tensorflow as tf

        network, optimizer, average, params = (
            self.network,
            self.optimizer,
            self.average,
            self.params,
        )
        weights = network.trainable_variables

        def step(values: Any, mask: Any, targets: Any, scale: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = network([values, mask], training=True)
                loss = tf.reduce_mean(scale * losses_of(logits, targets, params, several=several))
            gradients = tape.gradient(loss, [weight.value for weight in weights])
            optimizer.apply(gradients, weights)
            # short at first, so that the fresh weights are soon forgotten
            done = tf.cast(optimizer.iterations.value, tf.float32)
            decay = tf.minimum(params.averaging, (1.0 + done) / (10.0 + done))
            for mean, weight in zip(average, weights, strict=True):
                mean.assign(decay * mean + (1.0 - decay) * weight.value)
            if several:
                right = tf.equal(logits > 0, targets > 0.5)
            else:
                right = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
            return loss, tf.reduce_mean(tf.cast(right, tf.float32))

        return tf.function(step, autograph=False)

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """Train on every batch of an epoch, counted from 0; mean loss and accuracy.

        Raises
        ------
        TrainingError
            When loss or weights are no numbers any more.
        """
        import tensorflow as tf

        results = []
        for batch in training_batches(self.features, self.train, self.params, self.views, epoch):
            arrays = (batch.embeddings, batch.mask, batch.targets, batch.weights)
            results.append(self.step(*(tf.constant(array) for array in arrays)))
        loss, accuracy = np.mean([[float(a), float(b)] for a, b in results], axis=0)
        weights = self.network.trainable_variables
        if not (np.isfinite(loss) and all(np.isfinite(weight.numpy()).all() for weight in weights)):
            raise diverged(self.params, epoch + 1)
        return float(loss), float(accuracy)

    def learning_rate(self) -> float:
        """The rate that the next step will use."""
        return float(np.asarray(self.optimizer.learning_rate))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the network holds the averaged weights."""
        weights = self.network.trainable_variables
        kept = [weight.numpy() for weight in weights]
        for weight, mean in zip(weights, self.average, strict=True):
            weight.assign(mean.numpy())
        yield
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)

    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables, *self.average]

    def arrays(self, best: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Everything that changes while training, and the best weights so far."""
        now = {f"now_{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        return {**now, **{f"best_{i}": value for i, value in enumerate(best)}}

    def restore(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The reverse of `arrays`: set the variables, return the best weights, if any."""
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"now_{i}"])
        return [arrays[name] for i in range(len(arrays)) if (name := f"best_{i}") in arrays]
