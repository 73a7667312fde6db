"""The table of quality over cost: resumes, and shows what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.evaluation.metrics.metric import Instruments
from benchmarks import quality, quality_picture

PLAIN = Instruments(metrics=("psnr", "sharpness"))
TWO = ("1 plain", "2 guided")


def test_each_setting_is_measured_once_on_both_groups_and_counted(tiny, tmp_path):
    models, kept = tiny.models(), tmp_path / "quality.jsonl"
    quality.measure_all(models, TWO[:1], PLAIN, kept, pairs=1)
    first = kept.read_text()
    with kept.open("a") as file:
        file.write('{"setting": "1 pl')  # a run that was killed while it wrote
    quality.measure_all(models, TWO, PLAIN, kept, pairs=1)
    lines = quality.read_lines(kept)
    assert kept.read_text().startswith(first)
    assert [(line["setting"], line["kind"]) for line in lines] == [
        (setting, kind) for setting in TWO for kind in quality.KINDS
    ]
    plain, guided = lines[0]["figures"], lines[2]["figures"]
    assert plain["calls"] == 1
    assert guided["calls"] >= 2
    assert guided["operations"] > plain["operations"] > 0
    table = quality.as_table(lines).splitlines()
    assert len(table) == 2 + 4
    assert table[2].startswith("| determined | 1 plain | 1 | 1.0 |")
    assert f"| {plain['psnr']:.2f} |" in table[2]


def test_guided_settings_guide_where_the_preset_does_not(tiny, tmp_path):
    models = tiny.models()
    models = replace(models, preset=replace(models.preset, guidance=1.0))
    kept = tmp_path / "quality.jsonl"
    quality.measure_all(models, ("1 plain", "1 guided"), PLAIN, kept, pairs=1)
    plain, _, guided, _ = (each["figures"]["operations"] for each in quality.read_lines(kept))
    assert guided > plain


def line(setting, kind, **figures):
    return {"setting": setting, "kind": kind, "figures": figures}


def test_curves_are_means_in_order_of_cost():
    lines = [
        line("2 plain", "determined", lpips=0.5, operations=3e9),
        line("2 plain", "determined", lpips=0.3),
        line("1 plain", "determined", lpips=0.7, operations=2e9),
        line("1 plain", "undetermined", lpips=9.0, operations=2e9),
        line("1 plain", "determined", lpips=0.7),
        line("8 guided", "determined", lpips=1.0, operations=4e9),  # not yet on all pairs
        line("20 cache 3", "undetermined", sharpness=1.0, operations=4e9),
    ]
    curves = quality_picture.curves_of(lines, "determined", "lpips")
    assert [(p.cost, p.value, p.label) for p in curves[0]] == [(2, 0.7, "1"), (3, 0.4, "2")]
    assert not any(curves[1:])
    settings = [name for _, _, named in quality_picture.CURVES for name in named]
    assert sorted(settings) == sorted(quality.SETTINGS)
    picture = np.asarray(quality_picture.draw(lines))
    blue = np.abs(picture.astype(int) - (0, 0x72, 0xB2)).sum(-1) < 30
    assert blue[: quality_picture.PANEL[1], : quality_picture.PANEL[0]].sum() > 50


def test_a_damaged_line_in_the_middle_is_refused(tmp_path):
    kept = tmp_path / "quality.jsonl"
    kept.write_text("{\n" + json.dumps({"setting": "1 plain"}) + "\n")
    with pytest.raises(InputError, match="damaged line 1"):
        quality.read_lines(kept)
