"""Operations of one guidance step, counted on the meta device, beside the exact lower bound.

    python -m benchmarks.flops [--json]

Full Stable Diffusion 1.5 size with motion modules, 24 frames, two rows, one of which attends to the
reference. A multiply-add is two operations. Matrix products, convolutions and attention are
counted; the rest is below a thousandth. The lower bound leaves out all work that does not change
the result: reference keys and values and the cross-attention to one token are counted once per
video, and the unconditional row does not attend to the reference.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from animate_anyone.networks.levels import PreparedCondition
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.sets.moore import MOORE

FRAMES = 24
# Latent (rows, columns): (exact lower bound, operations of the public implementation) in TFLOP.
BOUNDS = {(64, 64): (54.68, 64.25), (96, 64): (88.64, 107.40), (96, 96): (147.84, 185.90)}


@dataclass(frozen=True, kw_only=True)
class Count:
    """Counted operations at one size, in TFLOP."""

    width: int  # pixels
    height: int  # pixels
    step: float  # a guidance pair, at every step
    once: float  # ReferenceNet and keys and values of its features, once per video
    bound: float  # exact lower bound of a step
    public: float  # a step of the public implementation

    @property
    def ratio(self) -> float:
        """Return our operations divided by the lower bound."""
        return self.step / self.bound


def networks() -> tuple[UNet, UNet]:
    """Return denoiser and ReferenceNet on the meta device, which holds no weights."""
    return UNet(MOORE.unet, device="meta"), UNet(MOORE.unet.reference(), device="meta")


def count(denoiser: UNet, reference_net: UNet, rows: int, columns: int) -> Count:
    """Count the operations at this latent size."""
    token = torch.empty(2, 1, denoiser.config.cross_attention_dim, device="meta")
    picture = torch.empty(1, 4, rows, columns, device="meta")
    conditions: list[PreparedCondition] = []

    def prepare() -> None:
        features = reference_net.reference_features(picture, token[:1])
        conditions.append(denoiser.prepare(token, features, [False, True]))

    def step() -> Tensor:
        latents = torch.empty(2, 4, FRAMES, rows, columns, device="meta")
        pose = torch.empty(1, 320, FRAMES, rows, columns, device="meta")
        return denoiser(latents, torch.zeros(2, device="meta"), conditions[0], pose)

    once, every = _operations(prepare), _operations(step)
    bound, public = BOUNDS[rows, columns]
    return Count(
        width=8 * columns, height=8 * rows, step=every, once=once, bound=bound, public=public
    )


@torch.no_grad()
def _operations(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e12


def main() -> None:
    """Print the counts of all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    pair = networks()
    counts = [count(*pair, *size) for size in BOUNDS]
    if options.json:
        rows = [{**vars(row), "ratio": row.ratio} for row in counts]
        json.dump({"frames": FRAMES, "unit": "TFLOP", "sizes": rows}, sys.stdout, indent=2)
        print()
        return
    print(f"{'pixels':>10}{'step':>9}{'bound':>9}{'ratio':>8}{'public':>9}{'once':>7}   TFLOP")
    for row in counts:
        print(
            f"{row.width:>6}x{row.height}{row.step:>9.2f}{row.bound:>9.2f}{row.ratio:>8.4f}"
            f"{row.public:>9.2f}{row.once:>7.2f}"
        )


if __name__ == "__main__":
    main()
