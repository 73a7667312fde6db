"""The measured cost of a guidance pair, with and without the savings that change no result.

    python -m benchmarks.denoise [--json] [--repeats N]

On the CPU: full Stable Diffusion 1.5 widths with motion modules, 8 frames, 32x32 latents, float32,
random weights. Times are CPU seconds of the process, which other programs on the machine disturb
less than wall-clock time. The speed of a plain matrix product is printed too, so that results of
different machines can be compared. With a CUDA device also: milliseconds per step at 24 frames in
bfloat16, eager and compiled.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from animate_anyone.config import UNetConfig
from animate_anyone.networks.attention import BlockCondition, SpatialTransformer, TransformerBlock
from animate_anyone.networks.convolution import with_fewer_products
from animate_anyone.networks.levels import Level, PreparedCondition
from animate_anyone.networks.unet import UNet
from animate_anyone.protocols import AttentionFunction
from animate_anyone.weights.sets.moore import MOORE

from .peak_memory import peak_mb

CPU_SIZE = (8, 32, 32)  # frames, latent rows and columns
CUDA_SIZES = ((24, 64, 64), (24, 96, 64))
BOUNDS = {(24, 64, 64): 54.68, (24, 96, 64): 88.64}  # TFLOP per step
PEAK = 790.0  # TFLOP per second that matrix products reach on an H200 in bfloat16
QUICK = with_fewer_products(nn.Conv2d)
GEMM_SIDE = 2048  # rows and columns of the matrices


class PlainBlock(nn.Module):
    """A transformer block that computes what the public implementation computes, on our weights.

    All rows attend to the reference; the unconditional rows attend a second time, without it.
    Reference keys and values are computed for every frame, and cross-attention to the single
    token is computed in full.
    """

    tail = True

    def __init__(self, block: TransformerBlock, features: Tensor, context: Tensor) -> None:
        super().__init__()
        self.block, self.norm1 = block, block.norm1
        self.features, self.context = features, context

    def forward(
        self, x: Tensor, seen: Tensor, condition: BlockCondition, attention: AttentionFunction
    ) -> Tensor:
        block, frames = self.block, x.shape[0] // len(condition.attends)
        query = block.attn1.query(seen)
        joined = torch.cat([seen, self.features.repeat(len(x), 1, 1)], dim=1)
        found = block.attn1.out(attention(query, *block.attn1.key_value(joined))) + x
        alone = torch.tensor(condition.attends).logical_not().repeat_interleave(frames).to(x.device)
        again = attention(block.attn1.query(seen[alone]), *block.attn1.key_value(seen[alone]))
        found[alone] = block.attn1.out(again) + x[alone]
        tokens = self.context.repeat_interleave(frames, dim=0)
        query, pair = block.attn2.query(block.norm2(found)), block.attn2.key_value(tokens)
        found = block.attn2.out(attention(query, *pair)) + found
        return found + block.ff(block.norm3(found))


class Step:
    """One guidance pair that can run with and without the savings."""

    def __init__(
        self,
        size: tuple[int, int, int],  # frames, latent rows and columns
        device: str,
        dtype: torch.dtype,
        config: UNetConfig = MOORE.unet,
    ) -> None:
        frames, rows, columns = size
        like = {"device": device, "dtype": dtype}
        self.denoiser = UNet(config, **like).eval().requires_grad_(False)
        # The stubs lack this form of the call.
        self.denoiser.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.latents = torch.randn(1, config.in_channels, frames, rows, columns, **like).repeat(
            2, 1, 1, 1, 1
        )
        self.pose = torch.randn(1, config.block_out_channels[0], frames, rows, columns, **like)
        self.context = torch.randn(2, 1, config.cross_attention_dim, **like)
        self.context[0] = 0
        self.features = self._features(rows, columns)
        self.timesteps = torch.full((2,), 500, device=device)
        self.condition = self.prepare()

    def prepare(self) -> PreparedCondition:
        return self.denoiser.prepare(self.context, self.features, [False, True])

    def run(self) -> Tensor:
        return self.denoiser(self.latents, self.timesteps, self.condition, self.pose)

    def without_savings(self) -> "Step":
        """Replace blocks and convolutions by plain ones, until `with_savings`; return this step."""
        for layer in self._layers(QUICK):
            layer.__class__ = nn.Conv2d
        for transformer, features in zip(self._transformers(), self.features, strict=True):
            plain = PlainBlock(transformer.block, features, self.context)
            transformer.transformer_blocks[0] = plain
        return self

    def with_savings(self) -> "Step":
        """Undo `without_savings`; return this step."""
        for layer in self._layers(nn.Conv2d):
            if layer.kernel_size == (3, 3) and layer.stride == (1, 1):
                layer.__class__ = QUICK
        for transformer in self._transformers():
            plain = transformer.transformer_blocks[0]
            if isinstance(plain, PlainBlock):
                transformer.transformer_blocks[0] = plain.block
        return self

    def _transformers(self) -> list[SpatialTransformer]:
        return [m for m in self.denoiser.modules() if isinstance(m, SpatialTransformer)]

    def _layers(self, kind: type[nn.Conv2d]) -> list[nn.Conv2d]:
        return [cast(nn.Conv2d, each) for each in self.denoiser.modules() if type(each) is kind]

    def _features(self, rows: int, columns: int) -> list[Tensor]:
        """Return random features with the shapes of ReferenceNet's."""
        down, mid, up = self.denoiser.down_blocks, self.denoiser.mid_block, self.denoiser.up_blocks
        features = []
        for level in (cast(Level, part) for part in (*down, mid, *up)):
            channels = self.denoiser.config.block_out_channels[level.level]
            tokens = -(-rows // 2**level.level) * -(-columns // 2**level.level)
            for _ in level.attentions:
                features.append(torch.randn(1, tokens, channels).to(self.context))
        return features


def measure_cpu(repeats: int) -> dict[str, float]:
    """Return CPU seconds and memory of a pair with and without savings, and a matrix speed."""
    step = Step(CPU_SIZE, "cpu", torch.float32)
    gemm = gemm_speed()
    savings, plain, results = [], [], {}
    before = _reset_peak()
    for _ in range(repeats):
        savings.append(_timed(step.run, before))
        plain.append(_timed(step.without_savings().run, before))
        step.with_savings()
    results["difference"] = float((savings[0][2] - plain[0][2]).abs().max())
    for name, runs in (("with_savings", savings), ("without_savings", plain)):
        results[f"{name}_cpu_s"] = min(run[0] for run in runs)
        results[f"{name}_peak_mb"] = max(run[1] for run in runs)
    results["ratio"] = results["without_savings_cpu_s"] / results["with_savings_cpu_s"]
    results["gemm_gflop_per_cpu_s"] = max(gemm, gemm_speed())
    return results


def gemm_speed() -> float:
    """Return GFLOP per CPU second of a square float32 matrix product."""
    a, b = torch.randn(2, GEMM_SIDE, GEMM_SIDE)
    torch.mm(a, b)
    started = time.process_time()
    for _ in range(4):
        torch.mm(a, b)
    return 4 * 2 * GEMM_SIDE**3 / (time.process_time() - started) / 1e9


def _timed(work: Callable[[], Tensor], before: float) -> tuple[float, float, Tensor]:
    """Return CPU seconds, peak memory above `before` in MB, and the result.

    `before` is the memory in use before the first run. Measured from their own start, later runs
    would seem to need less, because the process keeps freed memory.
    """
    _reset_peak()
    started = time.process_time()
    result = work()
    return time.process_time() - started, peak_mb() - before, result


def _reset_peak() -> float:
    """Reset the peak memory where the system allows it (Linux); return MB in use now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return peak_mb()


def measure_cuda(size: tuple[int, int, int]) -> dict[str, float]:
    """Return milliseconds per step and peak memory in MB, in bfloat16."""
    step = Step(size, "cuda", torch.bfloat16)
    torch.cuda.reset_peak_memory_stats()
    eager = _milliseconds(step.run)
    peak = torch.cuda.max_memory_allocated() / 2**20
    step.denoiser.compile()
    compiled = _milliseconds(step.run)
    floor = BOUNDS[size] / PEAK * 1e3
    return {
        "eager_ms": eager,
        "compiled_ms": compiled,
        "floor_ms": floor,
        "peak_mb": peak,
    }


def _milliseconds(work: Callable[[], Tensor]) -> float:
    for _ in range(3):
        work()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(5):
        work()
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 5


@torch.inference_mode()
def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each; the fastest counts")
    options = parser.parse_args()
    report = {"cpu": {"threads": torch.get_num_threads(), **measure_cpu(options.repeats)}}
    if torch.cuda.is_available():
        for size in CUDA_SIZES:
            report[f"cuda {size[2] * 8}x{size[1] * 8}"] = measure_cuda(size)
    if options.json:
        json.dump(report, sys.stdout, indent=2)
        print()
        return
    for device, figures in report.items():
        print(device)
        for name, value in figures.items():
            print(f"  {name:<28}{value:>14.6g}")


if __name__ == "__main__":
    main()
