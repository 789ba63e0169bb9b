"""What training minimises, and how: the loss of each window, AdamW and its learning rate."""

from typing import TYPE_CHECKING, Any

from pipeline.head.params import TrainParams

if TYPE_CHECKING:
    import keras

GRADIENT_LIMIT = 5.0  # norm to which the gradient of one weight array is clipped


def make_optimizer(params: TrainParams, steps: int) -> "keras.optimizers.Optimizer":
    """AdamW, with a warm-up and cosine decay to 0 over `steps` batches, or a constant rate.

    Biases and the parameters of batch normalisation do not decay. AdamW: Loshchilov and Hutter,
    2019, https://arxiv.org/abs/1711.05101
    """
    import keras

    warmup = max(1, round(params.warmup * steps))
    rate = params.learning_rate
    if params.schedule == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(
            rate / warmup, max(steps - warmup, 1), warmup_target=rate, warmup_steps=warmup
        )
    else:
        schedule = rate
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=params.weight_decay, clipnorm=GRADIENT_LIMIT
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def losses_of(logits: Any, targets: Any, params: TrainParams) -> Any:
    """(B, K), (B, K) -> (B,): cross entropy or focal loss.

    Focal: Lin et al., 2017, https://arxiv.org/abs/1708.02002, with soft targets.
    """
    import tensorflow as tf

    log_probability = tf.nn.log_softmax(logits)
    cost = -targets * log_probability
    if params.loss == "focal":
        cost *= (1.0 - tf.exp(log_probability)) ** params.focal_gamma
    return tf.reduce_sum(cost, axis=1)
