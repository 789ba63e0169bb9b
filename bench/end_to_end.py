"""The two-stage way beside training the CNN and the LSTM end to end.

Every measurement is a child process (this module as a script) under a limit of memory and time.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.contenders import Team
from bench.engines import embedding_team
from bench.machine import available_bytes, memory_bytes
from bench.tables import Cell, Outcome, Table, Wanted
from bench.watch import Watched, watch
from pipeline.embedding.executors import available_cores

CLIPS = 64  # in an epoch
CLASSES = 10
FRAMES, QUICK_FRAMES = (8, 16, 40, 100), (4,)
BATCHES = (8, 16)  # clips
SIZE = 224  # pixels
STEPS = 2  # end-to-end steps that are timed, after one that is not
EPOCHS = 10  # of the head, timed after two that are not
GIB = 2**30
MEMORY = min(12 * GIB, memory_bytes() // 2)  # bytes of one training process
SECONDS = 240  # for one end-to-end measurement
END_TO_END, FROZEN = "end to end", "frozen CNN in the model"
LSTM, DEFAULT = "LSTM 128 on cached features", "the default head"


@dataclass(frozen=True)
class Case:
    """One thing to train."""

    way: str
    frames: int
    batch: int
    backbone: str


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Train all ways at all lengths, each as far as memory and time allow."""
    limit = min(MEMORY, int(0.8 * available_bytes()))
    team = Team(embedding_team("litert", backbone, available_cores()))
    rows: list[list[Cell]] = []
    notes: list[str] = []
    ratios: dict[int, float] = {}
    full: dict[int, int] = {}  # batch -> frames at which memory ran out
    held: dict[int, int] = {}  # frames of a batch, all clips together -> bytes
    try:
        team.calibrate(1.0)
        for frames in QUICK_FRAMES if quick else FRAMES:
            heads = []
            for way, batch in _ways(quick, frames):
                if way == END_TO_END and batch in full:
                    ended = f"not tried: out of memory at {full[batch]} frames"
                    rows.append([frames, way, batch, None, None, ended])
                    continue
                case = Case(way, frames, batch, str(backbone))
                done = _watch(case, folder, limit)
                seconds = _epoch(done)
                rows.append([frames, way, batch, seconds, done.main_peak / GIB, _said(done, limit)])
                if way == LSTM and seconds:
                    heads.append(seconds)
                if way == END_TO_END and done.ended == "memory":
                    full[batch] = frames
                elif way == END_TO_END and seconds and heads:
                    held[batch * frames] = done.main_peak
                    ratios[frames] = min(seconds / heads[0], ratios.get(frames, np.inf))
            rows.append([frames, "embedding them, once", None,
                         CLIPS * frames / team.run()[0], None, ""])  # fmt: skip
    finally:
        team.stop()
    notes += [f"{frames} frames: an epoch of the head is {ratio:,.0f} times faster than the "
              "fastest end-to-end one." for frames, ratio in ratios.items()]  # fmt: skip
    if len(held) > 1:
        notes.append(_longest(held, limit))
    table = Table(
        f"Seconds an epoch of {CLIPS} clips, two stages beside end to end",
        ["frames a clip", "training", "batch", "s an epoch", "GiB", "ended"],
        rows,
        [f"{SIZE} px, frames and features in memory, so decoding counts for neither. Limits for "
         f"a training process: {limit / GIB:.1f} GiB, {SECONDS} s.",
         f"End to end and frozen: one step to warm up, then the median of {STEPS} steps, times the "
         f"steps of an epoch (extrapolated). Heads: median of {EPOCHS} whole epochs.",
         *notes],
    )  # fmt: skip
    outcome = Outcome([table])
    if 16 in ratios:
        outcome.wanted.append(
            Wanted("epoch of the head over an end-to-end epoch, 16 frames", ratios[16], 200.0, "x")
        )
    return outcome


def _ways(quick: bool, frames: int) -> list[tuple[str, int]]:
    """What is trained at this length, each with its batch size, in turns that are side by side."""
    if quick:
        return [(LSTM, 2), (END_TO_END, 2)]
    ways = [(LSTM, 8), *((END_TO_END, batch) for batch in BATCHES), (DEFAULT, 8)]
    return [*ways, (FROZEN, 8)] if frames == 16 else ways


def _longest(held: dict[int, int], limit: int) -> str:
    """How long a clip may be, from the memory that the cases that fit took."""
    slope, base = np.polyfit(list(held), list(held.values()), 1)
    longest = [f"{int((limit - base) / slope / batch)} at batch {batch}" for batch in (1, *BATCHES)]
    return (f"End to end takes {base / GIB:.1f} GiB and {slope / 2**20:.0f} MiB for every frame of "
            f"a batch, so the longest clips that fit have, in frames, about "
            f"{', '.join(longest)}.")  # fmt: skip


