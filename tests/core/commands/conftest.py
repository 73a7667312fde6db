"""A tiny weight set as one bundle file, with encoders of the public classes."""

import json

import pytest
import torch

from animate_anyone.networks.encoders.clip_vision import ClipVision, ClipVisionConfig
from animate_anyone.networks.encoders.tiny_autoencoder import TinyAutoencoder
from animate_anyone.weights.bundle import write_tensors
from animate_anyone.weights.presets import preset_metadata
from animate_anyone.weights.read import from_tensors

IMAGE_ENCODER = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "projection_dim": 16,
    "hidden_act": "quick_gelu",
}


@pytest.fixture(scope="session")
def tiny_bundle(tiny, tmp_path_factory):
    """Return the path of a bundle with random weights."""
    models = tiny.models()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "denoiser": models.denoiser,
            "reference_net": models.reference_net,
            "pose_guider": models.pose_guider,
            "autoencoder": TinyAutoencoder(width=8),
            "image_encoder": ClipVision(ClipVisionConfig(**IMAGE_ENCODER)),
        }
    tensors = {
        f"{name}.{key}": value
        for name, network in parts.items()
        for key, value in network.state_dict().items()
        if not key.endswith("position_ids")
    }
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    weights = from_tensors(tensors, "tiny")
    metadata = preset_metadata(models.preset) | {"image_encoder": json.dumps(IMAGE_ENCODER)}
    write_tensors(path, [(key, weights, key) for key in tensors], metadata)
    return path
