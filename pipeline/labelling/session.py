"""A sitting in which somebody labels clips: what is asked next, and where the answers go."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from pipeline.csv_tables import write_rows
from pipeline.dataset.clips import NO_LABEL
from pipeline.dataset.layouts import find_clips
from pipeline.dataset.layouts.table_file import LABEL_BYTES
from pipeline.dataset.params import DatasetParams
from pipeline.dataset.sources import ClipFiles
from pipeline.errors import ClipcacheError, ClipError
from pipeline.frames.thumbnails import thumbnails
from pipeline.labelling.acquisition import chances, choose
from pipeline.labelling.collection import Collection
from pipeline.labelling.relabel import Correction, read_corrections, relabel

ANSWERS = Path("reports/labels.csv")  # where folders are the labels
FRAMES = 24  # of a clip in its preview
SIDE = 224  # pixels of a frame
QUALITY = 80  # of JPEG, 0 to 100


class AnswerError(ClipcacheError):
    """An answer that cannot be taken, such as a label with control characters."""


@dataclass(frozen=True)
class Question:
    """The clip to label.

    Attributes
    ----------
    row : of the clip in the collection
    frames : pictures in its preview, side by side
    likely : (label, probability), the likeliest first
    """

    row: int
    clip_id: str
    frames: int
    likely: list[tuple[str, float]]


@dataclass
class Session:
    """What is known so far; its methods may be called from any thread.

    Attributes
    ----------
    wanted : labels to ask for
    rule : how a frame becomes a square
    given : rows that got a label in this session, in order
    """

    collection: Collection
    dataset: DatasetParams
    files: ClipFiles
    rule: str
    wanted: int
    answers: Path = ANSWERS
    given: list[int] = field(default_factory=list)
    _passed: list[int] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def question(self) -> Question | None:
        """What to ask; None where enough was answered or nothing is left."""
        with self._lock:
            if len(self.given) >= self.wanted:
                return None
            known = self.collection
            points, labels = known.points.points, known.labels
            rows = choose(points, labels, passed=frozenset(self._passed))
            if not rows:
                return None
            (row,) = rows
            shares = chances(points, labels)[row]
            ranked = np.argsort(-shares, kind="stable")
            likely = [(known.classes[i], float(shares[i])) for i in ranked]
            return Question(row, known.clip_ids[row], len(self._shown(row)), likely)

    def answer(self, row: int, label: str) -> None:
        """Take a label, and write it down before anything else is asked.

        Raises
        ------
        AnswerError
            When it is no label.
        ClipcacheError
            When it cannot be written.
        """
        label = label.strip()
        if not label or not label.isprintable() or len(label.encode()) > LABEL_BYTES:
            raise AnswerError(
                f"A label has 1 to {LABEL_BYTES} bytes, and no control characters: give another."
            )
        with self._lock:
            self._write(row, label)
            self.given = [*(one for one in self.given if one != row), row]

    def skip(self, row: int) -> None:
        """Do not ask about a clip again."""
        with self._lock:
            self._passed.append(row)

    def undo(self) -> int | None:
        """Take back the last label; the row of its clip, None where there is none."""
        with self._lock:
            if not self.given:
                return None
            row = self.given[-1]
            self._write(row, NO_LABEL)
            self.given = self.given[:-1]
            return row

    def preview(self, row: int) -> bytes | None:
        """Frames of a clip side by side as a JPEG; None where they cannot be read."""
        source = self.files.source(self.collection.clips[row])
        try:
            pictures = thumbnails(source, self._shown(row), SIDE, self.rule)
        except (ClipError, OSError):
            return None
        if not pictures:
            return None
        together = np.hstack(pictures)[:, :, ::-1]
        return cv2.imencode(".jpg", together, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()

    def _shown(self, row: int) -> np.ndarray:
        """Seconds of the frames of a preview."""
        position = self.collection.positions[row]
        times = self.collection.features.spread_times(position, FRAMES)
        return self.collection.clips[row].segment[0] + times

    def _write(self, row: int, label: str) -> None:
        """Into the table, or among the corrections where folders are the labels."""
        clip_id = self.collection.clip_ids[row]
        if self.dataset.layout == "csv":
            relabel(self.dataset, [Correction(clip_id, label)])
        else:
            answers = read_answers(self.answers)
            answers[clip_id] = label
            rows = [(name, given) for name, given in answers.items() if given]
            write_rows(self.answers, ("clip_id", "label"), rows)
        self.collection = self.collection.with_label(row, label)


def read_answers(path: Path = ANSWERS) -> dict[str, str]:
    """clip_id -> label, of earlier sessions; nothing where there is no such file."""
    if not path.exists():
        return {}
    return {one.clip_id: one.label for one in read_corrections(path)}


def newest_labels(dataset: DatasetParams, answers: Path = ANSWERS) -> dict[str, str]:
    """clip_id -> label, which the index may not know yet: of the table, or of earlier answers."""
    if dataset.layout == "csv":
        return {clip.clip_id: clip.label for clip in find_clips(dataset).clips}
    return read_answers(answers)
