"""Counts the memory of tensors while they live, for tests of estimates."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LivingBytes(TorchDispatchMode):
    """Counts the bytes of all results that exist at once; those inside an operation are missed."""

    def __init__(self):
        super().__init__()
        self.most = self._now = 0
        self._alive = {}  # address: bytes, and the number of tensors that use them

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, torch.Tensor):
                self._count(each)
        return result

    def _count(self, tensor):
        storage = tensor.untyped_storage()
        address = storage._cdata
        size, users = self._alive.get(address, (storage.nbytes(), 0))
        self._alive[address] = size, users + 1
        weakref.finalize(tensor, self._gone, address)
        self._now += size * (users == 0)
        self.most = max(self.most, self._now)

    def _gone(self, address):
        size, users = self._alive.pop(address)
        if users > 1:
            self._alive[address] = size, users - 1
        else:
            self._now -= size
