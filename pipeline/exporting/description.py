"""What whoever uses an export must know; it travels inside the file and beside it."""

from typing import Any

from pipeline import __version__
from pipeline.head.model_card import ModelCard
from pipeline.store.extractor_spec import ExtractorSpec

RESIZE = {
    "stretch": "to size x size, whatever the shape",
    "crop": "the middle square, then to size x size",
    "pad": "the longer side to size, the rest black on both sides",
}
SCALING = (
    "while the picture is at least twice as high and wide as wanted, halve it (mean of 2 x 2 "
    "pixels); then bilinear, with pixel centres at half-integers (cv2.INTER_LINEAR)"
)


def describe(card: ModelCard, kind: str, precision: str) -> dict[str, Any]:
    """Labels, inputs and rules of an export of this model, as JSON-ready values."""
    extractor, steps = ExtractorSpec(**card.extractor), card.windowing.steps
    size = extractor.input_size
    return {
        "clipcache": __version__,
        "format": kind,
        "precision": precision,
        "labels": list(card.labels),
        "inputs": {
            "frames": {"shape": [steps, size, size, 3], "dtype": "uint8", "colour": "RGB"},
            "valid": {
                "shape": [],
                "dtype": "int32",
                "meaning": "how many of the frames count, from the first; fill up with the last",
            },
        },
        "output": {"probabilities": {"shape": [len(card.labels)], "dtype": "float32"}},
        "steps": steps,
        "input_size": size,
        "resize": {"rule": extractor.resize, "meaning": RESIZE[extractor.resize],
                   "scaling": SCALING},
        "sampling": {
            **card.sampling,
            "meaning": "a frame is taken when it is the first at or after a multiple of 1 / fps "
            "seconds from the first frame (fps null: every frame); of a clip with more than "
            "max_frames every 2nd, 4th, 8th, ... of those",
        },
        "windows": {
            "count": card.windowing.count,
            "meaning": "of a clip with more frames than steps, `count` windows of consecutive "
            "frames at even distances from the first to the last (more where that would leave "
            "frames out); the clip's probabilities are the softmax of the mean over windows of "
            "the logarithms of their probabilities",
        },
        "inside": {
            "temperature": card.temperature,
            "views": list(card.views),
            "preprocessing": extractor.preprocessing,
        },
        "backbone": card.backbone,
        "head": card.files.get("head.keras", ""),
    }  # fmt: skip
