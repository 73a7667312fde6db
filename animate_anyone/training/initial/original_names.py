"""Translate tensor names of original Stable Diffusion checkpoints into those of diffusers.

The original format numbers the blocks of each side in one row and the layers inside a block:
layer 0 is a resnet or the downsampling, layer 1 an attention, and the upsampling comes last.
diffusers groups blocks by level and counts resnets and attentions separately. In the original, a
level has one block for each resnet, and in the encoder one more for the downsampling.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

# Layers outside the numbered blocks, and the first block, which is only a convolution.
_SINGLE: Mapping[str, str] = MappingProxyType(
    {
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "input_blocks.0.0": "conv_in",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    }
)
# The layers of a numbered block; {} is the block's place in its level.
_IN_BLOCK: Mapping[str, str] = MappingProxyType(
    {
        "0.in_layers.0": "resnets.{}.norm1",
        "0.in_layers.2": "resnets.{}.conv1",
        "0.emb_layers.1": "resnets.{}.time_emb_proj",
        "0.out_layers.0": "resnets.{}.norm2",
        "0.out_layers.3": "resnets.{}.conv2",
        "0.skip_connection": "resnets.{}.conv_shortcut",
        "0.op": "downsamplers.0.conv",
        "1.norm": "attentions.{}.norm",
        "1.proj_in": "attentions.{}.proj_in",
        "1.transformer_blocks": "attentions.{}.transformer_blocks",
        "1.proj_out": "attentions.{}.proj_out",
        "1.conv": "upsamplers.0.conv",  # of a level without attention
        "2.conv": "upsamplers.0.conv",
    }
)
_BLOCK = re.compile(r"(input|output)_blocks\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"middle_block\.([012])\.(.+)")
_MIDDLE_PLACES = {"0": ("0", 0), "1": ("1", 0), "2": ("0", 1)}  # kind of layer, number of its kind


def diffusers_name(
    key: str,  # of a tensor in an original checkpoint, without "model.diffusion_model."
    layers_per_block: int,  # resnets of a level in the encoder
) -> str | None:
    """Return the name in diffusers of a tensor; None if Stable Diffusion 1.5 does not have it."""
    layer, _, kind = key.rpartition(".")
    if layer in _SINGLE:
        return f"{_SINGLE[layer]}.{kind}"
    if middle := _MIDDLE.fullmatch(key):
        place, number = _MIDDLE_PLACES[middle[1]]
        inside = _inside(f"{place}.{middle[2]}", number)
        return f"mid_block.{inside}" if inside else None
    if block := _BLOCK.fullmatch(key):
        down = block[1] == "input"
        level, number = divmod(int(block[2]) - down, layers_per_block + 1)
        inside = _inside(block[3], number)
        return f"{'down' if down else 'up'}_blocks.{level}.{inside}" if inside else None
    return None


def _inside(rest: str, number: int) -> str | None:
    for original, name in _IN_BLOCK.items():
        if rest.startswith(f"{original}."):
            return name.format(number) + rest[len(original) :]
    return None
