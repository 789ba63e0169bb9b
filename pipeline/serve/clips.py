"""From the files of a request to answers: each in its turn, in one place of the queue."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pipeline.serve.answers import Recognised, Report, Task, as_answer, as_problem
from pipeline.serve.events import event
from pipeline.serve.refusals import Refusal
from pipeline.serve.served import Served
from pipeline.serve.uploads import Form, Received

BUG = "Something went wrong in the server, and its log says what."

logger = logging.getLogger("clipcache.serve")


@dataclass(frozen=True)
class Wishes:
    """What a request asks for, beside the answer.

    Attributes
    ----------
    deciding, preview : see `Task`
    frame_rate : the files are the frames of one clip, so many a second; None: each is a clip
    """

    deciding: bool = False
    preview: bool = False
    frame_rate: float | None = None


Clip = tuple[str, Task | Refusal]


def clips_of(form: Form, wishes: Wishes) -> list[Clip]:
    """A task for each clip, or why there is none."""
    if wishes.frame_rate is None:
        return [(file.name, _task(file, wishes)) for file in form.files]
    name = form.files[0].name
    for number, file in enumerate(form.files, start=1):
        if file.refusal is not None:
            return [(name, file.refusal)]
        if file.kind != "image":
            return [(name, Refusal(422, f"Number {number} is a video, so it cannot be a frame."))]
    paths = tuple(file.path for file in form.files if file.path is not None)
    return [(name, Task(name, paths, "frames", frame_rate=wishes.frame_rate))]


def check_some_fit(clips: list[Clip]) -> None:
    """Refuse a request of which no file can be used.

    Raises
    ------
    Refusal
        That of the first file.
    """
    refused = [task for _, task in clips if isinstance(task, Refusal)]
    if len(refused) < len(clips):
        return
    first = refused[0]
    if len(clips) == 1:
        raise first
    raise Refusal(first.status, f"None of the {len(clips)} files can be used. The first: {first}")


def _task(file: Received, wishes: Wishes) -> Task | Refusal:
    if file.refusal is not None:
        return file.refusal
    assert file.path is not None
    assert file.kind is not None
    return Task(
        file.name, (file.path,), file.kind, deciding=wishes.deciding, preview=wishes.preview
    )


async def answer_one(served: Served, clip: Clip, seen: Report | None = None) -> Recognised:
    """What comes of one clip; whoever asks has a place in the queue.

    Raises
    ------
    Refusal
    """
    _, task = clip
    if isinstance(task, Refusal):
        raise task
    return await served.recognise(task, seen)


async def answer_several(served: Served, clips: list[Clip]) -> list[dict[str, Any]]:
    """An answer or a problem for each clip."""
    results = []
    for clip in clips:
        try:
            results.append(as_answer(await answer_one(served, clip)))
        except Refusal as refusal:
            results.append(as_problem(clip[0], refusal))
    return results


async def events_of(served: Served, clips: list[Clip]) -> AsyncGenerator[bytes, None]:
    """How far each clip is, what came of it, and last that it is done."""
    for clip in clips:
        async for one in _events_of_one(served, clip):
            yield one
    yield event("done", {"files": len(clips)})


async def _events_of_one(served: Served, clip: Clip) -> AsyncGenerator[bytes, None]:
    told: asyncio.Queue[tuple[int, int, float]] = asyncio.Queue()
    name = clip[0]
    last = (0, 0, 0.0)
    work = asyncio.ensure_future(
        answer_one(served, clip, lambda *how_far: told.put_nowait(how_far))
    )
    work.add_done_callback(lambda work: told.put_nowait((-1, 0, 0.0)))
    try:
        yield event("progress", {"file": name, "state": "waiting"})
        while not work.done():
            how_far = await told.get()
            if how_far[0] <= 0 or how_far == last:
                continue
            last = how_far
            done, total, seconds = how_far
            values = {"file": name, "state": "working", "frames": done, "of": total or None,
                      "seconds": round(seconds, 3)}  # fmt: skip
            yield event("progress", values)
        try:
            yield event("prediction", as_answer(work.result()))
        except Refusal as refusal:
            yield event("problem", as_problem(name, refusal))
        except Exception:
            logger.exception("A clip could not be answered.")
            yield event("problem", {"file": name, "status": 500, "detail": BUG})
    finally:
        work.cancel()
