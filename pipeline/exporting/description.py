"""What whoever uses an export must know; it travels inside the file and beside it."""

from typing import Any

from pipeline import __version__
from pipeline.exporting.inputs import FRAMES, VALID, exported_windows, input_shapes
from pipeline.frames.motion import DIFFERENCE_DISTANCE, FLOW_DISTANCE
from pipeline.frames.neighbours import LONGEST_GAP, SIZE
from pipeline.frames.streams import DIFFERENCE, FLOW
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
AROUND = (
    "of two frames around the sampled one: that nearest to {0:g} s before it, and that nearest to "
    "{1:g} s after the first of the two (to {0:g} s after the sampled one where there is none "
    f"before); the sampled one stands for one that is not there, over {LONGEST_GAP:g} s away or "
    f"behind a cut; both made {SIZE} x {SIZE} by the rule in `resize`; "
)
MEANING = {
    FRAMES: "the sampled frames of the window, made square by the rule in `resize`",
    FLOW: AROUND.format(FLOW_DISTANCE, 2 * FLOW_DISTANCE) + "made grey, DIS optical flow (OpenCV, "
    "preset fast) in picture widths a second, as histograms of flow and of motion boundaries: 3 "
    "fields x 4 x 4 cells x 8 directions, the mean over a cell's pixels of the lengths of the "
    "vectors in that direction; zeros where the two frames are one",
    DIFFERENCE: AROUND.format(DIFFERENCE_DISTANCE, 2 * DIFFERENCE_DISTANCE) + "twice the absolute "
    "difference of each pixel, at most 255",
    VALID: "how many rows of the other inputs count, from the first; fill up with the last",
}


def describe(card: ModelCard, kind: str, precision: str) -> dict[str, Any]:
    """Labels, inputs and rules of an export of this model, as JSON-ready values."""
    extractor, windowing = ExtractorSpec(**card.extractor), exported_windows(card)
    return {
        "clipcache": __version__,
        "format": kind,
        "precision": precision,
        "labels": list(card.labels),
        "inputs": {
            name: {"shape": list(shape), "dtype": dtype, "meaning": MEANING[name]}
            | ({"colour": "RGB"} if dtype == "uint8" else {})
            for name, (shape, dtype) in input_shapes(card).items()
        },
        **({} if card.thresholds is None else {"thresholds": list(card.thresholds)}),
        "output": {"probabilities": {"shape": [len(card.labels)], "dtype": "float32"}},
        "steps": windowing.steps,
        "input_size": extractor.input_size,
        "resize": {"rule": extractor.resize, "meaning": RESIZE[extractor.resize],
                   "scaling": SCALING},
        "sampling": {
            **card.sampling,
            "meaning": "a frame is taken when it is the first at or after a multiple of 1 / fps "
            "seconds from the first frame (fps null: every frame); of a clip with more than "
            "max_frames every 2nd, 4th, 8th, ... of those",
        },
        "windows": {
            "count": windowing.count,
            "meaning": "of a clip with more frames than steps, `count` windows of consecutive "
            "frames at even distances from the first to the last (more where that would leave "
            "frames out); of their probabilities the clip's are the "
            + ("sigmoid of the mean of the log-odds" if card.several
               else "softmax of the mean of the logarithms"),
        },
        "inside": {
            "temperature": card.temperature,
            "readings": list(card.readings),
            "views": list(card.views),
            "mirror": card.mirror,
            "preprocessing": extractor.preprocessing,
        },
        "backbone": card.backbone,
        "head": card.files.get("head.keras", ""),
    }  # fmt: skip
