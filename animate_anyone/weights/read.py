"""Weight files as mappings whose tensors are read on access.

Only safetensors and plain state dicts are opened. A pickle is read with `weights_only=True`, and
only by a torch version in which that is safe, so code in it never runs. Tensors of both kinds are
memory-mapped, not copied.
"""

import json
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from ..torch_version import pickles_are_safe, require_torch

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
DTYPES = {  # by their names in safetensors headers
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
MOST_HEADER = 100_000_000  # bytes, of a safetensors file: the limit of the format
_CONTAINERS = ("state_dict", "model", "module")  # keys under which training scripts nest weights
_WRAPPERS = ("module.", "_orig_mod.")  # prefixes that distributed training and compiling leave
_IN_COMFYUI = "model.diffusion_model."  # prefix that ComfyUI gives a saved MODEL, beside others
_SIGN = "time_embedding.linear_1.weight"  # in UNets of our layout, not in those of the original


class Weights(Mapping[str, Tensor]):
    """Tensors of one file, or of several combined; their shapes are known without reading them."""

    def __init__(
        self,
        source: str,  # file names, for messages
        shapes: Mapping[str, tuple[int, ...]],
        fetch: Callable[[str], Tensor],
        metadata: Mapping[str, str] | None = None,
        dtypes: Mapping[str, torch.dtype] | None = None,  # of the tensors whose dtype is known
    ) -> None:
        self.source = source
        self.shapes = dict(shapes)
        self.metadata = dict(metadata or {})
        self.dtypes = dict(dtypes or {})
        self._fetch = fetch

    def __getitem__(self, key: str) -> Tensor:
        if key not in self.shapes:
            raise KeyError(key)
        return self._fetch(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def dtype_of(self, key: str) -> torch.dtype:
        """Return the dtype of a tensor; it is read only if the file's header does not give it."""
        return self.dtypes[key] if key in self.dtypes else self[key].dtype

    def renamed(self, names: Mapping[str, str]) -> "Weights":
        """Return a view that holds the keys of `names` only, each under its new name."""
        old = {new: key for key, new in names.items()}
        shapes = {new: self.shapes[key] for new, key in old.items()}
        dtypes = {new: self.dtypes[key] for new, key in old.items() if key in self.dtypes}
        return Weights(
            self.source, shapes, lambda key: self._fetch(old[key]), self.metadata, dtypes
        )

    def part(self, prefix: str) -> "Weights":
        """Return a view of all keys that begin with `prefix`, with the prefix removed."""
        return self.renamed({key: key[len(prefix) :] for key in self if key.startswith(prefix)})

    def without(self, keys: Set[str]) -> "Weights":
        """Return a view without `keys`."""
        return self.renamed({key: key for key in self if key not in keys})

    def watched(self, look: Callable[[], None]) -> "Weights":
        """Return a view that calls `look` before it reads a tensor."""

        def fetch(key: str) -> Tensor:
            look()
            return self._fetch(key)

        return Weights(self.source, self.shapes, fetch, self.metadata, self.dtypes)

    def bytes_as(self, dtype: torch.dtype) -> int:
        """Return how many bytes the tensors need in a number type."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values()) * dtype.itemsize

    def updated(self, other: "Weights") -> "Weights":
        """Return a view of both combined; for a key in both, `other` is used."""

        def fetch(key: str) -> Tensor:
            return other[key] if key in other.shapes else self[key]

        source = self.source if other.source == self.source else f"{self.source} + {other.source}"
        return Weights(
            source,
            {**self.shapes, **other.shapes},
            fetch,
            {**self.metadata, **other.metadata},
            {**self.dtypes, **other.dtypes},
        )


def from_tensors(
    tensors: Mapping[str, Tensor], source: str, metadata: Mapping[str, str] | None = None
) -> Weights:
    """Return tensors that are already in memory as `Weights`."""
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
    return Weights(source, shapes, tensors.__getitem__, metadata, dtypes)


def read_weights(path: str | Path) -> Weights:
    """Open a weight file; only its list of tensors is read now.

    Containers (`state_dict`) and prefixes that all keys share (`module.`) are removed. The file
    must not be moved or deleted while the result, or a tensor from it, is in use. Of a file that
    ComfyUI's Save nodes wrote only the MODEL is returned; what they note about it, such as its
    prediction type, is not used, because they know less than there is.
    """
    require_torch()
    weights = _opened(Path(path))
    return _unwrapped(weights.part(_IN_COMFYUI) if _of_comfyui(weights) else weights)


def saved_by_comfyui(path: str | Path) -> bool:
    """Return whether a weight file holds a UNet of our layout that ComfyUI's Save nodes wrote."""
    return _of_comfyui(_opened(Path(path)))


def _of_comfyui(weights: Weights) -> bool:
    return _IN_COMFYUI + _SIGN in weights.shapes


def _opened(path: Path) -> Weights:
    if not path.is_file():
        raise WeightsError(f"weight file got {str(path)!r}, which is not a file; check the path.")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty (0 bytes); download it again.")
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"{path} ends in {path.suffix!r}; weight files end in {', '.join(SUFFIXES)}."
        )
    weights = _safetensors(path) if path.suffix == ".safetensors" else _pickle(path)
    if not weights:
        raise WeightsError(f"{path} holds no tensors; choose a file with network weights.")
    return weights


def _unwrapped(weights: Weights) -> Weights:
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in weights):
            return _unwrapped(weights.part(prefix))
    return weights


