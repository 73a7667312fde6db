"""The ControlNet for the reference: which residuals it adds to which rows."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from animate_anyone.config import MotionConfig, UNetConfig
from animate_anyone.errors import InputError
from animate_anyone.networks.control.controlnet import ControlledUNet, ControlNet, HintEncoder
from animate_anyone.networks.unet import UNet

TINY = UNetConfig(
    block_out_channels=(8, 16),
    attention_levels=(True, False),
    layers_per_block=1,
    heads=2,
    cross_attention_dim=12,
    norm_groups=4,
    ff_mult=1,
    motion=MotionConfig(max_frames=6, heads=2, norm_groups=4, ff_mult=1),
)


def trained(module):
    """Fill the convolutions that start from zero with other values."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return module


class HintedDenoiser:
    """A controlled denoiser with its hint encoder, and inputs for two rows of three frames."""

    def __init__(self, *, image_token=True, zeros=False):
        self.denoiser = ControlledUNet(TINY, image_token=image_token).eval()
        self.encoder = HintEncoder(TINY).eval()
        if not zeros:
            trained(self.denoiser)
            trained(self.encoder)
        self.latents = torch.randn(2, 4, 3, 6, 5)
        self.timesteps = torch.tensor([300, 800])
        self.tokens = torch.randn(2, 1, 12)
        self.pose = torch.randn(2, 8, 3, 6, 5)
        self.features = self.encoder.reference_features(torch.randn(2, 4, 6, 5), self.tokens)

    def run(self, rows=slice(None), features=None, attends=None):
        condition = self.denoiser.prepare(self.tokens[rows], features, attends)
        inputs = self.latents[rows], self.timesteps[rows], condition, self.pose[rows]
        return self.denoiser(*inputs)

    def plain(self):
        """Return what the denoiser's own weights give without a ControlNet."""
        unet = UNet(TINY).eval()
        own = self.denoiser.state_dict()
        unet.load_state_dict({key: own[key] for key in unet.state_dict()})
        return unet(self.latents, self.timesteps, unet.prepare(self.tokens), self.pose)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_untrained_it_changes_nothing():
    scene = HintedDenoiser(zeros=True)
    trained(scene.encoder)
    features = scene.encoder.reference_features(torch.randn(2, 4, 6, 5), scene.tokens)

    assert features[0].any()
    control = scene.denoiser.controlnet
    timesteps = scene.timesteps[:, None].expand(-1, 3)
    down, middle = control.residuals(
        scene.latents, timesteps, control.prepare(scene.tokens), features[0], scene.pose
    )
    assert not any(residual.any() for residual in [*down, middle])
    torch.testing.assert_close(scene.run(features=features), scene.plain(), atol=1e-6, rtol=0)


def test_untrained_hint_encoder_returns_zeros():
    (hint,) = HintedDenoiser(zeros=True).features
    assert hint.shape == (2, 8, 6, 5)
    assert not hint.any()


def test_trained_it_changes_every_frame():
    scene = HintedDenoiser()
    seen = scene.run(features=scene.features)
    other = scene.run(features=(scene.features[0].flip(0),))

    assert ((seen - scene.plain()).abs().amax((1, 3, 4)) > 1e-4).all()
    assert ((seen - other).abs().amax((1, 3, 4)) > 1e-4).all()


def test_rows_that_do_not_attend_get_no_residuals():
    scene = HintedDenoiser()
    mixed = scene.run(features=(scene.features[0][1:],), attends=[False, True])

    torch.testing.assert_close(mixed[:1], scene.plain()[:1])
    alone = scene.run(slice(1, 2), (scene.features[0][1:],))
    torch.testing.assert_close(mixed[1:], alone)
    assert (alone - scene.plain()[1:]).abs().max() > 1e-4


@pytest.mark.parametrize("attends", [None, [False, False]])
def test_without_reference_it_is_the_plain_denoiser(attends):
    scene = HintedDenoiser()
    features = None if attends is None else scene.features
    assert torch.equal(scene.run(features=features, attends=attends), scene.plain())


