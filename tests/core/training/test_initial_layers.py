"""Temporal layers and Pose Guider from files, in exactly the layouts that are published."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from animate_anyone.config import MotionConfig, PoseGuiderConfig, UNetConfig
from animate_anyone.errors import ConfigError, WeightsError
from animate_anyone.networks.initialise import initialise
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.position import frame_table
from animate_anyone.networks.unet import UNet
from animate_anyone.training.initial import (
    from_animatediff,
    from_controlnet_hint,
    gaussian_pose_guider,
)
from animate_anyone.training.initial.temporal import fitted_table
from animate_anyone.weights.report import module_shapes

MOTION = MotionConfig(max_frames=6, heads=2, attention_blocks=1, norm_groups=4)
SMALL = UNetConfig(
    block_out_channels=(8, 8, 16, 16),
    attention_levels=(True, True, True, False),
    heads=2,
    cross_attention_dim=12,
    norm_groups=4,
    motion=MOTION,
)
PLAIN = replace(SMALL, motion=None)
GUIDER = PoseGuiderConfig(out_channels=8)


def temporal(tensors):
    return {key: value for key, value in tensors.items() if ".motion_modules." in key}


@pytest.fixture(scope="module")
def animatediff():
    """Return random motion modules with their sine tables of six frames."""
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    for key, shape in temporal(module_shapes(UNet(SMALL, device="meta"))).items():
        table = key.endswith("pos_encoder.pe")
        tensors[key] = (
            frame_table(6, shape[2]) if table else torch.randn(shape, generator=generator)
        )
    return tensors


def test_temporal_layers_start_from_animatediff(animatediff, tmp_path):
    torch.save({"state_dict": animatediff}, tmp_path / "mm_sd_v15_v2.ckpt")
    denoiser = UNet(SMALL)
    before = {key: value.clone() for key, value in denoiser.state_dict().items()}
    from_animatediff(denoiser, tmp_path / "mm_sd_v15_v2.ckpt")

    for key, value in denoiser.state_dict().items():
        assert torch.equal(value, animatediff.get(key, before[key])), key


def test_with_the_first_version_the_middle_starts_untrained(animatediff, tmp_path, caplog):
    tensors = {key: value for key, value in animatediff.items() if "mid_block" not in key}
    torch.save(tensors, tmp_path / "mm_sd_v15.ckpt")
    denoiser = UNet(SMALL)
    before = {key: value.clone() for key, value in denoiser.state_dict().items()}
    from_animatediff(denoiser, tmp_path / "mm_sd_v15.ckpt")

    for key, value in denoiser.state_dict().items():
        assert torch.equal(value, tensors.get(key, before[key])), key
    assert "no temporal layer for the middle block" in caplog.text


@pytest.mark.parametrize("frames", [4, 6, 9])
def test_sine_tables_of_any_length_fit(animatediff, tmp_path, frames, caplog):
    tensors = {key: value.half() for key, value in animatediff.items()}
    torch.save(tensors, tmp_path / "mm.ckpt")
    denoiser = UNet(replace(SMALL, motion=replace(MOTION, max_frames=frames)))
    from_animatediff(denoiser, tmp_path / "mm.ckpt")

    tables = [v for k, v in denoiser.state_dict().items() if k.endswith("pos_encoder.pe")]
    assert all((t - frame_table(frames, t.shape[2])).abs().max() < 1e-3 for t in tables)
    assert ("up to 6 frames; its sine table is continued to 9" in caplog.text) == (frames == 9)
    assert len(caplog.records) == (frames == 9)


def test_trained_positions_are_cut_but_never_extended():
    trained = torch.randn(1, 6, 16)

    assert torch.equal(fitted_table(trained, 4, "mm.ckpt"), trained[:, :4])
    with pytest.raises(WeightsError, match=r"mm.ckpt has trained positions of 6 frames; the denoi"):
        fitted_table(trained, 7, "mm.ckpt")


def test_motion_files_that_do_not_fit_are_refused(animatediff, tmp_path):
    torch.save(animatediff, tmp_path / "mm.ckpt")
    wide = replace(SMALL, block_out_channels=(8, 16, 16, 16))
    with pytest.raises(WeightsError, match=r"is not a motion module file that fits.*another shape"):
        from_animatediff(UNet(wide), tmp_path / "mm.ckpt")
    with pytest.raises(ConfigError, match="denoiser got no temporal layers"):
        from_animatediff(UNet(PLAIN), tmp_path / "mm.ckpt")
    save_file(UNet(PLAIN).state_dict(), tmp_path / "sd.safetensors")
    with pytest.raises(WeightsError, match=r"motion got .*, which is a UNet with output head"):
        from_animatediff(UNet(SMALL), tmp_path / "sd.safetensors")


def hint_encoder(generator):
    """Return random tensors of the OpenPose ControlNet's hint encoder, at its own widths."""
    widths = {"conv_in": (16, 3), "conv_out": (320, 256)}
    widths |= {f"blocks.{2 * i}": (n, n) for i, n in enumerate((16, 32, 96))}
    widths |= {f"blocks.{2 * i + 1}": n for i, n in enumerate(((32, 16), (96, 32), (256, 96)))}
    tensors = {}
    for name, (outputs, inputs) in widths.items():
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator)
        tensors[f"{name}.bias"] = torch.randn(outputs, generator=generator)
    return tensors


