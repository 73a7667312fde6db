import pytest
import torch

from animate_anyone.diffusion.guidance import guide


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 1.0), (1.0, 3.0), (3.5, 8.0)])
def test_guidance_extrapolates_from_unconditional(scale, expected):
    assert guide(torch.tensor(1.0), torch.tensor(3.0), scale).item() == expected
