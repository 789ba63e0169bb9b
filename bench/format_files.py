"""Small videos of many kinds, made with FFmpeg from the package index: what people have, and odd.

Twelve codecs, interlaced or not, in 8 and 10 bit and 4:2:0 to 4:4:4, turned, with varying frame
rates, B-frames and edit lists, with two video streams or none, animated pictures, and damage.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 1
PICTURE = "testsrc2=size={size}:rate={rate}:duration={seconds}"
INTERLACED = "tinterlace=interleave_top,setfield=tff"
# Rates that vary as those of a phone do: every fifth frame is missing.
VARYING = "select='not(eq(mod(n\\,5)\\,3))'"


@dataclass(frozen=True)
class Made:
    """How a file is made.

    Attributes
    ----------
    name : of the file, with the ending that says the container
    options : of FFmpeg, behind the input
    size : "width x height" in pixels, with an x alone between
    rate : pictures a second that are drawn; interlaced video has half of them as frames
    said : what it is, in words
    """

    name: str
    options: str
    said: str
    size: str = "160x120"
    rate: int = 25


def _interlaced(name: str, options: str, said: str, size: str = "160x128") -> Made:
    return Made(name, f"-vf {INTERLACED} {options}", f"{said}, interlaced", size, 50)


X264 = "-c:v libx264 -preset veryfast -pix_fmt"
MADE = (
    Made("h264.mp4", f"{X264} yuv420p", "H.264"),
    Made("h264_b_frames.mkv", f"{X264} yuv420p -bf 3 -g 12", "H.264 with B-frames"),
    Made("h264_no_b_frames.flv", f"{X264} yuv420p -bf 0", "H.264"),
    Made("h264_422.mp4", f"{X264} yuv422p", "H.264 4:2:2"),
    Made("h264_444.mp4", f"{X264} yuv444p", "H.264 4:4:4"),
    Made("h264_10bit.mp4", f"{X264} yuv420p10le", "H.264 10 bit"),
    Made("h264_422_10bit.mov", f"{X264} yuv422p10le", "H.264 4:2:2 10 bit"),
    Made("h264_444_10bit.mkv", f"{X264} yuv444p10le", "H.264 4:4:4 10 bit"),
    Made("h264_grey.mp4", f"{X264} gray", "H.264 grey"),
    Made("h264_rgb.mkv", "-c:v libx264rgb", "H.264 RGB"),
    Made("h264_full_range.mp4", f"{X264} yuv420p -vf scale=out_range=full -color_range pc",
         "H.264, full range"),
    Made("h264_bt709.mp4", f"{X264} yuv420p -vf scale=out_color_matrix=bt709 -colorspace bt709 "
         "-color_primaries bt709 -color_trc bt709", "H.264, BT.709"),
    Made("h264_odd.mp4", f"{X264} yuv444p", "H.264, odd size", "161x121"),
    Made("h264_cropped.mp4", f"{X264} yuv420p", "H.264, size no multiple of 16", "150x106"),
    Made("h264_vfr.mp4", f"{X264} yuv420p -vf {VARYING} -fps_mode vfr", "H.264, varying rate"),
    Made("h264_vfr.mkv", f"{X264} yuv420p -vf {VARYING} -fps_mode vfr", "H.264, varying rate"),
    Made("h264_late_start.mp4", f"{X264} yuv420p -output_ts_offset 5", "H.264, starts at 5 s"),
    Made("h264_fragmented.mp4", f"{X264} yuv420p -movflags frag_keyframe+empty_moov -g 8",
         "H.264, fragmented"),
    Made("h264.ts", f"{X264} yuv420p -bf 2", "H.264"),
    Made("h264.h264", f"{X264} yuv420p -bf 0", "H.264, bare"),
    Made("h264_wide_pixels.mp4", f"{X264} yuv420p -aspect 16:9", "H.264, wide pixels"),
    Made("h264_intra_refresh.mp4", f"{X264} yuv420p -intra-refresh 1 -g 10", "H.264 without keys"),
    _interlaced("h264_mbaff.mp4", f"{X264} yuv420p -flags +ildct+ilme -x264-params tff=1",
                "H.264 MBAFF"),
    _interlaced("h264_mbaff.MTS", f"-f mpegts {X264} yuv420p -flags +ildct+ilme "
                "-x264-params tff=1", "H.264 MBAFF"),
    _interlaced("h264_mbaff_10bit.mkv", f"{X264} yuv422p10le -flags +ildct+ilme "
                "-x264-params tff=1", "H.264 4:2:2 10 bit"),
    Made("h264_said_interlaced.mp4", f"{X264} yuv420p -x264-params fake-interlaced=1",
         "H.264, progressive, said to be interlaced"),
    Made("hevc.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1",
         "H.265"),
    Made("hevc_10bit.mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=none "
         "-pix_fmt yuv420p10le", "H.265 10 bit"),
    Made("hevc_422_10bit.mov", "-c:v libx265 -preset ultrafast -x265-params log-level=none "
         "-pix_fmt yuv422p10le", "H.265 4:2:2 10 bit"),
    Made("hevc_444_12bit.mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=none "
         "-pix_fmt yuv444p12le", "H.265 4:4:4 12 bit"),
    Made("mpeg2.mpg", "-c:v mpeg2video -b:v 2M -bf 2", "MPEG-2"),
    Made("mpeg2.m2v", "-c:v mpeg2video -b:v 2M -bf 0", "MPEG-2, bare"),
    Made("mpeg2.vob", "-f vob -c:v mpeg2video -b:v 2M", "MPEG-2"),
    Made("mpeg2_422.mkv", "-c:v mpeg2video -b:v 4M -pix_fmt yuv422p", "MPEG-2 4:2:2"),
    _interlaced("mpeg2_interlaced.mpg", "-c:v mpeg2video -b:v 3M -flags +ildct+ilme "
                "-bf 2", "MPEG-2"),
    _interlaced("mpeg2_interlaced.ts", "-c:v mpeg2video -b:v 3M -flags +ildct+ilme", "MPEG-2"),
    Made("mpeg1.mpg", "-c:v mpeg1video -b:v 2M", "MPEG-1"),
    Made("mpeg4.avi", "-c:v mpeg4 -q:v 3", "MPEG-4"),
    Made("mpeg4.3gp", "-c:v mpeg4 -q:v 3", "MPEG-4"),
    Made("xvid_b_frames.avi", "-c:v libxvid -q:v 3 -bf 2", "XviD with B-frames"),
    _interlaced("mpeg4_interlaced.avi", "-c:v mpeg4 -q:v 3 -flags +ildct+ilme", "MPEG-4"),
    _interlaced("xvid_interlaced.mp4", "-c:v mpeg4 -vtag mp4v -q:v 3 -flags +ildct+ilme",
                "MPEG-4"),
    Made("mjpeg.avi", "-c:v mjpeg -q:v 3", "Motion JPEG"),
    Made("mjpeg_422.mov", "-c:v mjpeg -q:v 3 -pix_fmt yuvj422p", "Motion JPEG 4:2:2"),
    Made("mjpeg_444.mkv", "-c:v mjpeg -q:v 3 -pix_fmt yuvj444p", "Motion JPEG 4:4:4"),
    _interlaced("mjpeg_interlaced.mov", "-c:v mjpeg -q:v 3 -field_order tt", "Motion JPEG"),
    Made("prores.mov", "-c:v prores_ks -profile:v 2", "ProRes 4:2:2 10 bit"),
    Made("prores_4444.mov", "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le",
         "ProRes 4:4:4:4 10 bit"),
    _interlaced("prores_interlaced.mov", "-c:v prores_ks -profile:v 2 -flags +ildct",
                "ProRes 4:2:2 10 bit"),
    _interlaced("dv_pal.dv", "-c:v dvvideo -s 720x576 -pix_fmt yuv420p -r 25", "DV", "720x576"),
    _interlaced("dv_pal.avi", "-c:v dvvideo -s 720x576 -pix_fmt yuv420p -r 25", "DV", "720x576"),
    Made("dnxhd.mov", "-c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p", "DNxHR", "256x144"),
    Made("vp8.webm", "-c:v libvpx -b:v 1M -deadline realtime", "VP8"),
    Made("vp9.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8", "VP9"),
    Made("vp9_10bit.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8 "
         "-pix_fmt yuv420p10le", "VP9 10 bit"),
    Made("vp9_444.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8 -pix_fmt yuv444p",
         "VP9 4:4:4"),
    Made("vp9_odd.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8",
         "VP9, odd size", "161x121"),
    Made("vp9_alpha.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8 "
         "-pix_fmt yuva420p", "VP9 with alpha"),
    Made("vp9.mp4", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8", "VP9"),
    Made("av1.mp4", "-c:v libaom-av1 -cpu-used 8 -b:v 500k -usage realtime", "AV1"),
    Made("av1.webm", "-c:v libaom-av1 -cpu-used 8 -b:v 500k -usage realtime", "AV1"),
    Made("av1.mkv", "-c:v libsvtav1 -preset 12 -svtav1-params fast-decode=1", "AV1"),
    Made("av1_10bit.mkv", "-c:v libaom-av1 -cpu-used 8 -usage realtime -pix_fmt yuv420p10le",
         "AV1 10 bit"),
    Made("av1_444.mp4", "-c:v libaom-av1 -cpu-used 8 -usage realtime -pix_fmt yuv444p",
         "AV1 4:4:4"),
    Made("av1.ivf", "-c:v libaom-av1 -cpu-used 8 -usage realtime", "AV1"),
    Made("ffv1.mkv", "-c:v ffv1 -pix_fmt yuv420p", "FFV1"),
    Made("ffv1_10bit.mkv", "-c:v ffv1 -pix_fmt yuv422p10le", "FFV1 4:2:2 10 bit"),
    _interlaced("ffv1_interlaced.mkv", "-c:v ffv1 -pix_fmt yuv420p -flags +ildct", "FFV1"),
    Made("huffyuv.avi", "-c:v huffyuv", "HuffYUV"),
    Made("utvideo.avi", "-c:v utvideo -pix_fmt yuv420p", "Ut Video"),
    Made("png.avi", "-c:v png", "PNG in AVI"),
    Made("raw_rgb.avi", "-c:v rawvideo -pix_fmt bgr24", "uncompressed RGB"),
    Made("raw_yuv.nut", "-c:v rawvideo -pix_fmt yuv420p", "uncompressed YUV"),
    Made("raw.y4m", "-pix_fmt yuv420p -strict -1", "uncompressed YUV"),
    Made("theora.ogv", "-c:v libtheora -q:v 7", "Theora"),
    Made("wmv2.wmv", "-c:v wmv2 -b:v 1M", "WMV 8"),
    Made("msmpeg4.avi", "-c:v msmpeg4 -q:v 3", "MS MPEG-4"),
    Made("h263.3gp", "-c:v h263 -q:v 3", "H.263", "176x144"),
    Made("flv1.flv", "-c:v flv -q:v 3", "Sorenson Spark"),
    Made("vc2.mkv", "-c:v vc2", "Dirac", "160x128"),
    Made("jpeg2000.mov", "-c:v jpeg2000", "JPEG 2000"),
    Made("cinepak.mov", "-c:v cinepak", "Cinepak"),
    Made("mpeg2.mxf", "-c:v mpeg2video -b:v 4M -pix_fmt yuv422p", "MPEG-2 in MXF"),
    Made("animated.gif", "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse -r 10",
         "animated GIF"),
    Made("animated.png", "-f apng -plays 0 -r 10", "animated PNG"),
    Made("animated.webp", "-c:v libwebp_anim -lossless 1 -r 10", "animated WebP"),
    Made("animated.avif", "-c:v libaom-av1 -cpu-used 8 -usage realtime -r 10", "animated AVIF"),
)  # fmt: skip


def make_files(folder: Path, ffmpeg: str) -> dict[Path, str]:
    """Make all files; path -> what it is, in words.

    Raises
    ------
    RuntimeError
        When FFmpeg cannot make one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for one in MADE:
        path = folder / one.name
        picture = PICTURE.format(size=one.size, rate=one.rate, seconds=SECONDS)
        _run([ffmpeg, "-f", "lavfi", "-i", picture, *one.options.split(" "), str(path)])
        made[path] = one.said
    return made | _composed(folder, ffmpeg)


