"""What networks and files are, as short hashes: by these a second start notices other ones."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...config import Preset

SAMPLES = 256  # values of each tensor that are looked at
_DIGITS = 16
_PART = 65_536  # bytes read at the start, in the middle and at the end of a file


def of_networks(
    preset: Preset,
    networks: Mapping[str, object],  # modules, or objects that hold modules
) -> str:
    """Return a hash of a preset, and of names, shapes and samples of all tensors of its networks.

    Training changes nearly every value of a tensor, so samples show another state of it. Names and
    paths of files do not matter.
    """
    found = hashlib.sha256(json.dumps(asdict(preset), sort_keys=True, default=str).encode())
    for name, network in networks.items():
        for key, value in _tensors(network):
            found.update(f"{name}.{key} {tuple(value.shape)} {value.dtype}\n".encode())
            step = max(1, value.numel() // SAMPLES)
            some = value.detach().flatten()[::step].cpu().double()  # MPS has no float64
            found.update(some.numpy().tobytes())
    return found.hexdigest()[:_DIGITS]


def of_files(paths: Iterable[Path]) -> str:
    """Return a hash of the whole content of files, in order."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                found.update(block)
    return found.hexdigest()[:_DIGITS]


def of_clip(path: Path) -> str:
    """Return a hash of a video file, or of a folder of pictures: names, sizes and samples."""
    found = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        size = file.stat().st_size
        found.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            for start in sorted({0, size // 2, max(0, size - _PART)}):
                content.seek(start)
                found.update(content.read(_PART))
    return found.hexdigest()[:_DIGITS]


def _tensors(network: Any) -> Iterable[tuple[str, Tensor]]:  # noqa: ANN401  (whatever has weights)
    modules = [network] if isinstance(network, nn.Module) else _modules_of(network)
    for module in modules:
        for key, value in module.state_dict().items():
            if isinstance(value, torch.Tensor):
                yield key, value


def _modules_of(holder: object) -> list[nn.Module]:
    return [value for value in vars(holder).values() if isinstance(value, nn.Module)]