def test_one_hint_serves_all_attending_rows():
    scene = HintedDenoiser()
    one = scene.features[0][:1]
    torch.testing.assert_close(
        scene.run(features=(one,)), scene.run(features=(one.expand(2, -1, -1, -1),))
    )


def test_timesteps_and_pose_reach_the_controlnet():
    scene = HintedDenoiser()
    net, latents = scene.denoiser.controlnet, scene.latents
    condition = net.prepare(scene.tokens)
    timesteps = scene.timesteps[:, None].expand(-1, 3)

    def middle(timesteps, pose):
        return net.residuals(latents, timesteps, condition, scene.features[0], pose)[1]

    usual = middle(timesteps, scene.pose)
    assert (usual - middle(timesteps + 100, scene.pose)).abs().max() > 1e-4
    assert (usual - middle(timesteps, None)).abs().max() > 1e-4


def test_there_is_one_residual_per_skip_connection_and_one_for_the_middle():
    scene = HintedDenoiser()
    net = scene.denoiser.controlnet
    timesteps = scene.timesteps[:, None].expand(-1, 3)
    down, middle = net.residuals(
        scene.latents, timesteps, net.prepare(scene.tokens), scene.features[0]
    )

    shapes = [(6, 8, 6, 5), (6, 8, 6, 5), (6, 8, 3, 3), (6, 16, 3, 3)]
    assert [tuple(residual.shape) for residual in down] == shapes
    assert middle.shape == (6, 16, 3, 3)


def test_without_image_token_the_token_is_taken_as_zeros():
    scene = HintedDenoiser(image_token=False)
    seen = scene.run(features=scene.features)
    scene.tokens = torch.zeros_like(scene.tokens)

    assert torch.equal(seen, scene.run(features=scene.features))


def test_its_names_are_those_of_public_controlnets():
    names = set(ControlledUNet(TINY, image_token=True).controlnet.state_dict())

    assert {
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "down_blocks.0.downsamplers.0.conv.weight",
        "mid_block.resnets.1.conv2.bias",
        "controlnet_down_blocks.3.weight",
        "controlnet_mid_block.bias",
    } <= names
    assert not any("motion_modules" in name or "up_blocks" in name for name in names)


def test_residuals_are_those_of_the_public_controlnet():
    from diffusers import ControlNetModel

    theirs = ControlNetModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
        conditioning_embedding_out_channels=(8, 8),
    ).eval()
    theirs.controlnet_cond_embedding = nn.Identity()
    trained(theirs)
    scene = HintedDenoiser()
    ours = ControlNet(replace(TINY, ff_mult=4)).eval()
    ours.load_state_dict(theirs.state_dict())
    timesteps, hint = scene.timesteps[:, None].expand(-1, 3), scene.features[0]
    condition = ours.prepare(scene.tokens)
    down, middle = ours.residuals(scene.latents, timesteps, condition, hint)
    expected = theirs(
        scene.latents.transpose(1, 2).flatten(0, 1),
        timesteps.flatten(),
        encoder_hidden_states=scene.tokens.repeat_interleave(3, 0),
        controlnet_cond=hint.repeat_interleave(3, 0),
        return_dict=False,
    )

    for found, wanted in zip([*down, middle], [*expected[0], expected[1]], strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_it_can_start_from_the_denoisers_encoder():
    denoiser = ControlledUNet(TINY, image_token=True)
    denoiser.copy_encoder()
    copy, own = denoiser.controlnet.state_dict(), denoiser.state_dict()

    shared = [key for key in copy if key in own]
    assert len(shared) == len(copy) - 10
    assert all(torch.equal(copy[key], own[key]) for key in shared)
    assert not any(value.any() for key, value in copy.items() if key not in own)


def test_hints_that_do_not_fit_are_named():
    scene = HintedDenoiser()
    with pytest.raises(InputError, match=r"reference got a hint of shape \(2, 8, 3, 5\)"):
        scene.run(features=(scene.features[0][:, :, :3],))
    with pytest.raises(InputError, match=r"it must have 1 or 1 rows of 6x5"):
        scene.run(features=scene.features, attends=[False, True])
    with pytest.raises(InputError, match="attends got 3 values; it needs one per context row, 2"):
        scene.run(features=scene.features, attends=[True] * 3)
