"""The training loop of both stages (paper, section 3.3): one visible loop, one checkpoint."""

import json
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Preset, get_preset
from ..diffusion.schedule import NoiseSchedule
from ..errors import ConfigError
from ..networks.initialise import initialise
from ..networks.pose_guider import build_pose_guider
from ..networks.unet import UNet
from .checkpoints import Average, averaged_networks, load_checkpoint, save_checkpoint
from .config import TrainingConfig
from .data import Batch, Shards
from .losses import difference_error, figure_error, weighted_error

log = logging.getLogger(__name__)

IMAGE_ENCODER: dict[str, Any] = {
    "image_size": 64,
    "patch_size": 8,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "projection_dim": 64,
    "hidden_act": "quick_gelu",
    "model_type": "clip_vision_model",
}
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Networks:
    """What is trained together."""

    denoiser: UNet
    reference_net: UNet
    pose_guider: nn.Module
    image_encoder: nn.Module

    def named(self) -> dict[str, nn.Module]:
        """Return the networks by the names that checkpoints use."""
        return {
            "denoiser": self.denoiser,
            "reference_net": self.reference_net,
            "pose_guider": self.pose_guider,
            "image_encoder": self.image_encoder,
        }

    def token(self, thumbs: Tensor) -> Tensor:
        """Return the image token, (b, 1, d), of pictures (b, 3, 64, 64) in 0..1."""
        mean, std = (thumbs.new_tensor(v)[:, None, None] for v in (IMAGE_MEAN, IMAGE_STD))
        return self.image_encoder(pixel_values=(thumbs - mean) / std).image_embeds[:, None]


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as the formula has it: for aa-mini's short sequences the fastest to train on."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return scores.softmax(-1).to(value) @ value


def build_networks(preset: Preset, generator: torch.Generator, *, motion: bool) -> Networks:
    """Return untrained networks of a preset."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    unet = preset.unet if motion else replace(preset.unet, motion=None)
    image_encoder = dict[str, Any](IMAGE_ENCODER, projection_dim=unet.cross_attention_dim)
    networks = Networks(
        denoiser=UNet(unet, attention=plain_attention),
        reference_net=UNet(unet.reference(), attention=plain_attention),
        pose_guider=build_pose_guider(preset.pose_guider),
        image_encoder=CLIPVisionModelWithProjection(CLIPVisionConfig(**image_encoder)),
    )
    initialise(networks.denoiser, generator=generator, tie_query_key=True)
    initialise(networks.reference_net, generator=generator, tie_query_key=True)
    initialise(networks.pose_guider, generator=generator)
    initialise(networks.image_encoder, generator=generator)
    embeddings: Any = networks.image_encoder.vision_model.embeddings
    for weight in (embeddings.class_embedding, embeddings.position_embedding.weight):
        nn.init.normal_(weight, std=0.02, generator=generator)
    return networks


def predict(
    networks: Networks,
    schedule: NoiseSchedule,
    batch: Batch,
    noise: Tensor,  # like batch.targets
    timesteps: Tensor,  # (b, f)
    *,
    conditioned: bool = True,  # False: no reference, zero token, as guidance runs it
) -> Tensor:
    """Return the denoiser's output for noised targets."""
    b, _, f = batch.targets.shape[:3]
    noisy = schedule.add_noise(batch.targets, noise, timesteps[:, None, :, None, None])
    token = networks.token(batch.thumbs)
    features = None
    if conditioned:
        features = networks.reference_net.reference_features(batch.reference, token)
    else:
        token = torch.zeros_like(token)
    condition = networks.denoiser.prepare(token, features)
    pose = networks.pose_guider(batch.poses).unflatten(0, (b, f)).transpose(1, 2)
    return networks.denoiser(noisy, timesteps, condition, pose)


