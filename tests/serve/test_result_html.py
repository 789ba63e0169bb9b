"""What the page shows of a prediction: a row of the chart for every label of the timeline."""

import numpy as np

from pipeline.predict.prediction import Prediction, Window
from pipeline.serve.answers import Recognised
from pipeline.serve.result_html import TOP, curves, result_html

LABELS = ("bend", "jack", "jump", "run", "skip", "walk", "wave")


def test_a_label_of_the_timeline_has_a_row_however_improbable_for_the_whole_clip() -> None:
    whole = np.array([0.4, 0.3, 0.1, 0.08, 0.06, 0.04, 0.02])
    late = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    windows = (Window(0, 2, whole, "bend", 0.4), Window(2, 4, late, "wave", 1.0))
    prediction = Prediction("day.avi", LABELS, whole, frames=32, seconds=4.0, windows=windows)
    assert [curve.label for curve in curves(prediction, LABELS)] == [*LABELS[:TOP], "wave"]
    assert result_html(Recognised("video", prediction), LABELS).count("<svg") == TOP + 1
