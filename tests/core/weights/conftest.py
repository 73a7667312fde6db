"""Random weights in exactly the layout in which weight sets are published, at reduced width.

The key lists are written out from the published layout and not from our networks.
"""

import json
import shutil
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

WIDTHS = (32, 64, 96, 96)
CONTEXT = 24


def _norm(name, channels):
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _linear(name, outputs, inputs, bias=True):
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def _conv(name, outputs, inputs, kernel=3):
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def _prefixed(prefix, shapes):
    return {f"{prefix}.{key}": shape for key, shape in shapes.items()}


def _resnet(inputs, outputs, time, shortcut):
    shapes = _norm("norm1", inputs) | _conv("conv1", outputs, inputs)
    shapes |= _linear("time_emb_proj", outputs, time)
    shapes |= _norm("norm2", outputs) | _conv("conv2", outputs, outputs)
    return shapes | (_conv("conv_shortcut", outputs, inputs, 1) if shortcut else {})


def _attention(name, channels, context):
    shapes = _linear(f"{name}.to_q", channels, channels, bias=False)
    shapes |= _linear(f"{name}.to_k", channels, context, bias=False)
    shapes |= _linear(f"{name}.to_v", channels, context, bias=False)
    return shapes | _linear(f"{name}.to_out.0", channels, channels)


def _feed_forward(channels):
    return _linear("ff.net.0.proj", 8 * channels, channels) | _linear(
        "ff.net.2", channels, 4 * channels
    )


def _transformer(channels, context):
    block = _norm("norm1", channels) | _norm("norm2", channels) | _norm("norm3", channels)
    block |= _attention("attn1", channels, channels) | _attention("attn2", channels, context)
    block |= _feed_forward(channels)
    shapes = _norm("norm", channels)
    shapes |= _conv("proj_in", channels, channels, 1) | _conv("proj_out", channels, channels, 1)
    return shapes | _prefixed("transformer_blocks.0", block)


def _motion(channels, frames):
    block = _norm("norms.0", channels) | _norm("norms.1", channels) | _norm("ff_norm", channels)
    for i in (0, 1):
        block |= _attention(f"attention_blocks.{i}", channels, channels)
        block[f"attention_blocks.{i}.pos_encoder.pe"] = (1, frames, channels)
    block |= _feed_forward(channels)
    shapes = _norm("norm", channels) | _linear("proj_in", channels, channels)
    shapes |= _linear("proj_out", channels, channels) | _prefixed("transformer_blocks.0", block)
    return _prefixed("temporal_transformer", shapes)


def motion_shapes(widths=WIDTHS, frames=32, mid=True):
    shapes = {}
    for level, channels in enumerate(widths):
        for i in range(2):
            name = f"down_blocks.{level}.motion_modules.{i}"
            shapes |= _prefixed(name, _motion(channels, frames))
    if mid:
        shapes |= _prefixed("mid_block.motion_modules.0", _motion(widths[-1], frames))
    for level, channels in enumerate(reversed(widths)):
        for i in range(3):
            name = f"up_blocks.{level}.motion_modules.{i}"
            shapes |= _prefixed(name, _motion(channels, frames))
    return shapes


def unet_shapes(widths=WIDTHS, context=CONTEXT, head=True, inputs=4):
    time = 4 * widths[0]
    shapes = _conv("conv_in", widths[0], inputs)
    shapes |= _linear("time_embedding.linear_1", time, widths[0])
    shapes |= _linear("time_embedding.linear_2", time, time)
    skips, channels = [widths[0]], widths[0]
    for level, outputs in enumerate(widths):
        name = f"down_blocks.{level}"
        for i in range(2):
            resnet = _resnet(channels, outputs, time, shortcut=channels != outputs)
            shapes |= _prefixed(f"{name}.resnets.{i}", resnet)
            channels = outputs
            if level < 3:
                shapes |= _prefixed(f"{name}.attentions.{i}", _transformer(channels, context))
        skips += [channels, channels]
        if level < 3:
            shapes |= _conv(f"{name}.downsamplers.0.conv", channels, channels)
            skips.append(channels)
    for i in range(2):
        shapes |= _prefixed(f"mid_block.resnets.{i}", _resnet(channels, channels, time, False))
    shapes |= _prefixed("mid_block.attentions.0", _transformer(channels, context))
    for level, outputs in enumerate(reversed(widths)):
        name = f"up_blocks.{level}"
        for i in range(3):
            resnet = _resnet(channels + skips.pop(), outputs, time, shortcut=True)
            shapes |= _prefixed(f"{name}.resnets.{i}", resnet)
            channels = outputs
            if level > 0:
                shapes |= _prefixed(f"{name}.attentions.{i}", _transformer(channels, context))
        if level < 3:
            shapes |= _conv(f"{name}.upsamplers.0.conv", channels, channels)
    if head:
        shapes |= _norm("conv_norm_out", widths[0]) | _conv("conv_out", 4, widths[0])
    return shapes


