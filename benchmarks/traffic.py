"""Bytes that one guidance step reads and writes in bfloat16, counted on the meta device.

    python -m benchmarks.traffic [--json]

For every operation of an eager run, inputs and outputs are counted; views count nothing, and
attention counts as one fused kernel. At 24 frames a graphics card needs as much time for these
bytes as for arithmetic, so avoiding copies matters as much as avoiding operations.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from animate_anyone.networks.unet import UNet
from animate_anyone.weights.sets.moore import MOORE

from .flops import BOUNDS, FRAMES

# GB per step that the public implementation reads and writes, by latent (rows, columns).
PUBLIC = {(64, 64): 298, (96, 64): 446, (96, 96): 667}
NEEDED = ("convolution", "addmm", "mm", "bmm", "attention")  # operations that cannot be avoided


class Traffic(TorchDispatchMode):
    """Adds up the bytes of every operation that is not a view."""

    def __init__(self) -> None:
        super().__init__()
        self.gigabytes: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if not (func.is_view or func.overloadpacket.__name__.startswith(("empty", "_unsafe_view"))):
            self.add(func.overloadpacket.__name__, tree_leaves((args, kwargs, result)))
        return result

    def add(self, name: str, values: Iterable[object]) -> None:
        """Add the bytes of tensors that an operation read or wrote."""
        size = sum(v.numel() * v.element_size() for v in values if isinstance(v, Tensor))
        self.gigabytes[name] += size / 1e9


def count(denoiser: UNet, rows: int, columns: int) -> dict[str, float]:
    """Return gigabytes by name of operation for a guidance pair."""
    like: dict[str, Any] = {"device": "meta", "dtype": torch.bfloat16}
    token = torch.empty(2, 1, 768, **like)
    reference_net = UNet(MOORE.unet.reference(), **like)
    features = reference_net.reference_features(torch.empty(1, 4, rows, columns, **like), token[:1])
    condition = denoiser.prepare(token, features, [False, True])
    latents = torch.empty(2, 4, FRAMES, rows, columns, **like)
    pose = torch.empty(1, 320, FRAMES, rows, columns, **like)
    traffic = Traffic()
    with traffic:
        denoiser(
            latents,
            torch.zeros(2, device="meta"),
            condition,
            pose,
            attention=_counted_attention(traffic),
        )
    return traffic.gigabytes


def _counted_attention(traffic: Traffic) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query.transpose(1, 2)).transpose(1, 2)
        traffic.add("attention", (query, key, value, result))
        return result

    return attention


@torch.no_grad()
def main() -> None:
    """Print the bytes of all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    denoiser = UNet(MOORE.unet, device="meta", dtype=torch.bfloat16)
    found = {size: count(denoiser, *size) for size in BOUNDS}
    if options.json:
        rows = [
            {"width": 8 * w, "height": 8 * h, "gb": dict(parts), "public_gb": PUBLIC[h, w]}
            for (h, w), parts in found.items()
        ]
        json.dump({"frames": FRAMES, "dtype": "bfloat16", "sizes": rows}, sys.stdout, indent=2)
        print()
        return
    for (rows, columns), parts in found.items():
        needed = sum(parts[name] for name in NEEDED)
        print(
            f"{8 * columns}x{8 * rows}: {sum(parts.values()):.0f} GB per step, of which "
            f"{needed:.0f} for matrix products, convolutions and attention "
            f"(public implementation: {PUBLIC[rows, columns]} GB)"
        )
        for name, size in sorted(parts.items(), key=lambda part: -part[1])[:10]:
            print(f"  {name:<24}{size:>8.1f}")


if __name__ == "__main__":
    main()
