"""Render the sample data set and encode it, whole files only."""

import multiprocessing
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import DatasetError
from pipeline.files import replacing
from pipeline.sample.actions import ACTIONS, FAMILIAR, Action
from pipeline.sample.movements import FPS
from pipeline.sample.render import HEIGHT, WIDTH, render
from pipeline.wording import some

CODEC = "mp4v"  # MPEG-4 part 2, which every build of OpenCV with FFmpeg can encode
MOST = 99  # actors, takes: two digits in a file name
MARK_TEXT = b"clipcache sample clip"
# An MP4 box of type "free", which players skip, at the end of each file: a clip that this module
# wrote can be told from a user's own.
MARK = struct.pack(">I4s", 8 + len(MARK_TEXT), b"free") + MARK_TEXT
POOL_FROM = 12  # movements to render; fewer are done before worker processes have started


def write_sample(
    folder: Path,
    *,
    actions: Iterable[str] | None = None,
    actors: int = 8,
    takes: int = 4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> list[Path]:
    """Write the clips ``folder/<label>/actor<NN>_take<N>.mp4``, 320 x 240 at 24 frames/s.

    The actor is the group: the part of the file name before the first underscore. The same
    arguments give the same bytes on the same machine; clips of the same name are written anew.
    An actor's takes are the same for every selection of actions. In a pair of `REVERSALS` the clips
    of the same name hold the same pictures in opposite order.

    Parameters
    ----------
    folder : made where missing; hidden files in it are left alone
    actions : labels out of `ACTIONS`; None takes those that people know, `FAMILIAR`
    actors, takes : 1 to 99; clips per action are their product
    seed : other people, places and views for every number, 0 or more
    progress : called with the number of clips written and the number to write
    workers : processes; None takes one per available core. They are spawned: a script that calls
        this at import time needs the usual ``if __name__ == "__main__"``

    Returns
    -------
    list of Path, sorted

    Raises
    ------
    DatasetError
        When a label or a number makes no sense, when the folder holds anything that is not part of
        the sample, or when a clip cannot be encoded or written.
    """
    folder = Path(folder)
    labels = _check(actions, actors, takes, seed)
    jobs: dict[tuple[str, int, int], list[tuple[Path, Action]]] = defaultdict(list)
    for label in labels:
        action = ACTIONS[label]
        for actor in range(1, actors + 1):
            for take in range(1, takes + 1):
                path = folder / label / f"actor{actor:02d}_take{take}.mp4"
                jobs[action.movement, actor, take].append((path, action))
    paths = sorted(path for outputs in jobs.values() for path, _ in outputs)
    _refuse_others(folder, set(paths))
    done = 0

    def tell(clips: int) -> None:
        nonlocal done
        done += clips
        if progress is not None:
            progress(done, len(paths))

    workers = workers or _cores()
    if workers == 1 or len(jobs) < POOL_FROM:
        for key, outputs in jobs.items():
            tell(_write_clips(key, seed, outputs))
        return paths
    # Spawned, not forked: TensorFlow or OpenCV may already run threads in this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        futures = [pool.submit(_write_clips, key, seed, outputs) for key, outputs in jobs.items()]
        try:
            for future in as_completed(futures):
                tell(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return paths


def _check(actions: Iterable[str] | None, actors: int, takes: int, seed: int) -> list[str]:
    labels = sorted(FAMILIAR) if actions is None else sorted(set(actions))
    unknown = [label for label in labels if label not in ACTIONS]
    if unknown or not labels:
        raise DatasetError(
            f"The sample has no action {some(unknown) or 'to write'}: "
            f"choose from {', '.join(sorted(ACTIONS))}."
        )
    for name, number in (("actors", actors), ("takes", takes)):
        if not 1 <= number <= MOST:
            raise DatasetError(f"{name} of the sample is {number}: give a number from 1 to {MOST}.")
    if seed < 0:
        raise DatasetError(f"The seed of the sample is {seed}: give 0 or more.")
    return labels


def _cores() -> int:
    """Cores this process may use; all of them where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _refuse_others(folder: Path, paths: set[Path]) -> None:
    """Raise unless every file in `folder` is hidden or a sample clip about to be written anew."""
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder} is a file: name a folder for the sample.")
    others = []
    for found in sorted(folder.rglob("*")) if folder.exists() else []:
        inside = found.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or (found.is_dir() and not found.is_symlink()):
            continue
        if found not in paths or found.is_symlink() or not _is_marked(found):
            others.append(inside.as_posix())
    if others:
        raise DatasetError(
            f"{folder} already holds files that are not part of this sample ({some(others)}): "
            f"name an empty folder, or move them away."
        )


def _is_marked(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - len(MARK)))
        return stream.read() == MARK


def _write_clips(
    key: tuple[str, int, int], seed: int, outputs: Sequence[tuple[Path, Action]]
) -> int:
    """Render one movement and write it in every way asked for; returns the number of clips."""
    rendered: dict[float, list[np.ndarray]] = {}
    for path, action in outputs:
        if action.aside not in rendered:
            rendered[action.aside] = render(*key, seed, action.aside)
        frames = rendered[action.aside]
        try:
            with replacing(path) as temporary:
                _encode(temporary, frames[::-1] if action.backwards else frames)
        except OSError as error:
            raise DatasetError(f"{path} cannot be written: {error.strerror or error}.") from None
    return len(outputs)


def _encode(path: Path, frames: Sequence[np.ndarray]) -> None:
    codec = cv2.VideoWriter.fourcc(*CODEC)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, FPS, (WIDTH, HEIGHT))
    try:
        if not writer.isOpened():
            raise DatasetError(
                f"OpenCV cannot write {path}: it needs FFmpeg (the opencv-python package has it) "
                f"and a folder that can be written to."
            )
        for frame in frames:
            writer.write(frame)
    finally:
        writer.release()
    with path.open("ab") as stream:
        stream.write(MARK)
