"""One file for a whole weight set: safetensors with a prefix per network, preset in the metadata.

The file is written tensor by tensor, so that only one tensor at a time is in memory.
"""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..config import Preset
from ..errors import WeightsError
from ..networks.pose_guider import build_pose_guider
from ..networks.unet import UNet
from ..places import check_place, whole_file
from ..protocols import Progress
from .assign import load_tensor
from .detect import reference_surplus
from .encoders import image_encoder_config
from .presets import preset_metadata
from .read import DTYPES, Weights, from_tensors
from .report import check_keys
from .sources import BUNDLE_PARTS, Parts

FORMAT = "animate_anyone bundle 1"

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_bundle(
    parts: Parts,
    preset: Preset,
    path: str | Path,
    dtype: torch.dtype | None = None,  # None: each tensor keeps its own
    progress: Progress | None = None,
) -> None:
    """Check the keys of all parts strictly and write them to one file; unused tensors are left out.

    The file gets its final name only when it is complete.
    """
    kept = checked_parts(parts, preset)
    metadata = {"format": FORMAT, **preset_metadata(preset)}
    if parts.image_encoder:
        metadata["image_encoder"] = json.dumps(image_encoder_config(parts.image_encoder))
    tensors = [(f"{name}.{key}", weights, key) for name, weights in kept.items() for key in weights]
    write_tensors(path, tensors, metadata, dtype, progress)


def checked_parts(parts: Parts, preset: Preset) -> dict[str, Weights]:
    """Return the parts that the weight set has, each with exactly the tensors of its network."""
    present = {name: getattr(parts, name) for name in BUNDLE_PARTS}
    kept = {name: weights for name, weights in present.items() if weights}
    surplus = reference_surplus(preset.unet)
    kept["reference_net"] = parts.reference_net.without(surplus)
    reference = preset.unet.reference()
    check_keys(UNet(preset.unet, device="meta"), kept["denoiser"], "a denoising UNet")
    check_keys(UNet(reference, device="meta"), kept["reference_net"], "a ReferenceNet")
    guider = build_pose_guider(preset.pose_guider, device="meta")
    check_keys(guider, kept["pose_guider"], "a Pose Guider")
    return kept


def save_weights(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    preset: Preset | None = None,  # stored, so that the file can be read without guessing
    dtype: torch.dtype | None = None,
) -> None:
    """Write the tensors of one network to a safetensors file; an error leaves no partial file."""
    weights = from_tensors({key: tensor.detach() for key, tensor in tensors.items()}, str(path))
    metadata = preset_metadata(preset) if preset else {}
    write_tensors(path, [(key, weights, key) for key in weights], metadata, dtype)


def write_tensors(
    path: str | Path,
    tensors: Iterable[tuple[str, Weights, str]],  # name in the new file, source, key in the source
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a safetensors file tensor by tensor."""
    path, tensors = Path(path), list(tensors)
    if path.suffix != ".safetensors":
        raise WeightsError(f"output got {str(path)!r}; its name must end in .safetensors.")
    header = _header(tensors, metadata, dtype)
    sizes = (_bytes_of(weights, key, dtype) for _, weights, key in tensors)
    check_place(path, size=len(header) + sum(sizes), raises=WeightsError)
    with whole_file(path, raises=WeightsError) as part, part.open("wb") as file:
        file.write(header)
        for done, (_, weights, key) in enumerate(tensors, start=1):
            file.write(_data(weights, key, dtype))
            if progress:
                progress(done, len(tensors))


def _header(
    tensors: list[tuple[str, Weights, str]],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None,
) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, weights, key in tensors:
        size = _bytes_of(weights, key, dtype)
        entries[name] = {
            "dtype": _NAMES[_stored_dtype(weights, key, dtype)],
            "shape": list(weights.shapes[key]),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _bytes_of(weights: Weights, key: str, dtype: torch.dtype | None) -> int:
    return math.prod(weights.shapes[key]) * _stored_dtype(weights, key, dtype).itemsize


def _stored_dtype(weights: Weights, key: str, dtype: torch.dtype | None) -> torch.dtype:
    """Return the dtype that `load_tensor` gives this tensor."""
    own = weights.dtype_of(key)
    if own not in _NAMES:
        raise WeightsError(
            f"{weights.source}: {key} has the dtype {own}; weights are written as one of "
            f"{', '.join(_NAMES.values())}. Choose a file whose tensors have one of these."
        )
    if dtype is None or not own.is_floating_point or key.endswith("pos_encoder.pe"):
        return own
    return dtype


def _data(weights: Weights, key: str, dtype: torch.dtype | None) -> memoryview:
    tensor = load_tensor(weights, key, dtype or weights.dtype_of(key), "cpu")
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
