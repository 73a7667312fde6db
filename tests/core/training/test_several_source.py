"""Sets of several sizes as one source: a step is of one size, and depends on seed and step."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from core.dataset.clips_material import SIZE
from core.training.test_prepared_source import STAGE1, entry_of, write_set

from animate_anyone.errors import InputError
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.find import ValidationSize, kind_of
from animate_anyone.training.stages import Choices, source_of

CONFIG = replace(get_recipe("24gb", 1), examples=4, accumulate=1, frames=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of two sets with caches: three clips of one size, one of another."""
    data = tmp_path_factory.mktemp("sets")
    caches = ("latents", "tokens")
    write_set(data / "large", caches, tuple(entry_of(name) for name in "abd"))
    write_set(data / "small", caches, (entry_of("c"),))
    manifest = data / "small" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["size"] = [SIZE.width // 2, SIZE.height // 2]
    manifest.write_text(json.dumps(values))
    for path in (data / "small").rglob("latents.npy"):
        np.save(path, np.load(path)[..., :4, :4])
    return data


def test_all_rows_of_a_step_are_of_one_size_and_every_size_has_its_share(folder, caplog):
    caplog.set_level("INFO")
    choices = Choices(folder=folder / "run", data=folder)
    source = source_of(choices, CONFIG)
    assert "3 clips, 75 % of the steps" in caplog.text
    assert "figure_weight" not in caplog.text
    assert "1 steps draw as many examples as there are clips (4)" in caplog.text
    source_of(choices, replace(CONFIG, figure_weight=2.0))
    assert "figure_weight 2 has no effect" in caplog.text
    assert "Set figure_margin (0.04 is usual)" in caplog.text
    caplog.clear()
    source_of(choices, replace(CONFIG, figure_weight=2.0, figure_margin=0.04))
    assert "has no effect" not in caplog.text
    widths = []
    for step in range(60):
        first = source.batch(STAGE1, step, [0])
        rest = source.batch(STAGE1, step, [2, 3])
        assert first.targets.shape[1:] == rest.targets.shape[1:]
        widths.append(first.targets.shape[-1])
    assert set(widths) == {4, 8}
    assert 0.6 < widths.count(8) / 60 < 0.9
    again = source_of(choices, CONFIG).batch(STAGE1, 7, [2, 3])
    assert torch.equal(again.targets, source.batch(STAGE1, 7, [2, 3]).targets)


def test_a_set_that_changed_is_noticed_and_one_set_stays_one(folder, tmp_path):
    choices = Choices(folder=tmp_path, data=folder)
    before = kind_of(choices).content(choices)
    shutil.copytree(folder, tmp_path / "copy")
    copied = replace(choices, data=tmp_path / "copy")
    assert kind_of(copied).content(copied) == before
    shutil.rmtree(tmp_path / "copy" / "small")
    assert kind_of(copied).content(copied) != before
    alone = replace(choices, data=folder / "small")
    assert kind_of(alone) is not kind_of(choices)
    with pytest.raises(InputError, match="a folder of several such folders"):
        kind_of(replace(choices, data=tmp_path / "none"))
    pairs = kind_of(choices).pairs
    assert pairs is not None
    assert callable(pairs(choices, CONFIG, ValidationSize(count=1, frames=2)))
