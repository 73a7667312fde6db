"""Starting a training from the weights of an exported ONNX file.

Export folds each batch norm into its convolution. Training needs the norms again: they are set so
that at first the network gives the same results, with the statistics of an example batch.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import PackageError, WeightsError
from ...weights.report import compare_keys
from .networks import KeypointEstimator

HALF = ".half"  # end of the names of tensors in half precision, as export writes them


def start_from(
    network: nn.Module,
    path: Path,  # of an ONNX file of `pose-export`
    examples: Tensor,  # (b, 3, H, W): a batch of the network's inputs
) -> None:
    """Set the network's weights, in place, to those of an exported file.

    Raises WeightsError if the file holds another network.
    """
    found = _read(path, network)
    wanted = _folded_shapes(network)
    unused = {key for key in wanted if _never_exported(network, key)}
    wanted = {key: shape for key, shape in wanted.items() if key not in unused}
    report = compare_keys(wanted, {key: tuple(value.shape) for key, value in found.items()})
    if report:
        raise WeightsError(
            f"start got {path.name}; it does not hold this network ({report}). Choose the file "
            "that pose-export wrote for it."
        )
    state = network.state_dict()
    with torch.no_grad():
        for key, value in found.items():
            if key in state:
                state[key].copy_(value)
    hooks = [
        norm.register_forward_pre_hook(_undone(found.get(f"{name}.bias")))
        for name, norm in _folded_norms(network)
    ]
    network.eval()
    run = network.logits if isinstance(network, KeypointEstimator) else network
    with torch.no_grad():
        run(examples)
    for hook in hooks:
        hook.remove()


def _folded_norms(network: nn.Module) -> list[tuple[str, nn.BatchNorm2d]]:
    """Return all batch norms, with the name of the convolution into which each was folded."""
    found = []
    for name, parent in network.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for (place, layer), (_, norm) in pairwise(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                found.append((f"{name}.{place}", norm))
    return found


def _folded_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the network's tensors after folding."""
    shapes = {}
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            shapes[f"{name}.weight"] = tuple(module.weight.shape)
            shapes[f"{name}.bias"] = (module.weight.shape[0],)
    return shapes


def _never_exported(network: nn.Module, key: str) -> bool:
    """Tell whether a tensor does not change the result: the estimator reads the finest level."""
    unused = ("pyramid.merge.1.", "pyramid.merge.2.")
    return isinstance(network, KeypointEstimator) and key.startswith(unused)


def _undone(bias: Tensor | None) -> Any:  # noqa: ANN401  (a forward pre-hook)
    """Return a hook that makes a norm add only `bias` to inputs like those it gets."""

    def hook(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean if bias is None else mean + bias)

    return hook


def _read(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of an exported file by their names in the network."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise PackageError(
            f"onnx got {error}; reading ONNX files needs it. Install it: pip install onnx"
        ) from error
    graph = onnx.load(path).graph
    arrays = {
        weight.name.removesuffix(HALF): np.array(numpy_helper.to_array(weight), np.float32)
        for weight in graph.initializer
    }
    # The weights of linear layers are transposed and have lost their names, but not their order.
    products = [node.input[1] for node in graph.node if node.op_type == "MatMul"]
    layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if len(products) == len(layers):
        for layer, product in zip(layers, products, strict=True):
            arrays[f"{layer}.weight"] = arrays.pop(product).T
    return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
