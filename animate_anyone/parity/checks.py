"""The comparisons: windows, schedule, networks, and a whole sampling run."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor, nn

from ..diffusion.ddim import ddim_step
from ..diffusion.fusing import fuse_windows
from ..diffusion.guidance import guide
from ..diffusion.samplers import SamplingStep
from ..diffusion.schedule import NoiseSchedule
from ..diffusion.windows import Window
from ..networks.attention import TransformerBlock
from ..networks.condition import pose_features, prepare_condition
from ..networks.levels import PreparedCondition
from ..networks.unet import UNet
from .golden import GoldenFolder, Networks, SamplingConfig, public_windows
from .public import public_next_timesteps, public_sample, public_sum

FORWARD_LIMIT = 3e-5  # single forwards, pose features, reference features
TRACE_LIMIT = 1e-4
SAMPLING_LIMIT = 1e-4
TABLE_LIMIT = 1e-6
# Rescaled betas are ratios of two numbers near 0. Where the last bit of a square root differs, as
# between processors of two vendors, betas change by 4e-6. Only their products are used, and those
# change by 3e-7.
BETAS_LIMIT = 5e-6
TOY_LIMIT = 1e-5
EXACT = 0.0


@dataclass(frozen=True)
class Group:
    """One group of compared tensors."""

    name: str
    # Largest absolute difference; for windows and timesteps, the number of lists that differ. NaN
    # if nothing was compared.
    error: float
    limit: float
    tensors: int  # how many were compared
    absent: tuple[str, ...] = ()  # computed, but not stored in the folder: not compared
    surplus: tuple[str, ...] = ()  # stored in the folder, but not computed

    @property
    def passed(self) -> bool:
        """Whether every stored tensor was compared, at least one, with errors up to the limit."""
        return self.tensors > 0 and not self.surplus and self.error <= self.limit


@dataclass(frozen=True)
class Scene:
    """Networks, their inputs, and the features that all forwards use, computed once."""

    networks: Networks
    inputs: dict[str, Tensor]
    features: tuple[Tensor, ...]  # ReferenceNet's
    pose: Tensor  # (1, c, all frames, h, w)

    @property
    def frames(self) -> int:
        """Frames of the latents for single forwards."""
        return self.inputs["latents"].shape[2]


def compare(folder: GoldenFolder) -> Iterator[Group]:
    """Yield every group's largest error, network by network and then the sampling run."""
    yield from check_windows(folder)
    yield from check_schedule(folder)
    with torch.inference_mode():
        scene = make_scene(folder)
        yield from check_features(folder, scene)
        yield from check_forwards(folder, scene)
        yield from check_trace(folder, scene)
        yield from check_sampling(folder, scene)


def make_scene(folder: GoldenFolder) -> Scene:
    """Load networks and inputs of a folder and compute the features of reference and poses."""
    networks, inputs = folder.networks(), folder.read("inputs")
    pictures = inputs["pose_images_u8"].float() / 255
    return Scene(
        networks=networks,
        inputs=inputs,
        features=networks.reference_net.reference_features(
            inputs["ref_latents"], inputs["clip_embed"]
        ),
        pose=pose_features(networks.pose_guider, pictures[None]),
    )


def check_windows(folder: GoldenFolder) -> Iterator[Group]:
    """Compare lists of frame numbers; the error is the number of rows that differ."""
    rows = folder.read_json("context_windows.json")
    differing = 0
    for row in rows:
        plan = public_windows(row).plan(row["num_frames"], row["step"])
        differing += [list(window.frames) for window in plan] != row["windows"]
    yield Group("context windows", differing if rows else math.nan, EXACT, len(rows))


def check_schedule(folder: GoldenFolder) -> Iterator[Group]:
    """Compare tables, timesteps, and DDIM steps on toy data."""
    stored, config = folder.read("ddim"), folder.schedule()
    schedule = NoiseSchedule(config)
    plain = NoiseSchedule(replace(config, zero_snr=False))
    yield _group("ddim betas", {"betas": schedule.betas}, stored, BETAS_LIMIT)
    tables = {
        "alphas_cumprod": schedule.alphas_cumprod,
        "alphas_cumprod_no_rescale": plain.alphas_cumprod,
    }
    yield _group("ddim tables", tables, stored, TABLE_LIMIT)
    timesteps: dict[str, list[int]] = {}
    for steps in _numbers(stored, r"(?:prev_)?timesteps/(\d+)"):
        timesteps[f"timesteps/{steps}"] = schedule.timesteps(steps)
        timesteps[f"prev_timesteps/{steps}"] = public_next_timesteps(schedule, steps)
    yield _timesteps("ddim timesteps", timesteps, stored)
    toys = [n for n in _numbers(stored, r"toy/(\d+)/v") if f"toy/{n}/x_init" in stored]
    for steps in toys:
        yield _group(f"ddim toy/{steps}", _toy(schedule, stored, steps), stored, TOY_LIMIT)
    if not toys:
        yield _not_stored("ddim toy", TOY_LIMIT)


