"""Image files as frames."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ClipError
from pipeline.frames import images
from pipeline.frames.images import ImageReader, read_image


@pytest.fixture
def scene() -> np.ndarray:
    """(60, 90, 3) uint8 RGB: soft colours, with a red corner at the top left."""
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8), (0, 0), 6
    )
    picture[:30, :45] = (200, 30, 30)
    return picture


def save(path: Path, picture: Image.Image | np.ndarray, **options: object) -> Path:
    made = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    made.save(path, **options)
    return path


def read(path: Path) -> np.ndarray:
    """RGB."""
    return read_image(path)[:, :, ::-1]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".jp2"])
def test_a_lossless_picture_comes_back_as_it_was(scene, tmp_path: Path, suffix: str) -> None:
    options = {"irreversible": False} if suffix == ".jp2" else {}
    assert np.array_equal(read(save(tmp_path / f"a{suffix}", scene, **options)), scene)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".gif", ".JPG"])
def test_a_lossy_picture_comes_back_nearly_so(scene, tmp_path: Path, suffix: str) -> None:
    again = read(save(tmp_path / f"a{suffix}", scene))
    assert again.shape == scene.shape
    assert np.abs(again.astype(int) - scene).mean() < 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_a_picture_taken_sideways_comes_out_upright(
    scene, tmp_path: Path, suffix: str, orientation: int, turns: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation  # as cameras note how they were held
    again = read(save(tmp_path / f"a{suffix}", scene, exif=exif))
    expected = np.rot90(scene, turns)
    assert again.shape == expected.shape
    assert np.abs(again.astype(int) - expected).mean() < 6


def test_grey_palette_black_and_white_and_cmyk_pictures_are_colour(scene, tmp_path: Path) -> None:
    grey = Image.fromarray(scene).convert("L")
    for name, picture, tolerance in (
        ("grey.png", grey, 0),
        ("grey.jpg", grey, 3),
        ("alpha.png", grey.convert("LA"), 0),
        ("one bit.png", grey.convert("1"), 0),
        ("palette.png", Image.fromarray(scene).convert("P"), 0),
        ("print.jpg", Image.fromarray(scene).convert("CMYK"), 4),
        ("print.tif", Image.fromarray(scene).convert("CMYK"), 1),
    ):
        again = read(save(tmp_path / name, picture))
        assert again.shape == scene.shape, name
        assert again.dtype == np.uint8, name
        assert np.abs(again.astype(int) - np.asarray(picture.convert("RGB"))).mean() <= tolerance


def test_sixteen_bits_are_scaled_to_eight_and_not_cut(scene, tmp_path: Path) -> None:
    deep = scene.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "colour.png"), deep[:, :, ::-1])
    assert np.array_equal(read(tmp_path / "colour.png"), scene)
    for name in ("grey.png", "grey.tif"):
        assert np.array_equal(read(save(tmp_path / name, deep[:, :, 0]))[:, :, 0], scene[:, :, 0])


def test_an_alpha_channel_is_dropped(scene, tmp_path: Path) -> None:
    layered = Image.fromarray(scene).convert("RGBA")
    layered.putalpha(Image.fromarray(np.arange(60 * 90).reshape(60, 90).astype(np.uint8)))
    assert np.array_equal(read(save(tmp_path / "layered.png", layered)), scene)


def test_of_an_animation_the_first_picture_is_taken(scene, tmp_path: Path) -> None:
    later = Image.fromarray(255 - scene)
    first = Image.fromarray(scene)
    path = save(tmp_path / "moving.gif", first, save_all=True, append_images=[later])
    assert np.abs(read(path).astype(int) - scene).mean() < 6


def test_names_may_be_in_any_script_and_the_extension_may_be_wrong(scene, tmp_path: Path) -> None:
    png = save(tmp_path / "танец 舞蹈 é.png", scene)
    assert np.array_equal(read(png), scene)
    assert np.array_equal(read(png.rename(tmp_path / "really a png.jpg")), scene)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".jp2"])
def test_a_file_that_is_cut_off_is_damaged_and_never_half_grey(
    scene, tmp_path: Path, suffix: str
) -> None:
    large = cv2.resize(scene, (900, 600))
    data = save(tmp_path / f"whole{suffix}", large).read_bytes()
    for share in (0.01, 0.3, 0.7, 0.97):
        path = tmp_path / f"{share}{suffix}"
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ClipError, match=r"damaged"):
            read_image(path)


def test_what_is_no_picture_says_so(tmp_path: Path, make_video) -> None:
    text, empty = tmp_path / "text.jpg", tmp_path / "empty.jpg"
    text.write_text("not a picture")
    empty.touch()
    with pytest.raises(ClipError, match="not a picture in a format that is known"):
        read_image(text)
    with pytest.raises(ClipError, match="not a picture"):
        read_image(make_video("video.avi"))
    with pytest.raises(ClipError, match="is empty"):
        read_image(empty)
    with pytest.raises(ClipError, match="No such file"):
        read_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_an_absurd_size_is_refused_before_it_is_decoded(
    scene, tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(save(tmp_path / "a.bmp", scene).read_bytes())
    data[18:26] = side.to_bytes(4, "little") * 2
    (tmp_path / "huge.bmp").write_bytes(data)

    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(images.cv2, "imdecode", decoded)
    with pytest.raises(ClipError, match=r"million (pixels )?allowed"):
        read_image(tmp_path / "huge.bmp")


def test_photographs_of_108_megapixels_are_no_bombs(tmp_path: Path) -> None:
    header = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(header, "PNG")
    assert images.image_size(header.getvalue()) == (12_000, 9_000)


def test_images_in_order_are_frames_with_times_and_only_wanted_ones_are_opened(
    scene, tmp_path: Path
) -> None:
    paths = [save(tmp_path / f"{i}.png", scene // (i + 1)) for i in range(5)]
    paths[3].write_bytes(b"damaged")
    reader = ImageReader(paths, fps=10)
    assert reader.timeline == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    seen = dict(reader.frames(lambda index, seconds: index % 2 == 0))
    assert list(seen) == [0, 2, 4]
    assert np.array_equal(seen[2][:, :, ::-1], scene // 3)
    with pytest.raises(ClipError, match=r"frame 3\.png is not a picture"):
        list(reader.frames(lambda index, seconds: True))