class Trainer:
    """One stage of training: its networks, optimiser, averages and position."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        preset: Preset | None = None,  # None: the one that the configuration names
    ) -> None:
        """Build the stage; continue from the checkpoint in the folder if there is one."""
        self.config, self.folder = config, folder
        preset = preset or get_preset(config.preset)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.networks = build_networks(preset, self.generator, motion=config.stage == 2)
        if config.stage == 2:
            _load_stage1(self.networks, folder)
        self.schedule = NoiseSchedule(preset.schedule)
        self.parameters = _trained_parameters(self.networks, config)
        self.average = Average(self.parameters, config.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step, self.typical_norm, self.seconds = 0, 0.0, 0.0
        self.path = folder / f"stage{config.stage}.pt"
        if state := load_checkpoint(self.path):
            self._restore(state)

    def run(self, data: Shards) -> None:
        """Train to the last step, with reports in the log and checkpoints on disk."""
        config = self.config
        self.folder.mkdir(parents=True, exist_ok=True)
        config.write(self.folder / f"stage{config.stage}.json")
        batches = data.batches(config.characters, config.frames, config.seed, self.step)
        sums: list[tuple[float, float]] = []
        started = time.process_time()
        while self.step < config.steps:
            sums.append(self.train_step(next(batches)))
            if self.step % config.report_every == 0:
                now = time.process_time()
                self.seconds += now - started
                started = now
                self._report(sums)
                data.refresh()
            if self.step % config.save_every == 0 or self.step == config.steps:
                save_checkpoint(self.path, self._state())

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """Take one step; return the loss and the figure's error."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate_at(self.step)
        loss, error = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p for p in self.parameters.values() if p.grad is not None]
        norm = float(nn.utils.clip_grad_norm_(gradients, config.clip))
        # A spike is skipped: it would undo minutes of training.
        if norm == norm and (self.step < 200 or norm < 4 * self.typical_norm):
            self.optimizer.step()
            self.average.update(self.parameters)
        if norm == norm:
            self.typical_norm += (min(norm, 1e3) - self.typical_norm) / min(self.step + 1, 100)
        self.step += 1
        return float(loss.detach()), error

    def _loss(self, batch: Batch) -> tuple[Tensor, float]:
        b, _, f = batch.targets.shape[:3]
        timesteps = torch.randint(
            self.schedule.config.train_timesteps, (b, f), generator=self.generator
        )
        if self.config.stage == 2:
            timesteps = timesteps[:, :1].expand(b, f)
        noise = torch.randn(batch.targets.shape, generator=self.generator)
        keep = float(torch.rand((), generator=self.generator)) >= self.config.condition_dropout
        enabled = self.config.mixed_precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output = predict(
                self.networks, self.schedule, batch, noise, timesteps, conditioned=keep
            )
        target = self.schedule.target(batch.targets, noise, timesteps[:, None, :, None, None])
        loss = weighted_error(output, target, batch.masks, self.config.figure_weight)
        if self.config.difference_weight:
            loss = loss + self.config.difference_weight * difference_error(output, target)
        return loss, figure_error(output.detach(), target, batch.masks)

    def _report(self, sums: list[tuple[float, float]]) -> None:
        loss, error = torch.tensor(sums).mean(0).tolist()
        sums.clear()
        entry = {
            "step": self.step,
            "loss": round(loss, 5),
            "figure_error": round(error, 5),
            "learning_rate": self.config.learning_rate_at(self.step),
            "cpu_seconds": round(self.seconds, 1),
        }
        log.info("stage %d %s", self.config.stage, entry)
        with (self.folder / f"stage{self.config.stage}.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _state(self) -> dict[str, Any]:
        return {
            "networks": {k: v.state_dict() for k, v in self.networks.named().items()},
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "typical_norm": self.typical_norm,
            "seconds": self.seconds,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        for name, network in self.networks.named().items():
            network.load_state_dict(state["networks"][name])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.step, self.typical_norm = state["step"], state["typical_norm"]
        self.seconds = state["seconds"]


def _load_stage1(networks: Networks, folder: Path) -> None:
    """Give the networks what stage 1 learned; the temporal layers stay as they are."""
    state = load_checkpoint(folder / "stage1.pt")
    if state is None:
        raise ConfigError(f"stage got 2; {folder} holds no stage1.pt. Train stage 1 first.")
    for name, values in averaged_networks(state).items():
        missing, surplus = networks.named()[name].load_state_dict(values, strict=False)
        wrong = surplus + [key for key in missing if "motion_modules" not in key]
        if wrong:
            raise ConfigError(
                f"stage1.pt of {folder} does not fit preset networks: {', '.join(wrong[:5])}. "
                "Train both stages with one preset."
            )


def _trained_parameters(networks: Networks, config: TrainingConfig) -> dict[str, nn.Parameter]:
    """Return what this stage trains, by name; everything else is frozen."""
    chosen = {}
    for network, module in networks.named().items():
        for name, parameter in module.named_parameters():
            temporal = network == "denoiser" and "motion_modules" in name
            first = not temporal and (network != "image_encoder" or config.train_image_encoder)
            trained = temporal if config.stage == 2 else first
            parameter.requires_grad_(trained)
            if trained:
                chosen[f"{network}.{name}"] = parameter
    # PyTorch 2.11 crashes in the backward pass of a channels-last GroupNorm whose input needs no
    # gradient, as the first temporal layer's would; this one is computed and not used.
    networks.denoiser.conv_in.requires_grad_(True)
    if not chosen:
        raise ConfigError(
            f"stage got {config.stage}; preset {config.preset!r} has no temporal layers to train."
        )
    return chosen
