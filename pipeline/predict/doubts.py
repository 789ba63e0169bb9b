"""Signs that an answer may be wrong, as sentences for whoever reads it."""

from pipeline.predict.prediction import UNSURE, Prediction

SURE = 0.6  # probability; below, there is a word of warning
CLOSE = 0.15  # between the two most probable labels


def doubts(prediction: Prediction) -> list[str]:
    """Why the answer may be wrong; empty where nothing speaks against it."""
    said = []
    (first, share), *others = prediction.top(2)
    if prediction.label == UNSURE:
        said.append(
            f"The model is unsure: its best guess, {first}, has {share:.0%}, below the "
            f"{prediction.threshold:.0%} that are asked for."
        )
    elif others and share - others[0][1] < CLOSE:
        said.append(
            f"The model wavers between {first} ({share:.0%}) and {others[0][0]} "
            f"({others[0][1]:.0%})."
        )
    elif share < SURE:
        said.append(f"The model is unsure: it gives {first} no more than {share:.0%}.")
    if prediction.frames == 1:
        said.append(
            "A single picture shows no motion: a video of a few seconds tells the model more."
        )
    return said
