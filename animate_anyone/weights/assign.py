"""Copy the tensors of a weight file into a module.

Modules are built on the meta device, which needs no memory. They receive the tensors one by one,
cast to the wanted dtype. So memory holds the network, the file's mapped pages and one tensor.
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
    """Check the file's keys and shapes strictly, load its tensors, and set up inference mode."""
    check_keys(module, weights, what, ignored)
    tensors = {key: load_tensor(weights, key, dtype, device) for key in module_shapes(module)}
    module.load_state_dict(tensors, assign=True)
    module.eval().requires_grad_(False)


def load_tensor(
    weights: Weights, key: str, dtype: torch.dtype, device: torch.device | str
) -> Tensor:
    """Return a copy of one tensor with this dtype and device; WeightsError for NaN or infinity.

    Position tables keep their dtype: they are small, and exact only in float32.
    """
    return cast_tensor(weights[key], key, weights.source, dtype, device)


def cast_tensor(
    stored: Tensor,
    key: str,  # the tensor's name in the file
    source: str,  # file name, for messages
    dtype: torch.dtype,
    device: torch.device | str,
) -> Tensor:
    """Do the same as `load_tensor` for a tensor that has already been read."""
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
            "weights must be finite. The file is damaged, or its training diverged: choose "
            "another one."
        )
    if not tensor.float().isfinite().all():
        raise WeightsError(
            f"{source}: {key} reaches {float(stored.abs().max()):.3g}, which {tensor.dtype} cannot "
            "hold; choose bfloat16 or float32."
        )