def guider_shapes(channels=(16, 32, 96, 256), outputs=WIDTHS[0]):
    shapes = _conv("conv_in", channels[0], 3)
    for i, (narrow, wide) in enumerate(pairwise(channels)):
        shapes |= _conv(f"blocks.{2 * i}", narrow, narrow)
        shapes |= _conv(f"blocks.{2 * i + 1}", wide, narrow)
    return shapes | _conv("conv_out", outputs, channels[-1])


def random_weights(shapes, dtype=torch.float32):
    return {key: (torch.randn(shape) * 0.02).to(dtype) for key, shape in shapes.items()}


@pytest.fixture
def layout():
    """Return this module's layout functions as attributes of one object."""

    class Layout:
        widths = WIDTHS
        unet = staticmethod(unet_shapes)
        motion = staticmethod(motion_shapes)
        guider = staticmethod(guider_shapes)
        random = staticmethod(random_weights)

    return Layout


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Return a folder with a small weight set in four files, as Moore's; not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    for name, shapes in (
        ("denoising_unet", unet_shapes()),
        ("reference_unet", unet_shapes(head=False)),
        ("motion_module", motion_shapes()),
        ("pose_guider", guider_shapes()),
    ):
        save_file(random_weights(shapes), folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def public_folder(published, tmp_path):
    """Return a copy of `published` that a test may change."""
    return Path(shutil.copytree(published, tmp_path / "published"))


@pytest.fixture(scope="session")
def mini_folder(tmp_path_factory):
    """Return random weights in the layout of the embedded set, seven files; not to be changed."""
    from animate_anyone.networks.pose_guider import build_pose_guider
    from animate_anyone.networks.unet import UNet
    from animate_anyone.weights.report import module_shapes
    from animate_anyone.weights.sets.aa_mini import AA_MINI

    folder = tmp_path_factory.mktemp("mini")
    denoiser = module_shapes(UNet(AA_MINI.unet, device="meta"))
    motion = {key: shape for key, shape in denoiser.items() if ".motion_modules." in key}
    spatial = {key: shape for key, shape in denoiser.items() if key not in motion}
    reference = module_shapes(UNet(AA_MINI.unet.reference(), device="meta"))
    guider = module_shapes(build_pose_guider(AA_MINI.pose_guider, device="meta"))
    for name, shapes in (
        ("denoising_unet", spatial),
        ("motion_module", motion),
        ("reference_unet", reference),
        ("pose_guider", guider),
    ):
        save_file(random_weights(shapes, torch.float16), folder / f"{name}.safetensors")
    _save_mini_encoders(folder)
    return folder


def _save_mini_encoders(folder):
    from animate_anyone.networks.encoders.clip_vision import ClipVision
    from animate_anyone.networks.encoders.tiny_autoencoder import TinyAutoencoder
    from animate_anyone.training.networks import IMAGE_ENCODER

    save_file(TinyAutoencoder(latent_channels=16).state_dict(), folder / "autoencoder.safetensors")
    save_file(ClipVision(IMAGE_ENCODER).state_dict(), folder / "image_encoder.safetensors")
    (folder / "image_encoder.json").write_text(json.dumps(asdict(IMAGE_ENCODER)))
