"""From the examples of a batch to the inputs of the networks."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from ...config import UNetConfig
from ...errors import ConfigError
from ...protocols import Autoencoder, ImageEncoder
from ..config import TrainingConfig
from ..networks import ExtraReference
from ..sources.batch import Batch
from .checks import check_width, needed


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The frozen encoders of a run, and the form in which its networks take pictures."""

    config: TrainingConfig
    unet: UNetConfig
    autoencoder: Autoencoder | None
    image_encoder: ImageEncoder | None
    device: torch.device

    @torch.no_grad()
    def latents(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return reference (b, c, h, w) and targets (b, c, f, h, w) on the device."""
        if batch.encoded:
            reference, targets = (
                batch.reference.to(self.device, non_blocking=True),
                batch.targets.to(self.device, non_blocking=True),
            )
        else:
            b = len(batch.reference)
            frames = rearrange(batch.targets, "b c f H W -> (b f) c H W")
            latents = self._encoded(torch.cat([batch.reference, frames]))
            reference = latents[:b]
            targets = rearrange(latents[b:], "(b f) c h w -> b c f h w", b=b)
        check_width("latents", "channels", targets.shape[1], self.unet.in_channels)
        return reference, targets

    @torch.no_grad()
    def picture(self, thumbs: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return the networks' input for the image token: the token itself, or a picture."""
        if tokens is not None:
            wanted = self.unet.cross_attention_dim
            check_width("image tokens", "numbers", tokens.shape[-1], wanted)
            if self.config.train_image_encoder:
                raise ConfigError(
                    "train_image_encoder got true, but the examples hold image tokens, so the "
                    "encoder would never run. Set it to false, or give examples with thumbs."
                )
            return tokens.to(self.device, non_blocking=True)
        assert thumbs is not None
        pictures = thumbs.to(self.device, non_blocking=True).float() / 255
        if self.config.train_image_encoder:
            return pictures
        encoder = needed(self.image_encoder, "image_encoder", "a picture into a token")
        return torch.cat([encoder.encode(picture[None]) for picture in pictures])

    @torch.no_grad()
    def extras(self, batch: Batch) -> list[ExtraReference]:
        """Return the further reference pictures of the batch."""
        return [
            ExtraReference(
                latents=extra.reference.to(self.device, non_blocking=True)
                if batch.encoded
                else self._encoded(extra.reference),
                picture=self.picture(extra.thumbs, extra.tokens),
                present=extra.present,
            )
            for extra in batch.extras
        ]

    def weights(self, batch: Batch) -> Tensor | None:  # (b, 1, f, h, w)
        """Return the extra weight of the loss in boxes around hands and faces, if there are any."""
        config = self.config
        parts = ((batch.hands, config.hand_weight), (batch.faces, config.face_weight))
        known = [
            weight * part.to(self.device, non_blocking=True)
            for part, weight in parts
            if part is not None
        ]
        return torch.stack(known).sum(0) if known else None

    def _encoded(self, pictures: Tensor) -> Tensor:
        """Return the latents of pictures, (n, 3, H, W) uint8."""
        coder = needed(self.autoencoder, "autoencoder", "pictures into latents")
        return coder.encode(pictures.to(self.device, non_blocking=True).float() / 255)
