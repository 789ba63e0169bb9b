"""Frames a second of every engine, beside Keras's own ways and the limit of the arithmetic."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.clips import pictures
from bench.contenders import Contender, Run, Timing, side_by_side
from bench.machine import MATRIX, has, matrix_products
from bench.tables import Outcome, Rows, Table, Wanted
from pipeline.embedding.clip_embedding import BATCH
from pipeline.embedding.engines import load_engine
from pipeline.embedding.executors import available_cores
from pipeline.frames.video import resize

SIZE = 224  # pixels
CLIP = 16  # frames in a "clip" of the usual Keras code
ROUNDS, QUICK_ROUNDS = 15, 2
PATIENCE = 12.0  # seconds that a round may wait for a quiet moment
PER_FRAME, PER_CLIP = "Keras predict, per frame", f"Keras predict, per clip of {CLIP}"
LIMIT = "limit: float32 matrix products"

# Expansion, channels, blocks, stride: Table 2 of Sandler et al. 2018, arXiv:1801.04381.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
          (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip


def multiply_adds(size: int) -> int:
    """Multiply-adds of MobileNetV2 1.0 without its classifier, for one picture."""
    side, channels = size // 2, 32
    total = side * side * 9 * 3 * channels
    for expansion, wide, blocks, first in BLOCKS:
        for block in range(blocks):
            stride = first if block == 0 else 1
            inner, out = expansion * channels, side // stride
            total += side * side * channels * inner if expansion > 1 else 0
            total += out * out * 9 * inner + out * out * inner * wide
            side, channels = out, wide
    return total + side * side * channels * 1280


def frames(count: int) -> np.ndarray:
    """Pictures as an engine gets them, each of another scene: (count, 224, 224, 3) uint8 RGB."""
    return np.stack([resize(pictures(1, 320, 240, seed)[0], SIZE, "stretch")
                     for seed in range(count)])  # fmt: skip


def run(quick: bool, backbone: Path, folder: Path) -> Outcome:
    """Time all engines in turns, and compare their embeddings."""
    cores = available_cores()
    folders = (str(backbone),)
    contenders = [
        Contender(PER_FRAME, f"{cores} threads", _predict, (*folders, 1), threads=cores),
        Contender(PER_CLIP, f"{cores} threads", _predict, (*folders, CLIP), 1, cores, CLIP),
        _engine("keras", backbone, 1, cores, name=f"keras: tf.function, per clip of {CLIP}"),
    ]
    for name in ["litert", *(["openvino"] if _openvino() else [])]:
        contenders += [_engine(name, backbone, cores, 1), _engine(name, backbone, 1, 1)]
        if not quick:
            contenders.append(_engine(name, backbone, 1, cores))
    if not quick:
        contenders.append(_engine("keras", backbone, 1, 1, name="keras: tf.function"))
    if _bfloat16():
        contenders.append(_engine("openvino", backbone, cores, 1, "bfloat16"))
    contenders += [
        Contender(LIMIT, f"{cores} processes", matrix_products, processes=cores),
        Contender(LIMIT, "1 thread", matrix_products),
    ]
    rounds = QUICK_ROUNDS if quick else ROUNDS
    timings = side_by_side(contenders, rounds, patience=0.0 if quick else PATIENCE)
    flop = 2 * multiply_adds(SIZE)
    scaled = [
        Timing(t.rates * 2 * MATRIX**3 / flop, t.cpu_rates * 2 * MATRIX**3 / flop)
        if c.name == LIMIT else t
        for c, t in zip(contenders, timings, strict=True)
    ]  # fmt: skip
    return _judge(contenders, scaled, rounds, backbone, quick, flop)


def _judge(
    contenders: list[Contender], timings: list[Timing], rounds: int, backbone: Path, quick: bool,
    flop: int,
) -> Outcome:  # fmt: skip
    by_name = dict(zip([(c.name, c.setting) for c in contenders], timings, strict=True))
    cores = available_cores()
    per_clip = by_name[PER_CLIP, f"{cores} threads"]
    limits = {True: by_name[LIMIT, "1 thread"], False: by_name[LIMIT, f"{cores} processes"]}
    rows: Rows = [
        [c.name, c.setting, t.rate, t.spread, t.cpu_rate, t.over(per_clip),
         100 * t.over(limits[c.processes * c.threads == 1])]
        for c, t in zip(contenders, timings, strict=True)
    ]  # fmt: skip
    table = Table(
        f"Embedding engines, {SIZE} px, frames in memory",
        ["engine", "setting", "frames/s", "lowest to highest", "frames per CPU second",
         "x predict per clip", "% of the limit"],
        rows,
        [f"Medians of the {len(per_clip.rates)} quieter of {rounds} rounds in which all take turns "
         "of about a second; ratios are medians of the ratios within a round.",
         f"A frame counts {flop / 1e9:.3f} GFLOP: {flop / 2e6:.0f} million multiply-adds, 2 FLOP "
         f"each. The limit is numpy's rate for {MATRIX} x {MATRIX} products over that; with one "
         "thread it is one core's."],
    )  # fmt: skip
    exact = [t for c, t in zip(contenders, timings, strict=True)
             if c.processes > 1 and c.name in ("litert", "openvino")]  # fmt: skip
    best = max(exact, key=lambda timing: timing.rate)
    litert = by_name["litert", f"{cores} processes"]
    return Outcome(
        [table, _agreement(backbone, quick)],
        [Wanted("LiteRT over Keras predict per clip of 16", litert.over(per_clip), 4.0, "x"),
         Wanted("best float32 engine over the arithmetic limit",
                100 * best.over(limits[False]), 60.0, "%")],
    )  # fmt: skip


def _agreement(backbone: Path, quick: bool) -> Table:
    """How far each engine's embeddings are from Keras's."""
    names = [("litert", "float32")]
    if _openvino():
        names.append(("openvino", "float32"))
    if _bfloat16():
        names.append(("openvino", "bfloat16"))
    count = 16 if quick else 64
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        exact = pool.submit(_embeddings, "keras", backbone, "float32", count).result()
        rows: Rows = []
        for name, precision in names:
            found = pool.submit(_embeddings, name, backbone, precision, count).result()
            error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
            cosine = np.sum(found * exact, axis=1) / (
                np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
            )
            rows.append([name, precision, float(100 * np.median(error)),
                         float(100 * error.max()), f"{cosine.min():.6f}"])  # fmt: skip
    return Table(
        "The same numbers? Distance to Keras float32",
        ["engine", "precision", "median error %", "largest error %", "smallest cosine"],
        rows,
        [f"{count} pictures; error is the length of the difference over the length of the "
         "embedding, all as float16, which alone is good for about 0.02 %."],
    )  # fmt: skip


def embedding_team(engine: str, backbone: Path, processes: int) -> Contender:
    """The embedding as the stage does it: single-threaded processes, batches of frames."""
    return _engine(engine, backbone, processes, 1)


def _engine(
    engine: str, backbone: Path, processes: int, threads: int, precision: str = "float32",
    name: str = "",
) -> Contender:  # fmt: skip
    batch = CLIP if engine == "keras" else BATCH
    exact = "" if precision == "float32" else f", {precision}"
    if processes > 1:
        setting = f"{processes} processes"
    else:
        setting = "1 thread" if threads == 1 else f"{threads} threads"
    arguments = (engine, str(backbone), precision, threads, batch)
    return Contender(
        f"{name or engine}{exact}", setting, _embed, arguments, processes, threads, batch
    )


def _embed(engine: str, backbone: str, precision: str, threads: int, batch: int) -> Run:
    embed = load_engine(engine, Path(backbone), precision=precision, threads=threads)
    pixels = np.resize(frames(8), (batch, SIZE, SIZE, 3))

    def run(count: int) -> None:
        for _ in range(count // batch):
            embed(pixels)

    return run


def _predict(backbone: str, batch: int) -> Run:
    from pipeline.backbone.folder import load_keras_model

    model = load_keras_model(Path(backbone))
    pixels = np.resize(frames(8), (batch, SIZE, SIZE, 3))

    def run(count: int) -> None:
        for _ in range(count // batch):
            model.predict(pixels, verbose=0)

    return run


def _embeddings(engine: str, backbone: Path, precision: str, count: int) -> np.ndarray:
    return load_engine(engine, backbone, precision=precision)(frames(count)).astype(np.float32)


def _openvino() -> bool:
    import importlib.util

    return importlib.util.find_spec("openvino") is not None


def _bfloat16() -> bool:
    return _openvino() and has("amx_bf16")
