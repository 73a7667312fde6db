"""Animating pairs of character and motion whose truth is known, and telling how close it came."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from torch import Tensor

from ..animate import Networks, Sampling
from .frames import intersection_over_union, psnr, psnr_inside, silhouette, ssim
from .pairs import Pair, copied, generate, round_trip
from .video import flicker

METRICS = ("psnr", "ssim", "figure_psnr", "iou", "flicker")
Row = dict[str, float]


def measure(result: Tensor, pair: Pair) -> Row:
    """Return every metric of one clip, (f, 3, H, W) in 0..1; flicker needs two frames."""
    assert pair.background is not None
    assert pair.near is not None
    shown = silhouette(result, pair.background)
    true = silhouette(pair.truth, pair.background)
    row = {
        "psnr": float(psnr(result, pair.truth).mean()),
        "ssim": float(ssim(result, pair.truth).mean()),
        "figure_psnr": float(psnr_inside(result, pair.truth, pair.near).mean()),
        "iou": float(intersection_over_union(shown, true).mean()),
    }
    if len(result) > 1:
        row["flicker"] = flicker(result, pair.truth)
    return row


def evaluate(
    models: Networks,
    sampling: Sampling,
    pairs: Iterable[Pair],
    *,
    progress: Callable[[int], None] | None = None,  # called with the number of pairs done
) -> dict[str, Row]:
    """Return the mean metrics of the result, of copying the reference, and of the autoencoder."""
    ways: dict[str, Callable[[Pair, int], Tensor]] = {
        "result": lambda pair, index: generate(models, pair, replace(sampling, seed=index)),
        "copy of the reference": lambda pair, _: copied(pair),
        "autoencoder round trip": lambda pair, _: round_trip(models, pair.truth),
    }
    rows: dict[str, list[Row]] = {name: [] for name in ways}
    for index, pair in enumerate(pairs):
        for name, way in ways.items():
            rows[name].append(measure(way(pair, index), pair))
        if progress is not None:
            progress(index + 1)
    return {name: mean_row(values) for name, values in rows.items()}


def mean_row(rows: Iterable[Row]) -> Row:
    """Return the mean of every metric."""
    rows = list(rows)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def as_markdown(table: dict[str, Row]) -> str:
    """Return a table with one line per way."""
    names = [name for name in METRICS if name in next(iter(table.values()))]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for way, row in table.items():
        cells = [f"{row[n]:.3f}" if n in ("ssim", "iou") else f"{row[n]:.2f}" for n in names]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
