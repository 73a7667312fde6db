"""The trained networks as one module: the paper's figure 2 without sampling."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..config import Preset
from ..errors import ConfigError, WeightsError
from ..networks.attention import sdpa
from ..networks.condition import (
    Conditions,
    References,
    pose_features,
    prepare_condition,
    seen_features,
    seen_references,
    seen_tokens,
)
from ..networks.encoders.clip_vision import ClipVision, ClipVisionConfig
from ..networks.initialise import initialise
from ..networks.pose_guider import build_pose_guider
from ..protocols import AttentionFunction, Autoencoder, ImageEncoder, Look
from ..weights.encoders import ClipImageEncoder, clip_normalised
from ..weights.load import Models
from ..weights.sets.table import get_preset
from .config import TrainingConfig
from .trainable.low_rank import add_low_rank, is_low_rank, scale_of
from .trainable.names import named
from .variants import Variant, build_variant, initialise_variant

IMAGE_ENCODER = ClipVisionConfig(
    image_size=64,
    patch_size=8,
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=128,
    projection_dim=64,  # of aa-mini; a network's is its preset's `cross_attention_dim`
)


STAGE1 = "stage1/weights.safetensors"  # path in a run's folder
USUAL_LORA = {1: "attention", 2: "temporal"}  # what a LoRA changes if nothing is named, by stage
# Without effect with a single image token, so they are left out of a LoRA.
UNUSED = ("attn2.to_q", "attn2.to_k")


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute attention by its formula; for aa-mini's short sequences this is fastest on a CPU."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1).to(value) @ value


@dataclass(frozen=True, kw_only=True)
class ExtraReference:
    """One further reference picture of the rows of a batch."""

    latents: Tensor  # (b, c, h, w)
    picture: Tensor  # (b, 1, d) tokens, or (b, 3, s, s) in 0..1 for the image encoder
    present: tuple[bool, ...]  # b: False for rows without it


class AnimateNetworks(nn.Module):
    """Denoiser, ReferenceNet and Pose Guider, and the image encoder if it is trained."""

    def __init__(
        self,
        preset: Preset,
        variant: Variant = "reference_net",
        *,
        attention: AttentionFunction = sdpa,
        image_encoder: bool = True,  # False: a frozen network outside this module makes tokens
        checkpointing: bool = False,  # recompute each layer in the backward pass
    ) -> None:
        super().__init__()
        self.denoiser, reference_net = build_variant(
            variant, preset.unet, attention, checkpointing=checkpointing
        )
        self.reference_net: Any = reference_net
        self.pose_guider = build_pose_guider(preset.pose_guider)
        self.image_encoder = _image_encoder(preset) if image_encoder else None

    def forward(
        self,
        noisy: Tensor,  # (b, c, f, h, w)
        timesteps: Tensor,  # (b, f)
        poses: Tensor,  # (b, f, 3, H, W), 0..1
        reference: Tensor,  # (b, c, h, w)
        picture: Tensor,  # (b, 1, d) tokens, or (b, 3, s, s) in 0..1 for the image encoder
        keep: Sequence[bool],  # per row: False drops reference and token, as guidance needs
        extras: Sequence["ExtraReference"] = (),  # further reference pictures
    ) -> Tensor:  # (b, c, f, h, w)
        """Return the denoiser's prediction; dropped rows get neither references nor token."""
        conditions = self.conditions(poses, reference, picture, keep, extras)
        return self.denoiser(noisy, timesteps, conditions.prepared, conditions.pose)

    def conditions(
        self,
        poses: Tensor,  # (b, f, 3, H, W), 0..1
        reference: Tensor,  # (b, c, h, w)
        picture: Tensor,  # as for `forward`
        keep: Sequence[bool],  # per row: False drops references and token
        extras: Sequence["ExtraReference"] = (),  # further reference pictures
    ) -> Conditions:
        """Return the denoiser's conditions of a batch, computed with the current weights."""
        tokens = self.tokens(picture)
        features = self._features(reference, tokens, keep, extras)
        return Conditions(
            prepared=prepare_condition(self.denoiser, tokens, features, keep),
            pose=pose_features(self.pose_guider, poses),
            tokens=seen_tokens(tokens, keep),
        )

    def _features(
        self,
        reference: Tensor,  # (b, c, h, w)
        tokens: Tensor,  # (b, 1, d)
        keep: Sequence[bool],
        extras: Sequence["ExtraReference"],
    ) -> References | Sequence[Tensor] | None:
        """Return ReferenceNet's features of all pictures that a row has."""
        if not extras:
            return seen_features(self.reference_net, reference, tokens, keep)
        return seen_references(
            self.reference_net,
            [reference, *(extra.latents for extra in extras)],
            [tokens, *(self.tokens(extra.picture) for extra in extras)],
            keep,
            [[1.0, *map(float, row)] for row in zip(*(e.present for e in extras), strict=True)],
        )

    def tokens(self, picture: Tensor) -> Tensor:
        """Return the image tokens (b, 1, d) of pictures; tokens are returned unchanged."""
        if picture.ndim == 3:
            return picture
        assert self.image_encoder is not None
        return self.image_encoder(clip_normalised(picture))[:, None]

    def train_stage(self, config: TrainingConfig) -> dict[str, nn.Parameter]:
        """Freeze what this stage does not train; return the rest by name."""
        if config.lora:
            self._add_low_rank(config)
        wanted = self._wanted(config)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in wanted)
        chosen = {name: each for name, each in self.named_parameters() if name in wanted}
        # PyTorch 2.11 crashes on a CPU in the backward pass of a channels-last GroupNorm whose
        # input needs no gradient, as in the first temporal layer. So conv_in gets a gradient too;
        # it is not used.
        reached = [self.denoiser]
        if config.train and any(name.startswith("reference_net.") for name in chosen):
            reached.append(self.reference_net)
        for network in reached:
            for name, parameter in network.named_parameters():
                if name.endswith("conv_in.weight"):
                    parameter.requires_grad_(True)
        return chosen

    def _wanted(self, config: TrainingConfig) -> set[str]:
        """Return the names of the parameters that are trained."""
        names = {name for name, _ in self.named_parameters()}
        if config.lora:
            return {name for name in names if is_low_rank(name)}
        if config.train:
            return named(config.train, names)
        if config.stage == 1:
            own = {n for n in names if config.train_image_encoder or "image_encoder." not in n}
            return {name for name in own if "motion_modules" not in name}
        wanted = {name for name in names if "motion_modules" in name}
        if not wanted:
            raise ConfigError(
                f"stage got {config.stage}; preset {config.preset!r} has no temporal layers to "
                "train. Choose one that has."
            )
        return wanted

    def _add_low_rank(self, config: TrainingConfig) -> None:
        """Add low-rank changes to the layers that the names choose; only the denoiser has any."""
        names = [name for name, _ in self.named_parameters()]
        chosen = named(config.train or USUAL_LORA[config.stage], names)
        if outside := sorted(name for name in chosen if not name.startswith("denoiser.")):
            raise ConfigError(
                f"lora got {config.lora}, and train chooses {outside[0]}; a LoRA loader reaches "
                "the denoiser alone. Name parts of it (attention, denoiser, temporal, or a pattern "
                "that begins with 'denoiser.'), or set lora to 0."
            )
        layers = {name.removeprefix("denoiser.").removesuffix(".weight") for name in chosen}
        layers = {name for name in layers if not name.endswith(UNUSED)}
        changes = add_low_rank(
            self.denoiser,
            layers.__contains__,
            config.lora,
            torch.Generator().manual_seed(config.seed),
            scale_of(config),
        )
        if not changes:
            raise ConfigError(
                f"train got {config.train!r}, which chooses no linear layer and no convolution "
                "that has an effect, so a LoRA changes nothing there. Choose others, or set lora "
                "to 0."
            )


