"""Add a LoRA file to a denoiser's weights, as ComfyUI's LoRA loaders do.

Files of kohya's scripts are read, with the diffusers names of Stable Diffusion 1.5 or with those of
this project's temporal layers.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError, WeightsError
from .read import Weights, read_weights

log = logging.getLogger(__name__)

_PREFIX = "lora_unet_"
_TEXT = ("lora_te_", "lora_te1_", "lora_te2_")  # changes of text encoders, which are not used here
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"
_SHOWN = 3  # names in a message


class AddedLoras:
    """The LoRAs that a denoiser has now; its own weights are kept, to be put back exactly."""

    def __init__(self, denoiser: nn.Module) -> None:
        """Use a denoiser that has none."""
        self._denoiser = denoiser
        self._own: dict[str, Tensor] = {}  # weights of the layers that are changed now
        self._now: list[tuple[Path, float, int, int]] = []  # files with strength, size and time

    def change(self, texts: Sequence[str]) -> None:
        """Give the denoiser these LoRAs, FILE or FILE:STRENGTH, and no others.

        After an error it has none.
        """
        wanted = [_stamped(*parse_lora(text)) for text in texts]
        if wanted == self._now:
            return
        self._take_away()
        for path, strength, _, _ in wanted:
            try:
                self._keep(path)
                add_lora(self._denoiser, path, strength)
            except BaseException:
                self._take_away()
                raise
        self._now = wanted

    @torch.no_grad()
    def _take_away(self) -> None:
        for name, value in self._own.items():
            self._denoiser.get_parameter(name).copy_(value)
        self._own, self._now = {}, []

    def _keep(self, path: Path) -> None:
        """Keep the weights that a file will change."""
        keys = {key.rpartition(".lora_")[0] for key in read_weights(path)}
        for name, value in self._denoiser.named_parameters():
            if _PREFIX + _flat(name) in keys and name not in self._own:
                self._own[name] = value.detach().clone()


def parse_lora(
    text: str,  # FILE or FILE:STRENGTH
) -> tuple[Path, float]:
    """Return the file of a LoRA and its strength, which is 1 if it is not given.

    InputError for a file that is not there, and a strength that is no finite number.
    """
    if Path(text).is_file():
        return Path(text), 1.0
    name, colon, number = text.rpartition(":")
    if not colon or not Path(name).is_file():
        raise InputError(
            f"lora got {text!r}, where no file is. Name a LoRA file, or a file and its strength, "
            "as ink.safetensors:0.8."
        )
    try:
        strength = float(number)
    except ValueError:
        strength = float("nan")
    if not abs(strength) < float("inf"):
        raise InputError(
            f"lora got {text!r}; after the colon stands its strength, a number such as 0.8. "
            "Correct it."
        )
    return Path(name), strength


def add_lora(
    denoiser: nn.Module,
    path: Path,
    strength: float = 1.0,  # 0 leaves every weight as it is; below 0 takes the LoRA away
) -> int:
    """Add a LoRA to the weights; return the number of layers that it changes.

    Tensors of text encoders have no effect and are counted in the log. WeightsError for any other
    tensor that fits no layer.
    """
    weights = read_weights(path)
    layers = {
        _flat(name): value
        for name, value in denoiser.named_parameters()
        if name.endswith(".weight")
    }
    text = [key for key in weights if key.startswith(_TEXT)]
    changes: dict[str, list[str]] = {}
    strange = []
    for key in weights:
        if key in text:
            continue
        name = next((key.removesuffix(e) for e in (_DOWN, _UP, _ALPHA) if key.endswith(e)), "")
        layer = name.removeprefix(_PREFIX)
        if layer == name or layer not in layers:
            strange.append(key)
        else:
            changes.setdefault(layer, []).append(key)
    halves = [
        f"{_PREFIX}{layer}"
        for layer, keys in changes.items()
        if len([key for key in keys if not key.endswith(_ALPHA)]) != 2
    ]
    if strange or halves or not changes:
        found = ", ".join((strange or halves or list(weights))[:_SHOWN]) or "no tensors"
        raise WeightsError(
            f"lora got {path}, which does not fit the denoiser ({found}); it takes LoRA files of "
            "kohya's form (lora_unet_..., lora_down, lora_up, alpha) for Stable Diffusion 1.5 or "
            "from `train export`. Convert it, or choose another file."
        )
    if strength:
        for layer in changes:
            _add(layers[layer], weights, _PREFIX + layer, strength)
    if text:
        log.warning("%s: %d tensors of text encoders have no effect here", path, len(text))
    log.info("%s: %d layers changed with strength %g", path, len(changes), strength)
    return len(changes)


def _stamped(path: Path, strength: float) -> tuple[Path, float, int, int]:
    """Return a LoRA with size and time of its file, by which another one is noticed."""
    found = path.stat()
    return path, strength, found.st_size, found.st_mtime_ns


def _flat(name: str) -> str:
    """Return the name of a layer in kohya's form, by that of its weight."""
    return name.removesuffix(".weight").replace(".", "_")


@torch.no_grad()
def _add(weight: Tensor, weights: Weights, name: str, strength: float) -> None:
    """Add one change to a weight, computed in float32."""
    down, up = (weights[name + part].float().to(weight.device) for part in (_DOWN, _UP))
    alpha = weights[name + _ALPHA].float() if name + _ALPHA in weights else torch.tensor(len(down))
    fault = _fault(down, up, alpha)
    if fault:
        raise WeightsError(
            f"lora got {weights.source}, whose {name} {fault}. The file is damaged or of another "
            "kind; save it again, or choose another file."
        )
    product = up.flatten(1) @ down.flatten(1)
    if product.numel() != weight.numel() or len(product) != len(weight):
        raise WeightsError(
            f"lora got {weights.source}, whose {name} changes a layer of {list(product.shape)}; "
            f"the denoiser's is {list(weight.shape)}. Choose a LoRA that was made for it."
        )
    factor = strength * float(alpha) / len(down)
    weight.copy_(weight.float() + product.view(weight.shape) * factor)


def _fault(down: Tensor, up: Tensor, alpha: Tensor) -> str:
    """Return why tensors are no change of a layer; empty if they are one."""
    if min(down.ndim, up.ndim) < 2:
        return (
            f"has tensors of shape {list(down.shape)} and {list(up.shape)}, which are no matrices"
        )
    if alpha.numel() != 1:
        return f"has an alpha of shape {list(alpha.shape)}, which must be one number"
    if not len(down) or up.flatten(1).shape[1] != len(down):
        return f"has rank {len(down)} in one half and {up.flatten(1).shape[1]} in the other"
    if not all(torch.isfinite(each).all() for each in (down, up, alpha)):
        return "has NaN or infinite values"
    return ""
