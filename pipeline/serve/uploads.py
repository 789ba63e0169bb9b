"""Receive files: streamed to disk, judged by their first bytes, gone when they were answered."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from pipeline.serve import refusals
from pipeline.serve.connections import client_of
from pipeline.serve.content import HEAD_BYTES, Kind, kind_of
from pipeline.serve.refusals import Refusal
from pipeline.serve.settings import Limits
from pipeline.serve.upload_room import Upload, UploadRoom

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

ONE, SEVERAL = b"file", b"files"  # fields: one file, any number of them
WRITE_BYTES = 2**18  # handed to the disk at a time
HEADER_BYTES = 8192  # of one header of a part
NAME_LENGTH = 200  # characters of a name that are told back
HOW = "Send the image or video as multipart/form-data in a field called `file`"


@dataclass
class Received:
    """One file of a request.

    Attributes
    ----------
    name : as its sender calls it
    path : where it is; None where nothing has been written
    size : bytes
    kind : by its content; None for one that is refused
    refusal : why it is not taken
    """

    name: str
    path: Path | None = None
    size: int = 0
    kind: Kind | None = None
    refusal: Refusal | None = None
    waiting: bytearray = field(default_factory=bytearray)  # not yet on disk
    head: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        if self.refusal is not None:
            return
        self.waiting += data
        if self.kind is None:
            self.head += data[:HEAD_BYTES]
            if len(self.head) >= HEAD_BYTES:
                self._judge()

    def end(self) -> None:
        """That was all of it."""
        if self.kind is None and self.refusal is None:
            if self.size:
                self._judge()
            else:
                self.refusal = refusals.undecodable("it is empty")

    def _judge(self) -> None:
        self.kind = kind_of(bytes(self.head[:HEAD_BYTES]))
        if self.kind is None:
            self.refusal = refusals.unknown_kind()
            self.waiting.clear()


@dataclass
class Form:
    """The files of a request.

    Attributes
    ----------
    several : whether the answer is of several files: more than one came, or in the field `files`
    """

    files: list[Received]
    several: bool


@contextlib.asynccontextmanager
async def received(
    request: Request, room: UploadRoom, limits: Limits, *, several: bool
) -> AsyncIterator[Form]:
    """The files of a multipart request; they are removed on leaving.

    Nothing of the request decides where they are written: no field, no file name.

    Parameters
    ----------
    several : whether there may be more than one; a single file is refused as soon as it is clear
        that it will not be taken, one of several is passed over

    Raises
    ------
    Refusal
        As soon as it is clear that nothing will be taken, whatever is still to come.
    ClientDisconnect
        When the sender is gone.
    """
    client = client_of(request.client.host) if request.client else ""
    length = request.headers.get("content-length", "")
    announced = int(length) if length.isdigit() else limits.bytes
    async with room.upload(client, announced) as upload:
        yield await _receive(request, room, upload, limits, several)


async def _receive(
    request: Request, room: UploadRoom, upload: Upload, limits: Limits, several: bool
) -> Form:
    content_type, options = parse_options_header(request.headers.get("content-type"))
    if content_type != b"multipart/form-data":
        raise Refusal(415, f"{HOW}.")
    parts = _Parts(limits, several)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), parts.callbacks())
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parser.write(message.get("body", b""))
            more = message.get("more_body", False)
            for file in parts.files:
                if len(file.waiting) >= WRITE_BYTES or (file.waiting and not more):
                    await _write(room, upload, file)
            if more and parts.pending() >= WRITE_BYTES:
                for file in parts.files:
                    await _write(room, upload, file)
    except FormParserError as error:
        raise refusals.malformed(str(error)) from None
    if not parts.complete:
        raise refusals.malformed("it ends in the middle")
    if not parts.files:
        raise Refusal(422, f"{HOW}.")
    room.complete(upload)
    return Form(parts.files, parts.several)


async def _write(room: UploadRoom, upload: Upload, file: Received) -> None:
    if file.refusal is not None or not file.waiting:
        return
    if file.path is None:
        file.path = room.new_file(upload)
    data = bytes(file.waiting)
    file.waiting.clear()
    await room.write(upload, file.path, data)


class _Parts:
    """What has come of a form so far; parts other than files are read and forgotten."""

    def __init__(self, limits: Limits, may_be_several: bool) -> None:
        self.files: list[Received] = []
        self.several = False
        self.complete = False
        self._limits = limits
        self._may_be_several = may_be_several
        self._header, self._value = bytearray(), bytearray()
        self._field: bytes | None = None
        self._name = ""
        self._file: Received | None = None

    def callbacks(self) -> "MultipartCallbacks":
        """For the parser."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._add(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(self._value, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_data,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def pending(self) -> int:
        """Bytes that are not yet on disk."""
        return sum(len(file.waiting) for file in self.files)

    def _begin_part(self) -> None:
        self._field, self._name, self._file = None, "", None

    def _add(self, text: bytearray, data: bytes) -> None:
        text += data
        if len(text) > HEADER_BYTES:
            raise refusals.malformed("a header of one of its parts is too long")

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(self._value.decode("latin-1"))
            self._field = options.get(b"name")
            self._name = shown_name(options.get(b"filename", b""))
        self._header.clear()
        self._value.clear()

    def _begin_data(self) -> None:
        if self._field not in ((ONE, SEVERAL) if self._may_be_several else (ONE,)):
            return
        if self.files and not self._may_be_several:
            raise Refusal(422, "Send one file at a time: the field `file` is there twice.")
        if len(self.files) == self._limits.files:
            raise refusals.too_many_files(self._limits.files)
        self._file = Received(self._name)
        self.files.append(self._file)
        self.several = self._field == SEVERAL or len(self.files) > 1

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            return
        self._file.take(data[start:end])
        if self._file.size > self._limits.bytes:
            raise refusals.too_many_bytes(self._limits.bytes)
        self._check_single()

    def _end_part(self) -> None:
        if self._file is not None:
            self._file.end()
            self._check_single()

    def _end(self) -> None:
        self.complete = True

    def _check_single(self) -> None:
        """Of a single file nothing more need be read once it is refused."""
        if self._file is None or self._file.refusal is None:
            return
        if not self._may_be_several:
            raise self._file.refusal


def shown_name(name: bytes) -> str:
    """A file's name to tell back: without folders and control characters, and not too long."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    text = text.replace("%22", '"')  # browsers encode that, and line breaks (HTML, form data)
    return "".join(char for char in text if char.isprintable())[:NAME_LENGTH]