def check_features(folder: GoldenFolder, scene: Scene) -> Iterator[Group]:
    """Compare the features of Pose Guider and ReferenceNet."""
    stored = folder.read("outputs")
    pose = {"pose_features": scene.pose[:, :, : scene.frames]}
    yield _group("pose_features", pose, stored, FORWARD_LIMIT)
    banks = folder.read("reference_banks")
    modules = scene.networks.reference_net.named_modules()
    paths = _in_order_of_execution(
        [f"bank/{path}" for path, module in modules if isinstance(module, TransformerBlock)]
    )
    features = dict(zip(paths, scene.features, strict=True))
    yield _group("reference features", features, banks, FORWARD_LIMIT, stored_keys=banks)


def check_forwards(folder: GoldenFolder, scene: Scene) -> Iterator[Group]:
    """Compare single forwards of the denoiser, with and without reference, pose and motion."""
    stored, inputs, pose = folder.read("outputs"), scene.inputs, scene.pose[:, :, : scene.frames]
    denoiser, token = scene.networks.denoiser, inputs["clip_embed"]
    with_reference = denoiser.prepare(token, scene.features)
    still = _without_motion(denoiser)
    runs: dict[str, Callable[[], Tensor]] = {
        "v_noref": lambda: _predict(denoiser, inputs, denoiser.prepare(token), pose),
        "v_noref_nopose": lambda: _predict(denoiser, inputs, denoiser.prepare(token), None),
        "v_ref": lambda: _predict(denoiser, inputs, with_reference, pose),
        "v_ref_nomotion": lambda: _predict(still, inputs, with_reference, pose),
        "v_cfg_pair": lambda: _predict(denoiser, inputs, _pair(scene), pose),
    }
    for name, run in runs.items():
        if name in stored:
            yield _group(name, {name: run()}, stored, FORWARD_LIMIT)
        else:
            yield _not_stored(name, FORWARD_LIMIT)


def check_trace(folder: GoldenFolder, scene: Scene) -> Iterator[Group]:
    """Compare activations inside the denoiser, matched by module path."""
    stored, denoiser = folder.read("trace"), scene.networks.denoiser
    seen: dict[str, Tensor] = {}
    handles = []
    for path, module in denoiser.named_modules():
        if (key := f"trace/{path}") in stored:
            handles.append(module.register_forward_hook(_recorder(seen, key, scene.frames)))
    try:
        condition = denoiser.prepare(scene.inputs["clip_embed"], scene.features)
        _predict(denoiser, scene.inputs, condition, scene.pose[:, :, : scene.frames])
    finally:
        for handle in handles:
            handle.remove()
    yield _group("trace", seen, stored, TRACE_LIMIT, stored_keys=stored)


def check_sampling(folder: GoldenFolder, scene: Scene) -> Iterator[Group]:
    """Compare a sampling run of a long clip step by step.

    If the folder stores it, compare the end of a run with features rounded to half precision too,
    as the public code rounds them.
    """
    stored, config = folder.read("sampling"), folder.sampling()
    schedule = NoiseSchedule(folder.schedule())
    timesteps = {"timesteps": schedule.timesteps(config.steps)}
    yield _timesteps("sampling timesteps", timesteps, stored)
    ours = _sample(scene, config, schedule)
    for name in ("window_v_step0", "guided_v", "latents_after_step", "final_latents"):
        group = {key: value for key, value in ours.items() if key.split("/")[0] == name}
        theirs = [key for key in stored if key.split("/")[0] == name]
        yield _group(name, group, stored, SAMPLING_LIMIT, stored_keys=theirs)
    if "final_latents_fp16bank" in stored:
        rounded = replace(scene, features=tuple(seen.half().float() for seen in scene.features))
        final = _sample(rounded, config, schedule)["final_latents"]
        ours = {"final_latents_fp16bank": final}
        yield _group("final_latents_fp16bank", ours, stored, SAMPLING_LIMIT)


