"""aa-mini as shipped, frozen: the base of a LoRA or a ControlNet."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from einops import rearrange, repeat
from torch import Tensor

from ...diffusion.schedule import NoiseSchedule
from ...errors import WeightsError
from ...networks.condition import Conditions
from ...training import initial
from ...training.config import TrainingConfig
from ...training.networks import AnimateNetworks, build_networks, plain_attention
from ...training.sources.batch import Batch
from ...weights.encoders import load_autoencoder
from ...weights.load import resolve_preset
from ...weights.sources import open_parts

# Takes noisy frames, timesteps and tokens, one per row; returns the residuals of a ControlNet.
Control = Callable[[Tensor, Tensor, Tensor], tuple[list[Tensor], Tensor]]


class FrozenBase:
    """The networks of a weight set without temporal layers, none of them trained."""

    def __init__(
        self,
        source: Path,  # folder of aa-mini's files
    ) -> None:
        """Load everything in float32."""
        parts = open_parts(source)
        preset = resolve_preset(parts)
        self.schedule = NoiseSchedule(preset.schedule)
        if parts.autoencoder is None or parts.image_encoder is None:
            raise WeightsError(
                f"target got {source}, without autoencoder or image encoder; examples are encoded "
                "with both. Name the folder of a whole aa-mini."
            )
        self.networks: AnimateNetworks = build_networks(
            preset, TrainingConfig(), torch.Generator(), attention=plain_attention
        )
        initial.from_bundle(
            self.networks.denoiser,
            self.networks.reference_net,
            self.networks.pose_guider,
            source,
            image_encoder=self.networks.image_encoder,
        )
        self.networks.eval().requires_grad_(False)
        self.autoencoder = load_autoencoder(
            parts.autoencoder, preset.latent_scale, torch.float32, "cpu"
        )

    def folder(self, runs: Path) -> Path:
        """Return the folder of a run on these weights; a run on other weights cannot be resumed."""
        digest = hashlib.sha256()
        for tensor in (
            *self.networks.state_dict().values(),
            *self.autoencoder.network.parameters(),
        ):
            digest.update(tensor.detach().contiguous().numpy().tobytes())
        folder = runs / digest.hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def conditions(self, batch: Batch, keep: Sequence[bool]) -> Conditions:
        """Return the conditions of a batch; rows without `keep` get no reference and no token.

        With a LoRA they are computed in every step, because they depend on its weights too.
        """
        assert batch.thumbs is not None
        poses, picture = batch.poses.float() / 255, batch.thumbs.float() / 255
        return self.networks.conditions(poses, batch.reference, picture, keep)

    def predict(
        self,
        noisy: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b, f)
        conditions: Conditions,
        control: Control | None = None,
    ) -> Tensor:  # (b, c, f, h, w)
        """Return the denoiser's prediction, with or without a ControlNet."""
        down, middle = None, None
        if control is not None:
            rows = rearrange(noisy, "b c f h w -> (b f) c h w")
            tokens = repeat(conditions.tokens, "b n d -> (b f) n d", f=noisy.shape[2])
            down, middle = control(rows, timesteps.flatten(), tokens)
        return self.networks.denoiser(
            noisy,
            timesteps,
            conditions.prepared,
            conditions.pose,
            down_residuals=down,
            mid_residual=middle,
        )
