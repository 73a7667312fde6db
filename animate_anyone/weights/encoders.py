"""The two encoders: the autoencoder of pictures, and the image encoder that makes one token.

The tiny autoencoder and the image encoder are ours. The large autoencoder is a stable class of
diffusers, imported when a file is loaded.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, WeightsError
from ..networks.encoders.clip_vision import ClipVision, ClipVisionConfig
from ..networks.encoders.tiny_autoencoder import (
    TinyAutoencoder,
    by_places,
    frames_in_call,
)
from .assign import assign
from .detect import describe, identify
from .read import Weights
from .report import Shapes, reading_shapes

CLIP_SIDE = 224  # pixels of the square that CLIP sees
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class NetworkAutoencoder:
    """A VAE of diffusers or a tiny autoencoder; frames are processed in chunks."""

    def __init__(
        self,
        network: Any,  # noqa: ANN401  (AutoencoderKL or TinyAutoencoder)
        latent_scale: float,  # factor from the network's latents to the denoiser's
        chunk_frames: int = 4,  # frames per call; limits the memory of long clips
    ) -> None:
        self.network = network
        self.latent_scale = latent_scale
        self.chunk_frames = chunk_frames

    @torch.no_grad()
    def encode(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
    ) -> Tensor:  # (f, c, H/8, W/8)
        """Return the mean latents of frames, in the denoiser's scale."""
        if frames.shape[-1] % 8 or frames.shape[-2] % 8:
            raise InputError(
                f"frames got {frames.shape[-1]}x{frames.shape[-2]} pixels; both sides must be "
                "multiples of 8. Resize or crop them."
            )
        assert self.network.encoder is not None, "the encoder was let go"
        return self._in_calls(self._encode, frames, frames[0, 0].numel())

    @torch.no_grad()
    def decode(
        self,
        latents: Tensor,  # (f, c, h, w)
    ) -> Tensor:  # (f, 3, 8h, 8w), 0..1
        """Return the pictures of latents in the denoiser's scale."""
        return self._in_calls(self._decode, latents, 64 * latents[0, 0].numel())

    def let_go_of_encoder(self) -> None:
        """Forget what only `encode` needs, so that its memory becomes free."""
        for name in ("encoder", "quant_conv"):
            if hasattr(self.network, name):
                setattr(self.network, name, None)

    def frames_in_call(
        self,
        pixels: int,  # of a picture
    ) -> int:
        """Return how many frames a call of the network has at most."""
        if not self._is_tiny_on_cpu:
            return self.chunk_frames
        value = next(self.network.parameters())
        return frames_in_call(pixels, self.chunk_frames, self.network.width, value.itemsize)

    @property
    def _is_tiny_on_cpu(self) -> bool:
        on = next(self.network.parameters()).device.type
        return isinstance(self.network, TinyAutoencoder) and on == "cpu"

    def _in_calls(self, call: Callable[[Tensor], Tensor], frames: Tensor, pixels: int) -> Tensor:
        ordered = by_places(frames.cpu()) if self._is_tiny_on_cpu else frames
        parts = ordered.split(self.frames_in_call(pixels))
        return torch.cat([call(part).contiguous() for part in parts]).to(frames)

    def _encode(self, frames: Tensor) -> Tensor:
        encoded = self.network.encode(self._own(frames) * 2 - 1)
        latents = encoded if isinstance(encoded, Tensor) else encoded.latent_dist.mode()
        return (latents * self.latent_scale).to(frames)

    def _decode(self, latents: Tensor) -> Tensor:
        decoded = self.network.decode(self._own(latents) / self.latent_scale)
        pictures = decoded if isinstance(decoded, Tensor) else decoded.sample
        return (pictures.to(latents) / 2 + 0.5).clamp(0, 1)

    def _own(self, x: Tensor) -> Tensor:
        return x.to(next(self.network.parameters()))


class ClipImageEncoder:
    """A CLIP vision model with projection; its input is as in the public implementation."""

    def __init__(self, network: ClipVision) -> None:
        self.network = network

    @torch.no_grad()
    def encode(
        self,
        picture: Tensor,  # (1, 3, H, W), 0..1
    ) -> Tensor:  # (1, 1, d)
        """Return the projected embedding of the picture, which is resized to the model's square."""
        pixels = clip_pixels(picture, self.network.config.image_size)
        return self.network(pixels.to(self.network.visual_projection.weight))[:, None].to(picture)


def clip_pixels(
    picture: Tensor,  # (1, 3, H, W), 0..1
    side: int,  # pixels
) -> Tensor:  # (1, 3, side, side), normalised, float32 on the CPU
    """Return CLIP's input: the picture resized to a square in bytes, then normalised."""
    from ..media.fitting import squash
    from ..media.pictures import to_bytes, to_pixels

    return clip_normalised(to_pixels(squash(to_bytes(picture), side)))


def clip_normalised(
    pixels: Tensor,  # (b, 3, s, s), 0..1
) -> Tensor:  # (b, 3, s, s)
    """Return pixels normalised with CLIP's mean and standard deviation."""
    mean, std = (pixels.new_tensor(row)[:, None, None] for row in (CLIP_MEAN, CLIP_STD))
    return (pixels - mean) / std


