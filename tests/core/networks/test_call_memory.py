"""The least memory of a call is below what a call really has at once."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from animate_anyone.config import MotionConfig, UNetConfig
from animate_anyone.networks.call_memory import least_working_bytes
from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size


class MostBytes(TorchDispatchMode):
    """Counts the bytes of all results that exist at once; those inside an operation are missed."""

    def __init__(self):
        super().__init__()
        self.most = 0
        self.alive = {}  # address: bytes, and the number of tensors that use them

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, torch.Tensor):
                self._count(each)
        return result

    def _count(self, tensor):
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        _, users = self.alive.get(address, (0, 0))
        self.alive[address] = storage.nbytes(), users + 1
        weakref.finalize(tensor, self._gone, address)
        self.most = max(self.most, sum(size for size, _ in self.alive.values()))

    def _gone(self, address):
        size, users = self.alive.pop(address)
        if users > 1:
            self.alive[address] = size, users - 1


@pytest.mark.parametrize("layers", [1, 2])
def test_a_call_has_more_at_once_than_the_least(layers):
    config = UNetConfig(
        block_out_channels=(16, 32, 32),
        attention_levels=(True, True, False),
        layers_per_block=layers,
        heads=2,
        cross_attention_dim=12,
        norm_groups=8,
        motion=MotionConfig(max_frames=6, heads=2, norm_groups=8),
    )
    denoiser, frames = UNet(config).eval(), 3
    with torch.no_grad():
        latents, time = torch.randn(1, 4, frames, 17, 20), torch.tensor([300])
        condition = denoiser.prepare(torch.randn(1, 1, 12), None, None)
        with MostBytes() as seen:
            denoiser(latents, time, condition, None)
    size = {"frames": frames, "size": Size(160, 136), "value_bytes": 4}
    least = least_working_bytes(config, **size)
    assert 0.05 * seen.most < least < seen.most
    assert least_working_bytes(config, **size, smaller_inside=True) < least
