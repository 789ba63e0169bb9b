"""What kind of file it is, told by its first bytes and never by its name.

Only what is listed here reaches a decoder. FFmpeg would open much more, among it playlists and
session descriptions that name other files and addresses (HLS, DASH, concat, SDP): a server must
not follow those.
"""

from typing import Literal

Kind = Literal["image", "video"]

HEAD_BYTES = 1024  # enough for every rule below, and for five packets of a transport stream

IMAGE_STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"II*\0",  # TIFF, little-endian
    b"MM\0*",  # TIFF, big-endian
)
VIDEO_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"GIF87a",
    b"GIF89a",
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG-1 or -2 video
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"DKIF",  # IVF
    b"YUV4MPEG2 ",
)
RIFF_KINDS: dict[bytes, Kind] = {b"AVI ": "video", b"WEBP": "image"}
# The type of the first box (ISO/IEC 14496-12) or atom (QuickTime File Format) of MP4, MOV, 3GP
MP4_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))
STILL_BRANDS = frozenset((b"avif", b"heic", b"heix", b"mif1"))  # pictures in an MP4's clothes
TRANSPORT_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, offset of its sync byte
SYNC_BYTE = 0x47


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file that begins with `head`; None where it is neither.

    Parameters
    ----------
    head : the first `HEAD_BYTES` bytes, or the whole of a shorter file
    """
    if head.startswith(IMAGE_STARTS):
        return "image"
    if head.startswith(VIDEO_STARTS) or _is_transport_stream(head):
        return "video"
    if head.startswith(b"RIFF"):
        return RIFF_KINDS.get(head[8:12])
    if head[4:8] in MP4_BOXES and head[8:12] not in STILL_BRANDS:
        return "video"
    return None


def _is_transport_stream(head: bytes) -> bool:
    """Three packets in a row begin with the sync byte (ISO/IEC 13818-1)."""
    return any(
        len(head) > offset + 2 * size
        and all(head[offset + i * size] == SYNC_BYTE for i in range(3))
        for size, offset in TRANSPORT_PACKETS
    )
