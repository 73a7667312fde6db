"""Low-rank changes of weights (arXiv 2106.09685), stored in a form that ComfyUI reads."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...memory import require_room
from ...places import whole_file
from ..config import TrainingConfig

log = logging.getLogger(__name__)

PREFIX = "lora_unet_"
LORA = "lora.safetensors"  # beside the weights of a stage, and the name of an exported file
_DENOISER = "denoiser."
_ORIGINAL = ".parametrizations.weight.original"  # torch's names for a changed layer's tensors
_DOWN, _UP = ".parametrizations.weight.0.down", ".parametrizations.weight.0.up"


class LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight; zero at the start."""

    def __init__(
        self,
        weight: Tensor,
        rank: int,
        generator: torch.Generator,
        scale: float = 1.0,  # of the product: alpha / rank
    ) -> None:
        super().__init__()
        inputs = weight[0].numel()
        self.scale = scale
        down = torch.randn(rank, inputs, generator=generator) * inputs**-0.5
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(len(weight), rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return _changed(weight, self.down, self.up, self.scale)


def add_low_rank(
    network: nn.Module,
    chosen: Callable[[str], bool],  # by the name of a layer: whether its weight is changed
    rank: int,
    generator: torch.Generator,
    scale: float = 1.0,  # alpha / rank
) -> dict[str, LowRank]:
    """Add trainable low-rank changes to chosen layers of a frozen network; return them by name."""
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and chosen(name)
    }
    if layers:
        _check_rank(rank, [module.weight for module in layers.values()])
    changes = {}
    for name, module in layers.items():
        changes[name] = LowRank(module.weight.detach(), rank, generator, scale)
        parametrize.register_parametrization(module, "weight", changes[name])
    return changes


def _check_rank(rank: int, weights: Sequence[Tensor]) -> None:
    """Raise InputError for a rank that memory can never hold; warn of one that gains nothing."""
    sides = [(len(weight), weight[0].numel()) for weight in weights]
    widest = max(map(min, sides))
    require_room(
        rank * sum(map(sum, sides)) * weights[0].itemsize,
        f"lora got the rank {rank}",
        "Choose a smaller rank; 8 is usual.",
    )
    if rank > widest and not weights[0].is_meta:
        log.warning(
            "lora got the rank %d, but the shorter side of the layers that it changes has at most "
            "%d; a rank of %d can learn the same and needs less. 8 is usual.",
            *(rank, widest, widest),
        )


def kohya_tensors(network: nn.Module, changes: dict[str, LowRank]) -> dict[str, Tensor]:
    """Return the changes with the tensor names of kohya's scripts.

    Alpha is such that strength 1 gives the trained change.
    """
    tensors = {}
    for name, change in changes.items():
        weight = network.get_submodule(name).get_parameter("parametrizations.weight.original")
        tensors |= _kohya(name, weight.shape, change.down, change.up, change.scale)
    return tensors


def is_low_rank(name: str) -> bool:
    """Return whether a parameter belongs to a low-rank change."""
    return name.endswith((_DOWN, _UP))


def scale_of(config: TrainingConfig) -> float:
    """Return the factor of a run's low-rank products: alpha / rank."""
    return (config.lora_alpha or config.lora) / config.lora


def write_weights(
    folder: Path,  # of the stage
    state: Mapping[str, Tensor],  # of `AnimateNetworks`
    config: TrainingConfig,
) -> None:
    """Write a stage's networks with the names of plain ones; of a LoRA run its LoRA file too.

    In `weights.safetensors` low-rank changes are added to the weights, so whatever reads a run
    needs to know nothing of them.
    """
    if config.lora:
        _save(folder / LORA, _lora_of(state, scale_of(config)))
        state = _merged(state, scale_of(config))
    _save(folder / "weights.safetensors", state)


def joined(files: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return one LoRA that does what several do together; a layer in two of them gets both ranks.

    The files are those of this program: every layer has down, up and alpha.
    """
    whole: dict[str, Tensor] = {}
    for tensors in files:
        for name in (key.removesuffix(".alpha") for key in tensors if key.endswith(".alpha")):
            down, up, alpha = (tensors[f"{name}.{part}"] for part in _PARTS)
            if f"{name}.alpha" in whole:
                before = [whole[f"{name}.{part}"] for part in _PARTS]
                scaled = [u * (a / len(d)) for d, u, a in (before, (down, up, alpha))]
                down, up = torch.cat([before[0], down]), torch.cat(scaled, dim=1)
                alpha = torch.tensor(float(len(down)))
            whole |= dict(
                zip((f"{name}.{part}" for part in _PARTS), (down, up, alpha), strict=True)
            )
    return whole


_PARTS = ("lora_down.weight", "lora_up.weight", "alpha")


def _changed(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    return weight + (up @ down).view_as(weight) * scale


def _kohya(
    name: str, shape: torch.Size, down: Tensor, up: Tensor, scale: float
) -> dict[str, Tensor]:
    rank, ones = len(down), (1,) * (len(shape) - 2)
    values = (
        down.detach().view(rank, *shape[1:]),
        up.detach().view(shape[0], rank, *ones),
        torch.tensor(rank * scale),
    )
    key = PREFIX + name.replace(".", "_")
    return dict(zip((f"{key}.{part}" for part in _PARTS), values, strict=True))


def _lora_of(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    tensors = {}
    for key in state:
        if key.endswith(_ORIGINAL):
            name = key.removesuffix(_ORIGINAL)
            down, up = state[name + _DOWN], state[name + _UP]
            layer = name.removeprefix(_DENOISER)
            tensors |= _kohya(layer, state[key].shape, down, up, scale)
    return tensors


def _merged(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    whole = {}
    for key, value in state.items():
        name = key.removesuffix(_ORIGINAL)
        if name != key:
            whole[f"{name}.weight"] = _changed(value, state[name + _DOWN], state[name + _UP], scale)
        elif not is_low_rank(key):
            whole[key] = value
    return whole


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with whole_file(path) as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part)
