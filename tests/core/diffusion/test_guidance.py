import pytest
import torch

from animate_anyone.diffusion.guidance import GuidanceInterval, guide
from animate_anyone.errors import ConfigError


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 1.0), (1.0, 3.0), (3.5, 8.0)])
def test_guidance_extrapolates_from_unconditional(scale, expected):
    assert guide(torch.tensor(1.0), torch.tensor(3.0), scale).item() == expected


@pytest.mark.parametrize(
    ("start", "end", "total", "expected"),
    [
        (0, 1, 1, range(1)),
        (0, 1, 20, range(20)),
        (0.25, 0.75, 20, range(5, 15)),
        (0.15, 0.65, 20, range(3, 13)),
        (0.2, 0.7, 3, range(1, 2)),
        (0.5, 1, 5, range(3, 5)),
        (0.25, 0.75, 0, range(0)),
    ],
)
def test_interval_gives_the_guided_steps(start, end, total, expected):
    assert GuidanceInterval(start=start, end=end).steps(total) == expected


@pytest.mark.parametrize(
    ("start", "end"), [(0.5, 0.5), (0.7, 0.2), (-0.1, 1), (0, 1.1), (float("nan"), 1)]
)
def test_empty_reversed_or_outside_intervals_are_refused(start, end):
    with pytest.raises(ConfigError, match=r"got from .* until .*; both are .* guidance_from"):
        GuidanceInterval(start=start, end=end)


def test_an_interval_without_a_step_is_refused_with_the_length_of_one():
    with pytest.raises(ConfigError, match=r"with 4 steps it has none .* guidance_from .* is 0\.25"):
        GuidanceInterval(start=0.4, end=0.6).steps(4)
