"""Frames and skeletons are fitted to a protocol's size in the same way."""

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone.media.fitting import fit_picture, squash
from animate_anyone.pose.skeleton.fit import fit_pose
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size


def dotted(size: Size, at: tuple[int, int]) -> torch.Tensor:
    """Return a black frame with a white square of 4 pixels around a point."""
    frame = torch.zeros(1, 3, size.height, size.width)
    frame[:, :, at[1] - 2 : at[1] + 2, at[0] - 2 : at[0] + 2] = 1
    return frame


def centre_of(frame: torch.Tensor) -> np.ndarray:
    """Return x and y of the centre of the bright pixels."""
    rows, columns = np.nonzero(frame[0, 0].numpy() > 0.5)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize(
    ("canvas", "size"),
    [(Size(60, 100), Size(64, 64)), (Size(128, 72), Size(64, 64)), (Size(40, 40), Size(64, 96))],
    ids=["upright", "wide", "larger"],
)
def test_joints_stay_on_their_place_in_the_picture(canvas, size, fit):
    place = (canvas.width // 2 + 4, canvas.height // 2 - 6)
    skeleton = body_clip(canvas, np.full((1, 1, 18, 2), place, float))
    frames = fit_picture(dotted(canvas, place), size, fit)
    moved = fit_pose(skeleton, size, fit)

    assert frames.shape == (1, 3, size.height, size.width)
    assert moved.canvas == size
    assert moved.body.confidence.min() > 0
    assert np.abs(moved.body.xy[0, 0, 0] - centre_of(frames)).max() < 1


def test_joints_that_are_cut_away_are_not_visible():
    skeleton = body_clip(Size(60, 100), np.tile([[30.0, 5.0]], (1, 1, 18, 1)))
    assert fit_pose(skeleton, Size(64, 64), "crop", hide_cut=True).body.confidence.max() == 0
    assert fit_pose(skeleton, Size(64, 64), "pad", hide_cut=True).body.confidence.min() > 0


def test_frames_and_clips_of_the_right_size_do_not_change():
    frames, size = torch.rand(2, 3, 48, 32), Size(32, 48)
    skeleton = body_clip(size, np.ones((1, 1, 18, 2)))
    for fit in ("pad", "crop"):
        assert torch.equal(fit_picture(frames, size, fit), frames)
        assert fit_pose(skeleton, size, fit) is skeleton


def test_pictures_of_any_size_are_squashed_like_pil():
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 256, (*size, 3), np.uint8) for size in ((90, 40), (16, 16), (7, 31))
    ]
    squares = squash(pictures, 16)
    assert (squares.shape, squares.dtype) == ((3, 16, 16, 3), np.uint8)
    wanted = Image.fromarray(pictures[0]).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(squares[0], np.asarray(wanted))
    assert np.array_equal(squares[1], pictures[1])


class OnMps(torch.Tensor):
    """A tensor that says it lies on Apple's MPS, which has no filter with antialiasing."""

    device = property(lambda self: torch.device("mps"))

    def cpu(self) -> torch.Tensor:
        """Return the tensor off that device."""
        return self.as_subclass(torch.Tensor)


def test_pictures_are_resized_on_the_cpu_where_mps_has_no_filter(monkeypatch):
    resize = torch.nn.functional.interpolate

    def on_mps(pictures, *args, antialias, **more):
        if isinstance(pictures, OnMps):
            raise NotImplementedError("aten::_upsample_bicubic2d_aa.out")
        return resize(pictures, *args, antialias=antialias, **more)

    monkeypatch.setattr(torch.nn.functional, "interpolate", on_mps)
    picture = torch.rand(1, 3, 20, 12)
    seen = fit_picture(picture.as_subclass(OnMps), Size(16, 16))
    assert torch.equal(seen.cpu(), fit_picture(picture, Size(16, 16)))
