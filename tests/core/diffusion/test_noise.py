import pytest
import torch

from animate_anyone.diffusion.noise import draw_noise, shuffle_noise
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


def test_independent_noise_is_the_plain_draw():
    assert torch.equal(draw_noise(SHAPE, generator()), torch.randn(SHAPE, generator=generator()))


@pytest.mark.parametrize("frames", [3, 8, 9, 30])
@pytest.mark.parametrize("overlap", [0, 2])
def test_shuffled_noise_repeats_the_first_window_only(frames, overlap):
    noise = torch.randn(1, 2, frames, 3, 3)
    shuffled = shuffle_noise(noise, 8, generator(), overlap=overlap)
    assert shuffled.shape == noise.shape
    assert torch.equal(shuffled[:, :, :8], noise[:, :, :8])
    for frame in range(frames):
        copies = [torch.equal(shuffled[:, :, frame], noise[:, :, i]) for i in range(min(8, frames))]
        assert sum(copies) == 1


def test_windows_a_pace_apart_hold_the_same_noises():
    noise = torch.arange(100.0).reshape(100, 1)
    shuffled = shuffle_noise(noise, 8, generator(), overlap=2, dim=0).flatten().tolist()
    for start in range(0, 100 - 8, 6):
        assert sorted(shuffled[start : start + 8]) == list(range(8))


def test_bad_values_are_refused():
    with pytest.raises(InputError, match="shared got"):
        draw_noise(SHAPE, generator(), shared=1.5)
    with pytest.raises(InputError, match="overlap got 8"):
        shuffle_noise(torch.zeros(1, 1, 20, 1, 1), 8, generator(), overlap=8)
