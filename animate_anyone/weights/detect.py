"""Detect what a weight file holds and the layout of its network, by tensor names and shapes.

File names are not used. What shapes cannot show (attention heads, norm groups) comes from the
preset with the same layout; see `presets`.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from typing import Literal

from ..config import MotionConfig, PoseGuiderConfig, Preset, UNetConfig
from ..errors import WeightsError
from ..networks.unet import UNet
from .presets import known_preset
from .report import Shapes, module_shapes, reading_shapes

Role = Literal["denoiser", "reference_net"]

OUTPUT_HEAD = ("conv_norm_out.weight", "conv_norm_out.bias", "conv_out.weight", "conv_out.bias")


def _has(*names: str) -> Callable[[Collection[str]], bool]:
    return lambda keys: all(name in keys for name in names)


def _any(*fragments: str) -> Callable[[Collection[str]], bool]:
    def found(keys: Collection[str]) -> bool:
        text = "\n".join(keys)  # one search of a long text is faster than many of short ones
        return any(fragment in text for fragment in fragments)

    return found


_UNET = _has(
    "conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.conv1.weight"
)
_MOTION = _any(".temporal_transformer.")
_HEAD = _has("conv_out.weight")

# First match wins. The first column is what `identify` returns; the second completes "FILE is ...".
_KINDS: tuple[tuple[str, str, Callable[[Collection[str]], bool]], ...] = (
    (
        "bundle",
        "a bundle of Animate Anyone networks",
        lambda keys: (
            any(key.startswith("reference_net.") for key in keys)
            and any(key.startswith("denoiser.") for key in keys)
        ),
    ),
    ("lora", "a LoRA", _any("lora_", ".lora.", "lora.up", "lora.down")),
    (
        "sd_checkpoint",
        "a Stable Diffusion checkpoint in its original layout; take the UNet in diffusers layout",
        _any("model.diffusion_model.", "input_blocks.0.0."),
    ),
    (
        "controlnet",
        "a ControlNet",
        _any("controlnet_cond_embedding", "controlnet_down_blocks", "control_model."),
    ),
    ("sdxl_unet", "a UNet of Stable Diffusion XL", _has("add_embedding.linear_1.weight")),
    ("motion", "a motion module file", lambda keys: _MOTION(keys) and not _UNET(keys)),
    (
        "motion_adapter",
        "a motion adapter in diffusers layout; take the motion module file in its original layout",
        lambda keys: _any(".motion_modules.")(keys) and not _UNET(keys),
    ),
    (
        "denoiser",
        "a denoising UNet with motion modules",
        lambda keys: _UNET(keys) and _HEAD(keys) and _MOTION(keys),
    ),
    (
        "unet",
        "a UNet with output head and without motion modules",
        lambda keys: _UNET(keys) and _HEAD(keys),
    ),
    ("reference_net", "a ReferenceNet (a UNet without output head)", _UNET),
    (
        "autoencoder_kl",
        "a VAE (AutoencoderKL)",
        lambda keys: (
            _has("encoder.conv_in.weight", "decoder.conv_in.weight")(keys)
            and _any("decoder.up_blocks.")(keys)
        ),
    ),
    (
        "original_vae",
        "a VAE in its original layout; take the one in diffusers layout",
        _any("first_stage_model.", "encoder.down.0.block."),
    ),
    (
        "autoencoder_tiny",
        "a tiny autoencoder (TAESD layout)",
        _has("encoder.layers.0.weight", "decoder.layers.0.weight"),
    ),
    ("clip_text", "a CLIP with a text encoder; take the vision model alone", _any("text_model.")),
    (
        "image_encoder",
        "a CLIP vision model with projection",
        _has("vision_model.embeddings.patch_embedding.weight", "visual_projection.weight"),
    ),
    (
        "clip_vision",
        "a CLIP vision model without projection; take one with it",
        _has("vision_model.embeddings.patch_embedding.weight"),
    ),
    (
        "pose_guider",
        "a Pose Guider",
        _has("blocks.0.weight", "conv_out.weight"),
    ),
)
_DESCRIPTIONS = {kind: description for kind, description, _ in _KINDS}


def identify(keys: Collection[str]) -> str:
    """Return the kind of file that has these tensors, or "unknown"."""
    return next((kind for kind, _, matches in _KINDS if matches(keys)), "unknown")


def describe(kind: str) -> str:
    """Return what a file of this kind is, to complete the sentence "FILE is ..."."""
    return _DESCRIPTIONS.get(kind, "of a layout that is not known here")


def detect_unet(shapes: Shapes, preset: Preset | None = None) -> tuple[Role, UNetConfig]:
    """Return the role and the configuration of a UNet.

    Heads, norm groups and position code come from `preset`, or without one from the known preset
    with this layout.
    """
    kind = identify(shapes)
    if kind not in ("denoiser", "unet", "reference_net"):
        raise WeightsError(f"UNet got {describe(kind)}; choose a UNet in diffusers layout.")
    with reading_shapes("UNet"):
        config = _unet_from_shapes(shapes)
    known = known_preset(config, preset).unet
    config = replace(
        config,
        heads=known.heads,
        norm_groups=known.norm_groups,
        norm_over_frames=known.norm_over_frames,
        position_code=known.position_code,
        motion=_motion_with_heads(config.motion, known.motion),
    )
    return ("reference_net" if config.out_channels is None else "denoiser"), config


def motion_widths(shapes: Shapes) -> tuple[int, ...]:
    """Return the channels of the motion modules, level by level; empty if there are none."""
    norm = "down_blocks.{}.motion_modules.0.temporal_transformer.norm.weight"
    levels = _count(shapes, "down_blocks.")
    with reading_shapes("motion module"):
        return tuple(shapes[norm.format(i)][0] for i in range(levels) if norm.format(i) in shapes)


def detect_pose_guider(shapes: Shapes) -> PoseGuiderConfig:
    """Return the Pose Guider's form and channels."""
    if identify(shapes) != "pose_guider":
        raise WeightsError(
            f"Pose Guider got {describe(identify(shapes))}; choose a pose_guider file."
        )
    with reading_shapes("Pose Guider"):
        return _pose_guider_from_shapes(shapes)


