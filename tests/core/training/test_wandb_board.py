"""The log of a run in Weights & Biases: asked for, missing, and resumed."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from animate_anyone.errors import PackageError
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.journal import Journal
from animate_anyone.training.loop.trainer import Trainer
from animate_anyone.training.loop.wandb_board import WandbBoard

# A package of the same name and functions, which keeps what it is given.
PACKAGE = """
calls = []


class _Run:
    def log(self, values, step):
        calls.append((step, values))

    def finish(self):
        calls.append("finished")


def init(**given):
    calls.append(given)
    return _Run()


def Image(path):
    return "image", path


def Video(path, format):
    return "video", path
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return the package, installed for this test."""
    (tmp_path / "packages/wandb").mkdir(parents=True)
    (tmp_path / "packages/wandb/__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    import wandb

    yield wandb
    sys.modules.pop("wandb", None)


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed here")
def test_a_project_without_the_package_is_refused_before_anything_is_built(tmp_path):
    config = replace(TrainingConfig(), wandb="dancers")
    with pytest.raises(PackageError, match=r"wandb got the project 'dancers'.*pip install wandb"):
        Trainer(config, tmp_path)
    assert not list(tmp_path.iterdir())


def test_numbers_pictures_and_clips_arrive_and_a_resumed_run_is_the_same(tmp_path, package):
    for step in (3, 5):
        folder = tmp_path / "run" / "stage1"
        journal = Journal(folder, step - 1, WandbBoard("dancers", folder, {"steps": 9}))
        journal.numbers(step, {"loss": 0.5})
        journal.picture(step, "sheet", np.zeros((8, 8, 3), np.uint8))
        journal.clip(step, "walk", np.zeros((2, 8, 8, 3), np.uint8), 30.0)
        journal.close()
    first, second = (call for call in package.calls if isinstance(call, dict))
    assert first == second
    assert (first["project"], first["name"], first["resume"]) == ("dancers", "run stage1", "allow")
    assert first["config"] == {"steps": 9}
    assert package.calls[1] == (3, {"loss": 0.5})
    for number, (kind, name, suffix) in enumerate(
        [("image", "sheet", "png"), ("video", "walk", "gif")], start=2
    ):
        path = str(folder / "samples" / f"{name}-00000003.{suffix}")
        assert package.calls[number] == (3, {name: (kind, path)})
    assert package.calls[4] == "finished"
    assert len((folder / "log.jsonl").read_text().splitlines()) == 2
