"""Write the pose pair as ONNX files with the same inputs and outputs as DWPose's two files."""

import copy
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...errors import PackageError, WeightsError
from ...places import whole_file
from ...pose.networks.onnx_file import SUBJECTS
from ...pose.people.doubt import DRAWN
from ...training.loop.checkpoints import load_checkpoint
from ...weights import pose_models
from ...weights.report import compare_keys, module_shapes
from .networks import KeypointEstimator, PersonDetector
from .training import DETECTOR, ESTIMATOR, build_detector, build_estimator

Network = TypeVar("Network", bound=nn.Module)

OPSET = 13


def export_pair(folder: Path, target: Path) -> dict[str, int]:
    """Write both trained networks of a run; return the sizes of the files in bytes.

    Raises WeightsError if a checkpoint is missing, or does not hold this network.
    """
    detector = _trained(build_detector(DETECTOR), folder / "detector.pt")
    estimator = _trained(build_estimator(ESTIMATOR), folder / "estimator.pt")
    target.mkdir(parents=True, exist_ok=True)
    paths = target / pose_models.DETECTOR, target / pose_models.ESTIMATOR
    write_detector(deployed(detector), paths[0], size=DETECTOR.size[0])
    write_estimator(deployed(estimator), paths[1])
    return {path.name: path.stat().st_size for path in paths}


def _trained(network: Network, path: Path) -> Network:
    state = load_checkpoint(path)
    if state is None:
        raise WeightsError(
            f"folder got {path.parent}; it lacks {path.name}. Train the {path.stem} first."
        )
    tensors = state.get("tensors", {})  # runs of early versions have no such entry
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    if report := compare_keys(module_shapes(network), found):
        raise WeightsError(
            f"folder got {path.parent}, whose {path.name} does not hold this {path.stem} "
            f"({report}); export reads runs of this version with its settings. Export it with the "
            f"version that trained it, or train the {path.stem} again in a new folder."
        )
    network.load_state_dict(tensors)
    return network


def deployed(network: Network) -> Network:
    """Return a copy to ship: batch norm folded into convolutions, weights in half precision."""
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for index, (convolution, norm) in enumerate(pairwise(list(parent))):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent[index] = fuse_conv_bn_eval(convolution, norm)
                parent[index + 1] = nn.Identity()
    for value in folded.parameters():
        value.data = value.data.half().float().contiguous()
    return folded


def write_detector(network: PersonDetector, path: Path, *, size: int) -> None:
    """Write a detector for pictures of size x size: `images` to `output`, one at a time."""
    _write(network, torch.zeros(1, 3, size, size), path, names=("images", "output"))


def write_estimator(network: KeypointEstimator, path: Path) -> None:
    """Write an estimator: `input` to `simcc_x` and `simcc_y`, any number of crops."""
    names = ("input", "simcc_x", "simcc_y")
    _write(network, torch.zeros(2, 3, *network.size), path, names=names, any_batch=True)


def _write(
    network: nn.Module,
    example: Tensor,
    path: Path,
    *,
    names: tuple[str, ...],  # of the input, then of the outputs
    any_batch: bool = False,
) -> None:
    """Trace the network and write its file atomically, with weights in half precision."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise PackageError(
            f"onnx got {error}; writing ONNX files needs it. Install it: pip install onnx"
        ) from error
    with whole_file(path) as partial:
        _write_to(partial, network, example, names, any_batch)


def _write_to(
    partial: Path, network: nn.Module, example: Tensor, names: tuple[str, ...], any_batch: bool
) -> None:
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends another exporter, with more packages
        torch.onnx.export(
            network,
            (example,),
            str(partial),
            input_names=list(names[:1]),
            output_names=list(names[1:]),
            dynamic_axes={name: {0: "batch"} for name in names} if any_batch else None,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(partial)
    _halve(model.graph)
    results = network(example)
    results = results if isinstance(results, tuple) else (results,)
    for value, result in zip(model.graph.output, results, strict=True):
        for axis in range(1, result.ndim):
            value.type.tensor_type.shape.dim[axis].dim_value = result.shape[axis]
    onnx.helper.set_model_props(model, {SUBJECTS: DRAWN})
    onnx.checker.check_model(model)
    onnx.save(model, partial)


def _halve(graph: Any) -> None:  # noqa: ANN401  (an onnx.GraphProto)
    """Store large weights as float16 and cast them back when they are used."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != "float32" or values.size < 256:
            continue
        half = numpy_helper.from_array(values.astype("float16"), f"{weight.name}.half")
        casts.append(
            onnx.helper.make_node("Cast", [half.name], [weight.name], to=onnx.TensorProto.FLOAT)
        )
        graph.initializer.remove(weight)
        graph.initializer.append(half)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
