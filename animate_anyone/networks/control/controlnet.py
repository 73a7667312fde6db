"""A ControlNet for the reference picture, which the paper compares with ReferenceNet.

Paper, section 4.4: "training ControlNet with reference image". A copy of the denoiser's encoder
and middle block gets each noisy frame with its pose, and the reference's latent as the hint. Its
outputs are added to the denoiser's skip connections through convolutions that start from zero
(arXiv 2302.05543, section 3.1). ControlNets are meant for hints that match the frame place by
place; a reference picture shows the person at other places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional

from ...config import UNetConfig
from ...errors import InputError
from ...protocols import AttentionFunction
from ..attention import sdpa
from ..layers import TORCH, Factory
from ..levels import PreparedCondition
from ..unet import UNet


class HintEncoder(nn.Module):
    """Encodes the reference's latent as a map that is added to the ControlNet's first features.

    It has ReferenceNet's interface and returns a single feature map.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        width = config.block_out_channels[0]
        self.conv_in = TORCH.Conv2d(config.in_channels, width, 3, padding=1)
        self.conv_middle = TORCH.Conv2d(width, width, 3, padding=1)
        self.conv_out = TORCH.Conv2d(width, width, 3, padding=1)
        self.start_from_zero()

    def start_from_zero(self) -> None:
        """Make the last convolution zero."""
        _fill_zero(self.conv_out)

    def reference_features(
        self,
        latents: Tensor,  # (r, c, h, w), in the denoiser's scale
        context: Tensor,  # (r, n, d) image tokens, not used
    ) -> tuple[Tensor, ...]:  # one: (r, first width, h, w)
        """Return the hint of each reference picture."""
        hidden = functional.silu(self.conv_in(latents))
        return (self.conv_out(functional.silu(self.conv_middle(hidden))),)


class ControlNet(UNet):
    """The encoder and middle block of a UNet, with a zero convolution after each skip connection.

    Parameter names are those of the public ControlNets.
    """

    def __init__(
        self,
        config: UNetConfig,  # the denoiser's, or a narrower one; temporal layers are not built
        *,
        feeds: UNetConfig | None = None,  # the denoiser's, if its widths differ from `config`
        make: Factory | None = None,  # where modules come from
        attention: AttentionFunction = sdpa,
        checkpointing: bool = False,
    ) -> None:
        make = make or Factory()
        super().__init__(
            config.reference(),
            operations=make.operations,
            attention=attention,
            dtype=make.dtype,
            device=make.device,
            checkpointing=checkpointing,
        )
        self.up_blocks = nn.ModuleList()
        pairs = [*zip(_skip_widths(config), _skip_widths(feeds or config), strict=True)]
        self.controlnet_down_blocks = nn.ModuleList(
            [make.conv(own, fed, kernel=1) for own, fed in pairs]
        )
        self.controlnet_mid_block = make.conv(*pairs[-1], kernel=1)
        self.start_from_zero()

    def start_from_zero(self) -> None:
        """Set all output convolutions to zero, so that the denoiser's result does not change."""
        _fill_zero(self.controlnet_down_blocks)
        _fill_zero(self.controlnet_mid_block)

    def residuals(
        self,
        latents: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b, f), 0..999
        condition: PreparedCondition,  # from this network's own `prepare`
        hint: Tensor,  # (b or 1, first width, h, w)
        pose: Tensor | None = None,  # (b or 1, c', f, h, w)
        *,
        attention: AttentionFunction | None = None,
    ) -> tuple[list[Tensor], Tensor]:  # (b*f, c, h, w) each: per skip connection; the middle's
        """Return what the denoiser adds to its skip connections and after its middle block."""
        b, _, f, h, w = latents.shape
        if hint.shape[0] not in (1, b) or hint.shape[2:] != (h, w):
            raise InputError(
                f"reference got a hint of shape {tuple(hint.shape)}; for latents "
                f"{tuple(latents.shape)} it must have 1 or {b} rows of {h}x{w}. Give a reference "
                "of the clip's size, and one row, or one for each row that attends to it."
            )
        call = self._call(latents, timesteps, condition, attention=attention)
        x = self._first_features(latents, pose)
        x = x + repeat(hint.to(x).expand(b, -1, -1, -1), "b c h w -> (b f) c h w", f=f)
        skips = [x]
        for down in self.down_blocks:
            x, more, _ = down(x, call)
            skips += more
        x, _ = self.mid_block(x, call)
        ends = zip(self.controlnet_down_blocks, skips, strict=True)
        return [end(skip) for end, skip in ends], self.controlnet_mid_block(x)


