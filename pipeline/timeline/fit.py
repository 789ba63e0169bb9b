"""Fitting the decoder: what a change of label costs, how long stretches are, how wide to look."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.dataset.clips import ClipTable
from pipeline.head.calibration import fit_temperature
from pipeline.head.held_out import Reference
from pipeline.head.inference import Head
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.model_card import Decoder
from pipeline.store.feature_files import FeatureSet
from pipeline.timeline.long_videos import (
    LongVideo,
    clip_seconds,
    end_to_end,
    row_seconds,
    tiled_videos,
)
from pipeline.timeline.scores import UNKNOWN, f1_of, score_video
from pipeline.timeline.spans import Span, decoded, decoded_runs
from pipeline.timeline.windows import Windows, windows_of

WINDOWS = (0.7, 0.5, 0.35, 1.0)  # of the typical length of a stretch; the first where all are alike
COSTS = (0.5, 0.25, 1.0, 2.0)  # nats, for windows that do not overlap
LEAST_ROWS = 6  # of a window: the statistics compare rows that lie four apart
LEAST_SPREAD = 0.5  # so that a stretch of half the typical length costs a nat at most
MOST_ROWS = 5000  # to fit on: ten minutes at the usual rate
PLATEAU = 0.01  # of F1, which is not worth leaving what is usual for


def typical_length(seconds: Sequence[float]) -> tuple[float, float]:
    """The median of a log-normal distribution of lengths, and the deviation of the logarithm."""
    logarithms = np.log(seconds)
    return float(np.exp(logarithms.mean())), max(float(logarithms.std()), LEAST_SPREAD)


def learn_decoder(
    head: Head,
    features: FeatureSet,
    clips: ClipTable,
    train: LabelledClips,
    val: LabelledClips,
    reference: Reference | None = None,
    *,
    calibrate: bool = True,
) -> Decoder:
    """The decoder of a trained head.

    The lengths of stretches are those of the training clips, or of the stretches of the videos that
    they tile; all else is fitted on the videos that the validation clips tile, or on those clips
    end to end.

    Parameters
    ----------
    reference : what tells how odd clips are; None where nothing does
    """
    long = tiled_videos(features, clips, train)
    seconds = [length for video in long for _, length in video.stretches()]
    usual = usual_decoder(
        features, train, seconds or [clip_seconds(features, i) for i in train.positions]
    )
    videos = tiled_videos(features, clips, val) if long else end_to_end(features, val)
    return fit_decoder(head, features, videos, usual, reference, calibrate=calibrate)


def usual_decoder(features: FeatureSet, clips: LabelledClips, seconds: Sequence[float]) -> Decoder:
    """The decoder where there is nothing to fit it on.

    Parameters
    ----------
    clips, seconds : that were trained on, and the lengths of the stretches among them
    """
    typical, spread = typical_length(seconds)
    least = LEAST_ROWS * row_seconds(features, int(clips.positions[0]))
    return Decoder(max(WINDOWS[0] * typical, least), COSTS[0], typical, spread)


def fit_decoder(
    head: Head,
    features: FeatureSet,
    videos: Sequence[LongVideo],
    usual: Decoder,
    reference: Reference | None = None,
    *,
    calibrate: bool = True,
) -> Decoder:
    """The window and the cost under which the mean F1 of the segments is best, in these videos.

    What is hardly better than the usual ones is not chosen. The temperature is that of the windows,
    the oddness that of the stretches whose label is right for most of their time.

    Parameters
    ----------
    videos : that the head was not trained on; not all of very many are looked at
    usual : with the lengths of stretches; returned where there are no videos
    reference : what tells how odd clips are; None where nothing does
    """
    videos = _some(features, videos)
    if not videos:
        return usual
    least = LEAST_ROWS * row_seconds(features, int(videos[0].positions[0]))
    widths = dict.fromkeys(max(share * usual.typical, least) for share in WINDOWS)
    found: list[tuple[float, Decoder]] = []
    looks = {}
    for window in widths:
        seen = looks[window] = [
            windows_of(head, one.parts(features), one.length, window) for one in videos
        ]
        temperature = _temperature(seen, videos) if calibrate else 1.0
        for cost in COSTS:
            decoder = Decoder(window, cost, usual.typical, usual.spread, temperature)
            found.append((_f1(features, videos, seen, decoder, head.classes), decoder))
    best = max(score for score, _ in found)

    def unusual(decoder: Decoder) -> float:
        sides = (decoder.window / usual.window, decoder.cost / usual.cost)
        return float(np.square(np.log(sides)).sum())

    chosen = min((one for score, one in found if score >= best - PLATEAU), key=unusual)
    if reference is None:
        return chosen
    return replace(chosen, oddness=_oddness(looks[chosen.window], videos, chosen, reference))


def labels_at(spans: Sequence[Span], labels: Sequence[str], times: np.ndarray) -> np.ndarray:
    """The class of the span at each time: (T,) int64; the nearest one's where there is none."""
    number = {label: i for i, label in enumerate(labels)}
    starts = [span.start for span in spans]
    place = np.searchsorted(starts, times + 1e-6, side="right").clip(1) - 1
    return np.array([number[span.label] for span in spans])[place]


def _some(features: FeatureSet, videos: Sequence[LongVideo]) -> list[LongVideo]:
    """Of the videos an even part with about `MOST_ROWS` rows, at least one of them."""
    rows = [int(features.lengths[one.positions].sum()) for one in videos]
    step = max(1, round(sum(rows) / MOST_ROWS))
    return list(videos[::step])


def _temperature(seen: Sequence[Sequence[Windows]], videos: Sequence[LongVideo]) -> float:
    truths = [
        video.truth(part.places.mean(axis=1))
        for video, parts in zip(videos, seen, strict=True)
        for part in parts
    ]
    truth = np.concatenate(truths)
    logits = np.concatenate([part.logits for parts in seen for part in parts])
    return fit_temperature(logits[truth != UNKNOWN], truth[truth != UNKNOWN])


def _oddness(
    seen: Sequence[Sequence[Windows]],
    videos: Sequence[LongVideo],
    decoder: Decoder,
    reference: Reference,
) -> float | None:
    """By how much stretches with the right label are odder than clips, 0 where they are not."""
    odd = []
    for video, parts in zip(videos, seen, strict=True):
        for part in parts:
            seconds = np.diff(part.edges)
            truth = video.truth(part.places.mean(axis=1))
            for first, stop, label in decoded_runs(part, decoder):
                right = seconds[first:stop] @ (truth[first:stop] == label)
                if right > seconds[first:stop].sum() / 2:
                    odd.append(reference.odd(part.mean(first, stop)[None])[0])
    return max(float(np.mean(odd) - reference.oddness.mean()), 0.0) if odd else None


def _f1(
    features: FeatureSet,
    videos: Sequence[LongVideo],
    seen: Sequence[Sequence[Windows]],
    decoder: Decoder,
    classes: int,
) -> float:
    """The mean of F1 over its overlaps, of all segments of all videos."""
    labels = [str(i) for i in range(classes)]
    counts = 0
    for video, parts in zip(videos, seen, strict=True):
        times = video.times(features)
        predicted = labels_at(decoded(parts, decoder, labels), labels, times)
        counts = counts + score_video(predicted, video.truth(times), classes).counts.sum(axis=1)
    return float(f1_of(np.asarray(counts)).mean())