def build_networks(
    preset: Preset,
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    attention: AttentionFunction = sdpa,
    look: Look | None = None,  # called before each layer; may raise to interrupt
) -> AnimateNetworks:
    """Return the networks of a stage before training; stage 1 has no temporal layers."""
    unet = preset.unet if config.stage == 2 else replace(preset.unet, motion=None)
    networks = AnimateNetworks(
        replace(preset, unet=unet),
        config.variant,
        attention=attention,
        image_encoder=config.train_image_encoder,
        checkpointing=config.gradient_checkpointing,
    )
    pair = networks.denoiser, networks.reference_net
    initialise_variant(*pair, generator, tie_query_key=True, look=look)
    initialise(networks.pose_guider, generator=generator)
    if networks.image_encoder is not None:
        initialise(networks.image_encoder, generator=generator)
        embeddings = networks.image_encoder.vision_model.embeddings
        for weight in (embeddings.class_embedding, embeddings.position_embedding.weight):
            nn.init.normal_(weight, std=0.02, generator=generator)
    return networks


def has_stage1(folder: Path) -> bool:
    """Return whether a run's folder holds the weights of stage 1."""
    return (folder / STAGE1).exists()


def load_stage1(
    networks: AnimateNetworks,
    folder: Path,  # of the run
) -> None:
    """Load the weights of stage 1 into the networks; the temporal layers stay unchanged."""
    path = folder / STAGE1
    if not has_stage1(folder):
        raise ConfigError(
            f"stage got 2; {folder} holds no {STAGE1}. Train stage 1 first, "
            "or name weights to start from."
        )
    missing, surplus = networks.load_state_dict(load_file(path), strict=False)
    wrong = surplus + [key for key in missing if "motion_modules" not in key]
    if wrong:
        raise ConfigError(
            f"{path} does not fit these networks: {', '.join(wrong[:5])}. Train both stages with "
            "one preset and one variant."
        )


