"""Convolutions of 3x3 with fewer multiplications, for processors.

Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016, arXiv 1509.09308): the four values of
a 2x2 square of the result come from 16 multiplications in place of 36. Sums before and after them
turn squares of 4x4 inputs, kernels and results into 16 matrix products. All factors are 1 and 1/2,
so that the result differs from the plain one by rounding alone: 4e-7 against 2.5e-7, both measured
against float64. Libraries for graphics cards choose this by themselves; torch on a CPU does not.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

# Measured: narrower layers lose more to the sums than the matrix products gain, and with fewer
# squares the kernels' own sums cost too much.
_LEAST_CHANNELS = 320
_LEAST_SQUARES = 64

# Transformed inputs are held in parts of this many bytes. Smaller parts make matrix products slow;
# larger blocks come from the system each time, which fills every page with zeros.
_PART_BYTES = 24 * 2**20
_LEAST_OUTPUTS = 256  # outputs in one matrix product; fewer make it slow

# Row by row of the paper's B: two of four places, and the sign of the second.
_INPUT_SUMS = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))


@cache
def with_fewer_products(
    layer: type[nn.Conv2d],  # torch's or a class derived from it, such as ComfyUI's
) -> type[nn.Conv2d]:
    """Return the class whose convolutions of 3x3 use `convolve` where that is faster."""

    def _conv_forward(self: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _is_usual(self) and suits(x, weight):
            return convolve(x, weight, bias)
        return layer._conv_forward(self, x, weight, bias)

    def __reduce__(self: nn.Conv2d) -> tuple:  # noqa: N807
        # pickle finds a class by its name, and this one has none
        return _empty, (layer,), self.__dict__

    return type(
        layer.__name__, (layer,), {"_conv_forward": _conv_forward, "__reduce__": __reduce__}
    )


def _empty(layer: type[nn.Conv2d]) -> nn.Conv2d:
    """Return a layer without weights, for pickle to fill."""
    made = with_fewer_products(layer)
    return made.__new__(made)


def _is_usual(layer: nn.Conv2d) -> bool:
    """Return whether a layer convolves as `convolve` does.

    Looked up in each call: extensions of ComfyUI change `padding_mode` of layers that exist.
    """
    return (
        (layer.kernel_size, layer.stride, layer.dilation) == ((3, 3), (1, 1), (1, 1))
        and (layer.groups, layer.padding_mode) == (1, "zeros")
        and layer.padding in ((1, 1), "same")
    )


def suits(
    x: Tensor,  # (n, c, h, w)
    weight: Tensor,  # (o, c, 3, 3)
) -> bool:
    """Return whether `convolve` is faster than torch here, and may be used."""
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32:
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    # A recorded call would keep the parts of its input's size.
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or x.ndim != 4:
        return False
    squares = x.shape[0] * _half(x.shape[2]) * _half(x.shape[3])
    return min(weight.shape[:2]) >= _LEAST_CHANNELS and squares >= _LEAST_SQUARES


def convolve(
    x: Tensor,  # (n, c, h, w)
    weight: Tensor,  # (o, c, 3, 3)
    bias: Tensor | None = None,  # (o,)
) -> Tensor:  # (n, o, h, w), channels_last
    """Convolve with stride 1 and a border of one zero, by minimal filtering; without gradients."""
    n, channels, height, width = x.shape
    outputs, rows, columns = len(weight), _half(height), _half(width)
    places = x.permute(0, 2, 3, 1)
    result = x.new_empty(n, 2 * rows, 2 * columns, outputs)
    parts = _parts(n, rows, columns, _PART_BYTES // (16 * channels * x.itemsize))
    kernels = _kernels(weight, keep=len(parts) > 1)
    for images, first, last in parts:
        part = places[images, max(0, 2 * first - 1) : 2 * last + 1]
        above, below = int(first == 0), max(0, 2 * last + 1 - height)
        sides = (1, 1 + 2 * columns - width)
        squares = _squares(functional.pad(part, (0, 0, *sides, above, below)))
        for where, kernel in kernels:
            sums = torch.bmm(squares, kernel)
            _join(sums, result[images, 2 * first : 2 * last, :, where])
    if bias is not None:
        result += bias
    cropped = result[:, :height, :width].permute(0, 3, 1, 2)
    return cropped.contiguous(memory_format=torch.channels_last)


def _half(length: int) -> int:
    """Return how many squares of two cover a length."""
    return -(-length // 2)


def _parts(
    images: int,
    rows: int,  # of squares in an image
    columns: int,
    squares: int,  # at most this many in a part, where a row has no more
) -> list[tuple[slice, int, int]]:  # images, first row, end of rows
    if (together := squares // (rows * columns)) > 0:
        return [(slice(n, n + together), 0, rows) for n in range(0, images, together)]
    step = max(1, squares // columns)
    starts = product(range(images), range(0, rows, step))
    return [(slice(n, n + 1), row, min(row + step, rows)) for n, row in starts]


def _kernels(
    weight: Tensor,  # (o, c, 3, 3)
    *,
    keep: bool,  # for several uses; otherwise each takes the memory of the one before
) -> list[tuple[slice, Tensor]] | Iterator[tuple[slice, Tensor]]:  # outputs, (16, c, some o)
    """Transform the kernels, some outputs at a time."""
    outputs, channels = weight.shape[:2]
    step = -(-outputs // max(1, outputs // _LEAST_OUTPUTS))
    memory = None if keep else weight.new_empty(4, 4, step, channels)

    def transformed() -> Iterator[tuple[slice, Tensor]]:
        for first in range(0, outputs, step):
            some = weight[first : first + step].permute(2, 3, 0, 1)
            target = weight.new_empty(4, 4, *some.shape[2:]) if memory is None else memory
            target = target[:, :, : some.shape[2]]
            rows = weight.new_empty(4, 3, *some.shape[2:])
            _spread(some.unbind(0), rows.unbind(0))
            _spread(rows.unbind(1), target.unbind(1))
            yield slice(first, first + some.shape[2]), target.flatten(0, 1).transpose(1, 2)

    return list(transformed()) if keep else transformed()


def _spread(kernel: Sequence[Tensor], result: Sequence[Tensor]) -> None:
    """Turn three places of a kernel, along one axis, into four: the paper's G."""
    first, middle, last = kernel
    outer = (first + last).div_(2)
    result[0].copy_(first)
    torch.add(outer, middle, alpha=0.5, out=result[1])
    torch.sub(outer, middle, alpha=0.5, out=result[2])
    result[3].copy_(last)


