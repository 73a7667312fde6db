"""Looks whether the user has cancelled, before each layer of a network that the host runs.

ComfyUI 0.33 looks before each of its own layers. Earlier versions look once a step, and never
within an autoencoder: eight decoded frames, or a picture encoded at full size, can take seconds.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...animate_anyone.networks.encoders.tiny_autoencoder import by_places, frames_in_call
from . import host


@contextmanager
def watched(network: object) -> Iterator[None]:
    """Within the block, look for an interrupt before each layer of a network; a look may raise.

    What is no torch module, and networks that are compiled or scripted, run as they are.
    """
    with ExitStack() as hooks:
        if isinstance(network, nn.Module) and not any(map(_is_compiled, network.modules())):
            for layer in network.modules():
                if not any(True for _ in layer.children()):
                    hooks.callback(layer.register_forward_pre_hook(_look).remove)
        yield


def encode(
    vae: host.Vae,
    image: Tensor,  # IMAGE
) -> Tensor:  # latents in the scale of the VAE
    """Return the latents of pictures; an interrupt is answered within the network."""
    with watched(getattr(vae, "first_stage_model", None)):
        return vae.encode(image)


def decode(
    vae: host.Vae,
    samples: Tensor,  # in the scale of the VAE
) -> Tensor:  # IMAGE
    """Return the pictures of latents; an interrupt is answered within the network."""
    network, parts = getattr(vae, "first_stage_model", None), (samples,)
    on_cpu = getattr(getattr(vae, "device", None), "type", None) == "cpu"
    if on_cpu and hasattr(network, "taesd_decoder"):
        many = frames_in_call(64 * samples[0, 0].numel(), len(samples))
        parts = by_places(samples.cpu()).split(many)
    with watched(network):
        return torch.cat([vae.decode(part) for part in parts])


def _look(layer: nn.Module, inputs: Any) -> None:
    if not torch.compiler.is_compiling():
        host.check_interrupt()


def _is_compiled(part: nn.Module) -> bool:
    if isinstance(part, torch.jit.ScriptModule):  # takes no hooks
        return True
    return hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None
