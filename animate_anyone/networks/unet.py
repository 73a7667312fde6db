"""The denoising UNet and ReferenceNet: one class, because the paper gives them one architecture.

ReferenceNet is the UNet without temporal layers and without an output head. It returns features;
the denoiser computes keys and values from them once (`prepare`) and gets these at every step.
Parameter names are those of the public checkpoints.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..config import UNetConfig
from ..errors import ConfigError, InputError
from ..protocols import AttentionFunction, Patches
from .attention import SpatialTransformer, TransformerBlock, sdpa
from .beside import Person, check_features, persons_of
from .layers import TORCH, Factory, Operations, TimeEmbedding, normalise
from .levels import (
    Call,
    DownLevel,
    Layers,
    Level,
    MidLevel,
    PreparedCondition,
    UpLevel,
    add_residuals,
    fitting_features,
    keep_skip,
    with_residual,
)
from .position import level_codes

__all__ = ["PreparedCondition", "UNet"]


class UNet(nn.Module):
    """Denoising UNet, or ReferenceNet if the configuration has no output channels."""

    def __init__(
        self,
        config: UNetConfig,
        *,
        operations: Operations = TORCH,  # where modules come from
        attention: AttentionFunction = sdpa,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        checkpointing: bool = False,  # training: recompute each layer in the backward pass
    ) -> None:
        super().__init__()
        self.config, self.attention, self.checkpointing = config, attention, checkpointing
        make = Factory(operations, dtype, device)
        channels = config.block_out_channels
        self.conv_in = make.conv(config.in_channels, channels[0])
        self.time_embedding = TimeEmbedding(channels[0], make)
        self._build_levels(make)
        if config.out_channels is not None:
            self.conv_norm_out = make.group_norm(config.norm_groups, channels[0], eps=1e-5)
            self.conv_out = make.conv(channels[0], config.out_channels)

    def _build_levels(self, make: Factory) -> None:
        config, per_level = self.config, self.config.layers_per_block
        channels, attention = config.block_out_channels, config.attention_levels
        levels = range(len(channels))
        transformers, skips, width = 0, [channels[0]], channels[0]
        self.down_blocks = nn.ModuleList()
        for level in levels:
            layers = Layers(
                level=level,
                inputs=(width, *[channels[level]] * (per_level - 1)),
                first=transformers,
                block=1 + level * (per_level + 1),
                tails=(True,) * per_level * attention[level],
                motions=per_level,
            )
            self.down_blocks.append(DownLevel(config, layers, make))
            transformers += len(layers.tails)
            width = channels[level]
            skips += [width] * (per_level + (level != levels[-1]))
        mid_motions = int(config.motion is not None and config.motion.mid_block)
        layers = Layers(
            level=levels[-1],
            inputs=(width, width),
            first=transformers,
            block=0,
            tails=(True,),
            motions=mid_motions,
        )
        self.mid_block = MidLevel(config, layers, make)
        transformers += 1
        self.up_blocks = nn.ModuleList()
        for level in reversed(levels):
            inputs = []
            for _ in range(per_level + 1):
                inputs.append(width + skips.pop())
                width = channels[level]
            layers = Layers(
                level=level,
                inputs=tuple(inputs),
                first=transformers,
                block=(levels[-1] - level) * (per_level + 1),
                tails=self._up_tails(level),
                motions=per_level + 1,
            )
            self.up_blocks.append(UpLevel(config, layers, make))
            transformers += len(layers.tails)

    def _up_tails(self, level: int) -> tuple[bool, ...]:
        if not self.config.attention_levels[level]:
            return ()
        # Layers after ReferenceNet's last feature map are not needed and are left out.
        needed = level > 0 or self.config.out_channels is not None
        return (True,) * self.config.layers_per_block + (needed,)

    def reference_features(
        self,
        latents: Tensor,  # (r, c, h, w), in the denoiser's scale
        context: Tensor,  # (r, n, d) image tokens
    ) -> tuple[Tensor, ...]:  # per transformer block: (r, tokens, channels)
        """Return the inputs of self-attention at timestep 0, in order of execution."""
        if self.config.out_channels is not None:
            raise ConfigError(
                "reference_features was called on a denoiser; only ReferenceNet has them. Build it "
                "from `config.reference()`."
            )
        timesteps = torch.zeros(len(latents), 1, device=latents.device)
        call = self._call(latents[:, :, None], timesteps, self.prepare(context), collect=True)
        return self._run(self._first_features(latents[:, :, None], None), call)[1]

    def prepare(
        self,
        context: Tensor,  # (b, n, d) image tokens
        reference: Sequence[Tensor] | None = None,  # ReferenceNet's features: 1 or `attends` rows
        attends: Sequence[bool] | None = None,  # (b,) whether the row has the reference; None: all
        bias: Sequence[Tensor] | None = None,  # per block (1 or `attends` rows, n): of the keys
        persons: Sequence[Person] | None = None,  # None: all pictures show one character
    ) -> PreparedCondition:
        """Return keys and values of context and reference by this network's weights.

        They are the same at all steps of a sampling run, so one call is enough for a run. The
        reference may be of several pictures, see `join_references`.
        """
        blocks = [block for block in self._transformer_blocks() if block.tail]
        attends = _attends(attends, len(context), reference)
        if reference is not None:
            check_features(reference, [block.channels for block in blocks])
        if not any(attends):
            reference = None  # no row attends, so no keys and values are needed
        return PreparedCondition(
            cross=tuple(block.cross(context) for block in blocks),
            reference=None
            if reference is None
            else tuple(
                block.attn1.key_value(features.to(context))
                for block, features in zip(blocks, reference, strict=True)
            ),
            attends=attends,
            context=context,
            bias=None if bias is None or reference is None else tuple(bias),
            persons=None if persons is None or reference is None else persons_of(blocks, persons),
        )

    def forward(
        self,
        latents: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b,) or (b, f), 0..999
        condition: PreparedCondition,
        pose: Tensor | None = None,  # (b or 1, c', f, h, w), see `_first_features`
        *,
        down_residuals: Sequence[Tensor | None] | None = None,  # ControlNet: (b*f, c, h, w) each
        mid_residual: Tensor | None = None,  # (b*f, c, h, w)
        attention: AttentionFunction | None = None,  # for this call instead of the network's own
        patches: Patches | None = None,  # changes that a caller makes inside the network
    ) -> Tensor:  # (b, c_out, f, h, w)
        """Return the network's prediction for every frame."""
        call = self._checked_call(latents, timesteps, condition, attention, patches)
        x = self._first_features(latents, pose)
        x, _ = self._run(x, call, down_residuals, mid_residual)
        return self._output(x, call)

    def predict(
        self,
        latents: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b,) or (b, f), 0..999
        condition: PreparedCondition,
        pose: Tensor | None = None,  # as in `forward`
        *,
        deep: Tensor | None = None,  # of an earlier call with the same rows; None: a full step
        down_residuals: Sequence[Tensor | None] | None = None,
        mid_residual: Tensor | None = None,
        attention: AttentionFunction | None = None,
        patches: Patches | None = None,
    ) -> tuple[Tensor, Tensor]:  # (b, c_out, f, h, w); (b*f, c, h, w)
        """Return the prediction of `forward`, and the deep features that enter the last layer.

        With `deep`, which an earlier call returned, only the first convolution and the last layer
        are computed, joined by the first skip connection with its ControlNet residual (DeepCache,
        Ma et al. 2024, branch 0). This is an approximation: deep features change little from step
        to step.
        """
        call = self._checked_call(latents, timesteps, condition, attention, patches)
        x = self._first_features(latents, pose)
        kept: list[Tensor] = []
        x, _ = self._run(x, call, down_residuals, mid_residual, deep=deep, kept=kept)
        return self._output(x, call), kept[0]

    def _checked_call(
        self,
        latents: Tensor,
        timesteps: Tensor,  # (b,) or (b, f)
        condition: PreparedCondition,
        attention: AttentionFunction | None,
        patches: Patches | None,
    ) -> Call:
        self._check(latents, condition)
        if timesteps.ndim == 1:
            timesteps = timesteps[:, None].expand(-1, latents.shape[2])
        return self._call(latents, timesteps, condition, attention=attention, patches=patches)

    def _output(
        self,
        x: Tensor,  # (b*f, c, h, w), the last features
        call: Call,
    ) -> Tensor:  # (b, c_out, f, h, w)
        x = functional.silu(normalise(self.conv_norm_out, x, call.norm_frames))
        return rearrange(self.conv_out(x), "(b f) c h w -> b c f h w", f=call.frames)

    def _run(
        self,
        x: Tensor,  # (b*f, c, h, w)
        call: Call,
        down_residuals: Sequence[Tensor | None] | None = None,
        mid_residual: Tensor | None = None,
        *,
        deep: Tensor | None = None,  # (b*f, c, h, w) for the last layer, instead of all others
        kept: list[Tensor] | None = None,  # gets the features that enter the last layer
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the levels; return the last features and the collected inputs of self-attention."""
        skips, looked_at, last = [], [], cast(UpLevel, self.up_blocks[-1])
        x = keep_skip(x, skips, 0, call.patches)
        if deep is not None:
            skips = skips if down_residuals is None else add_residuals(skips, down_residuals[:1])
            x, seen = last(fitting_features(deep, skips[0]), skips, call, last_only=True, kept=kept)
            return x, tuple(seen)
        for down in self.down_blocks:
            x, more, seen = down(x, call)
            skips += more
            looked_at += seen
        if down_residuals is not None:
            skips = add_residuals(skips, down_residuals)
        x = self._run_middle(x, call, mid_residual, looked_at)
        for up in self.up_blocks:
            x, seen = up(x, skips, call, kept=kept if up is last else None)
            looked_at += seen
        return x, tuple(looked_at)

    def _run_middle(
        self, x: Tensor, call: Call, residual: Tensor | None, looked_at: list[Tensor]
    ) -> Tensor:
        x, seen = self.mid_block(x, call)
        looked_at += seen
        if residual is not None:
            x = with_residual(x, residual)
        return x if call.patches is None else call.patches.middle_block(x)

    def _first_features(self, latents: Tensor, pose: Tensor | None) -> Tensor:
        """Return conv_in's output with the pose features added.

        Features with as many channels as the latents come from the paper's form of the Pose Guider
        and are added to the noise. Features with as many channels as conv_in's output come from
        the public form and are added to that output.
        """
        inputs, width = self.config.in_channels, self.config.block_out_channels[0]
        shape = (latents.shape[0], *latents.shape[2:])
        if pose is not None and (
            pose.shape[1] not in (inputs, width)
            or pose.shape[0] not in (1, shape[0])
            or pose.shape[2:] != shape[1:]
        ):
            raise InputError(
                f"pose got shape {tuple(pose.shape)}; for latents {tuple(latents.shape)} it must "
                f"have 1 or {shape[0]} rows, {width} channels ({inputs} from the paper's Pose "
                f"Guider), then {shape[1:]} frames, rows and columns. Draw the poses for this clip."
            )
        if pose is not None and pose.shape[1] == inputs:
            latents, pose = latents + pose.to(latents), None
        x = self.conv_in(_fold_frames(latents))
        if pose is not None:
            x = x + _fold_frames(pose.to(x).expand(shape[0], -1, -1, -1, -1))
        return x

    def _call(
        self,
        latents: Tensor,
        timesteps: Tensor,  # (b, f)
        condition: PreparedCondition,
        *,
        attention: AttentionFunction | None = None,
        collect: bool = False,
        patches: Patches | None = None,
    ) -> Call:
        frames = latents.shape[2]
        time = self.time_embedding(timesteps.flatten().to(latents.device), latents.dtype)
        if patches is not None:
            time = patches.time(time)
        return Call(
            time=functional.silu(time),
            frames=frames,
            rows=latents.shape[3],
            norm_frames=frames if self.config.norm_over_frames else 1,
            codes=level_codes(self.config, latents),
            condition=condition,
            attention=attention or self.attention,
            collect=collect,
            checkpointing=self.checkpointing,
            patches=patches,
        )

    def _transformer_blocks(self) -> Iterator[TransformerBlock]:
        for level in (*self.down_blocks, self.mid_block, *self.up_blocks):
            for transformer in cast(Level, level).attentions:
                yield cast(SpatialTransformer, transformer).block

    def _check(self, latents: Tensor, condition: PreparedCondition) -> None:
        rows, frames, motion = latents.shape[0], latents.shape[2], self.config.motion
        if motion is not None and frames > motion.max_frames:
            raise InputError(
                f"latents got {frames} frames; the motion modules have positions for "
                f"{motion.max_frames}. Sample in windows of at most {motion.max_frames} frames."
            )
        if rows != len(condition.attends):
            raise InputError(
                f"latents got {rows} rows; the condition was prepared for "
                f"{len(condition.attends)}. Prepare it with one context per row."
            )


def _fold_frames(
    x: Tensor,  # (b, c, f, h, w)
) -> Tensor:  # (b*f, c, h, w), channels_last
    x = rearrange(x, "b c f h w -> (b f) h w c")  # copies once if b > 1
    return rearrange(x, "n h w c -> n c h w").contiguous(memory_format=torch.channels_last)


def _attends(
    attends: Sequence[bool] | None, rows: int, reference: Sequence[Tensor] | None
) -> tuple[bool, ...]:
    """Return `attends` with one value per row; InputError if the numbers of rows do not fit."""
    if reference is None:
        return (False,) * rows
    answers = (True,) * rows if attends is None else tuple(bool(value) for value in attends)
    if len(answers) != rows:
        raise InputError(
            f"attends got {len(answers)} values; it needs one per context row, {rows}."
        )
    counts = {len(features) for features in reference}
    if not counts <= {1, sum(answers)}:
        raise InputError(
            f"reference got {sorted(counts)} rows; it needs 1, or one for each of the "
            f"{sum(answers)} rows that attend to it."
        )
    return answers
