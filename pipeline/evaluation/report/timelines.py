"""The section of the report on long videos: truth above prediction, as strips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.dataset.clips import BACKGROUND
from pipeline.evaluation.report.page import between, percent
from pipeline.evaluation.timelines import (
    DECODED,
    MAJORITY,
    WINDOWS,
    MeasuredTimelines,
    Part,
    TimelineScores,
)
from pipeline.wording import count

MOST_VIDEOS = 40
GOLDEN_ANGLE = 137.508  # degrees between the hues of neighbours, which makes them unlike
WAYS = {DECODED: "decoded windows", WINDOWS: "windows alone", MAJORITY: "most frequent label"}


def timelines_in_words(measured: MeasuredTimelines) -> str:
    """The decoded windows beside the baselines, in a sentence."""
    f1 = {way: scores.f1[-1] for way, scores in measured.scores.items()}
    interval = measured.intervals["f1_50"]
    over = f" (95 % interval over groups {between(interval)})" if interval else ""
    return (
        f"On {count(len(measured.videos), 'test video')} with "
        f"{count(int(measured.class_segments.sum()), 'segment')} F1@50 is "
        f"{percent(f1[DECODED])}{over}, of the windows without a decoder {percent(f1[WINDOWS])}, "
        f"of the most frequent label {percent(f1[MAJORITY])}; "
        f"{percent(measured.scores[DECODED].accuracy)} of the frames are labelled right. "
        f"Of those of annotated actions `predict` calls {percent(measured.none)} none of these."
    )


@dataclass(frozen=True)
class TimelineSection:
    """What the template shows."""

    measured: MeasuredTimelines

    @property
    def ways(self) -> list[tuple[str, TimelineScores]]:
        """The scores by the name of the way."""
        return [(name, self.measured.scores[way]) for way, name in WAYS.items()]

    @property
    def colours(self) -> list[tuple[str, str]]:
        """Label and colour, in the order of the labels."""
        return [
            (label, "#d4d4d4" if label == BACKGROUND else f"hsl({i * GOLDEN_ANGLE % 360:.0f} 55% "
             f"{62 if i % 2 else 48}%)")
            for i, label in enumerate(self.measured.labels)
        ]  # fmt: skip

    @property
    def videos(self) -> list[dict[str, Any]]:
        """Each of the first test videos with its strips."""
        return [
            {
                "name": video.name,
                "seconds": video.seconds,
                "accuracy": video.scores[DECODED].accuracy,
                "f1": float(video.scores[DECODED].f1[-1]),
                "strips": [
                    ("annotated", self._strip(video.truth, video.seconds)),
                    ("predicted", self._strip(video.predicted, video.seconds)),
                ],
            }
            for video in self.measured.videos[:MOST_VIDEOS]
        ]

    @property
    def more(self) -> int:
        """Videos that are not shown."""
        return max(len(self.measured.videos) - MOST_VIDEOS, 0)

    def _strip(self, parts: Sequence[Part], seconds: float) -> list[dict[str, str]]:
        colours = dict(self.colours)
        return [
            {
                "x": f"{1000 * start / seconds:.2f}",
                "width": f"{1000 * (end - start) / seconds:.2f}",
                "colour": colours[label],
                "title": f"{label}, {start:.1f} to {end:.1f} s",
            }
            for label, start, end in parts
            if label
        ]
