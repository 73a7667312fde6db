"""What a training step keeps on a card, counted without one: every tensor without its numbers.

The networks of the stage run forward and backward on PyTorch's fake tensors, which have shapes and
types only, while the storages alive are added up. Fake tensors follow autocast's rules of the CPU;
where CUDA's differ (norms are computed in float32) the count follows CUDA. It leaves out what is
no tensor of the networks: the CUDA context, workspaces of the libraries, and the allocator's gaps.
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

# Frozen networks that validation needs beside those that are trained, in bfloat16: parameters of
# Stable Diffusion's autoencoder and of CLIP ViT-L/14's picture half with its projection.
ENCODERS = {"moore": 83_653_863 + 303_966_208, "paper": 83_653_863 + 303_966_208}
# bitsandbytes' AdamW8bit: two bytes a weight and two float32 scales for every 256 of them; small
# tensors keep two float32 a weight.
SMALL_TENSOR, SCALED_TOGETHER = 4096, 256


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes of one stage."""

    parameters: int
    gradients: int
    optimizer: int
    average: int
    encoders: int
    activations: int  # kept from the forward to the backward pass, with the batch
    copies: int  # weights in half precision that autocast holds until the forward pass ends
    forward: int  # the most in the forward pass, beyond what is fixed
    backward: int  # the most in the backward pass, in which layers are computed again, likewise

    @property
    def fixed(self) -> int:
        """Return what is there all the time."""
        return self.parameters + self.gradients + self.optimizer + self.average + self.encoders

    @property
    def in_forward(self) -> int:
        """Return what the forward pass needs for a moment."""
        return self.forward - self.activations

    @property
    def layer(self) -> int:
        """Return what the backward pass needs for a moment: its largest recomputed layer."""
        return self.backward - self.activations

    @property
    def total(self) -> int:
        """Return the most that is there at once."""
        return self.fixed + max(self.forward, self.backward)


class Step:
    """One part of a training step: forward and backward on examples of given sizes."""

    def __init__(self, preset: Preset, config: TrainingConfig, size: Size) -> None:
        """Build networks and a batch; inside a FakeTensorMode they take no memory."""
        preset = scheduled(preset, config)
        self.config = config
        self.networks = build_networks(preset, config, torch.Generator())
        self.trained = self.networks.train_stage(config)
        b, f, unet = config.examples // config.accumulate, config.frames, preset.unet
        h, w, side = size.height // 8, size.width // 8, IMAGE_ENCODER["image_size"]
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
        """Return the prediction, of all rows with their reference: who drops it needs less."""
        keep = (True,) * len(self.noisy)
        return self.networks(
            self.noisy, self.timesteps, self.poses, self.reference, self.picture, keep
        )

    def loss(self, output: Tensor) -> Tensor:
        """Return the error; the numbers do not matter here."""
        weights = figure_weights(None, self.target, self.config.figure_weight)
        return weighted_error(output.float(), self.target, weights, None)


class Live(TorchDispatchMode):
    """Adds up the bytes of all storages that are alive, and the most there were."""

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
    """Let norms work in float32 with a result in float32, as autocast has it on CUDA."""

    def wrapped(forward: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(input.float())

    for part in networks.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm):
            part.forward = partial(wrapped, part.forward)


def count(preset: Preset, config: TrainingConfig, size: Size, device: str = "cuda") -> Need:
    """Count what a stage needs; with `device` "cpu", as autocast has it there."""
    live = Live()
    with FakeTensorMode(), live:
        step = Step(preset, config, size)
        if device == "cuda":
            compute_norms_as_cuda(step.networks)
        parameters = [*step.networks.parameters()]
        _pass(step, live)  # from the second part on, gradients are there from the start
        peaks = _pass(step, live)
        gradients = sum(bytes_of(p.grad) for p in parameters if p.grad is not None)
        weights = sum(map(bytes_of, parameters))
    fixed = weights + gradients
    activations, copies, forward, backward = peaks
    trained = [*step.trained.values()]
    # What gets no gradient, like the queries to a single token, never gets a state either.
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
    """Return the optimiser's state for a tensor of so many numbers."""
    if name == "adamw8bit" and numbers >= SMALL_TENSOR:
        return 2 * numbers + 8 * -(-numbers // SCALED_TOGETHER)
    return 8 * numbers


def bytes_of(tensor: Tensor) -> int:
    """Return the size of the numbers of a tensor."""
    return tensor.numel() * tensor.element_size()


def _pass(step: Step, live: Live) -> tuple[int, int, int, int]:
    """Return bytes: alive after forward, autocast's of it, and the peaks forward and backward."""
    live.peak = live.bytes
    with step.autocast():
        output = step.forward()
        inside = live.bytes
    kept, forward = live.bytes, live.peak
    live.peak = live.bytes
    step.loss(output).backward()
    return kept, inside - kept, forward, live.peak
