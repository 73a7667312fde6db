"""The memory of a training step on a graphics card, counted without a card.

The networks of the stage run forward and backward on PyTorch's fake tensors, which have a shape
and a dtype but no data, while the bytes of living storages are added up. Fake tensors follow
autocast's rules for the CPU; where CUDA's rules differ (norms are computed in float32), the count
follows CUDA. Not counted: the CUDA context, workspaces of libraries, and the allocator's gaps.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from animate_anyone.config import Preset
from animate_anyone.training.config import TrainingConfig, scheduled
from animate_anyone.training.loop.losses import figure_weights, weighted_error
from animate_anyone.training.networks import IMAGE_ENCODER, build_networks
from animate_anyone.types import Size

# Parameters of the frozen networks that validation needs in bfloat16, by preset: Stable
# Diffusion's autoencoder, and the image encoder of CLIP ViT-L/14 with its projection.
ENCODERS = {"moore": 83_653_863 + 303_966_208, "paper": 83_653_863 + 303_966_208}
# bitsandbytes' AdamW8bit stores two bytes per weight and two float32 scales per 256 weights; small
# tensors have two float32 per weight.
SMALL_TENSOR, SCALED_TOGETHER = 4096, 256


@dataclass(frozen=True, kw_only=True)
class Need:
    """Memory of one stage, in bytes."""

    parameters: int
    gradients: int
    optimizer: int
    average: int
    encoders: int
    activations: int  # kept from the forward to the backward pass, with the batch
    copies: int  # weights in half precision that autocast holds until the forward pass ends
    forward: int  # peak of the forward pass above `fixed`
    backward: int  # peak of the backward pass above `fixed`; it computes layers again

    @property
    def fixed(self) -> int:
        """Memory that is in use during the whole step."""
        return self.parameters + self.gradients + self.optimizer + self.average + self.encoders

    @property
    def in_forward(self) -> int:
        """Memory that only the forward pass needs."""
        return self.forward - self.activations

    @property
    def layer(self) -> int:
        """Memory that only the backward pass needs: its largest recomputed layer."""
        return self.backward - self.activations

    @property
    def total(self) -> int:
        """Peak memory of the stage."""
        return self.fixed + max(self.forward, self.backward)


class Step:
    """Forward and backward pass of one part of a batch (gradients accumulate over the parts)."""

    def __init__(self, preset: Preset, config: TrainingConfig, size: Size) -> None:
        """Build networks and a batch; inside a FakeTensorMode they take no memory."""
        preset = scheduled(preset, config)
        self.config = config
        self.networks = build_networks(preset, config, torch.Generator())
        self.trained = self.networks.train_stage(config)
        b, f, unet = config.examples // config.accumulate, config.frames, preset.unet
        h, w, side = size.height // 8, size.width // 8, IMAGE_ENCODER.image_size
        self.target = torch.zeros(b, unet.in_channels, f, h, w)
        self.noisy, self.timesteps = torch.zeros_like(self.target), torch.zeros(b, f)
        self.poses = torch.zeros(b, f, 3, size.height, size.width)
        self.reference = torch.zeros(b, unet.in_channels, h, w)
        token = (b, 1, unet.cross_attention_dim)
        self.picture = torch.zeros((b, 3, side, side) if config.train_image_encoder else token)

    def autocast(self) -> torch.autocast:
        """Return the precision that the configuration names, as a context."""
        dtype = torch.float16 if self.config.mixed_precision == "fp16" else torch.bfloat16
        return torch.autocast("cpu", dtype, enabled=self.config.mixed_precision != "no")

    def forward(self) -> Tensor:
        """Return the prediction. All rows keep their reference; dropping it would need less."""
        keep = (True,) * len(self.noisy)
        return self.networks(
            self.noisy, self.timesteps, self.poses, self.reference, self.picture, keep
        )

    def loss(self, output: Tensor) -> Tensor:
        """Return the loss; its value does not matter here."""
        weights = figure_weights(None, self.target, self.config.figure_weight)
        return weighted_error(output.float(), self.target, weights, None)


class Live(TorchDispatchMode):
    """Counts the bytes of all living storages, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  (an operation of PyTorch)
        types: Any,  # noqa: ANN401
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.bytes -= size


def compute_norms_as_cuda(networks: nn.Module) -> None:
    """Make norms compute and return float32, as autocast does on CUDA."""

    def wrapped(forward: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(input.float())

    for part in networks.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm):
            part.forward = partial(wrapped, part.forward)


def count(preset: Preset, config: TrainingConfig, size: Size, device: str = "cuda") -> Need:
    """Return the memory of a stage. `device` "cuda" or "cpu" decides autocast's rules for norms."""
    live = Live()
    with FakeTensorMode(), live:
        step = Step(preset, config, size)
        if device == "cuda":
            compute_norms_as_cuda(step.networks)
        parameters = [*step.networks.parameters()]
        _pass(step, live)  # creates the gradients, which later parts find from their start
        peaks = _pass(step, live)
        gradients = sum(bytes_of(p.grad) for p in parameters if p.grad is not None)
        weights = sum(map(bytes_of, parameters))
    fixed = weights + gradients
    activations, copies, forward, backward = peaks
    trained = [*step.trained.values()]
    # Weights without gradient, like the queries to a single token, get no optimiser state.
    moved = [p.numel() for p in trained if p.grad is not None]
    return Need(
        parameters=weights,
        gradients=gradients,
        optimizer=sum(optimizer_bytes(config.optimizer, n) for n in moved),
        average=sum(map(bytes_of, trained)) if config.average_decay else 0,
        encoders=2 * ENCODERS.get(preset.name, 0) if config.validate_every else 0,
        activations=activations - fixed,
        copies=copies,
        forward=forward - fixed,
        backward=backward - fixed,
    )


def optimizer_bytes(name: str, numbers: int) -> int:
    """Return the bytes of the optimiser's state for a tensor with this many numbers."""
    if name == "adamw8bit" and numbers >= SMALL_TENSOR:
        return 2 * numbers + 8 * -(-numbers // SCALED_TOGETHER)
    return 8 * numbers


def bytes_of(tensor: Tensor) -> int:
    """Return the size of a tensor's data in bytes."""
    return tensor.numel() * tensor.element_size()


def _pass(step: Step, live: Live) -> tuple[int, int, int, int]:
    """Run one part of a step; return four numbers of bytes.

    They are: alive after the forward pass, autocast's copies before they are freed, and the peaks
    of forward and backward pass.
    """
    live.peak = live.bytes
    with step.autocast():
        output = step.forward()
        inside = live.bytes
    kept, forward = live.bytes, live.peak
    live.peak = live.bytes
    step.loss(output).backward()
    return kept, inside - kept, forward, live.peak
