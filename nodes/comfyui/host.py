"""ComfyUI as the nodes see it: devices, memory, progress, interruption, sampling.

The only file that imports `comfy`; only `folders` imports `folder_paths`. Everything here works on
both supported versions (0.3.64 and 0.33); differences between them are handled here.
"""

import gc
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.cli_args
import comfy.clip_vision
import comfy.context_windows
import comfy.controlnet
import comfy.latent_formats
import comfy.ldm.modules.attention
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
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from PIL.Image import Image
from torch import Tensor, nn

from ...animate_anyone.memory import give_back_when_gone

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
arguments = comfy.cli_args.args
attentions = comfy.ldm.modules.attention

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
    shown = -1  # hundredths; a page needs no more messages

    def report(done: int, total: int) -> None:
        nonlocal shown
        check_interrupt()
        if 100 * done // total != shown:
            shown = 100 * done // total
            bar.update_absolute(done, total)

    return report


def blocked_output(message: str) -> ExecutionBlocker:
    """Return an output that stops the nodes connected to it and shows this message there."""
    return ExecutionBlocker(message)


def intermediate_device() -> torch.device:
    """Return the device on which results are kept between nodes."""
    return comfy.model_management.intermediate_device()


def choose_dtypes(parameters: int, chosen: str) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the dtype of the weights, and the dtype of the computation if it differs."""
    supported = [torch.float16, torch.bfloat16, torch.float32]
    dtype = DTYPES[chosen] or comfy.model_management.unet_dtype(
        model_params=parameters, supported_dtypes=supported
    )
    device = comfy.model_management.get_torch_device()
    return dtype, comfy.model_management.unet_manual_cast(dtype, device, supported)


def pick_operations(dtype: torch.dtype, compute: torch.dtype | None) -> Any:
    """Return the host's layer classes, which cast and offload their weights."""
    return comfy.ops.pick_operations(dtype, compute)


def make_patcher(
    model: nn.Module, fill: Callable[[bool], None], *, disable_dynamic: bool = False
) -> ModelPatcher:
    """Return the module under the host's memory management.

    `fill` loads the weights into it. Its argument is True if the host takes over the file's tensors
    (0.33 with dynamic VRAM) and False if it needs copies.
    """
    device = comfy.model_management.get_torch_device()
    offload = comfy.model_management.unet_offload_device()
    # Looked up at call time: 0.33 replaces the class after it has detected the graphics card.
    newest = getattr(comfy.model_patcher, "CoreModelPatcher", ModelPatcher)
    chosen = ModelPatcher if disable_dynamic else newest
    patcher = chosen(model, load_device=device, offload_device=offload)
    if not comfy.model_management.is_device_cpu(offload):
        model.to(offload)
    give_back_when_gone(model)  # also if the user cancels in the middle
    fill(getattr(patcher, "is_dynamic", bool)())
    return patcher


def copies_weights() -> bool:
    """Return whether networks get copies of their files' tensors in the computer's own memory.

    With dynamic VRAM they use the files' mapped pages, which the system can drop.
    """
    newest = getattr(comfy.model_patcher, "CoreModelPatcher", ModelPatcher)
    offload = comfy.model_management.unet_offload_device()
    return newest is ModelPatcher and comfy.model_management.is_device_cpu(offload)


def copy_of(model: ModelPatcher) -> ModelPatcher:
    """Return a copy of a MODEL whose parent is the loaded one itself, not another copy.

    When a copy that was used is gone, the host goes back to its parent. If both were copies, which
    Python collects together, it finds none: it reports a memory leak at every prompt and collects.
    """
    copy, loaded_one = model.clone(), model
    while loaded_one.parent is not None:
        loaded_one = loaded_one.parent
    copy.parent = loaded_one
    return copy


def make_control(model: nn.Module, compute: torch.dtype | None) -> ControlNet:
    """Return a network with loaded weights as a ControlNet for the host's nodes.

    The host calls it with x, hint, timesteps and context, and manages its memory.
    """
    device = comfy.model_management.get_torch_device()
    model.to(comfy.model_management.unet_offload_device())
    give_back_when_gone(model)
    return ControlNet(model, load_device=device, manual_cast_dtype=compute, extra_conds=[])


def make_reservation(
    size: int,  # bytes
    release: Callable[[], None],  # frees that memory
) -> ModelPatcher:
    """Return a placeholder model for memory that the host does not manage, such as ONNX sessions.

    After `reserve` the host counts it as a loaded model. When the host needs the memory, or the
    user frees it, the host unloads the placeholder and `release` is called.
    """
    device = comfy.model_management.get_torch_device()
    patcher = ModelPatcher(nn.Module(), device, comfy.model_management.unet_offload_device(), size)

    def detached(_: ModelPatcher, unpatch_all: bool) -> None:
        if unpatch_all:  # otherwise the host only moves it to the front of its list
            release()

    patcher.add_callback(ON_DETACH, detached)
    return patcher


