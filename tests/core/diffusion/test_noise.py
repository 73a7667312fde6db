import pytest
import torch

from animate_anyone.diffusion.noise import draw_noise, repeat_noise
from animate_anyone.errors import InputError

SHAPE = (1, 4, 6, 64, 64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_shared_noise_is_normal_and_correlates_as_asked(shared):
    noise = draw_noise(SHAPE, generator(), shared=shared)
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    assert abs((noise[:, :, 0] * noise[:, :, 3]).mean() - shared) < 0.03


def test_same_seed_gives_same_noise():
    assert torch.equal(draw_noise(SHAPE, generator(5)), draw_noise(SHAPE, generator(5)))
    assert not torch.equal(draw_noise(SHAPE, generator(5)), draw_noise(SHAPE, generator(6)))


def test_noise_without_a_shared_part_is_plain_randn():
    assert torch.equal(draw_noise(SHAPE, generator()), torch.randn(SHAPE, generator=generator()))


@pytest.mark.parametrize("frames", [3, 8, 9, 30])
@pytest.mark.parametrize("overlap", [0, 2])
def test_repeated_noise_repeats_the_first_window_only(frames, overlap):
    noise = torch.randn(1, 2, frames, 3, 3)
    repeated = repeat_noise(noise, 8, 0, overlap=overlap)
    assert repeated.shape == noise.shape
    assert torch.equal(repeated[:, :, :8], noise[:, :, :8])
    for frame in range(frames):
        copies = [torch.equal(repeated[:, :, frame], noise[:, :, i]) for i in range(min(8, frames))]
        assert sum(copies) == 1


def test_windows_one_stride_apart_hold_the_same_noises():
    noise = torch.arange(100.0).reshape(100, 1)
    repeated = repeat_noise(noise, 8, 0, overlap=2, dim=0).flatten().tolist()
    for start in range(0, 100 - 8, 6):
        assert sorted(repeated[start : start + 8]) == list(range(8))


def test_the_order_depends_on_the_seed_and_not_on_the_dimension_of_frames():
    noise = torch.randn(1, 2, 30, 3, 3)
    first, again, other = (repeat_noise(noise, 8, seed, overlap=2) for seed in (4, 4, 5))
    rows = repeat_noise(noise[0].transpose(0, 1), 8, 4, overlap=2, dim=0)
    assert torch.equal(first, again)
    assert torch.equal(rows, first[0].transpose(0, 1))
    assert not torch.equal(first, other)


def test_bad_values_are_refused():
    with pytest.raises(InputError, match="shared got"):
        draw_noise(SHAPE, generator(), shared=1.5)
    with pytest.raises(InputError, match="overlap got 8"):
        repeat_noise(torch.zeros(1, 1, 20, 1, 1), 8, 0, overlap=8)
