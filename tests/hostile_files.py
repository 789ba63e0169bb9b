"""Files that nobody should send to a server, and the harmless ones that they are made from."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np

MOST_BYTES = 1_000_000  # of the server that they are sent to
TEN_HOURS = 36_000  # seconds


def encoded(path: Path, frames: int, size: tuple[int, int] = (64, 48), codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, size)
    assert writer.isOpened()
    for i in range(frames):
        picture = np.full((size[1], size[0], 3), 60, np.uint8)
        cv2.circle(picture, (10 + i % 40, 20), 8, (200, 180, 90), -1)
        writer.write(picture)
    writer.release()
    return path


def picture(height: int = 48, width: int = 64, extension: str = ".png") -> bytes:
    random = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(random, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(extension, image)[1].tobytes()


def hostile(folder: Path) -> dict[str, tuple[bytes, int, str]]:
    """name -> content, status, a word of the sentence."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("clip.mp4", b"0" * 1000)
    whole = encoded(folder / "whole.mp4", 40).read_bytes()
    return {
        "empty": (b"", 422, "empty"),
        "1 byte": (b"\0", 415, "neither"),
        "zip": (archive.getvalue(), 415, "neither"),
        "html": (b"<!doctype html><script>alert(1)</script>", 415, "neither"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "neither"),
        "playlist": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n", 415, "neither"),
        "concat": (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "neither"),
        "sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", 415, "neither"),
        "half an mp4": (whole[: len(whole) // 2], 422, "cannot be used"),
        "head of an mp4": (whole[:64], 422, "cannot be used"),
        "mp4 by its first bytes": (b"\0\0\0\x20ftypisom" + bytes(5000), 422, "cannot be used"),
        "png by its first bytes": (b"\x89PNG\r\n\x1a\n" + bytes(5000), 422, "cannot be used"),
        "half a png": (picture(400, 400)[:200], 422, "cannot be used"),
        "16,000 x 16,000": (blank_png(16_000), 422, "16,000 x 16,000 pixels"),
        "claims ten hours": (claiming(whole, TEN_HOURS), 422, "longer than the 60 seconds"),
        "avi that claims ten hours": (
            claiming_avi(encoded(folder / "whole.avi", 40, codec="MJPG").read_bytes()),
            422,
            "longer than the 60 seconds",
        ),
        "too many frames": (encoded(folder / "long.mp4", 901).read_bytes(), 422, "900"),
        "large frames": (
            encoded(folder / "large.mp4", 2, (1920, 1080)).read_bytes(), 422, "1,920 x 1,080",
        ),
        "too many bytes": (whole + bytes(MOST_BYTES), 413, "1,000,000 bytes"),
    }  # fmt: skip


def blank_png(side: int) -> bytes:
    """A valid PNG of one colour, of a few kilobytes whatever its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def claiming(mp4: bytes, seconds: int) -> bytes:
    """An MP4 whose frames together are said to last so long (ISO/IEC 14496-12, box stts).

    The boxes mvhd, mdhd and elst say so too: what lies outside of an edit list is not shown.
    """
    at = mp4.index(b"stts") + 4
    entries, count = struct.unpack_from(">II", mp4, at + 4)
    assert entries == 1
    scale = struct.unpack_from(">I", mp4, mp4.index(b"mdhd") + 4 + 12)[0]
    changed = bytearray(mp4)
    struct.pack_into(">I", changed, at + 12, seconds * scale // count)
    struct.pack_into(">I", changed, mp4.index(b"mdhd") + 4 + 16, seconds * scale)
    movie = mp4.index(b"mvhd") + 4
    lasting = seconds * struct.unpack_from(">I", mp4, movie + 12)[0]
    struct.pack_into(">I", changed, movie + 16, lasting)
    struct.pack_into(">I", changed, mp4.index(b"elst") + 4 + 8, lasting)
    return bytes(changed)


def claiming_avi(avi: bytes) -> bytes:
    """An AVI whose headers say ten hours, over the frames that it has."""
    changed = bytearray(avi)
    struct.pack_into("<I", changed, avi.index(b"avih") + 8 + 16, TEN_HOURS * 25)
    struct.pack_into("<I", changed, avi.index(b"strh") + 8 + 32, TEN_HOURS * 25)
    return bytes(changed)


HOSTILE = ("empty", "1 byte", "zip", "html", "svg", "playlist", "concat", "sdp", "half an mp4",
           "head of an mp4", "mp4 by its first bytes", "png by its first bytes", "half a png",
           "16,000 x 16,000", "claims ten hours", "avi that claims ten hours", "too many frames",
           "large frames", "too many bytes")  # fmt: skip