def original_hint_name(key):
    order = ["conv_in", *(f"blocks.{i}" for i in range(6)), "conv_out"]
    layer, kind = key.rsplit(".", 1)
    return f"{2 * order.index(layer)}.{kind}"


@pytest.mark.parametrize(
    "name",
    [
        lambda key: f"controlnet_cond_embedding.{key}",
        lambda key: f"control_model.input_hint_block.{original_hint_name(key)}",
        lambda key: f"input_hint_block.{original_hint_name(key)}",
    ],
    ids=["diffusers", "original", "extracted"],
)
def test_pose_guider_starts_from_a_controlnets_hint_encoder(tmp_path, name):
    tensors = hint_encoder(torch.Generator().manual_seed(6))
    others = {"controlnet_down_blocks.0.weight": torch.ones(1)}
    save_file({name(k): v for k, v in tensors.items()} | others, tmp_path / "pose.safetensors")
    guider = build_pose_guider(GUIDER)
    initialise(guider)
    guider.conv_out.weight.data.fill_(1.0)
    from_controlnet_hint(guider, tmp_path / "pose.safetensors")

    own = guider.state_dict()
    assert all(torch.equal(v, tensors[k]) for k, v in own.items() if not k.startswith("conv_out"))
    assert not guider(torch.rand(1, 3, 16, 16)).any()


def test_original_hint_names_count_convolutions_and_activations():
    names = {original_hint_name(f"{layer}.weight") for layer in ("conv_in", "blocks.1", "conv_out")}
    assert names == {"0.weight", "4.weight", "14.weight"}


def test_hint_encoders_that_do_not_fit_are_refused(tmp_path):
    tensors = hint_encoder(torch.Generator().manual_seed(6))
    path = tmp_path / "pose.safetensors"
    save_file({f"controlnet_cond_embedding.{key}": value for key, value in tensors.items()}, path)
    with pytest.raises(WeightsError, match="not the hint encoder of a ControlNet that fits"):
        from_controlnet_hint(build_pose_guider(replace(GUIDER, channels=(16, 32, 64, 128))), path)
    paper = PoseGuiderConfig(form="paper", channels=(16, 32, 64, 128), out_channels=4)
    with pytest.raises(ConfigError, match="pose_guider got the paper's form"):
        from_controlnet_hint(build_pose_guider(paper), path)
    save_file(temporal(UNet(SMALL).state_dict()), path)
    with pytest.raises(WeightsError, match="choose the OpenPose ControlNet"):
        from_controlnet_hint(build_pose_guider(GUIDER), path)


@pytest.mark.parametrize("form", ["conv3", "paper"])
def test_gaussian_guider_keeps_the_scale_and_starts_with_zero_output(form):
    config = PoseGuiderConfig(form=form, channels=(16, 32, 64, 128), out_channels=4)
    guider, again = build_pose_guider(config), build_pose_guider(config)
    for network in (guider, again):
        gaussian_pose_guider(network, torch.Generator().manual_seed(7))
    own = again.state_dict()
    x = torch.rand(1, 3, 64, 64)

    assert not guider(x).any()
    assert all(torch.equal(own[key], value) for key, value in guider.state_dict().items())
    for layer in [guider.conv_in, *guider.blocks] if form == "conv3" else guider.blocks:
        weight = layer.weight.flatten()
        assert abs(weight.std() * layer.weight[0].numel() ** 0.5 - 2**0.5) < 0.15
        kurtosis = (weight / weight.std()).pow(4).mean()
        assert 2.4 < kurtosis < 3.6  # 3 for a Gaussian, 1.8 for a uniform distribution
        before, x = x.std(), functional.silu(layer(x))
        assert 0.2 < x.std() / before < 3
