"""The routes of the API."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.requests import ClientDisconnect

from pipeline import __version__
from pipeline.serve.answering import NOTES
from pipeline.serve.answers import (
    Answer,
    Answers,
    Classes,
    Health,
    ModelAnswer,
    Problem,
    Recognised,
    SeedAnswer,
    Start,
    as_answer,
    as_seed_answer,
)
from pipeline.serve.clips import (
    Wishes,
    answer_one,
    answer_several,
    check_some_fit,
    clips_of,
    events_of,
)
from pipeline.serve.events import MEDIA_TYPE, EventStream
from pipeline.serve.pages import PAGE, reference_assets
from pipeline.serve.refusals import Refusal
from pipeline.serve.served import Served
from pipeline.serve.uploads import received

PREDICT, PREDICT_V1 = "/predict", "/v1/predict"
EXAMPLES = "/v1/examples"
NO_STORE = {"Cache-Control": "no-store"}
Result = TypeVar("Result")

BINARY = {"type": "string", "format": "binary", "description": "An image or a video, of any name."}


def form(properties: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """The description of a request that brings files."""
    schema = {"type": "object", "properties": properties, **rules}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


ONE_FILE = form({"file": BINARY}, required=["file"])
FILES = form({"file": {"type": "array", "items": BINARY, "minItems": 1}}, required=["file"])
EVENTS = """event: progress
data: {"file":"day.avi","state":"working","frames":120,"of":610,"seconds":4.8}

event: prediction
data: {"schema":1,"file":"day.avi","action":"walk", ...}