def _composed(folder: Path, ffmpeg: str) -> dict[Path, str]:
    """Files that are made of others: turned, with edit lists, and of several streams."""
    h264, made = folder / "h264.mp4", {}
    sound = ["-f", "lavfi", "-i", "sine=duration=1"]
    red = ["-f", "lavfi", "-i", "color=red:size=64x64:rate=25:duration=1"]

    def make(name: str, said: str, *arguments: str) -> Path:
        _run([ffmpeg, *arguments, str(folder / name)])
        made[folder / name] = said
        return folder / name

    for degrees in (90, 180, 270):
        make(f"turned_{degrees}.mp4", f"H.264, turned by {degrees} degrees",
             "-display_rotation", str(degrees), "-i", str(h264), "-c", "copy")  # fmt: skip
    make("turned_av1.mp4", "AV1, turned by 90 degrees",
         "-display_rotation", "90", "-i", str(folder / "av1.mp4"), "-c", "copy")  # fmt: skip
    make("turned_interlaced.mp4", "H.264 MBAFF, interlaced, turned by 90 degrees",
         "-display_rotation", "90", "-i", str(folder / "h264_mbaff.mp4"), "-c", "copy")  # fmt: skip
    make("edit_list.mp4", "H.264, begins inside by an edit list",
         "-ss", "0.4", "-i", str(h264), "-c", "copy", "-avoid_negative_ts",
         "make_zero")  # fmt: skip
    make("long_sound.mp4", "H.264, sound twice as long",
         "-i", str(h264), "-f", "lavfi", "-i", "sine=duration=2", "-c:v", "copy")  # fmt: skip
    streams = ["-map", "0:v", "-map", "1:v", "-c:v", "libx264"]
    make("second_is_default.mkv", "two videos, the second the default one",
         *red, "-i", str(h264), *streams, "-disposition:0", "0", "-disposition:1",
         "default")  # fmt: skip
    make("first_is_default.mkv", "two videos, the first the default one",
         "-i", str(h264), *red, *streams, "-disposition:0", "default", "-disposition:1",
         "0")  # fmt: skip
    cover = make("cover.jpg", "", *red, "-frames:v", "1")
    del made[cover]
    make("cover_art.mp4", "H.264 with a cover picture", "-i", str(h264), "-i", str(cover),
         "-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic",
         "-disposition:v:1", "default")  # fmt: skip
    make("song.mp3", "sound with a cover picture", *sound, "-i", str(cover), "-map", "0",
         "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")  # fmt: skip
    make("song.m4a", "sound with a cover picture", *sound, "-i", str(cover), "-map", "0",
         "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")  # fmt: skip
    make("sound.mp4", "sound alone", *sound)
    small, large = folder / "small.ts", folder / "large.ts"
    for path, size in ((small, "96x64"), (large, "160x120")):
        _run([ffmpeg, "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.5", "-c:v",
              "libx264", "-bf", "0", str(path)])  # fmt: skip
    grows = folder / "changes_size.ts"
    grows.write_bytes(small.read_bytes() + large.read_bytes())
    made[grows] = "H.264 that changes its size"
    for path in (small, large, cover):
        path.unlink()
    playlist = folder / "playlist.m3u8"
    shutil.copy(folder / "h264.ts", folder / "part.ts")
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n")
    concat, hidden = folder / "list.ffconcat", folder / "playlist_as.mp4"
    concat.write_text("ffconcat version 1.0\nfile part.ts\n")
    hidden.write_bytes(playlist.read_bytes())
    return made | {
        playlist: "a playlist",
        concat: "a list of files",
        hidden: "a playlist with the ending of a video",
    }


def _run(command: list[str]) -> None:
    command = [command[0], "-y", "-v", "error", "-bitexact", "-threads", "1", *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
