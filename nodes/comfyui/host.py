"""ComfyUI as the nodes see it: devices, memory, progress, interruption, sampling.

The only file that imports `comfy`; `folders` alone imports `folder_paths`. Everything here works on
both supported hosts (0.3.64 and 0.33); where they differ, the difference is settled here.
"""

import gc
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.context_windows
import comfy.controlnet
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.ops
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import latent_preview
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from PIL.Image import Image
from torch import Tensor, nn

BaseModel = comfy.model_base.BaseModel
ClipVision = comfy.clip_vision.ClipVisionModel
ContextHandler = comfy.context_windows.ContextHandlerABC
ControlNet = comfy.controlnet.ControlNet
LatentFormat = comfy.latent_formats.LatentFormat
Sd15Latents = comfy.latent_formats.SD15
ModelPatcher = comfy.model_patcher.ModelPatcher
ModelType = comfy.model_base.ModelType
SupportedModel = comfy.supported_models_base.BASE
Vae = comfy.sd.VAE
WrapperExecutor = comfy.patcher_extension.WrapperExecutor
Wrappers = comfy.patcher_extension.WrappersMP
get_wrappers = comfy.patcher_extension.get_all_wrappers
ON_DETACH = comfy.patcher_extension.CallbacksMP.ON_DETACH
attention = optimized_attention

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS
DTYPES: Mapping[str, torch.dtype | None] = {
    "automatic": None,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
}

log = logging.getLogger(__name__)


class CleanModelSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.X0):
    """Discrete sampling for networks that predict the clean latents."""


def check_interrupt() -> None:
    """Raise if the user has cancelled the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def progress(total: int) -> Callable[[int, int], None]:
    """Return the core's progress callback, shown as the node's progress bar."""
    bar = comfy.utils.ProgressBar(total)

    def report(done: int, total: int) -> None:
        check_interrupt()
        bar.update_absolute(done, total)

    return report


def missing(message: str) -> ExecutionBlocker:
    """Return an output that stops what is connected to it with this message."""
    return ExecutionBlocker(message)


def intermediate_device() -> torch.device:
    """Return where results between nodes are kept."""
    return comfy.model_management.intermediate_device()


def choose_dtypes(parameters: int, chosen: str) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the dtype of the weights, and the one to compute in if that is another."""
    supported = [torch.float16, torch.bfloat16, torch.float32]
    dtype = DTYPES[chosen] or comfy.model_management.unet_dtype(
        model_params=parameters, supported_dtypes=supported
    )
    device = comfy.model_management.get_torch_device()
    return dtype, comfy.model_management.unet_manual_cast(dtype, device, supported)


def pick_operations(dtype: torch.dtype, compute: torch.dtype | None) -> Any:
    """Return the layer classes that cast and offload their weights as the host wants."""
    return comfy.ops.pick_operations(dtype, compute)


def make_patcher(
    model: nn.Module, fill: Callable[[bool], None], *, disable_dynamic: bool = False
) -> ModelPatcher:
    """Return the module under the host's memory management.

    `fill` puts the weights in; it is told whether the host wants to own the file's tensors (0.33
    with dynamic VRAM) instead of copies.
    """
    device = comfy.model_management.get_torch_device()
    offload = comfy.model_management.unet_offload_device()
    # Looked up at call time: 0.33 replaces the class once it knows the graphics card.
    newest = getattr(comfy.model_patcher, "CoreModelPatcher", ModelPatcher)
    chosen = ModelPatcher if disable_dynamic else newest
    patcher = chosen(model, load_device=device, offload_device=offload)
    if not comfy.model_management.is_device_cpu(offload):
        model.to(offload)
    fill(getattr(patcher, "is_dynamic", bool)())
    return patcher


def make_control(model: nn.Module, compute: torch.dtype | None) -> ControlNet:
    """Return a network that has its weights as what the host's ControlNet nodes take.

    The host calls it with x, hint, timesteps and context, and manages its memory.
    """
    device = comfy.model_management.get_torch_device()
    model.to(comfy.model_management.unet_offload_device())
    return ControlNet(model, load_device=device, manual_cast_dtype=compute, extra_conds=[])


def tenant(size: int, leave: Callable[[], None]) -> ModelPatcher:
    """Return what stands for memory of `size` bytes that the host does not manage itself.

    After `move_in` the host counts it as a loaded model; where it needs the memory, or the user
    frees it, `leave` is called.
    """
    device = comfy.model_management.get_torch_device()
    patcher = ModelPatcher(nn.Module(), device, comfy.model_management.unet_offload_device(), size)

    def detached(_: ModelPatcher, unpatch_all: bool) -> None:
        if unpatch_all:  # else the host only puts it to the front of its list
            leave()

    patcher.add_callback(ON_DETACH, detached)
    return patcher


