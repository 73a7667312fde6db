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
from .layers import TORCH, Factory, Operations, TimeEmbedding, normalise
from .levels import Call, DownLevel, Layers, Level, MidLevel, PreparedCondition, UpLevel, keep_skip
from .position import picture_code

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
    ) -> PreparedCondition:
        """Return keys and values of context and reference by this network's weights.

        They are the same at all steps of a sampling run, so one call is enough for a run. The
        reference may be of several pictures, see `join_references`.
        """
        blocks = [block for block in self._transformer_blocks() if block.tail]
        attends = _attends(attends, len(context), reference)
        if reference is not None:
            _check_features(reference, [block.channels for block in blocks])
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
        self._check(latents, condition)
        if timesteps.ndim == 1:
            timesteps = timesteps[:, None].expand(-1, latents.shape[2])
        call = self._call(latents, timesteps, condition, attention=attention, patches=patches)
        x = self._first_features(latents, pose)
        x, _ = self._run(x, call, down_residuals, mid_residual)
        x = functional.silu(normalise(self.conv_norm_out, x, call.norm_frames))
        return rearrange(self.conv_out(x), "(b f) c h w -> b c f h w", f=call.frames)

    def _run(
        self,
        x: Tensor,  # (b*f, c, h, w)
        call: Call,
        down_residuals: Sequence[Tensor | None] | None = None,
        mid_residual: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all levels; return the last features and the collected inputs of self-attention."""
        skips, looked_at = [], []
        x = keep_skip(x, skips, 0, call.patches)
        for down in self.down_blocks:
            x, more, seen = down(x, call)
            skips += more
            looked_at += seen
        if down_residuals is not None:
            skips = _add_residuals(skips, down_residuals)
        x, seen = self.mid_block(x, call)
        looked_at += seen
        if mid_residual is not None:
            x = _added(x, mid_residual)
        if call.patches is not None:
            x = call.patches.middle_block(x)
        for up in self.up_blocks:
            x, seen = up(x, skips, call)
            looked_at += seen
        return x, tuple(looked_at)

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
            codes=self._position_codes(latents),
            condition=condition,
            attention=attention or self.attention,
            collect=collect,
            checkpointing=self.checkpointing,
            patches=patches,
        )

    def _position_codes(self, latents: Tensor) -> tuple[Tensor | None, ...]:
        config = self.config
        if not config.position_code:
            return (None,) * len(config.block_out_channels)
        size = rows, columns = latents.shape[3], latents.shape[4]
        codes = []
        for level, channels in enumerate(config.block_out_channels):
            code = picture_code(
                rows, columns, channels, stride=2**level, size=size, device=latents.device
            )
            codes.append((code * config.position_code).to(self._compute_dtype(latents)))
            rows, columns = -(-rows // 2), -(-columns // 2)
        return tuple(codes)

    @staticmethod
    def _compute_dtype(latents: Tensor) -> torch.dtype:
        device = latents.device.type
        # Torch raises an error when asked about a device that knows no autocast.
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        return latents.dtype

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
    x = rearrange(x, "b c f h w -> (b f) c h w")
    return x.contiguous(memory_format=torch.channels_last)


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


def _check_features(
    reference: Sequence[Tensor],
    widths: Sequence[int],  # channels of the transformer blocks
) -> None:
    """Raise InputError for features of another kind of network."""
    if len(reference) != len(widths):
        raise InputError(
            f"reference got {len(reference)} feature maps; this network has {len(widths)} "
            "transformer blocks. Use the ReferenceNet that belongs to the denoiser."
        )
    got = [features.shape[-1] for features in reference]
    if got != [*widths]:
        raise InputError(
            f"reference got features of {got} channels; this network's transformer blocks have "
            f"{[*widths]}. Use the ReferenceNet that belongs to the denoiser."
        )


def _add_residuals(skips: Sequence[Tensor], residuals: Sequence[Tensor | None]) -> list[Tensor]:
    """Add a ControlNet's residuals to the skip connections; None adds nothing."""
    if len(residuals) != len(skips):
        raise InputError(
            f"down_residuals got {len(residuals)} tensors; this network has {len(skips)} skip "
            "connections. Use a ControlNet made for the same layout of UNet."
        )
    return [
        skip if residual is None else _added(skip, residual)
        for skip, residual in zip(skips, residuals, strict=True)
    ]


def _added(x: Tensor, residual: Tensor) -> Tensor:
    """Return features with a ControlNet's residual; InputError if their sizes differ."""
    sides = zip(residual.shape[2:], x.shape[2:], strict=True)
    if any(side not in (1, own) for side, own in sides):
        raise InputError(
            f"ControlNet got features of {tuple(x.shape[2:])} rows and columns, its own have "
            f"{tuple(residual.shape[2:])}; they must agree. Leave out the ControlNet, or the patch "
            "that resizes features inside the model."
        )
    return x + residual.to(x)