def load_autoencoder(
    weights: Weights,
    latent_scale: float,
    dtype: torch.dtype,
    device: torch.device | str,
) -> NetworkAutoencoder:
    """Return the autoencoder of a file: AutoencoderKL or TinyAutoencoder, by its shapes.

    Tiny autoencoders are trained on latents in the denoiser's scale already.
    """
    kind = identify(weights.shapes)
    if kind == "autoencoder_tiny":
        with reading_shapes(f"autoencoder {weights.source}"):
            network, latent_scale = _build_tiny(weights.shapes), 1.0
    elif kind == "autoencoder_kl":
        with reading_shapes(f"autoencoder {weights.source}"):
            network = _build_kl(weights.shapes)
        weights = _with_new_attention_names(weights, network)
    else:
        raise WeightsError(f"autoencoder got {weights.source}, which is {describe(kind)}.")
    assign(network, weights, "an autoencoder", dtype, device)
    return NetworkAutoencoder(network, latent_scale)


def load_image_encoder(
    weights: Weights, dtype: torch.dtype, device: torch.device | str
) -> ClipImageEncoder:
    """Return the image encoder of a file.

    Heads and activation come from the JSON beside it, or from its metadata; the defaults are those
    of CLIP (64 channels per head, quick GELU).
    """
    if identify(weights.shapes) != "image_encoder":
        kind = describe(identify(weights.shapes))
        raise WeightsError(f"image_encoder got {weights.source}, which is {kind}.")
    config = ClipVisionConfig(**image_encoder_config(weights))
    network = ClipVision(config, "meta")
    positions = "vision_model.embeddings.position_ids"  # 0, 1, 2, ...: stored by old versions
    assign(network, weights, "a CLIP vision model", dtype, device, (positions,))
    return ClipImageEncoder(network)


def image_encoder_config(weights: Weights) -> dict[str, Any]:
    """Return the fields of ClipVisionConfig, from an image encoder's shapes and metadata."""
    with reading_shapes(f"image encoder {weights.source}"):
        return _image_encoder_config(weights.shapes, weights.metadata.get("image_encoder", "{}"))


def _image_encoder_config(
    shapes: Shapes,
    metadata: str,  # JSON with the settings that shapes cannot show
) -> dict[str, Any]:
    try:
        stored = json.loads(metadata)
    except RecursionError as error:
        raise ValueError("settings with lists that are not nested too deeply") from error
    if not isinstance(stored, dict):
        raise ValueError(f"settings, got {metadata[:40]!r} instead")
    hidden, _, patch, _ = shapes["vision_model.embeddings.patch_embedding.weight"]
    places = shapes["vision_model.embeddings.position_embedding.weight"][0] - 1
    layer = "vision_model.encoder.layers."
    config = ClipVisionConfig(
        hidden_size=hidden,
        patch_size=patch,
        image_size=patch * round(places**0.5),
        intermediate_size=shapes[f"{layer}0.mlp.fc1.weight"][0],
        num_hidden_layers=len({key[len(layer) :].split(".")[0] for key in shapes if layer in key}),
        projection_dim=shapes["visual_projection.weight"][0],
        num_attention_heads=stored.get("num_attention_heads", max(hidden // 64, 1)),
        hidden_act=stored.get("hidden_act", "quick_gelu"),
        layer_norm_eps=stored.get("layer_norm_eps", 1e-5),
    )
    return asdict(config)


def _build_kl(shapes: Shapes) -> nn.Module:
    from diffusers import AutoencoderKL  # pyright: ignore[reportPrivateImportUsage]

    levels = len({key.split(".")[2] for key in shapes if key.startswith("encoder.down_blocks.")})
    resnets = [key for key in shapes if key.startswith("encoder.down_blocks.0.resnets.")]
    widths = [shapes[f"encoder.down_blocks.{i}.resnets.0.conv1.weight"][0] for i in range(levels)]
    options: dict[str, Any] = {
        "block_out_channels": tuple(widths),
        "layers_per_block": len({key.split(".")[4] for key in resnets}),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
    }
    with torch.device("meta"):
        return AutoencoderKL(**options)


def _with_new_attention_names(weights: Weights, network: nn.Module) -> Weights:
    """Return a view with the present attention names, and 1x1 convolutions as matrices.

    Early diffusers files have other names and shapes.
    """
    names = {}
    for key in weights:
        parts = key.split(".")
        if "attentions" in parts and parts[-2] in _OLD_ATTENTION:
            parts[-2] = _OLD_ATTENTION[parts[-2]]
        names[key] = ".".join(parts)
    renamed = weights.renamed(names)
    flat = {
        key: shape[:2]
        for key, shape in renamed.shapes.items()
        if ".attentions." in key and shape[2:] == (1, 1)
    }

    def fetch(key: str) -> Tensor:
        return renamed[key].flatten(1) if key in flat else renamed[key]

    return Weights(
        weights.source, {**renamed.shapes, **flat}, fetch, weights.metadata, renamed.dtypes
    )


def _build_tiny(shapes: Shapes) -> nn.Module:
    numbers = [key.split(".")[2] for key in shapes if key.startswith("encoder.layers.")]
    last = max(int(number) for number in numbers if number.isdigit())
    return TinyAutoencoder(
        latent_channels=shapes[f"encoder.layers.{last}.weight"][0],
        width=shapes["encoder.layers.0.weight"][0],
        device="meta",
    )
