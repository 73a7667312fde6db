"""The ablation's table, its paired differences, and whether the paper's order appears in them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ...evaluation.kept.row import ClipRow
from ...evaluation.measure import RESULT, gathered
from ...evaluation.metrics.table import METRICS, Row
from ...evaluation.report import CEILING, COPY
from ...evaluation.tables import compare, compare_data, paper_rows
from .paired import CONFIDENCE, Difference, paired_difference
from .settings import TITLES, AblationSettings

# The metrics by which rows are ordered, and the column of the paper's table for each.
JUDGED = {"ssim": "ssim", "psnr": "psnr_uint8_legacy", "lpips": "lpips"}
_WORDS = {1: "yes", 0: "not told apart", -1: "no, the other way round"}
Found = Mapping[tuple[str, int], Sequence[ClipRow]]  # figures by title and seed


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two rows in the order of the paper by one metric."""

    metric: str
    better: str  # title of the row that is better in the paper
    worse: str
    paper: float  # how much better it is there
    here: Difference  # how much better it is here


def as_markdown(
    found: Found,
    settings: AblationSettings,
    seeds: int,
    further: Mapping[str, Sequence[ClipRow]],  # figures of other models by name
) -> str:
    """Return the table of all rows that are measured, the differences, and what they say."""
    means, errors = figures_of(found, further)
    there, every = len(found), len(TITLES) * seeds
    lines = [
        compare(means, errors),
        "",
        f"{settings.pairs} held-out characters in patterned clothes, {settings.sampling_steps} "
        f"steps of sampling without guidance; {settings.steps} steps of training of each row and "
        f"seed, after {settings.pretraining_steps} of the denoiser that all start from. "
        f"{there} of {every} trainings are done. ± is the standard error over characters, of means "
        "over seeds.",
        "",
    ]
    whole = whole_seeds(found, seeds)
    if not whole:
        return "\n".join([*lines, "No seed has all rows yet, so rows are not compared."])
    compared = comparisons(found, whole)
    lines += [*_differences(compared, whole), "", *statement(compared, len(whole))]
    return "\n".join(lines)


def as_data(
    found: Found,
    settings: AblationSettings,
    seeds: int,
    further: Mapping[str, Sequence[ClipRow]],
) -> dict[str, Any]:
    """Return the same as values for JSON, with the figures of every character."""
    means, errors = figures_of(found, further)
    whole = whole_seeds(found, seeds)
    compared = comparisons(found, whole) if whole else []
    return {
        "settings": settings.data(),
        "seeds": seeds,
        **compare_data(means, errors),
        "characters": {
            f"{title}, seed {seed}": {row.name: row.figures[RESULT] for row in rows}
            for (title, seed), rows in found.items()
        },
        "differences": [{**asdict(each), "beyond_the_error": each.here.sign} for each in compared],
        "statement": statement(compared, len(whole)),
    }