def _watch(case: Case, folder: Path, limit: int) -> Watched:
    command = [sys.executable, "-m", "bench.end_to_end", json.dumps(asdict(case))]
    return watch(command, folder, memory=limit, seconds=SECONDS)


def _epoch(done: Watched) -> float | None:
    """Seconds an epoch: measured ones, or extrapolated from steps."""
    epochs = [line["epoch"] for line in done.lines if "epoch" in line]
    steps = [line["step"] * line["of"] for line in done.lines if "step" in line]
    found = epochs[2:] or steps[1:]
    return median(found) if found else None


def _said(done: Watched, limit: int) -> str:
    if done.ended == "memory":
        return f"out of memory at {limit / GIB:.1f} GiB"
    if done.ended == "time":
        return f"after {SECONDS} s"
    return "" if done.ended == "done" else f"failed: {done.error.strip().splitlines()[-1:]}"


def main(case: Case) -> None:
    """In the child: train, and print a line of JSON for every step or epoch."""
    if Path("/proc/self/oom_score_adj").exists():  # if memory runs out, this is the one to end
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    WAYS[case.way](case)


def _follow_parent(parent: int) -> None:
    """Never outlive the process that watches the memory."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def _train_frames(case: Case) -> None:
    import keras

    from pipeline.backbone.folder import load_keras_model

    network = load_keras_model(Path(case.backbone))
    for layer in network._flatten_layers():  # the backbone's are frozen one by one
        layer.trainable = case.way == END_TO_END
    inputs = keras.Input((case.frames, SIZE, SIZE, 3), dtype="uint8")
    # What TimeDistributed computes. Keras 3's own layer unrolls: a CNN graph for every time step.
    embeddings = network(keras.ops.reshape(inputs, (-1, SIZE, SIZE, 3)))
    sequence = keras.ops.reshape(embeddings, (-1, case.frames, embeddings.shape[-1]))
    model = keras.Model(inputs, _lstm(sequence))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (case.batch, case.frames, SIZE, SIZE, 3), np.uint8)
    y = rng.integers(0, CLASSES, case.batch)
    _compile(model)
    for _ in range(1 + STEPS):
        started = perf_counter()
        model.train_on_batch(x, y)
        _say(step=perf_counter() - started, of=-(-CLIPS // case.batch))


def _train_features(case: Case) -> None:
    import keras

    inputs = keras.Input((case.frames, 1280))
    model = keras.Model(inputs, _lstm(inputs))
    rng = np.random.default_rng(0)
    x = rng.random((CLIPS, case.frames, 1280)).astype(np.float16)
    y = rng.integers(0, CLASSES, CLIPS)
    _compile(model)
    for _ in range(2 + EPOCHS):
        started = perf_counter()
        for start in range(0, CLIPS, case.batch):
            part = slice(start, start + case.batch)
            model.train_on_batch(x[part].astype(np.float32), y[part])
        _say(epoch=perf_counter() - started)


def _train_default(case: Case) -> None:
    from pipeline.head.fit import fit
    from pipeline.head.labelled_clips import LabelledClips
    from pipeline.head.loop import new_loop
    from pipeline.head.params import TrainParams

    class Features:
        """Random embeddings as a feature set."""

        lengths = np.full(CLIPS, case.frames)
        readings = MappingProxyType({"identity": 1280})
        clips = np.random.default_rng(0).random((CLIPS, case.frames, 1280)).astype(np.float16)

        def clip(self, i: int) -> dict[str, np.ndarray]:
            return {"identity": self.clips[i]}

    params = TrainParams(steps=case.frames, batch_size=case.batch, epochs=2 + EPOCHS)
    places, classes = np.arange(CLIPS), tuple(f"class {i}" for i in range(CLASSES))
    train = LabelledClips(places, places % CLASSES, places, classes)
    loop = new_loop(Features(), train, params, ["identity"])
    fit(loop, train, train.take(places[:0]), on_epoch=lambda epoch: _say(epoch=epoch.seconds))


def _lstm(sequence: Any) -> Any:
    import keras

    x = keras.layers.LSTM(128)(sequence)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)


def _compile(model: Any) -> None:
    model.compile("adam", "sparse_categorical_crossentropy")


WAYS: dict[str, Callable[[Case], None]] = {
    END_TO_END: _train_frames,
    FROZEN: _train_frames,
    LSTM: _train_features,
    DEFAULT: _train_default,
}

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Case(**json.loads(sys.argv[1])))
