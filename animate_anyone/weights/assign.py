"""The tensors of a file become those of a module.

Modules are built without memory and take the tensors one by one, cast on the way, so that beside
the network itself only the file's own mapped pages and one tensor are in memory.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .read import Weights
from .report import check_keys, module_shapes


def assign(
    module: nn.Module,  # built on the meta device
    weights: Weights,
    what: str,  # for messages: "a ReferenceNet"
    dtype: torch.dtype,
    device: torch.device | str,
    ignored: Collection[str] = (),
) -> None:
    """Give the module its tensors, after a strict key report, and make it ready for inference."""
    check_keys(module, weights, what, ignored)
    tensors = {key: placed(weights, key, dtype, device) for key in module_shapes(module)}
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(False)


def placed(weights: Weights, key: str, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a copy of one tensor in this dtype and place; refuse values that are not finite.

    Tables of positions keep their dtype: they are small, and exact only in float32.
    """
    return copied(weights[key], key, weights.source, dtype, device)


def copied(
    stored: Tensor,
    key: str,  # of the tensor
    source: str,  # of the file, for messages
    dtype: torch.dtype,
    device: torch.device | str,
) -> Tensor:
    """Return what `placed` does, of a tensor that was read already."""
    if not stored.is_floating_point():
        return stored.to(device, copy=True)
    dtype = stored.dtype if key.endswith("pos_encoder.pe") else dtype
    tensor = stored.to(device, dtype, copy=True).contiguous()
    if not tensor.sum(dtype=torch.float32).isfinite():
        _refuse_infinite(stored, tensor, key, source)
    return tensor


def _refuse_infinite(stored: Tensor, tensor: Tensor, key: str, source: str) -> None:
    broken = int((~stored.float().isfinite()).sum())
    if broken:
        raise WeightsError(
            f"{source}: {key} has {broken} of {stored.numel()} values that are NaN or infinite; "
            "weights are finite numbers. The file is damaged, or its training diverged: take "
            "another one."
        )
    if not tensor.float().isfinite().all():
        raise WeightsError(
            f"{source}: {key} reaches {float(stored.abs().max()):.3g}, which {tensor.dtype} cannot "
            "hold; choose bfloat16 or float32."
        )
