"""Convolutions with fewer products: the same values, and only where they are faster."""

import copy
import pickle
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from animate_anyone.networks import convolution
from animate_anyone.networks.convolution import convolve, suits, with_fewer_products
from animate_anyone.networks.layers import Factory, ResnetBlock
from living_bytes import LivingBytes


def numbers(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


def pickled(layer: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(layer))


def relative_error(values: Tensor, truth: Tensor) -> float:
    return float((values.double() - truth.double()).norm() / truth.double().norm())


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3), (2, 1)])
@pytest.mark.parametrize("biased", [True, False])
@torch.inference_mode()
def test_values_are_those_of_the_plain_convolution(size: tuple[int, int], biased: bool) -> None:
    x, weight = numbers(3, 24, *size), numbers(40, 24, 3, 3, seed=1)
    bias = numbers(40, seed=2) if biased else None
    truth = functional.conv2d(
        x.double(), weight.double(), None if bias is None else bias.double(), padding=1
    )

    result = convolve(x, weight, bias)

    assert result.shape == truth.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(result, truth) < 1e-6


@pytest.mark.parametrize("part_squares", [1, 5, 16, 40])  # rows, an image, some images
@pytest.mark.parametrize("least_outputs", [16, 64])  # several products, one
@torch.inference_mode()
def test_parts_change_nothing(
    part_squares: int, least_outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight, bias = numbers(5, 8, 9, 8), numbers(40, 8, 3, 3, seed=1), numbers(40, seed=2)
    truth = functional.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    monkeypatch.setattr(convolution, "_PART_BYTES", part_squares * 16 * 8 * 4)
    monkeypatch.setattr(convolution, "_LEAST_OUTPUTS", least_outputs)
    assert relative_error(convolve(x, weight, bias), truth) < 1e-6


@torch.inference_mode()
def test_rounding_is_as_small_as_the_plain_convolution_s() -> None:
    x, weight = numbers(1, 320, 16, 16), numbers(320, 320, 3, 3, seed=1)
    truth = functional.conv2d(x.double(), weight.double(), padding=1)
    assert relative_error(convolve(x, weight), truth) < 6e-7


@torch.inference_mode()
def test_inputs_stay_as_they_are() -> None:
    x, weight, bias = numbers(2, 8, 6, 6), numbers(8, 8, 3, 3, seed=1), numbers(8, seed=2)
    before = [each.clone() for each in (x, weight, bias)]
    first = convolve(x, weight, bias)
    assert torch.equal(convolve(x, weight, bias), first)
    assert all(torch.equal(a, b) for a, b in zip(before, (x, weight, bias), strict=True))


def test_only_wide_layers_of_a_cpu_in_float32_without_gradients() -> None:
    wide, weight = torch.zeros(1, 320, 16, 16), torch.zeros(320, 320, 3, 3)
    assert not suits(wide, weight)  # gradients may be asked for
    with torch.no_grad():
        assert suits(wide, weight)
        assert not suits(wide[:, :, :8], weight)  # 32 squares
        assert not suits(wide[:, :64], weight[:, :64])
        assert not suits(wide, weight[:4])
        assert not suits(wide.double(), weight.double())
        assert not suits(wide.bfloat16(), weight.bfloat16())
        assert not suits(wide.to("meta"), weight.to("meta"))
        with torch.autocast("cpu", torch.bfloat16):
            assert not suits(wide, weight)


def test_a_layer_keeps_its_name_weights_and_gradients() -> None:
    layer = Factory().conv(320, 320)
    plain = nn.Conv2d(320, 320, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = numbers(1, 320, 16, 16)

    assert isinstance(layer, nn.Conv2d)
    assert type(layer).__name__ == "Conv2d"
    assert type(layer) is type(copy.deepcopy(layer)) is with_fewer_products(nn.Conv2d)
    assert torch.equal(layer(x), plain(x))  # exactly: training uses the plain convolution
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        assert not torch.equal(layer(x), plain(x))
        torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)


def test_layers_of_the_host_pass_their_own_weights() -> None:
    """ComfyUI's layers call `_conv_forward` with weights that they cast or patched."""

    class Patched(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return self._conv_forward(x, 2 * self.weight, None)

    layer = with_fewer_products(Patched)(320, 320, 3, padding=1)
    x = numbers(1, 320, 16, 16)
    with torch.no_grad():
        truth = functional.conv2d(x, 2 * layer.weight, padding=1)
        torch.testing.assert_close(layer(x), truth, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changed",
    [
        {"padding_mode": "circular"},
        {"padding_mode": "reflect"},
        {"padding": 0},
        {"stride": 2},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"kernel_size": 1, "padding": 0},
        {"kernel_size": 5, "padding": 2},
    ],
    ids=str,
)
@torch.no_grad()
def test_layers_of_other_settings_convolve_as_they_say(changed: dict) -> None:
    plain = nn.Conv2d(640, 640, **{"kernel_size": 3, "padding": 1, **changed})
    layer = with_fewer_products(nn.Conv2d)(640, 640, **{"kernel_size": 3, "padding": 1, **changed})
    layer.load_state_dict(plain.state_dict())
    x = numbers(1, 640, 16, 16)
    assert torch.equal(layer(x), plain(x))


@torch.no_grad()
def test_a_layer_that_is_changed_later_convolves_as_it_says() -> None:
    """As extensions of ComfyUI do for pictures that can be laid side by side."""
    layer, x = with_fewer_products(nn.Conv2d)(320, 320, 3, padding=1), numbers(1, 320, 16, 16)
    layer.padding_mode = "circular"
    around = functional.pad(x, (1, 1, 1, 1), mode="circular")
    truth = functional.conv2d(around, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), truth, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_one_picture_without_a_batch() -> None:
    layer, x = with_fewer_products(nn.Conv2d)(320, 320, 3, padding=1), numbers(1, 320, 16, 16)
    torch.testing.assert_close(layer(x[0]), layer(x)[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*trace.*")
def test_a_traced_layer_takes_inputs_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "_PART_BYTES", 64 * 16 * 320 * 4)
    layer = with_fewer_products(nn.Conv2d)(320, 320, 3, padding=1)
    traced = cast(nn.Module, torch.jit.trace(layer, numbers(1, 320, 16, 16)))
    x = numbers(3, 320, 20, 24, seed=1)
    torch.testing.assert_close(traced(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [pickled, copy.deepcopy])
@torch.no_grad()
def test_copies_and_pickles(make: Callable[[nn.Module], nn.Module]) -> None:
    layer = Factory().conv(320, 320)
    again, x = make(layer), numbers(1, 320, 16, 16)
    assert type(again) is type(layer)
    assert torch.equal(again(x), layer(x))
    assert all(a is not b for a, b in zip(again.parameters(), layer.parameters(), strict=True))


@torch.no_grad()
def test_a_wide_block_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    block = ResnetBlock(320, 320, 16, 32, Factory()).requires_grad_(False)
    x, time = numbers(1, 320, 16, 16), numbers(1, 16)
    calls: list[Tensor] = []
    monkeypatch.setattr(
        convolution, "convolve", lambda x, *others: calls.append(x) or convolve(x, *others)
    )
    quick = block(x, time)
    assert len(calls) == 2
    monkeypatch.setattr(convolution, "suits", lambda *_: False)
    assert relative_error(quick, block(x, time)) < 2e-6


@torch.inference_mode()
def test_memory_beside_the_result_does_not_grow_with_the_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolution, "_PART_BYTES", 2**16)
    weight = numbers(16, 16, 3, 3, seed=1)
    beside = []
    for images in (4, 16):
        x = numbers(images, 16, 32, 32)
        with LivingBytes() as living:
            result = convolve(x, weight)
        beside.append(living.most - x.nbytes - result.nbytes)
    assert beside[1] <= beside[0] < 5 * 2**16
