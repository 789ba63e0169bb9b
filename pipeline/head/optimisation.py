"""What training minimises, and how: the loss of each window, AdamW and its learning rate."""

from typing import TYPE_CHECKING, Any

from pipeline.head.params import TrainParams

if TYPE_CHECKING:
    import keras

GRADIENT_LIMIT = 5.0  # norm to which the gradient of one weight array is clipped


class Length:
    """How many batches a training has: in variables, so that a compiled step serves any number.

    Compiling takes as long as some trainings.
    """

    def __init__(self, params: TrainParams, steps: int) -> None:
        import tensorflow as tf

        self._params = params
        self.first, self.warmup, self.decay = (
            tf.Variable(1.0, trainable=False) for _ in ("first rate", "batches", "batches")
        )
        self.set(steps)

    def set(self, steps: int) -> None:
        """From now on the schedule is that of a training of so many batches."""
        warmup = max(1, round(self._params.warmup * steps))
        self.first.assign(self._params.learning_rate / warmup)
        self.warmup.assign(warmup)
        self.decay.assign(max(steps - warmup, 1))


def make_optimizer(params: TrainParams, length: Length) -> "keras.optimizers.Optimizer":
    """AdamW, with a warm-up and cosine decay to 0 over the length, or a constant rate.

    Biases and the parameters of batch normalisation do not decay. AdamW: Loshchilov and Hutter,
    2019, https://arxiv.org/abs/1711.05101
    """
    import keras

    rate = params.learning_rate
    if params.schedule == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(
            length.first, length.decay, warmup_target=rate, warmup_steps=length.warmup
        )
    else:
        schedule = rate
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=params.weight_decay, clipnorm=GRADIENT_LIMIT
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def losses_of(logits: Any, targets: Any, params: TrainParams, *, several: bool = False) -> Any:
    """(B, K), (B, K) -> (B,): cross entropy or focal loss, of each label where several may hold.

    Focal: Lin et al., 2017, https://arxiv.org/abs/1708.02002, with soft targets.
    """
    import tensorflow as tf

    if several:
        cost = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
        if params.loss == "focal":
            chance = tf.sigmoid(logits)
            cost *= tf.abs(targets - chance) ** params.focal_gamma
        return tf.reduce_sum(cost, axis=1)
    log_probability = tf.nn.log_softmax(logits)
    cost = -targets * log_probability
    if params.loss == "focal":
        cost *= (1.0 - tf.exp(log_probability)) ** params.focal_gamma
    return tf.reduce_sum(cost, axis=1)
