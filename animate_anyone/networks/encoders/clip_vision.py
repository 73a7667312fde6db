"""The image encoder of CLIP (Radford et al. 2021): a vision transformer and a projection.

Keys and order of the modules are those of published files. transformers has the same network (a
test compares them), but to import it takes longer than a short animation on aa-mini.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..attention import merge_heads, sdpa, split_heads

Device = torch.device | str | None


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "quick_gelu": quick_gelu,
    "gelu": functional.gelu,
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
}


@dataclass(frozen=True, kw_only=True)
class ClipVisionConfig:
    """Sizes of an image encoder; the fields have the names of its JSON file.

    Raises:
        ValueError: a value is impossible, or the activation is not one of `ACTIVATIONS`.

    """

    hidden_size: int
    patch_size: int  # pixels
    image_size: int  # pixels of the square that is encoded
    intermediate_size: int  # channels inside a feed-forward
    num_hidden_layers: int
    projection_dim: int  # channels of the embedding
    num_attention_heads: int
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        heads, eps = self.num_attention_heads, self.layer_norm_eps
        if not isinstance(heads, int) or heads < 1 or self.hidden_size % heads:
            raise ValueError(
                f"num_attention_heads that divides {self.hidden_size}, got {heads!r} instead"
            )
        if self.hidden_act not in ACTIVATIONS:
            raise ValueError(
                f"hidden_act that is one of {', '.join(ACTIVATIONS)}, got {self.hidden_act!r} "
                "instead"
            )
        if not isinstance(eps, float) or not 0 < eps < 1:
            raise ValueError(f"layer_norm_eps between 0 and 1, got {eps!r} instead")


class ClipVision(nn.Module):
    """Turns a picture into one embedding: the token by which the denoiser knows the reference."""

    def __init__(self, config: ClipVisionConfig, device: Device = None) -> None:
        super().__init__()
        self.config = config
        self.vision_model = VisionTransformer(config, device)
        self.visual_projection = nn.Linear(
            config.hidden_size, config.projection_dim, bias=False, device=device
        )

    def forward(
        self,
        pixels: Tensor,  # (b, 3, s, s), normalised; s is the configured `image_size`
    ) -> Tensor:  # (b, d)
        return self.visual_projection(self.vision_model(pixels))


class VisionTransformer(nn.Module):
    """Encodes the patches of a picture and a class token; returns the class token's features."""

    def __init__(self, config: ClipVisionConfig, device: Device) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.embeddings = Embeddings(config, device)
        # This key is misspelt in all published files.
        self.pre_layrnorm = nn.LayerNorm(width, eps=eps, device=device)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(
            [EncoderLayer(config, device) for _ in range(config.num_hidden_layers)]
        )
        self.post_layernorm = nn.LayerNorm(width, eps=eps, device=device)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.pre_layrnorm(self.embeddings(pixels))
        for layer in self.encoder.get_submodule("layers").children():
            x = layer(x)
        return self.post_layernorm(x[:, 0])


class Embeddings(nn.Module):
    """Cuts a picture into patches; each becomes a token with the code of its place."""

    def __init__(self, config: ClipVisionConfig, device: Device) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        # Both start as zeros: torch imports its compiler to draw on the meta device.
        places = torch.zeros((config.image_size // patch) ** 2 + 1, width, device=device)
        self.class_embedding = nn.Parameter(torch.zeros(width, device=device))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False, device=device)
        self.position_embedding = nn.Embedding.from_pretrained(places, freeze=False)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = rearrange(self.patch_embedding(pixels), "b c h w -> b (h w) c")
        first = self.class_embedding.expand(len(patches), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward, each with a norm before it."""

    def __init__(self, config: ClipVisionConfig, device: Device) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.self_attn = SelfAttention(width, config.num_attention_heads, device)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps, device=device)
        self.mlp = FeedForward(config, device)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps, device=device)

    def forward(
        self,
        x: Tensor,  # (b, n, c)
    ) -> Tensor:  # (b, n, c)
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class SelfAttention(nn.Module):
    """Attention of all tokens to each other; its projections have biases."""

    def __init__(self, width: int, heads: int, device: Device) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width, device=device)
        self.v_proj = nn.Linear(width, width, device=device)
        self.q_proj = nn.Linear(width, width, device=device)
        self.out_proj = nn.Linear(width, width, device=device)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            split_heads(project(x), self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(merge_heads(sdpa(query, key, value)))


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: ClipVisionConfig, device: Device) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size, device=device)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))
