import gc
import json
import sys
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone.animate.room import least_decoding_bytes
from animate_anyone.errors import InputError, WeightsError
from animate_anyone.networks.encoders.tiny_autoencoder import TinyAutoencoder
from animate_anyone.protocols import ENCODER
from animate_anyone.types import Size
from animate_anyone.weights.encoders import (
    clip_pixels,
    image_encoder_config,
    load_autoencoder,
    load_image_encoder,
)
from animate_anyone.weights.load import Models
from animate_anyone.weights.read import from_tensors
from living_bytes import LivingBytes


def vae():
    import diffusers

    return diffusers.AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).eval()


def early_names(tensors):
    """Return the tensors with the attention names and shapes of early files."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value"}
    renamed = {}
    for key, tensor in tensors.items():
        if ".attentions.0." in key and "group_norm" not in key:
            key = key.replace("to_out.0", "proj_attn")
            for new, early in old.items():
                key = key.replace(new, early)
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        renamed[key] = tensor
    return renamed


@pytest.mark.parametrize("early", [False, True])
def test_vae_gives_the_mean_in_the_denoisers_scale(early):
    network = vae()
    tensors = network.state_dict()
    weights = from_tensors(early_names(tensors) if early else tensors, "vae")
    own = load_autoencoder(weights, 0.18215, torch.float32, "cpu")
    frames = torch.rand(1, 3, 32, 24)
    with torch.no_grad():
        mean = network.encode(frames * 2 - 1).latent_dist.mean * 0.18215
        picture = (network.decode(mean / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(own.encode(frames), mean, atol=1e-5)
    assert torch.allclose(own.decode(mean), picture, atol=1e-5)


@pytest.mark.parametrize("channels", [4, 16])
def test_tiny_autoencoder_equals_the_one_of_diffusers_bit_for_bit(channels):
    import diffusers

    network = diffusers.AutoencoderTiny(latent_channels=channels).eval()
    own = load_autoencoder(
        from_tensors(network.state_dict(), "tiny"), 0.18215, torch.float32, "cpu"
    )
    frames = torch.rand(5, 3, 16, 24)
    with torch.no_grad():
        latents = network.encode(frames * 2 - 1).latents
        pictures = network.decode(3 * latents).sample
        assert torch.equal(own.network.encode(frames * 2 - 1), latents)
        assert torch.equal(own.network.decode(3 * latents), pictures)
        # On a CPU values lie in memory by places, in which order convolutions add differently.
        frames = frames.contiguous(memory_format=torch.channels_last)
        latents = network.encode(frames * 2 - 1).latents
        pictures = network.decode(3 * latents).sample / 2 + 0.5
    own.chunk_frames = 5
    assert torch.equal(own.encode(frames), latents)  # no scale: it is trained on such latents
    assert torch.equal(own.decode(3 * latents), pictures.clamp(0, 1))


@pytest.mark.slow
def test_on_a_cpu_calls_of_the_tiny_autoencoder_hold_little_and_lie_by_places():
    own = load_autoencoder(
        from_tensors(TinyAutoencoder(width=64).state_dict(), "tiny"), 1.0, torch.float32, "cpu"
    )
    seen = []
    first = own.network.decoder.layers[0]
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for side, calls in ((4, [4, 1]), (16, [4, 1]), (24, [1, 1])):  # 32, 128 and 192 pixels
        seen.clear()
        result = own.decode(torch.randn(sum(calls), 4, side, side))
        assert [len(one) for one in seen] == calls
        assert all(one.is_contiguous(memory_format=torch.channels_last) for one in seen)
        assert result.is_contiguous()


@pytest.mark.parametrize("make", [vae, lambda: TinyAutoencoder(width=8)], ids=["vae", "tiny"])
def test_an_autoencoder_decodes_without_its_encoder(make):
    own = load_autoencoder(from_tensors(make().state_dict(), "vae"), 1.0, torch.float32, "cpu")
    models = Models(None, None, None, None, own, None)
    latents = torch.randn(1, 4, 2, 3)
    before, encoder = own.decode(latents), weakref.ref(own.network.encoder)
    models.let_go(ENCODER)
    gc.collect()
    assert encoder() is None
    assert torch.equal(models.autoencoder.decode(latents), before)


@pytest.mark.parametrize("make", [vae, lambda: TinyAutoencoder(width=16)], ids=["vae", "tiny"])
def test_decoding_has_more_at_once_than_the_least(make):
    own = load_autoencoder(from_tensors(make().state_dict(), "vae"), 1.0, torch.float32, "cpu")
    with LivingBytes() as living:
        own.decode(torch.randn(5, 4, 8, 8))
    assert 0.4 * living.most < least_decoding_bytes(Size(64, 64), 5, own) < living.most


def test_chunks_of_frames_change_nothing():
    own = load_autoencoder(
        from_tensors(TinyAutoencoder(width=8).state_dict(), "tiny"), 1.0, torch.float32, "cpu"
    )
    latents = torch.randn(5, 4, 2, 3)
    whole = own.decode(latents)
    own.chunk_frames = 2
    assert torch.allclose(own.decode(latents), whole, atol=1e-5)
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_sizes_that_are_not_multiples_of_8_are_refused():
    network = TinyAutoencoder(width=8)
    own = load_autoencoder(from_tensors(network.state_dict(), "tiny"), 1.0, torch.float32, "cpu")
    with pytest.raises(InputError, match="frames got 20x16 pixels"):
        own.encode(torch.rand(1, 3, 16, 20))


def test_files_of_another_kind_are_refused():
    weights = from_tensors({"lora_unet_a.lora_up.weight": torch.ones(1)}, "wrong.pth")
    with pytest.raises(WeightsError, match=r"autoencoder got wrong\.pth, which is a LoRA"):
        load_autoencoder(weights, 1.0, torch.float32, "cpu")
    with pytest.raises(WeightsError, match=r"image_encoder got wrong\.pth, which is a LoRA"):
        load_image_encoder(weights, torch.float32, "cpu")


def clip(heads=2, activation="quick_gelu"):
    import transformers

    config = transformers.CLIPVisionConfig(
        image_size=48,
        patch_size=16,
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=heads,
        intermediate_size=96,
        projection_dim=24,
        hidden_act=activation,
    )
    return transformers.CLIPVisionModelWithProjection(config).eval()


def test_image_encoder_equals_transformers_with_its_own_processor():
    import transformers

    network = clip()
    tensors = dict(network.state_dict())
    tensors["vision_model.embeddings.position_ids"] = torch.arange(10)[None]  # as early files do
    own = load_image_encoder(from_tensors(tensors, "clip"), torch.float32, "cpu")
    values = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    squashed = Image.fromarray(values).resize((48, 48), Image.Resampling.BICUBIC)
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}
    )
    pixels = processor(images=squashed, return_tensors="pt").pixel_values
    picture = torch.from_numpy(values).permute(2, 0, 1)[None] / 255
    assert torch.allclose(clip_pixels(picture, 48), pixels, atol=1e-5)
    with torch.no_grad():
        embedding = network(pixel_values=pixels).image_embeds
    assert torch.allclose(own.encode(picture)[:, 0], embedding, atol=1e-5)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "gelu_pytorch_tanh"])
def test_every_activation_equals_that_of_transformers(activation):
    network = clip(activation=activation)
    settings = {"image_encoder": json.dumps({"hidden_act": activation, "num_attention_heads": 2})}
    weights = from_tensors(network.state_dict(), "clip", settings)
    own = load_image_encoder(weights, torch.float32, "cpu").network
    pixels = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.allclose(own(pixels), network(pixel_values=pixels).image_embeds, atol=1e-6)


def test_an_image_encoder_is_loaded_without_transformers(monkeypatch):
    weights = from_tensors(clip().state_dict(), "clip")
    monkeypatch.setitem(sys.modules, "transformers", None)
    own = load_image_encoder(weights, torch.bfloat16, "cpu")
    token = own.encode(torch.rand(1, 3, 50, 40))
    assert token.shape == (1, 1, 24)
    assert token.dtype == torch.float32


def test_image_encoder_configuration_comes_from_shapes_and_metadata():
    tensors = clip(heads=8).state_dict()
    expected = {
        "hidden_size": 128,
        "patch_size": 16,
        "image_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "projection_dim": 24,
        "num_attention_heads": 2,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    }
    assert image_encoder_config(from_tensors(tensors, "clip")) == expected
    told = from_tensors(tensors, "clip", {"image_encoder": '{"num_attention_heads": 8}'})
    assert image_encoder_config(told) == expected | {"num_attention_heads": 8}
