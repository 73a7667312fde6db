"""The smallest networks that metrics accept, in files with the published layout."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from animate_anyone.evaluation.metrics import video


class MeanFeatures(nn.Module):
    """Mean and spread of every colour, over a clip: (b, 3, f, s, s) to (b, 6)."""

    def forward(self, clips: Tensor) -> Tensor:
        values = clips.flatten(2)
        return torch.cat([values.mean(2), values.std(2)], 1)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_fvd_network(path: Path) -> str:
    """Write a TorchScript network; return its sha256."""
    torch.jit.save(torch.jit.script(MeanFeatures()), str(path))
    return sha256_of(path)


def write_alexnet(path: Path) -> str:
    """Write random features of torchvision's AlexNet; return the file's sha256."""
    import torchvision

    with torch.device("meta"):
        features = torchvision.models.alexnet(weights=None).features
    features = features.to_empty(device="cpu")
    for values in features.parameters():
        nn.init.normal_(values, std=0.02)
    torch.save({f"features.{k}": v for k, v in features.state_dict().items()}, path)
    return sha256_of(path)


def fvd(results, truths, record, *, fps):
    """Return the Frechet distance of two sets of videos, computed video by video."""
    network = video.load_fvd_network(record)
    sets = [
        [video.clip_features(video.cut_clips(v, fps, record), network) for v in videos]
        for videos in (results, truths)
    ]
    return video.frechet_distance(*map(np.concatenate, sets))
