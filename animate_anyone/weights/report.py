"""Compare a file's tensors with a network's: missing and surplus keys, and other shapes."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from ..errors import AnimateAnyoneError, WeightsError
from .read import Weights

Shapes = Mapping[str, tuple[int, ...]]
LISTED = 6  # names shown per kind of difference


@dataclass(frozen=True, kw_only=True)
class KeyReport:
    """The difference between the tensors of a network and those of a file."""

    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    differing: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]  # key, network's, file's

    def __bool__(self) -> bool:
        """Return whether there is any difference."""
        return bool(self.missing or self.surplus or self.differing)

    def __str__(self) -> str:
        parts = [
            _listed("missing", self.missing),
            _listed("surplus", self.surplus),
            _listed(
                "of another shape",
                [
                    f"{key} is {list(got)}, the network has {list(own)}"
                    for key, own, got in self.differing
                ],
            ),
        ]
        return "; ".join(part for part in parts if part) or "all keys fit"


@contextmanager
def reading_shapes(what: str) -> Iterator[None]:  # what is read, for the message: "a UNet"
    """Turn what a damaged or incomplete key list causes into a WeightsError."""
    try:
        yield
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, AnimateAnyoneError):
            raise
        raise WeightsError(
            f"{what} lacks {error}, without which its layout cannot be read; the file is "
            "incomplete or damaged. Download it again."
        ) from error


def compare_keys(
    expected: Shapes,
    found: Shapes,
    ignored: Collection[str] = (),  # surplus keys that are known and harmless
) -> KeyReport:
    """Compare the tensor shapes of a network with those of a file."""
    return KeyReport(
        missing=tuple(sorted(set(expected) - set(found))),
        surplus=tuple(sorted(set(found) - set(expected) - set(ignored))),
        differing=tuple(
            (key, tuple(shape), tuple(found[key]))
            for key, shape in expected.items()
            if key in found and tuple(found[key]) != tuple(shape)
        ),
    )


def check_keys(
    network: nn.Module | Shapes,
    weights: Weights,
    what: str,  # what the file should be, for the message: "a ReferenceNet"
    ignored: Collection[str] = (),
) -> None:
    """Raise WeightsError, which lists the keys, unless the file fits the network exactly.

    Pass shapes instead of a module if its parameters do not exist before loading.
    """
    expected = module_shapes(network) if isinstance(network, nn.Module) else network
    report = compare_keys(expected, weights.shapes, ignored)
    if report:
        raise WeightsError(
            f"{weights.source} is not {what} that fits: of {len(expected)} tensors, {report}. "
            "Choose the file that belongs to this network."
        )


def module_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in the module's state dict."""
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def _listed(title: str, names: Collection[str]) -> str:
    if not names:
        return ""
    shown = list(names)[:LISTED]
    rest = len(names) - len(shown)
    return f"{len(names)} {title} ({', '.join(shown)}{f' and {rest} more' if rest else ''})"
