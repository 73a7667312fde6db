from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate_anyone.errors import InputError
from animate_anyone.media import ForegroundMask
from animate_anyone.types import Size

SIZE = Size(8, 6)
FRAMES = np.full((3, 6, 8, 3), (10, 20, 30), np.uint8)


def mask_of(folder: Path, *values: int) -> Path:
    """Write a folder with one even grey picture per value."""
    folder.mkdir()
    for number, value in enumerate(values):
        Image.new("L", (8, 6), value).save(folder / f"{number}.png")
    return folder


def test_each_frame_gets_the_alpha_of_its_mask(tmp_path: Path) -> None:
    mask = ForegroundMask(mask_of(tmp_path / "mask", 0, 128, 255), 3, SIZE)
    clip = np.concatenate([mask.on(FRAMES[:2]), mask.on(FRAMES[2:])])

    assert clip[:, 0, 0].tolist() == [[10, 20, 30, alpha] for alpha in (0, 128, 255)]


def test_one_picture_serves_all_frames(tmp_path: Path) -> None:
    mask = ForegroundMask(mask_of(tmp_path / "mask", 7) / "0.png", 3, SIZE)

    assert (np.concatenate([mask.on(FRAMES[:1]), mask.on(FRAMES[1:])])[..., 3] == 7).all()


def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = mask_of(tmp_path / "mask", 0, 255)
    with pytest.raises(InputError, match=r"with 2 frames; the clip has 3\. Give as many, or one"):
        ForegroundMask(folder, 3, SIZE)
    with pytest.raises(InputError, match=r"mask of 8x6; the clip has 16x6\. Scale the mask"):
        ForegroundMask(folder, 2, Size(16, 6))


def test_a_picture_in_colours_is_no_mask(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), (200, 30, 30)).save(tmp_path / "cut_out.png")
    with pytest.raises(InputError, match=r"cut_out\.png; its frame 0 has colours\. A mask is grey"):
        ForegroundMask(tmp_path / "cut_out.png", 3, SIZE).on(FRAMES)


def test_transparent_parts_of_a_mask_are_black(tmp_path: Path) -> None:
    """An editor may save a mask as white on nothing."""
    pixels = np.full((SIZE.height, SIZE.width, 4), 255, np.uint8)
    pixels[:, : SIZE.width // 2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    alpha = ForegroundMask(tmp_path / "mask.png", 3, SIZE).on(FRAMES)[..., 3]
    assert (alpha[:, :, : SIZE.width // 2] == 0).all()
    assert (alpha[:, :, SIZE.width // 2 :] == 255).all()


def test_what_reading_a_mask_assumed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = mask_of(tmp_path / "mask", 0, 255)
    (folder / "notes.txt").write_text("")
    ForegroundMask(folder, 2, SIZE)
    assert "foreground mask" in caplog.text
    assert "passed over: 1 (notes.txt)" in caplog.text
