"""Checkpoints of a training run: written whole or not at all, and read back exactly."""

import os
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state so that a reader sees the old file or the new one, never half of one."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, or None if there is none."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def averaged_networks(state: dict[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
    """Return the state dicts of a stage's checkpoint, averages in place of trained values."""
    networks = {name: dict(values) for name, values in state["networks"].items()}
    for name, value in state["average"]["values"].items():
        network, _, key = name.partition(".")
        networks[network][key] = value
    return networks


class Average:
    """Exponential moving average of a module's parameters, with a short memory at the start."""

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float) -> None:
        """Start from the parameters as they are."""
        self.decay = decay
        self.steps = 0
        self.values = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: dict[str, torch.nn.Parameter]) -> None:
        """Move a little towards the parameters."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        values = list(self.values.values())
        torch._foreach_mul_(values, decay)
        torch._foreach_add_(values, [parameters[k].detach() for k in self.values], alpha=1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that load_state_dict needs."""
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.steps = state["steps"]
        for name, value in state["values"].items():
            self.values[name].copy_(value)
