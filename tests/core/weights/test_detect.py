import math
from dataclasses import replace

import pytest

from animate_anyone.config import MotionConfig, PoseGuiderConfig, UNetConfig
from animate_anyone.errors import WeightsError
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.detect import (
    detect_pose_guider,
    detect_unet,
    identify,
    motion_widths,
    reference_surplus,
)
from animate_anyone.weights.presets import (
    detect_preset,
    nearest_preset,
    preset_from_metadata,
    preset_metadata,
)
from animate_anyone.weights.report import compare_keys, module_shapes
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.table import presets

FULL = (320, 640, 1280, 1280)


def test_layout_of_these_tests_has_the_published_sizes(layout):
    denoiser = layout.unet(FULL, 768)
    assert len(denoiser) == 686
    assert len(layout.unet(FULL, 768, head=False)) == 682
    assert len(layout.motion(FULL)) == 588
    assert len(layout.guider(outputs=320)) == 16
    assert sum(math.prod(shape) for shape in layout.guider(outputs=320).values()) == 1_086_480
    weights = {key: shape for key, shape in layout.motion(FULL).items() if not key.endswith(".pe")}
    count = sum(math.prod(shape) for shape in (denoiser | weights).values())
    assert count == 1_312_730_244
    reference = layout.unet(FULL, 768, head=False)
    assert sum(math.prod(shape) for shape in reference.values()) == 859_508_800


def test_full_size_networks_have_exactly_the_published_keys(layout):
    shapes = layout.unet(FULL, 768) | layout.motion(FULL)
    role, config = detect_unet(shapes)
    assert role == "denoiser"
    assert config == presets()["moore"].unet
    assert not compare_keys(module_shapes(UNet(config, device="meta")), shapes)


def test_reference_net_lacks_only_layers_whose_output_is_not_used(layout):
    role, config = detect_unet(layout.unet(head=False))
    assert role == "reference_net"
    surplus = reference_surplus(replace(config, out_channels=4))
    dead = [key for key in surplus if key.startswith("up_blocks.3.attentions.2.")]
    assert len(dead) == 20
    assert len(surplus) == 24
    built = module_shapes(UNet(config, device="meta"))
    assert not compare_keys(built, layout.unet(head=False), surplus)
    assert not compare_keys(built, layout.unet(head=True), surplus)


@pytest.mark.parametrize(
    ("widths", "frames"),
    [
        ((32, 64, 96, 96), None),
        ((32, 32, 32, 64), 32),
        ((64, 64, 128, 128), 128),
        ((32, 64, 64, 64), 24),
    ],
)
def test_unet_configuration_is_read_from_shapes(layout, widths, frames):
    shapes = layout.unet(widths, 48, inputs=9)
    if frames:
        shapes |= layout.motion(widths, frames, mid=frames != 24)
    _, config = detect_unet(shapes)
    motion = MotionConfig(max_frames=frames, mid_block=frames != 24) if frames else None
    assert config == UNetConfig(
        in_channels=9, block_out_channels=widths, cross_attention_dim=48, motion=motion
    )
    assert not compare_keys(module_shapes(UNet(config, device="meta")), shapes)


@pytest.mark.parametrize("preset", presets().values(), ids=lambda preset: preset.name)
def test_each_preset_is_found_from_the_shapes_of_its_networks(preset):
    unet = module_shapes(UNet(preset.unet, device="meta"))
    guider = module_shapes(build_pose_guider(preset.pose_guider, device="meta"))
    _, config = detect_unet(unet)
    assert detect_preset(config, detect_pose_guider(guider)) == preset


