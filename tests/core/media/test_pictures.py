import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from animate_anyone.errors import InputError, MediaError
from animate_anyone.media import (
    contact_sheet,
    fit_drawing,
    fit_picture,
    picture_size,
    read_picture,
    spread,
    to_bytes,
    to_pixels,
    write_picture,
)
from animate_anyone.types import Size


def test_transparent_parts_become_white_and_this_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = Image.new("RGBA", (4, 2), (200, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    image.save(tmp_path / "figure.png")
    with caplog.at_level(logging.WARNING):
        picture = read_picture(tmp_path / "figure.png")

    assert picture.shape == (1, 3, 2, 4)
    assert picture.dtype == torch.float32
    assert picture[0, :, 0, 0].tolist() == [1, 1, 1]
    assert picture[0, 0, 0, 1].item() == pytest.approx(127 / 255)
    assert picture[0, :, 1, 1].tolist() == pytest.approx([200 / 255, 0, 0])
    assert "figure.png: transparent parts were filled with white" in caplog.text


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"])
def test_every_kind_of_picture_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    path = tmp_path / f"picture{suffix}"
    if mode.startswith("I"):
        grey = np.full((5, 3), 40000, np.uint16)
        Image.fromarray(grey).save(path)
    else:
        image = Image.new("RGB", (3, 5), (90, 90, 90))
        (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    picture = read_picture(path)

    expected = {"1": None, "I;16": 40000 // 256, "I": 40000 // 256}.get(mode, 90)
    assert picture.shape == (1, 3, 5, 3)
    if expected is not None:
        assert picture.mul(255).sub(expected).abs().max() < 2


def test_sideways_photo_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise to see it upright
    image.save(tmp_path / "photo.jpg", exif=exif)

    assert read_picture(tmp_path / "photo.jpg").shape == (1, 3, 8, 4)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "dot.png")

    assert read_picture(tmp_path / "dot.png").flatten().tolist() == [1, 0, 0]


def test_a_huge_picture_is_reduced_before_conversion_to_float(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("L", (8000, 8000), 128).save(tmp_path / "huge.png")
    with caplog.at_level(logging.WARNING):
        picture = read_picture(tmp_path / "huge.png", longest=1000)

    assert picture.shape == (1, 3, 1000, 1000)
    assert "8000x8000 pixels, reduced to 1000x1000" in caplog.text


def test_float_pictures_raise_instead_of_being_read_as_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "float.tif")

    with pytest.raises(MediaError, match=r"float\.tif; its pixels are float numbers"):
        read_picture(tmp_path / "float.tif")


def test_pictures_that_cannot_be_read_raise_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png; there is no such file"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"; it is a folder, not a file"):
        read_picture(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(MediaError, match=r"text\.png; it cannot be decoded.* Name a picture such"):
        read_picture(tmp_path / "text.png")
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:900])
    with pytest.raises(MediaError, match=r"cut\.png; it cannot be decoded"):
        read_picture(tmp_path / "cut.png")


def test_more_pixels_than_pil_allows_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    with pytest.raises(InputError, match=r"bomb\.png; it has more than"):
        read_picture(tmp_path / "bomb.png")


def test_bytes_and_pixels_are_inverse() -> None:
    frames = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)

    assert np.array_equal(to_bytes(to_pixels(frames)), frames)
    assert to_bytes(torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 3, 1, 1)).tolist() == [
        [[[0, 128, 255]]]
    ]