def figures_of(
    found: Found, further: Mapping[str, Sequence[ClipRow]]
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return means and standard errors by row of the table."""
    means: dict[str, Row] = {}
    errors: dict[str, Row] = {}
    for title in TITLES.values():
        of_seeds = [rows for (name, _), rows in found.items() if name == title]
        if of_seeds:
            means[title], errors[title] = _over_characters(of_seeds)
    for way in (COPY, CEILING):
        with_it = [rows for rows in found.values() if way in rows[0].figures]
        if with_it:
            measured = gathered(with_it[0])[way]
            means[way], errors[way] = dict(measured.mean), dict(measured.standard_error)
    for name, rows in further.items():
        means[name], errors[name] = _over_characters([rows])
    return means, errors


def whole_seeds(found: Found, seeds: int) -> list[int]:
    """Return the seeds with which all rows are measured."""
    return [
        seed for seed in range(seeds) if all((title, seed) in found for title in TITLES.values())
    ]


def comparisons(found: Found, seeds: Sequence[int]) -> list[Compared]:
    """Return all pairs of rows, in the paper's order by each metric."""
    _, paper = paper_rows("ablation")
    compared = []
    for metric, column in JUDGED.items():
        higher = 1 if METRICS[metric].better == "higher" else -1
        figures = {
            title: [_values(found[title, seed], metric) for seed in seeds]
            for title in TITLES.values()
        }
        if not all(values for rows in figures.values() for values in rows):
            continue  # its network is not installed
        order = sorted(TITLES.values(), key=lambda title: -higher * paper[title][column])
        for better, worse in combinations(order, 2):
            one, other = (higher * np.array(figures[title]) for title in (better, worse))
            compared.append(
                Compared(
                    metric=metric,
                    better=better,
                    worse=worse,
                    paper=higher * (paper[better][column] - paper[worse][column]),
                    here=paired_difference(one, other),
                )
            )
    return compared


def statement(compared: Sequence[Compared], seeds: int) -> list[str]:
    """Return in words, one line per metric, whether the paper's order appears beyond the error."""
    if seeds < 2:
        return ["With one seed of training nothing is said about the order: train two or more."]
    lines = []
    for metric in dict.fromkeys(each.metric for each in compared):
        own = [each for each in compared if each.metric == metric]
        wrong = [each for each in own if each.here.sign < 0]
        unclear = [each for each in own if each.here.sign == 0]
        title = METRICS[metric].title
        if not wrong and not unclear:
            lines.append(f"{title}: the paper's order appears beyond the error.")
            continue
        reasons = [f"{each.worse} is better than {each.better}" for each in wrong]
        reasons += [f"{each.better} and {each.worse} are not told apart" for each in unclear]
        first = own[0].better
        leads = all(each.here.sign > 0 for each in own if each.better == first)
        known = f" {first} is better than every other row beyond the error." if leads else ""
        lines.append(
            f"{title}: the paper's order does not appear beyond the error: "
            f"{'; '.join(reasons)}.{known}"
        )
    return lines


def _differences(compared: Sequence[Compared], seeds: Sequence[int]) -> list[str]:
    columns = ["", "better in the paper", "than", "by", "here by", f"{CONFIDENCE:.0%} interval"]
    columns += [*(f"seed {seed}" for seed in seeds), "beyond the error"]
    lines = [_line(columns), "|" + " --- |" * len(columns)]
    for each in compared:
        metric, here = METRICS[each.metric], each.here
        digits = metric.digits + 1
        cells = [metric.title, each.better, each.worse, f"{each.paper:.{metric.digits}f}"]
        cells += [f"{here.mean:+.{digits}f} ± {here.error:.{digits}f}"]
        cells += [f"{here.low:+.{digits}f} to {here.high:+.{digits}f}"]
        cells += [f"{value:+.{digits}f}" for value in here.by_seed]
        lines.append(_line([*cells, _WORDS[here.sign] if len(seeds) > 1 else "one seed"]))
    rule = (
        "Differences of the same characters with the same noise; the interval is of their mean "
        "over seeds, by a bootstrap over characters. A difference is beyond the error if the "
        "interval of every single seed excludes zero. The paper's PSNR is the one that overflows."
    )
    return [*lines, "", rule]


def _over_characters(of_seeds: Sequence[Sequence[ClipRow]]) -> tuple[Row, Row]:
    """Return means, and their standard errors over characters, of means over seeds."""
    means: Row = {}
    errors: Row = {}
    for metric in METRICS:
        every = [_values(rows, metric) for rows in of_seeds]
        if not every[0] or len({len(values) for values in every}) > 1:
            continue  # not measured, or of other characters
        values = np.mean(every, axis=0)
        means[metric] = float(values.mean())
        if len(values) > 1:
            errors[metric] = float(values.std(ddof=1) / len(values) ** 0.5)
    return means, errors


def _values(rows: Sequence[ClipRow], metric: str) -> list[float]:
    """Return the figures of all characters that have this metric."""
    return [row.figures[RESULT][metric] for row in rows if metric in row.figures[RESULT]]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