@pytest.mark.parametrize(
    ("frames", "channels", "name"),
    [
        (32, (16, 32, 96, 256), "moore"),
        (32, (16, 32, 64, 128), "novita"),
        (128, (16, 32, 96, 256), "musepose"),
        (24, (16, 32, 96, 256), "moore"),
    ],
)
def test_presets_are_distinguished_at_reduced_width(layout, frames, channels, name):
    _, config = detect_unet(layout.unet() | layout.motion(frames=frames))
    guider = detect_pose_guider(layout.guider(channels))
    found = detect_preset(config, guider)
    assert found.name == name
    assert found.schedule == presets()[name].schedule
    assert found.unet.block_out_channels == layout.widths
    assert found.pose_guider == PoseGuiderConfig(channels=channels, out_channels=layout.widths[0])


def test_widths_of_motion_files_are_detected(layout):
    assert motion_widths(layout.motion()) == layout.widths
    assert motion_widths(layout.unet()) == ()


def test_a_layout_of_no_preset_asks_for_metadata():
    strange = replace(AA_MINI.unet, layers_per_block=3)
    with pytest.raises(WeightsError, match="the layout of no preset"):
        nearest_preset(strange)
    _, config = detect_unet(
        module_shapes(UNet(strange, device="meta")), replace(AA_MINI, unet=strange)
    )
    assert config == strange


def test_a_preset_of_another_layout_is_refused(layout):
    with pytest.raises(WeightsError, match=r"preset got 'aa-mini'.*another layout"):
        detect_unet(layout.unet(), AA_MINI)


@pytest.mark.parametrize("missing", ["conv_in.weight", "down_blocks.2.resnets.0.conv1.weight"])
def test_an_incomplete_unet_is_refused(layout, missing):
    shapes = layout.unet()
    del shapes[missing]
    with pytest.raises(WeightsError, match=r"lacks|choose a UNet"):
        detect_unet(shapes)


@pytest.mark.parametrize("preset", presets().values(), ids=lambda preset: preset.name)
def test_metadata_restores_a_preset_exactly(preset):
    assert preset_from_metadata(preset_metadata(preset)) == preset


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"unet": {"speed": 3}}'])
def test_unreadable_metadata_is_refused(text):
    with pytest.raises(WeightsError, match="metadata `config`"):
        preset_from_metadata({"config": text})


def test_metadata_with_an_unknown_field_is_refused():
    text = preset_metadata(AA_MINI)["config"].replace('"heads"', '"hoods"')
    with pytest.raises(WeightsError, match="hoods"):
        preset_from_metadata({"config": text})


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("lora", ["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"]),
        ("lora", ["unet.down_blocks.0.attentions.0.proj_in.lora_A.weight"]),
        ("sd_checkpoint", ["model.diffusion_model.input_blocks.0.0.weight"]),
        ("controlnet", ["conv_in.weight", "controlnet_cond_embedding.conv_in.weight"]),
        ("motion", ["down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"]),
        ("motion_adapter", ["down_blocks.0.motion_modules.0.norm.weight"]),
        (
            "autoencoder_kl",
            [
                "encoder.conv_in.weight",
                "decoder.conv_in.weight",
                "decoder.up_blocks.0.resnets.0.conv1.weight",
            ],
        ),
        ("original_vae", ["first_stage_model.encoder.conv_in.weight"]),
        ("autoencoder_tiny", ["encoder.layers.0.weight", "decoder.layers.0.weight"]),
        ("clip_text", ["text_model.embeddings.token_embedding.weight"]),
        (
            "image_encoder",
            ["vision_model.embeddings.patch_embedding.weight", "visual_projection.weight"],
        ),
        ("clip_vision", ["vision_model.embeddings.patch_embedding.weight"]),
        ("pose_guider", ["conv_in.weight", "blocks.0.weight", "conv_out.weight"]),
        ("unknown", ["backbone.stem.conv.weight"]),
    ],
)
def test_files_are_recognised_by_their_keys(kind, keys):
    assert identify(keys) == kind


def test_unets_are_distinguished_by_head_and_motion(layout):
    assert identify(layout.unet()) == "unet"
    assert identify(layout.unet(head=False)) == "reference_net"
    assert identify(layout.unet() | layout.motion()) == "denoiser"
