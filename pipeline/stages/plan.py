"""What the stage `features` would do, before it does it: `clipcache features --plan`."""

import math
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.backbone.folder import BACKBONE, read_backbone
from pipeline.dataset.clips import ClipTable
from pipeline.embedding.engines import TIMING_ENGINES, choose_engine
from pipeline.embedding.executors import EmbeddingSetup, available_cores
from pipeline.embedding.forecast import (
    FEATURE_BYTES,
    ROW_BYTES,
    SAMPLE,
    Amount,
    Speed,
    Work,
    estimate_work,
    measure_speed,
    row_estimate,
)
from pipeline.embedding.params import FeaturesParams
from pipeline.embedding.plan import Place, Plan, make_plan
from pipeline.frames.storage import is_url
from pipeline.frames.video import Sampling, sample_frames
from pipeline.params import Params
from pipeline.progress import Progress
from pipeline.store.cache import EmbeddingCache, embeddings_folder
from pipeline.store.extractor_spec import ExtractorSpec
from pipeline.store.feature_files import FEATURES

MOST_WORKERS = 1024  # in the table
SHORT = 60.0  # seconds of a run that more workers need not make shorter


def plan_features(
    params: Params,
    clips: ClipTable,
    *,
    files: Mapping[str, Sequence[str]] | None = None,
    backbone: Path = BACKBONE,
    folder: Path = FEATURES,
) -> list[str]:
    """Compare the clips with the cache, measure the speed on a few of them, and add it up.

    Writes nothing, also not into the cache.

    Returns
    -------
    Lines for people.
    """
    settings = params.features
    engine, _ = choose_engine(settings.engine)
    extractor = ExtractorSpec.of(read_backbone(backbone), settings.resize, settings.precision)
    if engine in TIMING_ENGINES:
        extractor = ExtractorSpec(engine, extractor.input_size, settings.resize, settings.precision)
    recipe = EmbeddingSetup(engine, backbone, extractor, settings.sampling)
    place = Place(params.dataset.place, files or {}, params.dataset.frames_fps)
    with Progress("plan", len(clips), "clips") as progress:
        caches = {
            view: EmbeddingCache(extractor, view, progress.say, read_only=True)
            for view in settings.views
        }
        plan = make_plan(clips, caches, recipe.sampling, place, advance=progress.advance)
    work = estimate_work(plan, recipe.sampling)
    kept = row_estimate(_cached_rows(clips, caches["identity"], recipe.sampling), plan.cached)
    lines = [*_coverage(plan, work, len(clips)), *_amounts(plan, work, kept, settings, folder)]
    if plan.videos:
        speed = measure_speed(work, recipe, workers=settings.workers, timeout=settings.clip_timeout)
        lines += _times(work, speed, settings, engine)
    if is_url(str(place.raw)) or any(is_url(job.source.files[0]) for job in work.examples):
        lines.append("Fetching the files comes on top: their seconds are not in these numbers.")
    return lines


def _cached_rows(
    clips: ClipTable, cache: EmbeddingCache, sampling: Sampling, seed: int = 0
) -> Iterator[int]:
    """Rows of the feature files of those of a sample of the clips that are cached."""
    rows = random.Random(seed).sample(range(len(clips)), min(SAMPLE, len(clips)))
    for row in sorted(rows):
        clip = clips[row]
        cached = cache.find(clip.digest)
        if cached is not None:
            yield len(sample_frames(cached.timeline, sampling, clip.start, clip.end))


def _coverage(plan: Plan, work: Work, clips: int) -> list[str]:
    share = plan.cached / clips if clips else 1.0
    lines = [f"{clips:,} clips: {plan.cached:,} from the cache ({share:.0%}), "
             f"{clips - plan.cached:,} to embed."]  # fmt: skip
    if work.estimated > work.sampled:
        lines.append(
            f"Lengths are from the headers of {work.sampled:,} of {work.estimated:,} videos; "
            "± is the 95 % interval."
        )
    if work.unreadable:
        lines.append(f"{work.unreadable:,} of {work.sampled:,} headers cannot be read.")
    return lines


def _amounts(
    plan: Plan, work: Work, kept: Amount, settings: FeaturesParams, folder: Path
) -> list[str]:
    views = len(settings.views)
    cache = embeddings_folder()
    features = (work.rows.value + kept.value) * (views * ROW_BYTES + FEATURE_BYTES)
    rows = [
        ("videos to decode", f"{plan.videos:,}", f"{_bytes(plan.bytes)} to read"),
        ("frames to decode", _amount(work.decoded), ""),
        ("frames to embed", _amount(work.embedded), f"{views} view{'s' if views > 1 else ''}"),
        ("cache grows by", _bytes(work.cache_bytes(views)), f"{_bytes(_free(cache))} free"),
        ("feature files", _bytes(features), f"{_bytes(_free(folder))} free"),
    ]
    return ["", *(f"{name:<18}{value:>18}   {note}".rstrip() for name, value, note in rows)]


def _times(work: Work, speed: Speed | None, settings: FeaturesParams, engine: str) -> list[str]:
    if speed is None:
        return ["", "No clip could be read to measure the speed."]
    error = math.hypot(speed.error, work.embedded.share)
    cores = available_cores()
    lines = [
        "",
        f"Speed of one of {speed.workers} workers here, from {speed.clips} clips with {engine}: "
        f"{1e3 * speed.decode:.2f} ms for a decoded frame, {1e3 * speed.embed:.2f} ms for an "
        "embedded one.",
        "",
        f"workers  {'time':>14}   ± {error:.0%}",
    ]
    current = settings.workers or (None if settings.executor == "ray" else cores)
    single = engine == "keras" and settings.executor == "local"
    for workers in _table(current, work, speed, single):
        seconds = speed.seconds_on(work, workers, one_engine=single)
        mark = "   as set" if workers == current else ""
        lines.append(f"{workers:>7,}  {_duration(seconds):>14}{mark}")
    lines += ["", "Every worker with a core of its own, as fast as here; this machine has "
              f"{cores}. More machines: docs/scale.md."]  # fmt: skip
    return lines


def _table(current: int | None, work: Work, speed: Speed, single: bool) -> list[int]:
    """1, 2, 4, ... while it makes a difference, and the number that is set."""
    counts, workers = {current} if current else set(), 1
    while workers <= MOST_WORKERS:
        counts.add(workers)
        if speed.seconds_on(work, workers, one_engine=single) < SHORT:
            break
        workers *= 2
    return sorted(counts)


def _amount(amount: Amount) -> str:
    return f"{amount.value:,.0f}" + (f" ± {amount.share:.0%}" if amount.error else "")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"


def _free(folder: Path) -> int:
    """Bytes free where a folder is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
