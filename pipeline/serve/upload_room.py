"""The room for uploads: how many arrive at once, and how many bytes they fill together.

All of them lie in one folder, under names that no client chose. Where all places are taken, the
slowest upload gives way to the next one, so that slow clients never keep others out.
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

FRESH_SECONDS = 2.0  # in which nobody is called slow
SLOW = 128 * 1024  # bytes a second; who is faster does not give way
MARGIN = 1 << 20  # bytes that stay free on the disk
SWEEP_SECONDS = 60.0  # between two looks for files that nobody owns
RETRY_SECONDS = 2


@dataclass(eq=False)
class Upload:
    """What one request sends.

    Attributes
    ----------
    reserved : bytes of the room that it takes
    arrived : bytes of it that are there
    paths : its files
    """

    client: str
    reserved: int
    started: float
    task: "asyncio.Task[object] | None"
    arrived: int = 0
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
        """Of the room, that are taken."""
        return sum(upload.reserved for upload in self._stored)

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
        upload = Upload(client, announced, time.monotonic(), asyncio.current_task())
        self._arriving.add(upload)
        self._stored.add(upload)
        try:
            await self._check_room(upload)
            yield upload
        except asyncio.CancelledError:
            if upload.evicted and upload.task is not None and upload.task.uncancel() == 0:
                raise refusals.slower_than_others(RETRY_SECONDS) from None
            raise
        finally:
            self._arriving.discard(upload)
            self._stored.discard(upload)
            for path in upload.paths:
                path.unlink(missing_ok=True)

    def complete(self, upload: Upload) -> None:
        """All of it is there: its place is free, and so is what it reserved in vain."""
        self._arriving.discard(upload)
        upload.reserved = upload.arrived

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
            When the disk is full.
        """
        upload.arrived += len(data)
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
        of_client = [one for one in self._arriving if one.client == client]
        if len(of_client) >= self._crowd.client_uploads:
            if not self._evict(of_client):
                raise refusals.too_many_uploads(len(of_client), RETRY_SECONDS)
        elif len(self._arriving) >= self._crowd.uploads and not self._evict(self._arriving):
            raise refusals.crowded(RETRY_SECONDS)

    def _evict(self, among: "set[Upload] | list[Upload]") -> bool:
        """Make a slow upload give way; False where there is none."""
        settled = time.monotonic() - FRESH_SECONDS
        slow = [one for one in among if one.started < settled and one.rate() < SLOW]
        if not slow:
            return False
        slowest = min(slow, key=Upload.rate)
        slowest.evicted = True
        self._arriving.discard(slowest)
        if slowest.task is not None:
            slowest.task.cancel()
        return True

    async def _check_room(self, upload: Upload) -> None:
        whole = self._crowd.files * self._largest
        own = sum(one.reserved for one in self._stored if one.client == upload.client)
        if self.filled > whole or own > max(whole // 2, upload.reserved):
            raise refusals.no_room(RETRY_SECONDS)
        to_come = sum(one.reserved - one.arrived for one in self._arriving)
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, self.folder)).free
        except OSError:
            free = 0
        if free < to_come + MARGIN:
            raise refusals.no_room(RETRY_SECONDS)


def _append(path: Path, data: bytes) -> None:
    """Write on at the end of a file that is there: one that was removed must not come back."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "ab") as stream:
        stream.write(data)
