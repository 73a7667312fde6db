"""LoRAs that come and go: the denoiser's own weights are put back exactly."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from animate_anyone.errors import WeightsError
from animate_anyone.weights.lora import AddedLoras


def lora(path, layer, *, width=3):
    tensors = {"up.weight": torch.randn(4, 2), "down.weight": torch.randn(2, width)}
    save_file({f"lora_unet_{layer}.lora_{key}": each for key, each in tensors.items()}, path)
    return str(path)


def test_weights_are_their_own_again_to_the_last_bit(tmp_path):
    denoiser = nn.ModuleDict({"first": nn.Linear(3, 4), "second": nn.Linear(3, 4)})
    own = {key: value.clone() for key, value in denoiser.state_dict().items()}
    weight = denoiser.get_parameter("second.weight")
    first = lora(tmp_path / "first.safetensors", "first")
    second = lora(tmp_path / "second.safetensors", "second")
    wrong = lora(tmp_path / "wrong.safetensors", "second", width=5)
    added = AddedLoras(denoiser)

    def changed():
        now = denoiser.state_dict()
        return {key for key, value in own.items() if not torch.equal(value, now[key])}

    added.change([first, f"{second}:0.3"])
    assert changed() == {"first.weight", "second.weight"}
    once = weight.clone()
    added.change([first, f"{second}:0.3"])
    assert torch.equal(weight, once)  # not added twice
    added.change([f"{second}:0.3"])
    assert changed() == {"second.weight"}
    with pytest.raises(WeightsError, match="changes a layer of"):
        added.change([first, wrong])
    assert changed() == set()
    lora(tmp_path / "second.safetensors", "second")
    added.change([f"{second}:0.3"])
    assert not torch.equal(weight, once)  # another file of the same name