def reserve(reservation: ModelPatcher) -> None:
    """Free enough memory for a reservation and count it as loaded."""
    comfy.model_management.load_models_gpu([reservation])


@contextmanager
def loaded(patcher: ModelPatcher, working_bytes: float) -> Iterator[torch.device]:
    """Keep a network loaded on its device inside the block; yields the device."""
    comfy.model_management.load_models_gpu([patcher], memory_required=working_bytes)
    check_interrupt()
    with torch.inference_mode():
        yield patcher.load_device


@contextmanager
def training() -> Iterator[None]:
    """Free the device for networks that the host does not manage, and enable gradients.

    The host's networks are unloaded; the host loads them again when it needs them.
    """
    unload()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        unload()


def on_cpu() -> bool:
    """Return whether the host computes on the CPU, by choice or because it has no other device."""
    return comfy.model_management.is_device_cpu(comfy.model_management.get_torch_device())


def unload() -> None:
    """Unload all of the host's networks and free unused memory of the device."""
    comfy.model_management.unload_all_models()
    gc.collect()
    comfy.model_management.soft_empty_cache()


def training_precision() -> str:
    """Return the mixed precision that suits the device, by its name in accelerate."""
    device = comfy.model_management.get_torch_device()
    return "bf16" if comfy.model_management.should_use_bf16(device) else "no"


def build_vae(weights: Mapping[str, Tensor]) -> Vae:
    """Return a VAE from a state dict in one of the host's layouts."""
    vae = Vae(sd=dict(weights))
    vae.throw_exception_if_invalid()
    return vae


def build_clip_vision(config: Path, weights: Mapping[str, Tensor]) -> ClipVision:
    """Return a CLIP vision model with these weights; a JSON file holds its configuration."""
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
    noise_mask: Tensor | None = None,  # of the LATENT: what is 0 stays as it is
    callback: Callable[[int, Tensor, Tensor, int], None] | None = None,  # the host's own if None
) -> Tensor:
    """Return the latents that a stock sampler produces from the noise."""
    latent = comfy.sample.fix_empty_latent_channels(model, latent)
    return comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        comfy.samplers.sampler_object(sampler),
        sigmas,
        *conditioning,
        latent,
        noise_mask=noise_mask,
        callback=callback or latent_preview.prepare_callback(model, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )


def preview_decoder(model: ModelPatcher) -> Callable[[Tensor], Image] | None:
    """Return the host's function from a frame's latent, (1, c, h, w), to a preview picture.

    It is of the preview method that the user has chosen; None if previews are off or if another
    pack has replaced them.
    """
    found = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    plain = (latent_preview.Latent2RGBPreviewer, latent_preview.TAESDPreviewerImpl)
    return found.decode_latent_to_preview if isinstance(found, plain) else None


def preview_side() -> int:
    """Return the largest width and height of a preview in pixels."""
    return latent_preview.MAX_PREVIEW_RESOLUTION


def show_steps(total: int) -> Callable[[int, Image | None], None]:
    """Return a callback that shows the number of finished steps and a preview on the node."""
    bar = comfy.utils.ProgressBar(total)

    def show(done: int, picture: Image | None) -> None:
        bar.update_absolute(done, total, picture and ("JPEG", picture, preview_side()))

    return show


def executing_node() -> str | None:
    """Return the id of the running node, as in the host's events."""
    context = get_executing_context()
    return None if context is None else context.node_id


def stock_sigmas(model: ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the noise levels of one of the host's schedulers."""
    model_sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(model_sampling, scheduler, steps).cpu()


def budget_memory_per_window(model: ModelPatcher) -> None:
    """Let the host estimate memory for one window instead of the whole clip."""
    comfy.context_windows.create_prepare_sampling_wrapper(model)


def compute_dtype(model: BaseModel) -> torch.dtype:
    """Return the dtype in which a loaded model computes."""
    return model.manual_cast_dtype or model.get_dtype()


def free_on(device: torch.device) -> int:
    """Return the bytes of a device's memory that the host counts as free."""
    return int(comfy.model_management.get_free_memory(device))


def guides_by_cfg(guider: Any) -> bool:
    """Return whether a guider's `cfg` alone decides if the unconditional half is computed."""
    return type(guider).predict_noise is comfy.samplers.CFGGuider.predict_noise


def frame_window(frames: tuple[int, ...], total: int) -> Any:
    """Return the host's record of the frames that one call of the model processes."""
    window = comfy.context_windows.IndexListContextWindow
    known = inspect.signature(window).parameters
    extra = {"total_frames": total} if "total_frames" in known else {}
    return window(list(frames), dim=0, **extra)
