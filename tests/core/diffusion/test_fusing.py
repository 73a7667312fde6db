import pytest
import torch

from animate_anyone.diffusion.fusing import fuse_windows, predict_in_windows
from animate_anyone.diffusion.windows import Window, WindowConfig, plan_windows
from animate_anyone.errors import InputError


def cut(clip, windows):
    return [clip[:, :, list(window.frames)] for window in windows]


@pytest.mark.parametrize("fuse", ["pyramid", "flat"])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("frames", [3, 24, 41])
def test_windows_of_one_clip_fuse_to_that_clip(fuse, loop, frames):
    clip = torch.randn(2, 4, frames, 3, 2)
    windows = plan_windows(frames, WindowConfig(fuse=fuse, loop=loop))
    fused = fuse_windows(cut(clip, windows), windows, frames)
    torch.testing.assert_close(fused, clip)


def test_overlaps_are_averaged_by_weight():
    windows = [Window((0, 1), (1.0, 1.0)), Window((1, 2), (3.0, 1.0))]
    parts = [torch.zeros(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)]
    fused = fuse_windows(parts, windows, 3)
    assert fused.flatten().tolist() == [0.0, 0.75, 1.0]


def test_order_of_windows_does_not_matter():
    windows = plan_windows(60, WindowConfig())
    parts = [torch.randn(1, 2, 24, 2, 2) for _ in windows]
    forwards = fuse_windows(parts, windows, 60)
    torch.testing.assert_close(fuse_windows(parts[::-1], windows[::-1], 60), forwards)


def test_frames_may_lie_in_the_batch():
    clip = torch.randn(30, 4, 3, 2)
    windows = plan_windows(30, WindowConfig())
    parts = [clip[list(window.frames)] for window in windows]
    torch.testing.assert_close(fuse_windows(parts, windows, 30, dim=0), clip)


def test_half_precision_is_summed_in_float32():
    windows = plan_windows(200, WindowConfig(length=24, overlap=23))
    clip = torch.randn(1, 1, 200, 1, 1).to(torch.bfloat16)
    fused = fuse_windows(cut(clip, windows), windows, 200)
    assert fused.dtype == torch.bfloat16
    assert torch.equal(fused, clip)


@pytest.mark.parametrize("per_call", [2, 3, 10])
def test_several_windows_in_one_call_equal_one_by_one(per_call):
    temporal = torch.nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0))
    sizes = []

    def model(latents, windows):
        sizes.append(len(windows))
        assert latents.shape[0] == 2 * len(windows)
        return temporal(latents) * torch.tensor(
            [w.frames[0] + 1.0 for w in windows]
        ).repeat_interleave(2).reshape(-1, 1, 1, 1, 1)

    latents, windows = torch.randn(2, 4, 90, 3, 2), plan_windows(90, WindowConfig())
    with torch.no_grad():
        alone = predict_in_windows(model, latents, windows)
        sizes.clear()
        together = predict_in_windows(model, latents, windows, windows_per_call=per_call)
    assert sum(sizes) == len(windows)
    assert max(sizes) == min(per_call, len(windows))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_uncovered_frames_are_refused():
    windows = plan_windows(20, WindowConfig(length=10, overlap=0))
    parts = [torch.zeros(1, 1, 10, 1, 1) for _ in windows]
    with pytest.raises(InputError, match="no window over frame 20 of 21"):
        fuse_windows(parts, windows, 21)


def test_prediction_of_another_length_is_refused():
    with pytest.raises(InputError, match="got 4 frames for a window of 5"):
        fuse_windows([torch.zeros(1, 1, 4, 1, 1)], plan_windows(5, WindowConfig()), 5)


def test_no_windows_are_refused():
    with pytest.raises(InputError, match="windows got no window;"):
        fuse_windows([], [], 5)
