"""A caller's changes inside the UNet: where they are asked for, and what they may change."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from animate_anyone.config import UNetConfig
from animate_anyone.errors import InputError
from animate_anyone.networks.unet import UNet

PUBLIC = UNetConfig(
    block_out_channels=(8, 8, 16, 16),
    attention_levels=(True, True, True, False),
    heads=2,
    cross_attention_dim=12,
    norm_groups=4,
)
MINI = replace(
    PUBLIC,
    block_out_channels=(8, 16, 16),
    attention_levels=(True, True, True),
    layers_per_block=1,
    position_code=1.0,
)


class Places:
    """Patches that change nothing and remember where they were asked."""

    def __init__(self):
        self.inputs, self.outputs, self.transformers = [], [], []

    def time(self, x):
        return x

    def input_block(self, number, x):
        self.inputs.append(number)
        return x, x

    def middle_block(self, x):
        return x

    def output_block(self, number, x, skip):
        self.outputs.append(number)
        return x, skip

    def transformer(self, kind, number, index):
        self.transformers.append((kind, number, index))


class Shrinking(Places):
    """Patches that halve the features after a block, and enlarge them again on the way up."""

    def input_block(self, number, x):
        return x, functional.interpolate(x, scale_factor=0.5) if number == 2 else x

    def output_block(self, number, x, skip):
        return functional.interpolate(x, size=skip.shape[2:]), skip


@pytest.fixture
def network():
    """Return a function that calls a network of random weights on one clip."""

    def make(config):
        unet = UNet(config).eval()
        latents, token = torch.randn(1, 4, 2, 16, 12), torch.randn(1, 1, 12)

        @torch.no_grad()
        def run(**more):
            return unet(latents, torch.tensor([500]), unet.prepare(token), **more)

        return run

    return make


def test_blocks_of_the_public_layout_have_the_numbers_of_stable_diffusion(network):
    run, places = network(PUBLIC), Places()
    assert torch.equal(run(patches=places), run())
    assert places.inputs == [*range(12)]
    assert places.outputs == [*range(12)]
    expected = [("input", number) for number in (1, 2, 4, 5, 7, 8)]
    expected += [("middle", 0), *(("output", number) for number in range(3, 12))]
    assert places.transformers == [(*place, index) for index, place in enumerate(expected)]


def test_blocks_of_a_smaller_layout_are_numbered_alike(network):
    run, places = network(MINI), Places()
    run(patches=places)
    assert places.inputs == [*range(6)]
    assert places.outputs == [*range(6)]
    assert [kind for kind, *_ in places.transformers] == ["input"] * 3 + ["middle"] + ["output"] * 6


@pytest.mark.parametrize("config", [PUBLIC, MINI], ids=["public", "with a code of places"])
def test_features_may_be_resized_inside(network, config):
    run = network(config)
    result = run(patches=Shrinking())
    assert result.shape == run().shape
    assert (result - run()).abs().max() > 1e-4


def test_a_controlnet_beside_resized_features_is_refused(network):
    run, residual = network(PUBLIC), torch.zeros(2, 16, 2, 2)
    assert run(mid_residual=residual).isfinite().all()
    with pytest.raises(
        InputError, match=r"ControlNet got features of \(1, 1\) .* its own have \(2"
    ):
        run(mid_residual=residual, patches=Shrinking())
