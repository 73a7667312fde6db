"""The picture of quality over cost: what `benchmarks.quality` measured, as curves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from animate_anyone.evaluation.metrics.table import METRICS

KINDS = {"determined": "front asked from a front", "undetermined": "back asked from a front"}
FIGURES = {"lpips": "less is better", "sharpness": "nearer 1 is better"}
# Name, colour, and the settings of a curve with the label of each point.
CURVES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("no guidance, by steps", "#0072b2", {f"{n} plain": f"{n}" for n in (1, 2, 4, 8, 20)}),
    ("guidance, by steps", "#d55e00", {f"{n} guided": f"{n}" for n in (1, 2, 4, 8, 20)}),
    ("20 steps, interval", "#009e73", {"20 interval": ""}),
    ("20 steps, cache 2 and 3", "#cc79a7", {"20 cache 2": "2", "20 cache 3": "3"}),
    (
        "20 steps, interval and cache 2 and 3",
        "#000000",
        {"20 interval, cache 2": "2", "20 interval, cache 3": "3"},
    ),
    (
        "20 steps, last half, and with cache 4",
        "#e69f00",
        {"20 last half": "", "20 last half, cache 4": "4"},
    ),
)
PANEL = (470, 270)  # pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 34, 44  # around the axes of a panel
LEGEND = 52  # pixels of height
SCALE = 2  # it is drawn larger and made smaller, so that lines are smooth
GREY = "#888888"


@dataclass(frozen=True)
class Point:
    """What a setting costs and gives."""

    cost: float  # GFLOP of a whole clip
    value: float
    label: str


def curves_of(
    lines: Sequence[dict[str, Any]],  # of `quality.read_lines`
    kind: str,
    figure: str,
) -> list[list[Point]]:  # as CURVES, in order of cost
    """Return the means of one group. A setting that was not measured on all pairs has no point."""
    counts = Counter(line["setting"] for line in lines if line["kind"] == kind)
    whole = {setting for setting, count in counts.items() if count == max(counts.values())}
    curves = []
    for _, _, settings in CURVES:
        points = []
        for setting, label in settings.items():
            rows = [
                line["figures"]
                for line in lines
                if (line["kind"], line["setting"]) == (kind, setting)
            ]
            values = [row[figure] for row in rows if figure in row]
            costs = [row["operations"] / 1e9 for row in rows if "operations" in row]
            if values and costs and setting in whole:
                points.append(Point(float(np.mean(costs)), float(np.mean(values)), label))
        curves.append(sorted(points, key=lambda point: point.cost))
    return curves


def draw(lines: Sequence[dict[str, Any]]) -> Image.Image:
    """Return the picture: a column for each group of pairs, a row for each figure."""
    width, height = PANEL
    size = (width * len(KINDS), height * len(FIGURES) + LEGEND)
    picture = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), "white")
    pen = Pen(ImageDraw.Draw(picture), ImageFont.load_default(12 * SCALE))
    for row, figure in enumerate(FIGURES):
        columns = [curves_of(lines, kind, figure) for kind in KINDS]
        # The axes of a row have equal lengths, so that differences look as large as they are.
        span = max(high - low for low, high in map(_values_range, columns))
        for column, (kind, curves) in enumerate(zip(KINDS, columns, strict=True)):
            title = f"{kind} ({KINDS[kind]}): {METRICS[figure].title}, {FIGURES[figure]}"
            _panel(pen, (column * width, row * height), title, curves, span)
    measured = {line["setting"] for line in lines}
    _legend(pen, height * len(FIGURES), measured)
    return picture.resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Pen:
    """Draws in pixels of the finished picture."""

    draw: ImageDraw.ImageDraw
    font: Any

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        """Draw a line through points."""
        self.draw.line(_scaled(points), fill=colour, width=round(width * SCALE))

    def dot(self, at: tuple[float, float], colour: str) -> None:
        """Draw a disc."""
        ((x, y),) = _scaled([at])
        radius = 3.5 * SCALE
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def text(self, at: tuple[float, float], text: str, colour: str, anchor: str = "la") -> None:
        """Write a text; the anchor is Pillow's."""
        ((x, y),) = _scaled([at])
        self.draw.text((x, y), text, fill=colour, font=self.font, anchor=anchor)


def _scaled(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _panel(
    pen: Pen,
    corner: tuple[int, int],
    title: str,
    curves: Sequence[Sequence[Point]],
    span: float,  # length of the axis of values
) -> None:
    left, right = corner[0] + LEFT, corner[0] + PANEL[0] - RIGHT
    top, bottom = corner[1] + TOP, corner[1] + PANEL[1] - BOTTOM
    pen.text((corner[0] + 10, corner[1] + 8), title, "black")
    points = [point for curve in curves for point in curve]
    if not points:
        pen.text((left, top), "not measured", GREY)
        return
    costs = (0.0, 1.1 * max(point.cost for point in points))
    middle = sum(_values_range(curves)) / 2
    values = (middle - span / 2, middle + span / 2)

    def place(cost: float, value: float) -> tuple[float, float]:
        x = left + (right - left) * (cost - costs[0]) / (costs[1] - costs[0])
        return x, bottom - (bottom - top) * (value - values[0]) / (values[1] - values[0])

    for cost in _ticks(*costs):
        x = place(cost, values[0])[0]
        pen.line([(x, top), (x, bottom)], "#e4e4e4")
        pen.text((x, bottom + 6), f"{cost:g}", GREY, "ma")
    for value in _ticks(*values):
        y = place(costs[0], value)[1]
        pen.line([(left, y), (right, y)], "#e4e4e4")
        pen.text((left - 6, y), f"{value:.4g}", GREY, "rm")
    pen.line([(left, top), (left, bottom), (right, bottom)], GREY)
    pen.text((right, bottom + 22), "GFLOP of a clip", GREY, "ra")
    for (_, colour, _), curve in zip(CURVES, curves, strict=True):
        where = [place(point.cost, point.value) for point in curve]
        if len(where) > 1:
            pen.line(where, colour, 1.5)
        for point, at in zip(curve, where, strict=True):
            pen.dot(at, colour)
            pen.text((at[0], at[1] - 6), point.label, colour, "mb")


def _legend(pen: Pen, top: int, measured: set[str]) -> None:
    x, y = 20.0, top + 10.0
    for name, colour, settings in CURVES:
        if not measured & settings.keys():
            continue
        width = pen.font.getlength(name) / SCALE + 40
        if x + width > len(KINDS) * PANEL[0]:
            x, y = 20.0, y + 20
        pen.dot((x, y + 7), colour)
        pen.text((x + 10, y), name, colour)
        x += width


def _values_range(curves: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """Return the least and the largest value, with a margin."""
    values = [point.value for curve in curves for point in curve]
    if not values:
        return 0.0, 0.0
    low, high = min(values), max(values)
    margin = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield four to nine round numbers in a range."""
    rough = (high - low) / 5
    power = 10 ** np.floor(np.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    for number in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1):
        yield float(number * step)
