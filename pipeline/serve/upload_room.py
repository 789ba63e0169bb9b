"""The room for uploads: how many arrive at once, and how many bytes they fill together.

All of them lie in one folder, under names that no client chose. An upload that is fresh needs no
place; one that lasts does, and where there are not enough of them the slowest goes. So slow clients
keep nobody out, however many they are.
"""

import asyncio
import contextlib
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.serve import refusals
from pipeline.serve.settings import Crowd

FRESH_SECONDS = 2.0  # in which an upload needs no place
SLOW = 128 * 1024  # bytes a second; newcomers are let in while somebody slower holds a place
MARGIN = 1 << 20  # bytes that stay free on the disk
SWEEP_SECONDS = 60.0  # between two looks for files that nobody owns
RETRY_SECONDS = 2


@dataclass(eq=False)
class Upload:
    """What one request sends.

    Attributes
    ----------
    arrived : bytes of it that are there
    lasting : whether it is no longer fresh, and holds a place
    paths : its files
    """

    client: str
    started: float
    task: "asyncio.Task[object] | None"
    arrived: int = 0
    lasting: bool = False
    evicted: bool = False
    paths: list[Path] = field(default_factory=list)

    def rate(self) -> float:
        """Bytes a second so far."""
        return self.arrived / max(time.monotonic() - self.started, 1e-3)


class UploadRoom:
    """The folder of uploads, and who is in it.

    Parameters
    ----------
    folder : the server's own, empty
    crowd : how many uploads there may be
    largest : bytes of one file
    """

    def __init__(self, folder: Path, crowd: Crowd, largest: int) -> None:
        self.folder = folder
        self._crowd = crowd
        self._largest = largest
        self._arriving: set[Upload] = set()
        self._stored: set[Upload] = set()

    @property
    def arriving(self) -> int:
        """Uploads under way."""
        return len(self._arriving)

    @property
    def filled(self) -> int:
        """Bytes of the room that are taken."""
        return sum(upload.arrived for upload in self._stored)

    @contextlib.asynccontextmanager
    async def upload(self, client: str, announced: int) -> AsyncIterator[Upload]:
        """A place for what one request sends; its files are gone on leaving.

        Parameters
        ----------
        client : who sends it
        announced : bytes that it may fill

        Raises
        ------
        Refusal
            Where there is no place or no room; inside, where it was too slow while others waited.
        """
        self._check_places(client)
        upload = Upload(client, time.monotonic(), asyncio.current_task())
        self._arriving.add(upload)
        self._stored.add(upload)
        lasting = asyncio.get_running_loop().call_later(FRESH_SECONDS, self._needs_place, upload)
        try:
            self._check_filled(upload)
            await self._check_disk(announced)
            yield upload
        except asyncio.CancelledError:
            if upload.evicted and upload.task is not None and upload.task.uncancel() == 0:
                raise refusals.slower_than_others(RETRY_SECONDS) from None
            raise
        finally:
            lasting.cancel()
            self._arriving.discard(upload)
            self._stored.discard(upload)
            for path in upload.paths:
                path.unlink(missing_ok=True)

    def complete(self, upload: Upload) -> None:
        """All of it is there: its place is free."""
        self._arriving.discard(upload)

    def new_file(self, upload: Upload) -> Path:
        """An empty file of an upload; nothing that was sent decides its name.

        Raises
        ------
        Refusal
            When the disk is full.
        """
        path = self.folder / uuid.uuid4().hex
        upload.paths.append(path)
        try:
            path.touch(0o600, exist_ok=False)
        except OSError:
            raise refusals.no_room(RETRY_SECONDS) from None
        return path

    async def write(self, upload: Upload, path: Path, data: bytes) -> None:
        """Append to one of an upload's files.

        Raises
        ------
        Refusal
            When the disk or the room is full.
        """
        upload.arrived += len(data)
        self._check_filled(upload)
        try:
            await asyncio.to_thread(_append, path, data)
        except OSError:
            raise refusals.no_room(RETRY_SECONDS) from None

    async def keep_clean(self) -> None:
        """Remove what nobody owns, for as long as the server runs."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Remove what nobody owns."""
        with contextlib.suppress(OSError):
            there = {path for path in self.folder.iterdir() if path.is_file()}
            owned = {path for upload in self._stored for path in upload.paths}
            for path in there - owned:
                path.unlink(missing_ok=True)

    def _check_places(self, client: str) -> None:
        lasting = [one for one in self._arriving if one.lasting]
        own = [one for one in lasting if one.client == client]
        if len(own) >= self._crowd.client_uploads and not any(map(_is_slow, own)):
            raise refusals.too_many_uploads(len(own), RETRY_SECONDS)
        if len(lasting) >= self._crowd.uploads and not any(map(_is_slow, lasting)):
            raise refusals.crowded(RETRY_SECONDS)

    def _needs_place(self, upload: Upload) -> None:
        """It is not fresh any more: where there are too many such, the slowest goes."""
        if upload not in self._arriving:
            return
        upload.lasting = True
        lasting = [one for one in self._arriving if one.lasting]
        own = [one for one in lasting if one.client == upload.client]
        if len(own) > self._crowd.client_uploads:
            self._evict(min(own, key=Upload.rate))
        elif len(lasting) > self._crowd.uploads:
            self._evict(min(lasting, key=Upload.rate))

    def _evict(self, upload: Upload) -> None:
        upload.evicted = True
        self._arriving.discard(upload)
        if upload.task is not None:
            upload.task.cancel()

    def _check_filled(self, upload: Upload) -> None:
        whole = self._crowd.files * self._largest
        own = sum(one.arrived for one in self._stored if one.client == upload.client)
        if self.filled > whole or own > whole // 2:
            raise refusals.no_room(RETRY_SECONDS)

    async def _check_disk(self, announced: int) -> None:
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, self.folder)).free
        except OSError:
            free = 0
        if free < announced + MARGIN:
            raise refusals.no_room(RETRY_SECONDS)


def _is_slow(upload: Upload) -> bool:
    return upload.rate() < SLOW


def _append(path: Path, data: bytes) -> None:
    """Write on at the end of a file that is there: one that was removed must not come back."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "ab") as stream:
        stream.write(data)