def _pose_guider_from_shapes(shapes: Shapes) -> PoseGuiderConfig:
    blocks = _count(shapes, "blocks.")
    if "conv_in.weight" in shapes:
        channels = [shapes["conv_in.weight"][0]]
        channels += [_out(shapes, f"blocks.{i}") for i in range(1, blocks, 2)]
        return PoseGuiderConfig(channels=tuple(channels), out_channels=_out(shapes, "conv_out"))
    return PoseGuiderConfig(
        form="paper",
        channels=tuple(_out(shapes, f"blocks.{i}") for i in range(blocks)),
        out_channels=_out(shapes, "conv_out"),
    )


@cache
def reference_surplus(unet: UNetConfig) -> frozenset[str]:
    """Return the keys in published ReferenceNet files that our ReferenceNet does not have.

    These are the layers of the last block after its norm1, whose output is not used, and the
    output head of a plain Stable Diffusion UNet.
    """
    built = module_shapes(UNet(unet.reference(), device="meta"))
    level = f"up_blocks.{len(unet.block_out_channels) - 1}.attentions."
    whole, cut = f"{level}0.", f"{level}{unet.layers_per_block}."
    published = {cut + key[len(whole) :] for key in built if key.startswith(whole)}
    return frozenset(published - set(built)) | frozenset(OUTPUT_HEAD)


def _unet_from_shapes(shapes: Shapes) -> UNetConfig:
    levels = _count(shapes, "down_blocks.")
    widths = tuple(_out(shapes, f"down_blocks.{i}.resnets.0.conv1") for i in range(levels))
    attention = tuple(_count(shapes, f"down_blocks.{i}.attentions.") > 0 for i in range(levels))
    block = "mid_block.attentions.0.transformer_blocks.0"
    return UNetConfig(
        in_channels=shapes["conv_in.weight"][1],
        out_channels=_out(shapes, "conv_out") if "conv_out.weight" in shapes else None,
        block_out_channels=widths,
        attention_levels=attention,
        layers_per_block=_count(shapes, "down_blocks.0.resnets."),
        heads=1,
        norm_groups=1,
        cross_attention_dim=shapes[f"{block}.attn2.to_k.weight"][1],
        ff_mult=shapes[f"{block}.ff.net.2.weight"][1] // widths[-1],
        motion=_motion_from_shapes(shapes),
    )


def _motion_from_shapes(shapes: Shapes) -> MotionConfig | None:
    module = "down_blocks.0.motion_modules.0.temporal_transformer"
    if not _MOTION(shapes):
        return None
    blocks = f"{module}.transformer_blocks.0"
    table = shapes[f"{blocks}.attention_blocks.0.pos_encoder.pe"]
    return MotionConfig(
        max_frames=table[1],
        attention_blocks=_count(shapes, f"{blocks}.attention_blocks."),
        ff_mult=shapes[f"{blocks}.ff.net.2.weight"][1] // table[2],
        mid_block=_count(shapes, "mid_block.motion_modules.") > 0,
    )


def _motion_with_heads(
    found: MotionConfig | None, known: MotionConfig | None
) -> MotionConfig | None:
    if found is None or known is None:
        return found
    return replace(found, heads=known.heads, norm_groups=known.norm_groups)


def _out(shapes: Shapes, layer: str) -> int:
    return shapes[f"{layer}.weight"][0]


def _count(shapes: Shapes, prefix: str) -> int:
    """Return how many numbered children `prefix` has: one more than the greatest number."""
    tails = (key[len(prefix) :].split(".", 1)[0] for key in shapes if key.startswith(prefix))
    count = max((int(tail) + 1 for tail in tails if tail.isdecimal()), default=0)
    if count > len(shapes):
        raise WeightsError(
            f"weights got {prefix}{count - 1}, but only {len(shapes)} tensors; the blocks of a "
            "network have numbers without gaps. Choose a file whose names are as published."
        )
    return count