def _safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError, safe_open

    header = _safetensors_header(path)
    try:
        handle = safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is a damaged safetensors file ({error}).") from error
    metadata = header.pop("__metadata__", {})
    shapes = {key: tuple(entry["shape"]) for key, entry in header.items()}
    dtypes = {
        key: DTYPES[entry["dtype"]] for key, entry in header.items() if entry["dtype"] in DTYPES
    }
    return Weights(str(path), shapes, handle.get_tensor, metadata, dtypes)


def _safetensors_header(path: Path) -> dict[str, Any]:
    """Return the JSON header after checking it against the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if MOST_HEADER < length <= size - 8:
            raise WeightsError(
                f"{path} claims a header of {length:,} bytes; the format allows {MOST_HEADER:,}. "
                "It is damaged or of another format: download it again."
            )
        if length > size - 8:
            raise WeightsError(
                f"{path} is not a whole safetensors file: its header would be {length} bytes long, "
                f"the file has {size}. It is truncated or of another format; download it again."
            )
        text = file.read(length)
    try:
        header = json.loads(text)
        entries = [entry for key, entry in header.items() if key != "__metadata__"]
        end = int(max((entry["data_offsets"][1] for entry in entries), default=0))
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        RecursionError,
    ) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise WeightsError(
            f"{path} has no readable safetensors header ({why}); it is damaged or of another "
            "format. Download it again."
        ) from error
    if 8 + length + end > size:
        raise WeightsError(
            f"{path} is truncated: its header announces {8 + length + end} bytes, the file has "
            f"{size}. Download it again."
        )
    return header


def _pickle(path: Path) -> Weights:
    tensors = _state_dict(_load_pickle(path), path)
    return from_tensors(tensors, str(path))


def require_safe_pickles(
    what: str,  # the file, for the message
    way_out: str = "convert the file to .safetensors on a machine with such a torch and use that",
) -> None:
    """Raise WeightsError if this torch version could run code in a pickle."""
    if not pickles_are_safe():
        raise WeightsError(
            f"{what} is a pickle, and torch {torch.__version__} may run code hidden in one even "
            "when asked for weights only (CVE-2025-32434). Update torch to 2.6 or newer, or "
            f"{way_out}."
        )


def _load_pickle(path: Path) -> Any:  # noqa: ANN401  (whatever the pickle holds)
    require_safe_pickles(str(path))
    try:
        try:
            return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
        return torch.load(path, map_location="cpu", weights_only=True)  # files before torch 1.6
    except pickle.UnpicklingError as error:
        if "unsupported" not in str(error).lower():
            raise _damaged(path, error) from error
        raise WeightsError(
            f"{path} holds more than tensors and plain values, possibly code, and is refused "
            f"({_first_line(error)}). Only safetensors and plain state dicts are opened; ask its "
            "author for a safetensors file."
        ) from error
    except Exception as error:  # a damaged pickle makes torch's reader raise nearly anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path} cannot be read as a PyTorch file ({_first_line(error)}): it is truncated, damaged "
        "or of another format. Download it again."
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def _state_dict(value: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401
    """Return the tensors of a checkpoint; they may be inside one of `_CONTAINERS`."""
    if not isinstance(value, dict):
        raise WeightsError(
            f"{path} holds a {type(value).__name__}; a weight file holds a state dict, that is "
            "tensors by name."
        )
    tensors = {
        key: item
        for key, item in value.items()
        if isinstance(item, Tensor) and isinstance(key, str)
    }
    if tensors:
        return tensors
    for name in _CONTAINERS:
        inside = value.pop(name, None)  # so that a record within itself ends
        if isinstance(inside, dict):
            return _state_dict(inside, path)
    return {}