@dataclass(frozen=True, kw_only=True)
class ControlledCondition(PreparedCondition):
    """The condition of a `ControlledUNet`. Rows without the reference get no residuals."""

    rows: tuple[int, ...]  # the rows with the reference
    control: PreparedCondition | None  # the ControlNet's condition for these rows
    hint: Tensor | None  # (1 or len(rows), first width, h, w)


class ControlledUNet(UNet):
    """A denoiser that gets the reference through a ControlNet, with or without the image token."""

    def __init__(
        self,
        config: UNetConfig,
        *,
        image_token: bool,  # False: cross-attention gets zeros
        sees_pose: bool = True,  # the ControlNet gets the pose's features; False: only the denoiser
        attention: AttentionFunction = sdpa,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(config, attention=attention, checkpointing=checkpointing)
        self.image_token, self.sees_pose = image_token, sees_pose
        self.controlnet = ControlNet(config, attention=attention, checkpointing=checkpointing)

    @torch.no_grad()
    def copy_encoder(self) -> None:
        """Copy the denoiser's encoder and middle block into the ControlNet."""
        own = self.state_dict()
        for key, value in self.controlnet.state_dict().items():
            if key in own:
                value.copy_(own[key])

    def prepare(
        self,
        context: Tensor,  # (b, n, d) image tokens
        reference: Sequence[Tensor] | None = None,  # the hint: 1 or `attends` rows
        attends: Sequence[bool] | None = None,  # (b,) whether the row has the reference; None: all
    ) -> ControlledCondition:
        """Return the condition of both networks, which is the same at all steps."""
        if not self.image_token:
            context = torch.zeros_like(context)
        own = super().prepare(context)
        rows = _attending(attends, len(context)) if reference is not None else ()
        return ControlledCondition(
            reference=None,
            cross=own.cross,
            attends=own.attends,
            context=own.context,
            rows=rows,
            control=self.controlnet.prepare(context[list(rows)]) if rows else None,
            hint=reference[0] if rows and reference is not None else None,
        )

    def forward(
        self,
        latents: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b,) or (b, f), 0..999
        condition: ControlledCondition,
        pose: Tensor | None = None,  # (b or 1, c', f, h, w)
        *,
        attention: AttentionFunction | None = None,
    ) -> Tensor:  # (b, c_out, f, h, w)
        """Run the ControlNet, then the denoiser; return the prediction for every frame."""
        self._check(latents, condition)
        if timesteps.ndim == 1:
            timesteps = timesteps[:, None].expand(-1, latents.shape[2])
        down, middle = None, None
        if condition.control is not None and condition.hint is not None:
            rows, frames = list(condition.rows), latents.shape[2]
            own_pose = pose if pose is None or len(pose) == 1 else pose[rows]
            if not self.sees_pose:
                own_pose = None
            found = self.controlnet.residuals(
                *(latents[rows], timesteps[rows], condition.control, condition.hint, own_pose),
                attention=attention,
            )
            down = [_on_rows(residual, rows, len(latents), frames) for residual in found[0]]
            middle = _on_rows(found[1], rows, len(latents), frames)
        return super().forward(
            *(latents, timesteps, condition, pose),
            down_residuals=down,
            mid_residual=middle,
            attention=attention,
        )

    def predict(self, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Refuse the step cache: this variant of the ablations has no form of it."""
        raise InputError(
            "step_cache got the variant that has the reference through a ControlNet; it has no "
            "step cache. Choose step_cache 1."
        )


def _attending(attends: Sequence[bool] | None, count: int) -> tuple[int, ...]:
    if attends is not None and len(attends) != count:
        raise InputError(
            f"attends got {len(attends)} values; it needs one per context row, {count}."
        )
    return tuple(row for row in range(count) if attends is None or attends[row])


def _on_rows(
    residual: Tensor,  # (len(rows)*f, c, h, w)
    rows: Sequence[int],
    count: int,
    frames: int,
) -> Tensor:  # (count*f, c, h, w)
    """Return residuals for all rows: the given ones at `rows`, zeros elsewhere."""
    if len(rows) == count:
        return residual
    places = torch.tensor([row * frames + i for row in rows for i in range(frames)])
    whole = residual.new_zeros(count * frames, *residual.shape[1:])
    return whole.index_copy(0, places.to(residual.device), residual)


def _skip_widths(config: UNetConfig) -> list[int]:
    channels = config.block_out_channels
    widths = [channels[0]]
    for level, width in enumerate(channels):
        widths += [width] * (config.layers_per_block + (level < len(channels) - 1))
    return widths


def _fill_zero(part: nn.Module) -> None:
    for parameter in part.parameters():
        nn.init.zeros_(parameter)