def _squares(
    x: Tensor,  # (n, 2*rows + 2, 2*columns + 2, c)
) -> Tensor:  # (16, n*rows*columns, c)
    """Transform the squares of 4x4, two places apart along both axes: the paper's B."""
    n, height, width, channels = x.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    result = x.new_empty(4, 4, n, rows, columns, channels)
    lines = x.new_empty(n, rows, width, channels)
    down = [x[:, k : k + 2 * rows - 1 : 2] for k in range(4)]
    across = [lines[:, :, k : k + 2 * columns - 1 : 2] for k in range(4)]
    for of_row, (i, j, sign) in zip(result, _INPUT_SUMS, strict=True):
        torch.add(down[i], down[j], alpha=sign, out=lines)
        for target, (k, m, other) in zip(of_row, _INPUT_SUMS, strict=True):
            torch.add(across[k], across[m], alpha=other, out=target)
    return result.view(16, -1, channels)


def _join(
    sums: Tensor,  # (16, n*rows*columns, o); its values are lost
    result: Tensor,  # (n, 2*rows, 2*columns, o)
) -> None:
    """Turn the products into squares of 2x2 of the result: the paper's A."""
    n, height, width, _ = result.shape
    result = result.unflatten(2, (width // 2, 2)).unflatten(1, (height // 2, 2))
    first, second, third, last = sums.view(4, 4, n, height // 2, width // 2, -1)
    both, difference = second + third, torch.sub(second, third, out=second)
    for row, lines in enumerate((both.add_(first), difference.sub_(last))):
        first, second, third, last = lines
        inner = second + third
        torch.add(inner, first, out=result[:, :, row, :, 0])
        torch.sub(torch.sub(second, third, out=inner), last, out=result[:, :, row, :, 1])
