"""Receive one file: streamed to disk, judged by its first bytes, gone when it was answered."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from pipeline.serve import refusals
from pipeline.serve.answers import Task
from pipeline.serve.content import HEAD_BYTES, Kind, kind_of
from pipeline.serve.refusals import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = b"file"
WRITE_BYTES = 2**20  # handed to the disk at a time


@contextlib.asynccontextmanager
async def received(request: Request, folder: Path, limit: int) -> AsyncIterator[Task]:
    """The file in the field `file` of a multipart request; it is removed on leaving.

    Nothing of the request decides where it is written: not its field, not its file name.

    Parameters
    ----------
    folder : where to write it
    limit : bytes of the file

    Raises
    ------
    Refusal
        As soon as it is clear that the file will not be taken, whatever is still to come.
    ClientDisconnect
        When the sender is gone.
    """
    path = folder / uuid.uuid4().hex
    try:
        with path.open("xb") as stream:
            kind = await _receive(request, stream, limit)
        yield Task(path, kind)
    finally:
        path.unlink(missing_ok=True)


async def _receive(request: Request, stream: BinaryIO, limit: int) -> Kind:
    content_type, options = parse_options_header(request.headers.get("content-type"))
    if content_type != b"multipart/form-data":
        raise Refusal(
            415, "Send the image or video as multipart/form-data, in a field called `file`."
        )
    form = _Form(limit)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks())
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parser.write(message.get("body", b""))
            more = message.get("more_body", False)
            if len(form.waiting) >= WRITE_BYTES or not more:
                data = bytes(form.waiting)
                form.waiting.clear()
                await asyncio.to_thread(stream.write, data)
    except FormParserError as error:
        raise refusals.malformed(str(error)) from None
    if not form.complete:
        raise refusals.malformed("it ends in the middle")
    if form.kind is None:
        raise Refusal(
            422, "Send the image or video as multipart/form-data in a field called `file`."
        )
    return form.kind


class _Form:
    """What has come of a form so far; parts other than the file are read and forgotten."""

    def __init__(self, limit: int) -> None:
        self.waiting = bytearray()  # of the file, not yet on disk
        self.size = 0  # bytes of the file so far
        self.kind: Kind | None = None
        self.complete = False
        self._limit = limit
        self._head = bytearray()
        self._field, self._value = bytearray(), bytearray()
        self._name: bytes | None = None
        self._seen = False

    def callbacks(self) -> "MultipartCallbacks":
        """For the parser."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_data,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._name = None

    def _end_header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            _, options = parse_options_header(self._value.decode("latin-1"))
            self._name = options.get(b"name")
        self._field.clear()
        self._value.clear()

    def _begin_data(self) -> None:
        if self._name == FIELD:
            if self._seen:
                raise Refusal(422, "Send one file at a time: the field `file` is there twice.")
            self._seen = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FIELD:
            return
        self.size += end - start
        if self.size > self._limit:
            raise refusals.too_many_bytes(self._limit)
        self.waiting += data[start:end]
        if self.kind is None:
            self._head += data[start : min(end, start + HEAD_BYTES)]
            if len(self._head) >= HEAD_BYTES:
                self._judge()

    def _end_part(self) -> None:
        if self._name == FIELD and self.kind is None:
            if not self.size:
                raise refusals.undecodable("it is empty")
            self._judge()

    def _end(self) -> None:
        self.complete = True

    def _judge(self) -> None:
        self.kind = kind_of(bytes(self._head[:HEAD_BYTES]))
        if self.kind is None:
            raise refusals.unknown_kind()
