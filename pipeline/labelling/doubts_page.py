"""The page of doubts: reports/doubts.html, on which wrong labels are looked at and corrected."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import __version__
from pipeline.dataset.clips import ClipTable
from pipeline.dataset.sources import ClipFiles
from pipeline.evaluation.report.images import strip_uri
from pipeline.evaluation.report.page import write_page
from pipeline.labelling.doubts import Doubt, OutOfFold
from pipeline.store.feature_files import FeatureSet

PAGE = Path("reports/doubts.html")
SHOWN_SHARE, LEAST_SHOWN, MOST_SHOWN = 0.15, 20, 200  # of the clips; what is likely wrong always is
FRAMES = 8  # of a clip
CONFUSIONS = 100  # shown
PACKAGE = "pipeline.labelling"


def shown_of(doubts: Sequence[Doubt]) -> list[Doubt]:
    """Those that the page shows: all that are likely wrong, and the next most doubtful."""
    least = max(LEAST_SHOWN, round(SHOWN_SHARE * len(doubts)), sum(row.likely for row in doubts))
    return list(doubts[: min(least, MOST_SHOWN)])


def write_doubts_page(
    doubts: Sequence[Doubt],
    said: OutOfFold,
    changed: int,
    clips: ClipTable,
    files: ClipFiles,
    features: FeatureSet,
    rule: str,
    path: Path = PAGE,
) -> None:
    """Write the page, with frames of each clip that it shows.

    Parameters
    ----------
    changed : clips that are left out, since their label changed
    rule : how a frame becomes a square, see pipeline.frames.video.resize
    """
    shown = shown_of(doubts)
    wanted = {row.clip_id for row in shown}
    known = {clip.clip_id: clip for clip in clips if clip.clip_id in wanted}

    def strip(row: Doubt) -> str | None:
        clip = known[row.clip_id]
        seconds = features.spread_times(features.position(row.clip_id), FRAMES)
        return strip_uri(files.source(clip), clip.segment[0] + seconds, rule)

    with ThreadPoolExecutor() as pool:
        strips = list(pool.map(strip, shown))
    values = {
        "version": __version__,
        "doubts": shown,
        "strips": strips,
        "total": len(doubts),
        "likely": sum(row.likely for row in doubts),
        "changed": changed,
        "classes": said.classes,
        "confusions": said.confusions()[:CONFUSIONS],
    }
    write_page(path, "doubts.html", values, PACKAGE)