def _sample(scene: Scene, config: SamplingConfig, schedule: NoiseSchedule) -> dict[str, Tensor]:
    """Sample like the public pipeline; return every value that a folder may store."""
    noise, pose = scene.inputs["noise"], scene.pose[:, :, : config.frames]
    denoiser, guided = scene.networks.denoiser, config.guidance > 1
    token = scene.inputs["clip_embed"]
    condition = _pair(scene) if guided else denoiser.prepare(token, scene.features)
    windows = config.windows.plan(config.frames, config.step_argument)
    record: dict[str, Tensor] = {}

    def predict(latents: Tensor, timestep: int, window: Window) -> Tensor:
        frames = list(window.frames)
        inputs = {"latents": latents[:, :, frames], "timestep": torch.tensor(timestep)}
        return _predict(denoiser, inputs, condition, pose[:, :, frames])

    def model(latents: Tensor, timestep: int, step: int) -> Tensor:
        parts = [predict(latents, timestep, window) for window in windows]
        if step == 0:
            record.update({f"window_v_step0/{i}": part for i, part in enumerate(parts)})
        if guided:
            whole = fuse_windows(parts, windows, config.frames)
            unconditional, conditional = whole.chunk(2)
            whole = guide(unconditional, conditional, config.guidance)
        else:
            whole = public_sum(parts, windows, config.frames)
        record[f"guided_v/{step}"] = whole
        return whole

    def after(step: SamplingStep) -> None:
        record[f"latents_after_step/{step.index}"] = step.latents

    final = public_sample(model, noise, schedule, config.steps, after)
    return {**record, "final_latents": final}


def _pair(scene: Scene) -> PreparedCondition:
    """Return the guidance pair's condition: zero token without reference, then the picture's."""
    return prepare_condition(
        scene.networks.denoiser, scene.inputs["clip_embed"], scene.features, (False, True)
    )


def _predict(
    denoiser: UNet, inputs: dict[str, Tensor], condition: PreparedCondition, pose: Tensor | None
) -> Tensor:
    rows = len(condition.attends)
    latents = inputs["latents"].expand(rows, -1, -1, -1, -1)
    return denoiser(latents, inputs["timestep"].expand(rows), condition, pose)


def _without_motion(denoiser: UNet) -> UNet:
    still = UNet(replace(denoiser.config, motion=None), device="meta")
    weights = denoiser.state_dict()
    own = {key: weights[key] for key in still.state_dict()}
    still.load_state_dict(own, assign=True)
    return still


def _toy(schedule: NoiseSchedule, stored: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    """Replay DDIM steps with the stored model outputs."""
    latents, states, cleans = stored[f"toy/{steps}/x_init"], [], []
    targets = public_next_timesteps(schedule, steps)
    for output, timestep, target in zip(
        stored[f"toy/{steps}/v"], schedule.timesteps(steps), targets, strict=True
    ):
        latents, clean = ddim_step(schedule, output, latents, timestep, target)
        states.append(latents)
        cleans.append(clean)
    return {
        f"toy/{steps}/x_after": torch.stack(states),
        f"toy/{steps}/x0_pred": torch.stack(cleans),
    }


def _recorder(seen: dict[str, Tensor], key: str, frames: int) -> Callable[..., None]:
    def record(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        value = output[0] if isinstance(output, tuple) else output
        # Feature maps hold the frames in the batch; the time vector is the same for every frame.
        if value.ndim == 4:
            value = rearrange(value, "(b f) c h w -> b c f h w", f=frames)
        else:
            value = value[::frames]
        seen[key] = value

    return record


def _in_order_of_execution(keys: Sequence[str]) -> list[str]:
    order = ("down_blocks", "mid_block", "up_blocks")

    def position(key: str) -> tuple[int, list[int]]:
        path = key.removeprefix("bank/")
        return order.index(path.split(".")[0]), [int(number) for number in re.findall(r"\d+", path)]

    return sorted(keys, key=position)


def _numbers(stored: dict[str, Tensor], pattern: str) -> list[int]:
    found = (re.fullmatch(pattern, key) for key in stored)
    return sorted({int(match[1]) for match in found if match})


def _group(
    name: str,
    ours: Mapping[str, Tensor],
    stored: Mapping[str, Tensor],
    limit: float,
    stored_keys: Iterable[str] = (),  # all stored keys of this group, to find what is not computed
) -> Group:
    """Compare the stored tensors and list those that only one side has."""
    errors = [_error(value, stored[key]) for key, value in ours.items() if key in stored]
    return Group(
        name,
        max(errors, key=_nan_as_infinity, default=math.nan),
        limit,
        tensors=len(errors),
        absent=tuple(key for key in ours if key not in stored),
        surplus=tuple(key for key in stored_keys if key not in ours),
    )


def _timesteps(name: str, ours: Mapping[str, list[int]], stored: Mapping[str, Tensor]) -> Group:
    """Compare lists of timesteps; the error is the number of lists that differ."""
    compared = [stored[key].tolist() != value for key, value in ours.items() if key in stored]
    return Group(
        name,
        sum(compared) if compared else math.nan,
        EXACT,
        tensors=len(compared),
        absent=tuple(key for key in ours if key not in stored),
    )


def _not_stored(name: str, limit: float) -> Group:
    return Group(name, math.nan, limit, tensors=0, absent=(name,))


def _error(ours: Tensor, stored: Tensor) -> float:
    if stored.shape != ours.shape:
        return math.inf
    return float((ours.to(stored) - stored).abs().max())


def _nan_as_infinity(error: float) -> float:
    return math.inf if math.isnan(error) else error
