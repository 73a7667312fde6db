"""Load networks from weight files, in any of the forms in which weight sets are published."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ..config import PoseGuiderConfig, Preset, UNetConfig
from ..errors import WeightsError
from ..memory import give_back, require_memory
from ..networks.attention import sdpa
from ..networks.pose_guider import build_pose_guider
from ..networks.unet import UNet
from ..protocols import ENCODER, AttentionFunction, Autoencoder, ImageEncoder, Progress
from .assign import assign
from .detect import detect_pose_guider, detect_unet, reference_surplus
from .encoders import NetworkAutoencoder, load_autoencoder, load_image_encoder
from .presets import detect_preset, preset_from_metadata
from .read import Weights
from .sets.table import get_preset
from .sources import Parts, WeightPaths, open_parts

logger = logging.getLogger(__name__)


@dataclass
class Models:
    """Everything one animation needs."""

    preset: Preset
    denoiser: UNet
    reference_net: UNet
    pose_guider: nn.Module
    autoencoder: Autoencoder | None  # None: not part of the weight set
    image_encoder: ImageEncoder | None

    def let_go(self, name: str) -> None:
        """Forget a network that is not needed any more, so that its memory becomes free.

        ENCODER is half of the autoencoder, which then only decodes: 34 million of 84 million
        parameters of Stable Diffusion's.
        """
        if name == ENCODER:
            if isinstance(self.autoencoder, NetworkAutoencoder):
                self.autoencoder.let_go_of_encoder()
        else:
            setattr(self, name, None)
        give_back()


def load_models(
    source: str | Path | WeightPaths | Iterable[str | Path],
    *,
    preset: Preset | str | None = None,  # None: from the metadata, or the known one of this layout
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    operations=torch.nn,  # noqa: ANN001  (a namespace of layers)
    attention: AttentionFunction = sdpa,
    progress: Progress | None = None,  # called as each tensor is read
) -> Models:
    """Load a weight set from "aa-mini", a bundle, a folder, several files or a file per slot.

    WeightsError before anything is loaded if the memory that is free cannot hold it.
    """
    parts = open_parts(source)
    preset = resolve_preset(parts, preset)
    if torch.device(device).type == "cpu":
        needed = sum(weights.bytes_as(dtype) for weights in parts.opened.values())
        way_out = "Close other programs, or load half the bytes with --dtype bf16."
        require_memory(needed, "weights", way_out)
    if progress is not None:
        parts = parts.watched(progress)
    build = {"operations": operations, "dtype": dtype, "device": "meta"}
    denoiser = UNet(preset.unet, attention=attention, **build)
    reference_net = UNet(preset.unet.reference(), attention=attention, **build)
    pose_guider = build_pose_guider(preset.pose_guider, **build)
    ignored = reference_surplus(preset.unet)
    assign(denoiser, parts.denoiser, "a denoising UNet", dtype, device)
    assign(reference_net, parts.reference_net, "a ReferenceNet", dtype, device, ignored)
    assign(pose_guider, parts.pose_guider, "a Pose Guider", dtype, device)
    models = Models(
        preset=preset,
        denoiser=denoiser,
        reference_net=reference_net,
        pose_guider=pose_guider,
        autoencoder=load_autoencoder(parts.autoencoder, preset.latent_scale, dtype, device)
        if parts.autoencoder
        else None,
        image_encoder=load_image_encoder(parts.image_encoder, dtype, device)
        if parts.image_encoder
        else None,
    )
    if progress is not None:
        progress(parts.tensors, parts.tensors)
    logger.info("Loaded %s (%s) from %s", preset.title, preset.licence, parts.denoiser.source)
    return models


def load_mini(*, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Models:
    """Load the weights that come with this package."""
    return load_models("aa-mini", dtype=dtype, device=device)


def resolve_preset(parts: Parts, preset: Preset | str | None = None) -> Preset:
    """Return the preset of opened parts, with the network layouts exactly as found in the files.

    What shapes cannot show comes from the given preset, else from the files' metadata, else from
    the known preset with the same layout.
    """
    wanted = get_preset(preset) if isinstance(preset, str) else preset
    with _naming(parts.denoiser):
        known = wanted or preset_from_metadata(parts.metadata)
        _, unet = detect_unet(parts.denoiser.shapes, known)
    with _naming(parts.reference_net):
        _, reference = detect_unet(parts.reference_net.shapes, known)
    with _naming(parts.pose_guider):
        guider = detect_pose_guider(parts.pose_guider.shapes)
    _check_pair(unet, reference, parts)
    _check_guider(unet, guider, parts)
    if wanted:
        return replace(wanted, unet=unet, pose_guider=guider)
    with _naming(parts.denoiser):
        return detect_preset(unet, guider, parts.metadata)


@contextmanager
def _naming(weights: Weights) -> Iterator[None]:
    """Put the file's name before an error that judges only shapes or metadata."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{weights.source}: {error}") from error


def _check_pair(unet: UNetConfig, reference: UNetConfig, parts: Parts) -> None:
    ours, other = (replace(config.reference(), in_channels=0) for config in (unet, reference))
    if ours != other:
        raise WeightsError(
            f"reference_net got {parts.reference_net.source} with widths "
            f"{reference.block_out_channels} and context {reference.cross_attention_dim}; the "
            f"denoising UNet {parts.denoiser.source} has {unet.block_out_channels} and "
            f"{unet.cross_attention_dim}. Choose two networks of one weight set."
        )


def _check_guider(unet: UNetConfig, guider: PoseGuiderConfig, parts: Parts) -> None:
    wanted = unet.block_out_channels[0] if guider.form == "conv3" else unet.in_channels
    if guider.out_channels != wanted:
        raise WeightsError(
            f"pose_guider got {parts.pose_guider.source} with {guider.out_channels} output "
            f"channels; the denoising UNet {parts.denoiser.source} needs {wanted}. Choose the "
            "Pose Guider of this weight set."
        )
