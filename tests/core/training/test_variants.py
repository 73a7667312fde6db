"""The networks of the ablations, with the calls of training and sampling."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone.animate import animate, sampling_of
from animate_anyone.errors import ConfigError
from animate_anyone.networks.attention import sdpa
from animate_anyone.networks.unet import UNet
from animate_anyone.training.variants import (
    VARIANTS,
    build_variant,
    initialise_variant,
    uses_image_token,
)

# With a one-token context these have no say in the result, whatever the variant.
IDLE = ("attn2.to_q", "attn2.to_k", "norm2.weight", "norm2.bias")


def built(variant, config, *, checkpointing=False):
    pair = build_variant(variant, config, sdpa, checkpointing=checkpointing)
    initialise_variant(*pair, torch.Generator().manual_seed(1))
    return pair


def give_effect(*networks):
    """Give weights that start from zero random values, as after some training."""
    generator = torch.Generator().manual_seed(2)
    for network in networks:
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1, generator=generator)


def models_of(tiny, variant):
    denoiser, reference_net = built(variant, tiny.preset.unet)
    give_effect(denoiser, reference_net)
    return replace(tiny.models(), denoiser=denoiser, reference_net=reference_net)


def error_of(denoiser, reference_net, config, *, attends=None, conditioned=True):
    """Return a training loss for two rows of one frame."""
    generator = torch.Generator().manual_seed(3)
    noisy, target = torch.randn(2, 2, config.in_channels, 1, 6, 4, generator=generator)
    reference = torch.randn(2, config.in_channels, 6, 4, generator=generator)
    tokens = torch.randn(2, 1, config.cross_attention_dim, generator=generator)
    pose = torch.randn(2, config.block_out_channels[0], 1, 6, 4, generator=generator)
    features = reference_net.reference_features(reference, tokens) if conditioned else None
    condition = denoiser.prepare(tokens, features, attends)
    output = denoiser(noisy, torch.tensor([[100], [900]]), condition, pose)
    return (output - target).square().mean()


@pytest.mark.slow
@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_animates(small, variant, guidance):
    models = models_of(small, variant)
    sampling = replace(sampling_of(small.preset), guidance=guidance, windows_per_call=2)
    sampling = replace(sampling, windows=replace(sampling.windows, overlap=2))
    poses = np.random.default_rng(5).integers(0, 255, (6, 48, 32, 3), np.uint8)
    one, other = torch.rand(2, 1, 3, 48, 32)
    clips = [torch.cat(list(animate(models, picture, poses, sampling))) for picture in (one, other)]

    assert clips[0].shape == (6, 3, 48, 32)
    assert not torch.allclose(*clips, rtol=0, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_windows_in_one_call_give_the_same_as_one_by_one(small, variant):
    models = models_of(small, variant)
    usual = sampling_of(small.preset)
    usual = replace(usual, windows=replace(usual.windows, overlap=2))
    poses = np.random.default_rng(5).integers(0, 255, (6, 48, 32, 3), np.uint8)
    picture = torch.rand(1, 3, 48, 32)
    clips = [
        torch.cat(list(animate(models, picture, poses, replace(usual, windows_per_call=count))))
        for count in (1, 2)
    ]

    assert torch.allclose(*clips, atol=1e-5)


def test_each_variant_uses_only_its_own_conditions(tiny):
    """A change of token or picture changes the output only of variants that use it."""
    seen = {}
    for variant in VARIANTS:
        denoiser, reference_net = built(variant, tiny.preset.unet)
        give_effect(denoiser, reference_net)
        tokens, pictures = torch.randn(2, 1, 1, 16), torch.randn(2, 1, 4, 6, 4)
        noisy = torch.randn(1, 4, 1, 6, 4)

        def run(token, picture, denoiser=denoiser, encoder=reference_net, noisy=noisy):
            features = encoder.reference_features(picture, torch.zeros(1, 1, 16))
            with torch.no_grad():
                condition = denoiser.prepare(token, features)
                return denoiser(noisy, torch.tensor([500]), condition)

        usual = run(tokens[0], pictures[0])
        seen[variant] = (
            not torch.allclose(usual, run(tokens[1], pictures[0]), atol=1e-6),
            not torch.allclose(usual, run(tokens[0], pictures[1]), atol=1e-6),
        )

    assert seen == {
        "reference_net": (True, True),
        "clip": (True, False),
        "controlnet": (False, True),
        "clip_controlnet": (True, True),
        "blind_controlnet": (False, True),
        "clip_blind_controlnet": (True, True),
    }
    assert {name: token for name, (token, _) in seen.items()} == {
        name: uses_image_token(name) for name in VARIANTS
    }


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "controlnet" in name])
def test_only_controlnets_that_are_not_blind_see_the_driving_pose(tiny, variant):
    """What the ControlNet adds, with two poses in the same place."""
    denoiser, encoder = built(variant, tiny.preset.unet)
    give_effect(denoiser, encoder)
    found, residuals = [], denoiser.controlnet.residuals

    def kept(*given, **named):
        both = residuals(*given, **named)
        found.append(both[1])
        return both

    denoiser.controlnet.residuals = kept
    token, noisy = torch.zeros(1, 1, 16), torch.randn(1, 4, 1, 6, 4)
    features = encoder.reference_features(torch.randn(1, 4, 6, 4), token)
    condition = denoiser.prepare(token, features)
    poses = torch.randn(2, 1, tiny.preset.unet.block_out_channels[0], 1, 6, 4)
    with torch.no_grad():
        outputs = [denoiser(noisy, torch.tensor([500]), condition, pose) for pose in poses]

    assert not torch.allclose(*outputs, atol=1e-6)  # the denoiser itself sees it in every variant
    assert torch.equal(*found) == ("blind" in variant)


@pytest.mark.parametrize("variant", ["controlnet", "clip_controlnet"])
def test_untrained_controlnets_leave_the_denoiser_alone(tiny, variant):
    denoiser, reference_net = built(variant, tiny.preset.unet)
    plain = UNet(tiny.preset.unet)
    own = denoiser.state_dict()
    plain.load_state_dict({key: own[key] for key in plain.state_dict()})
    token, noisy = torch.zeros(1, 1, 16), torch.randn(1, 4, 3, 6, 4)
    features = reference_net.reference_features(torch.randn(1, 4, 6, 4), token)

    ends = [*denoiser.controlnet.controlnet_down_blocks, denoiser.controlnet.controlnet_mid_block]
    assert not any(value.any() for end in ends for value in end.parameters())
    torch.testing.assert_close(
        denoiser(noisy, torch.tensor([500]), denoiser.prepare(token, features)),
        plain(noisy, torch.tensor([500]), plain.prepare(token)),
        atol=1e-6,
        rtol=0,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_all_used_networks(tiny, variant):
    config = replace(tiny.preset.unet, motion=None)
    networks = built(variant, config)
    give_effect(*networks)
    error_of(*networks, config).backward()
    named = [item for network in networks for item in network.named_parameters()]
    untouched = {key for key, value in named if value.grad is None or not value.grad.any()}
    # Of attention to a zero token the last bias is all that counts.
    zero = ("attn2.to_v", "attn2.to_out.0.weight")
    idle = IDLE if uses_image_token(variant) else (*IDLE, *zero)

    assert [key for key in untouched if not any(part in key for part in idle)] == []


@pytest.mark.parametrize("variant", ["controlnet", "clip_controlnet"])
def test_training_changes_weights_that_start_from_zero(tiny, variant):
    config = replace(tiny.preset.unet, motion=None)
    denoiser, reference_net = built(variant, config)
    parameters = [*denoiser.parameters(), *reference_net.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        error_of(denoiser, reference_net, config).backward()
        optimizer.step()

    ends = [*denoiser.controlnet.controlnet_down_blocks, denoiser.controlnet.controlnet_mid_block]
    assert all(end.weight.any() and end.bias.any() for end in [*ends, reference_net.conv_out])
    assert reference_net.conv_in.weight.grad.any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_dropped_conditions_give_the_reference_no_gradient(tiny, variant):
    config = replace(tiny.preset.unet, motion=None)
    denoiser, reference_net = built(variant, config)
    give_effect(denoiser, reference_net)
    error_of(denoiser, reference_net, config, conditioned=False).backward()

    assert all(parameter.grad is None for parameter in reference_net.parameters())
    assert denoiser.conv_in.weight.grad.any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_checkpointing_gives_the_same_loss_and_gradients(tiny, variant):
    config = replace(tiny.preset.unet, motion=None)
    found = []
    for checkpointing in (False, True):
        networks = built(variant, config, checkpointing=checkpointing)
        give_effect(*networks)
        error = error_of(*networks, config)
        error.backward()
        gradients = {key: p.grad for net in networks for key, p in net.named_parameters()}
        found.append((error.detach(), gradients))

    torch.testing.assert_close(found[0][0], found[1][0])
    for key, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][key], msg=key)


@pytest.mark.parametrize("variant", ["controlnet", "clip_controlnet"])
def test_the_checkpointing_flag_reaches_the_controlnet(tiny, variant):
    denoiser, _ = build_variant(variant, tiny.preset.unet, sdpa, checkpointing=True)
    assert denoiser.checkpointing
    assert denoiser.controlnet.checkpointing


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_are_saved_and_loaded(tiny, variant):
    first, second = built(variant, tiny.preset.unet), build_variant(variant, tiny.preset.unet, sdpa)
    give_effect(*first)
    for mine, other in zip(first, second, strict=True):
        other.load_state_dict(mine.state_dict())
        own = other.state_dict()
        assert all(torch.equal(own[key], value) for key, value in mine.state_dict().items())

    assert second[0].config == tiny.preset.unet


def test_the_error_for_an_unknown_variant_suggests_the_nearest(tiny):
    with pytest.raises(ConfigError, match=r"variant got 'control_net'.*Did you mean 'controlnet'"):
        build_variant("control_net", tiny.preset.unet, sdpa)
