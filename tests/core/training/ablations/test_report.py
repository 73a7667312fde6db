"""What the ablation says of the paper's order."""

import numpy as np
import pytest

from animate_anyone.evaluation.kept.row import ClipRow
from animate_anyone.training.ablations.report import (
    as_data,
    as_markdown,
    comparisons,
    statement,
    whole_seeds,
)
from animate_anyone.training.ablations.settings import TITLES, AblationSettings

SETTINGS = AblationSettings(pretraining_steps=5, steps=6, shards=1, pairs=12, sampling_steps=2)
PAPER = {"ControlNet": 0.5, "CLIP only": 0.6, "CLIP + ControlNet": 0.7, "ReferenceNet": 0.9}


def found_of(quality, seeds=2, metrics=("ssim", "psnr", "lpips")):
    """Return figures of 12 characters for each row and seed; a higher quality is better."""
    found = {}
    for title, value in quality.items():
        for seed in range(seeds):
            rng = np.random.default_rng((seed, len(title)))
            rows = []
            for place in range(SETTINGS.pairs):
                own = value + 0.02 * place + rng.normal() * 0.01
                row = {name: -own if name == "lpips" else own for name in metrics}
                figures = {"result": row}
                rows.append(ClipRow(place=place, name=f"p{place}", frames=1, figures=figures))
            found[title, seed] = rows
    return found


def said(quality, **options):
    found = found_of(quality, **options)
    seeds = whole_seeds(found, 2)
    return statement(comparisons(found, seeds), len(seeds))


def test_the_papers_order_is_stated_for_each_metric_by_its_own_column():
    lines = said(PAPER)
    assert lines[0] == "SSIM: the paper's order appears beyond the error."
    assert lines[2] == "LPIPS: the paper's order appears beyond the error."
    # In the paper's PSNR, CLIP only is before CLIP + ControlNet.
    assert lines[1].startswith("PSNR: the paper's order does not appear beyond the error: CLIP + C")
    assert "CLIP + ControlNet is better than CLIP only." in lines[1]
    assert lines[1].endswith("ReferenceNet is better than every other row beyond the error.")


def test_rows_that_are_not_told_apart_are_named():
    line = said(PAPER | {"CLIP + ControlNet": 0.6})[0]
    assert line == (
        "SSIM: the paper's order does not appear beyond the error: CLIP + ControlNet and CLIP only "
        "are not told apart. ReferenceNet is better than every other row beyond the error."
    )


def test_a_referencenet_that_does_not_lead_is_not_praised():
    line = said(PAPER | {"ReferenceNet": 0.65})[0]
    assert "CLIP + ControlNet is better than ReferenceNet" in line
    assert "every other row" not in line


def test_a_metric_without_its_network_is_left_out():
    assert [line.split(":")[0] for line in said(PAPER, metrics=("ssim", "psnr"))] == [
        "SSIM",
        "PSNR",
    ]


def test_one_seed_gives_differences_and_no_statement():
    text = as_markdown(found_of(PAPER, seeds=1), SETTINGS, 1, {})
    assert "4 of 4 trainings are done" in text
    assert "| one seed |" in text
    assert "With one seed of training nothing is said about the order" in text


def test_a_table_of_unfinished_trainings_says_so():
    found = found_of(PAPER)
    del found["ReferenceNet", 0], found["ReferenceNet", 1]
    text = as_markdown(found, SETTINGS, 2, {})
    assert "6 of 8 trainings are done" in text
    assert text.endswith("No seed has all rows yet, so rows are not compared.")
    assert as_data(found, SETTINGS, 2, {})["differences"] == []


def test_the_table_holds_differences_beside_the_papers():
    text = as_markdown(found_of(PAPER), SETTINGS, 2, {})
    line = next(each for each in text.splitlines() if "| ReferenceNet | CLIP + ControlNet" in each)
    assert line.startswith("| SSIM | ReferenceNet | CLIP + ControlNet | 0.033 | +0.19")
    assert line.endswith("| yes |")
    data = as_data(found_of(PAPER), SETTINGS, 2, {})
    assert len(data["differences"]) == 18
    assert len(data["characters"]["ReferenceNet, seed 1"]) == SETTINGS.pairs
    assert set(data["rows"]) == set(TITLES.values())
    assert data["differences"][0]["here"]["mean"] == pytest.approx(0.2, abs=0.02)