def test_written_picture_is_read_back(tmp_path: Path) -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write_picture(tmp_path / "new" / "picture.png", picture)

    assert np.array_equal(to_bytes(read_picture(tmp_path / "new" / "picture.png"))[0], picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.png"]


def test_a_picture_that_cannot_be_written_raises_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"out got .*picture\.unknown; it cannot be written"):
        write_picture(tmp_path / "picture.unknown", np.zeros((4, 4, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_fitted_picture_keeps_its_shape_and_continues_its_edges() -> None:
    picture = torch.zeros(1, 3, 40, 20)
    picture[..., 10:] = 1
    fitted = fit_picture(picture, Size(40, 40))

    assert fitted.shape == (1, 3, 40, 40)
    assert torch.equal(fitted[..., 10:30], picture)
    assert not fitted[..., :10].any()
    assert (fitted[..., 30:] == 1).all()
    assert fit_picture(picture, Size(20, 40)) is picture


@pytest.mark.parametrize(("width", "height"), [(1, 1), (800, 3), (7, 900), (33, 65)])
def test_any_picture_fits_any_size(width: int, height: int) -> None:
    fitted = fit_picture(torch.rand(1, 3, height, width), Size(64, 48))

    assert fitted.shape == (1, 3, 48, 64)
    assert 0 <= fitted.min() <= fitted.max() <= 1
    assert fit_drawing(np.zeros((height, width, 3), np.uint8), Size(64, 48)).shape == (48, 64, 3)


def test_a_drawing_of_the_right_size_does_not_change():
    drawing = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert fit_drawing(drawing, Size(64, 48)) is drawing


def test_a_fitted_drawing_is_padded_with_black() -> None:
    fitted = fit_drawing(np.full((20, 40, 3), 200, np.uint8), Size(40, 40))

    assert (fitted[10:30] == 200).all()
    assert not fitted[:10].any()
    assert not fitted[30:].any()


def test_contact_sheet_has_one_strip_per_row() -> None:
    frames = [np.full((10, 5, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet({"reference": frames[:1], "result": frames}, cell=40)

    assert sheet.shape == (2 * 42, 12 + 9 * 9 + 3 * 20, 3)
    assert sheet[20, -10].tolist() == [255, 255, 255]
    assert sheet[42 + 20, -10].tolist() == [30, 30, 30]


def test_an_empty_row_raises() -> None:
    with pytest.raises(InputError, match=r"rows got \[0\] frames"):
        contact_sheet({"result": []})


@pytest.mark.parametrize(
    ("frames", "count", "expected"),
    [(1, 8, [0]), (4, 8, [0, 1, 2, 3]), (9, 3, [0, 4, 8]), (5, 1, [0])],
)
def test_spread_includes_first_and_last(frames: int, count: int, expected: list[int]) -> None:
    assert spread(frames, count) == expected


def test_the_size_of_a_sideways_photo_is_its_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "photo.jpg", exif=exif)

    assert picture_size(tmp_path / "photo.jpg") == Size(4, 6)


@pytest.mark.parametrize("alpha", [None, 255])
def test_colours_are_converted_by_the_profile_of_a_picture(
    tmp_path: Path, alpha: int | None
) -> None:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = data.replace(b"rXYZ", b"next").replace(b"gXYZ", b"rXYZ").replace(b"next", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "rgRG".encode("utf-16-be"))
    assert swapped != data
    colour = (240, 20, 60) if alpha is None else (240, 20, 60, alpha)
    image = Image.new("RGB" if alpha is None else "RGBA", (2, 2), colour)
    image.save(tmp_path / "swapped.png", icc_profile=swapped)
    image.save(tmp_path / "srgb.png", icc_profile=data)
    shown = to_bytes(read_picture(tmp_path / "swapped.png"))[0, 0, 0]
    assert np.abs(shown.astype(int) - (20, 240, 60)).max() <= 2
    assert to_bytes(read_picture(tmp_path / "srgb.png"))[0, 0, 0].tolist() == [240, 20, 60]


def test_a_damaged_profile_is_told_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (2, 2), (240, 20, 60)).save(tmp_path / "a.png", icc_profile=b"no profile")
    with caplog.at_level(logging.WARNING):
        shown = to_bytes(read_picture(tmp_path / "a.png"))[0, 0, 0]
    assert shown.tolist() == [240, 20, 60]
    assert "its colour profile was not used" in caplog.text


def test_a_picture_is_encoded_before_it_is_written_so_that_errors_say_why(tmp_path, monkeypatch):
    usual = Image.Image.save

    def save(picture, file, *more, **options):
        if isinstance(file, Path):  # older versions of Pillow do not say why
            raise OSError("encoder error -2 when writing image file")
        usual(picture, file, *more, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    write_picture(tmp_path / "a.jpg", np.zeros((8, 8, 3), np.uint8))
    assert read_picture(tmp_path / "a.jpg").shape == (1, 3, 8, 8)