def move_in(tenant: ModelPatcher) -> None:
    """Make room for a tenant and count it as loaded."""
    comfy.model_management.load_models_gpu([tenant])


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Run the host's attention on (b, heads, n, d)."""
    heads = query.shape[1]
    return attention(query, key, value, heads, skip_reshape=True, skip_output_reshape=True)


@contextmanager
def loaded(patcher: ModelPatcher, working_bytes: float) -> Iterator[torch.device]:
    """Hold a network on its device, which is given."""
    comfy.model_management.load_models_gpu([patcher], memory_required=working_bytes)
    check_interrupt()
    with torch.inference_mode():
        yield patcher.load_device


@contextmanager
def training() -> Iterator[None]:
    """Make room for networks that the host does not know, and let tensors have gradients.

    The host's networks leave the device; it takes them back by itself.
    """
    unload()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        unload()


def on_cpu() -> bool:
    """Return whether the host computes on the CPU, by choice or because there is nothing else."""
    return comfy.model_management.is_device_cpu(comfy.model_management.get_torch_device())


def unload() -> None:
    """Free the device of the host's networks, and of memory that nobody uses any more."""
    comfy.model_management.unload_all_models()
    gc.collect()
    comfy.model_management.soft_empty_cache()


def training_precision() -> str:
    """Return the mixed precision, as accelerate calls it, that suits the device."""
    device = comfy.model_management.get_torch_device()
    return "bf16" if comfy.model_management.should_use_bf16(device) else "no"


def build_vae(weights: Mapping[str, Tensor]) -> Vae:
    """Return a VAE from a state dict in a layout that the host knows."""
    vae = Vae(sd=dict(weights))
    vae.throw_exception_if_invalid()
    return vae


def build_clip_vision(config: Path, weights: Mapping[str, Tensor]) -> ClipVision:
    """Return a CLIP vision model of the configuration in a JSON file."""
    model = ClipVision(str(config))
    absent, _ = model.load_sd(dict(weights))
    if absent := [key for key in absent if not key.endswith("position_ids")]:
        raise ValueError(f"CLIP vision weights lack {', '.join(absent)}.")
    return model


def sample(
    model: ModelPatcher,
    *,
    noise: Tensor,
    latent: Tensor,
    conditioning: tuple[list, list],  # positive, negative
    cfg: float,
    sampler: str,
    sigmas: Tensor,
    seed: int,
    callback: Callable[[int, Tensor, Tensor, int], None] | None = None,  # the host's own if None
) -> Tensor:
    """Return the latents that a stock sampler makes of the noise."""
    latent = comfy.sample.fix_empty_latent_channels(model, latent)
    return comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        comfy.samplers.sampler_object(sampler),
        sigmas,
        *conditioning,
        latent,
        callback=callback or latent_preview.prepare_callback(model, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )


def latent_pictures(model: ModelPatcher) -> Callable[[Tensor], Image] | None:
    """Return how the host pictures a frame, (1, c, h, w), in the way that the user has chosen.

    None where there are to be no previews, or where another pack makes them in its own way.
    """
    found = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    plain = (latent_preview.Latent2RGBPreviewer, latent_preview.TAESDPreviewerImpl)
    return found.decode_latent_to_preview if isinstance(found, plain) else None


def preview_side() -> int:
    """Return how many pixels a preview is wide and high at most."""
    return latent_preview.MAX_PREVIEW_RESOLUTION


def show_steps(total: int) -> Callable[[int, Image | None], None]:
    """Return what shows how many steps are done and, as the node's preview, a picture."""
    bar = comfy.utils.ProgressBar(total)

    def show(done: int, picture: Image | None) -> None:
        bar.update_absolute(done, total, picture and ("JPEG", picture, preview_side()))

    return show


def executing_node() -> str | None:
    """Return the id of the node that runs now, as the host's events name it."""
    context = get_executing_context()
    return None if context is None else context.node_id


def stock_sigmas(model: ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the noise levels of one of the host's schedulers."""
    model_sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(model_sampling, scheduler, steps).cpu()


def budget_memory_per_window(model: ModelPatcher) -> None:
    """Let the host estimate memory for one window instead of the whole clip."""
    comfy.context_windows.create_prepare_sampling_wrapper(model)


def frame_window(frames: tuple[int, ...], total: int) -> Any:
    """Return the host's record of which frames a call sees."""
    window = comfy.context_windows.IndexListContextWindow
    extra = (
        {"total_frames": total} if "total_frames" in inspect.signature(window).parameters else {}
    )
    return window(list(frames), dim=0, **extra)