event: done
data: {"files":1}
"""


def problems(*left_out: int) -> dict[int | str, dict[str, Any]]:
    """Why there may be no prediction."""
    sentences = {
        400: ("The request is not a valid form.",
              "The request is not valid multipart/form-data: it ends in the middle."),
        401: ("The token is missing or wrong.",
              "This server asks for a token: send it in the header `Authorization: Bearer ...`."),
        403: ("A page of another origin sent it.",
              "A page of another origin may not send this: start the server with --cors and that "
              "origin if it should."),
        408: ("The file arrived too slowly.",
              "The file did not arrive within 120 seconds: send it again."),
        413: ("The file has too many bytes.",
              "The file is larger than the 67,108,864 bytes that this server takes."),
        415: ("The file is neither an image nor a video, by its content.",
              "Send the image or video as multipart/form-data in a field called `file`."),
        421: ("The server does not go by that name.",
              "This server does not answer under that name: ask it as localhost or by the address "
              "it listens on, or start it with --allow-host and the name."),
        422: ("No file, a damaged one, or one of too many seconds, frames or pixels.",
              "The video is longer than the 300 seconds that this server takes."),
        429: ("The client is already sending many files; see Retry-After.",
              "You are already sending 16 files: try again in 2 seconds."),
        500: ("The worker died in the middle of it.",
              "The worker process ended while it was at this file; another one takes its place."),
        503: ("All workers are busy and the queue is full, or there is no room; see Retry-After.",
              "All workers are busy and the queue is full: try again in 3 seconds."),
        504: ("The file took too long to recognise.",
              "The file took more than 60 seconds to recognise and was given up."),
    }  # fmt: skip
    return {
        status: {
            "model": Problem,
            "description": description,
            "content": {"application/json": {"example": {"detail": sentence}}},
        }
        for status, (description, sentence) in sentences.items()
        if status not in left_out
    }


ASKED: dict[int | str, dict[str, Any]] = {status: problems()[status] for status in (401, 421)}


def add_routes(api: FastAPI, served: Served) -> None:
    """All of them."""
    room, limits = served.room, served.settings.limits

    @api.post(
        PREDICT_V1,
        summary="Recognise the action in images and videos",
        description="Of one file in the field `file` the answer is a prediction; of several, or of "
        "files in the field `files`, it is a list of predictions and problems in their order. With "
        f"`Accept: {MEDIA_TYPE}` it is a stream of events: `progress`, then `prediction` or "
        "`problem` for each file, and at the end `done`.",
        response_model=Answer | Answers,
        responses=problems()
        | {200: {"description": "What is seen", "content": {MEDIA_TYPE: {"example": EVENTS}}}},
        openapi_extra=FILES,
    )
    async def predict_v1(
        request: Request,
        deciding: Annotated[
            bool, Query(description="Also the frames of a video that decided its answer.")
        ] = False,
        preview: Annotated[
            bool, Query(description="Also small pictures, for whoever cannot play the video.")
        ] = False,
        frame_rate: Annotated[
            float | None,
            Query(description="The files are images: the frames of one clip, so many a second.",
                  ge=0.01, le=1000),
        ] = None,
    ) -> Response:  # fmt: skip
        wishes = Wishes(deciding, preview, frame_rate)
        served.workers.check_room()
        async with contextlib.AsyncExitStack() as held:
            got = await held.enter_async_context(received(request, room, limits, several=True))
            clips = clips_of(got, wishes)
            one = frame_rate is not None or not got.several
            check_some_fit(clips)
            held.enter_context(served.workers.place())
            note(request, files=len(got.files))
            if MEDIA_TYPE in request.headers.get("accept", ""):
                return EventStream(events_of(served, clips), held.pop_all())
            if one:
                work = answer_one(served, clips[0])
                recognised = await while_connected(request, work)
                note_answer(request, recognised)
                return JSONResponse(as_answer(recognised), headers=NO_STORE)
            results = await while_connected(request, answer_several(served, clips))
            return JSONResponse({"results": results}, headers=NO_STORE)

    @api.post(
        PREDICT,
        summary="Recognise the action in an image or a video",
        description=f"As {PREDICT_V1} of one file, with every label in `all_predictions`.",
        response_model=SeedAnswer,
        responses=problems(),
        openapi_extra=ONE_FILE,
    )
    async def predict(request: Request) -> Response:
        served.workers.check_room()
        async with received(request, room, limits, several=False) as got:
            with served.workers.place():
                work = answer_one(served, clips_of(got, Wishes())[0])
                recognised = await while_connected(request, work)
            note_answer(request, recognised)
            return JSONResponse(as_seed_answer(recognised), headers=NO_STORE)

    _add_descriptions(api, served)


def _add_descriptions(api: FastAPI, served: Served) -> None:
    @api.get("/", summary="What this is", responses={421: ASKED[421]})
    def start(request: Request) -> Start:
        if served.settings.ui and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("ui")  # type: ignore[return-value]
        links = {"predict": PREDICT_V1, "model": "/v1/model", "classes": "/classes",
                 "health": "/health", "ready": "/ready", "metrics": "/metrics"}  # fmt: skip
        if reference_assets():
            links |= {"docs": "/docs", "redoc": "/redoc"}
        if served.settings.ui:
            links["ui"] = PAGE
        return Start(name="clipcache", version=__version__, links=links)

    def state() -> Health:
        ready = served.workers.ready
        return Health(ready=bool(ready), model=served.model.digest, workers=ready)

    @api.get("/health", summary="Alive", responses={421: ASKED[421]})
    async def health() -> Health:
        """Answered for as long as the server lives, also while no worker is ready."""
        return state()

    @api.get(
        "/ready",
        summary="Ready or not",
        responses={503: {"model": Health, "description": "No worker is ready."}, 421: ASKED[421]},
    )
    async def ready(response: Response) -> Health:
        """Whether a file sent now would be answered."""
        now = state()
        if not now.ready:
            response.status_code = 503
        return now

    @api.get("/classes", summary="The labels that the model knows", responses=ASKED)
    async def classes() -> Classes:
        return Classes(classes=served.model.labels)

    @api.get("/v1/model", summary="What the model knows, what the server takes", responses=ASKED)
    async def model() -> ModelAnswer:
        return served.model

    @api.get(f"{EXAMPLES}/{{number}}", include_in_schema=False)
    async def example(number: int) -> FileResponse:
        if not 0 <= number < len(served.examples):
            raise Refusal(404, f"There is no example {number}: /v1/model lists them.")
        return FileResponse(served.examples[number], media_type="application/octet-stream")

    @api.get("/metrics", summary="For Prometheus", response_class=Response, responses=ASKED)
    async def metrics() -> Response:
        return served.metrics.page()


def note(request: Request, **values: Any) -> None:
    """Add to the line of this request in the log."""
    request.scope.get(NOTES, {}).update(values)


def note_answer(request: Request, recognised: Recognised) -> None:
    """What was answered, for the log."""
    prediction = recognised.prediction
    note(request, action=prediction.label, confidence=round(prediction.confidence, 4))


async def while_connected(
    request: Request, work: Coroutine[Any, Any, Result]
) -> Result:  # fmt: skip
    """What the work gives; it is cancelled when the client leaves.

    Raises
    ------
    ClientDisconnect
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # the body is in: only that can come
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        task.cancel()