def read_stage(folder: Path) -> tuple[TrainingConfig, dict[str, Tensor]]:
    """Return configuration and weights of a run: of stage 2, or of stage 1 if it is the only one.

    The weights are moving averages if the run kept them.
    """
    for stage in (2, 1):
        path = folder / f"stage{stage}"
        if (path / "weights.safetensors").exists():
            state = load_file(path / "weights.safetensors")
            return TrainingConfig.read(path / "config.json"), state
    raise WeightsError(
        f"folder got {folder}; it holds no stage1/weights.safetensors. Train stage 1 first."
    )


def trained_networks(
    folder: Path,
    *,
    motion: bool = True,  # False: without the temporal layers of stage 2
) -> tuple[TrainingConfig, AnimateNetworks]:
    """Return the configuration of a run and its networks, ready for inference."""
    config, state = read_stage(folder)
    if not motion:
        config = replace(config, stage=1)
        state = {key: value for key, value in state.items() if "motion_modules" not in key}
    networks = build_networks(get_preset(config.preset), config, torch.Generator())
    networks.load_state_dict(state)
    return config, networks.eval().requires_grad_(False)


def as_models(
    networks: AnimateNetworks,
    preset: Preset,
    autoencoder: Autoencoder | None,  # None: set it later
    image_encoder: ImageEncoder | None = None,  # None: the trained one, if there is one
) -> Models:
    """Return the networks as the `Models` that `animate` needs; the modules are not copied."""
    parts: dict[str, Any] = {
        "denoiser": networks.denoiser,
        "reference_net": networks.reference_net,
        "pose_guider": networks.pose_guider,
    }
    if image_encoder is None and networks.image_encoder is not None:
        image_encoder = ClipImageEncoder(networks.image_encoder)
    return Models(preset=preset, autoencoder=autoencoder, image_encoder=image_encoder, **parts)


def _image_encoder(preset: Preset) -> ClipVision:
    config = replace(IMAGE_ENCODER, projection_dim=preset.unet.cross_attention_dim)
    return ClipVision(config)
